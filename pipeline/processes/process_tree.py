"""What a process has started, and all processes of a session."""

import os
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil


def list_tree(pid: int) -> list[psutil.Process]:
    """List a process and all that it has started; none where it is gone."""
    try:
        processes = [psutil.Process(pid)]
        if not has_lists_of_children():
            return [*processes, *processes[0].children(recursive=True)]
    except (psutil.Error, ValueError, OverflowError):
        return []
    for process in processes:  # which grows: a look at all of the machine's takes a hundred times as long
        for child in list_children(process.pid):
            with suppress(psutil.Error):
                processes.append(psutil.Process(child))
    return processes


@cache
def has_lists_of_children() -> bool:
    """Return whether the kernel lists the children of a thread (CONFIG_PROC_CHILDREN)."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def list_children(pid: int) -> list[int]:
    """List the ids of the processes that a process has started, or adopted; none where it is gone."""
    children = list[int]()
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):  # a thread may end while it is read
                children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return children


def kill_session(leader: int) -> None:
    """Kill all processes of a session, whatever groups they have made; none where nobody is left in it."""
    for pid in psutil.pids():
        with suppress(OSError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)
