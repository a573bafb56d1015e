"""CPU seconds of a process and of all that it has started."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from pipeline.processes.process_tree import list_children, list_tree

PROC = Path("/proc")


def count_own_seconds() -> float:
    """Count the CPU seconds of this process and of all that it has started: those that load its data, say.

    Children that have ended count from when this process has waited for them, in ticks of 0.01 s.
    """
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    return total + sum(count_tree_seconds(pid) for pid in list_children(os.getpid()))


def count_tree_seconds(pid: int) -> float:
    """Count the CPU seconds of a process and all that it has started; 0 where it is gone."""
    total = 0.0
    for process in list_tree(pid):
        with suppress(psutil.Error):  # it may end meanwhile
            times = process.cpu_times()
            total += times.children_user + times.children_system
            total += max(times.user + times.system, _read_exactly(process.pid))
    return total


def _read_exactly(pid: int) -> float:
    """Return the CPU seconds of the threads of a process that live: exact, where others are told in ticks."""
    total = 0
    for file in PROC.glob(f"{pid}/task/*/schedstat"):
        with suppress(OSError, ValueError, IndexError):
            total += int(file.read_text().split()[0])
    return total * 1e-9
