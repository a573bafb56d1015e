"""Marks in the environment by which all that a trial has started is known, to end it when the trial is over.

A process hands its environment on to what it starts, so a mark reaches what has a session of its own and what
has lost its parent. It does not reach what is forked without being started anew, which dies with its session.

To find a mark, all processes of the machine are looked at. A worker, which does it after each trial, adopts
orphans instead where the system can: then all that its trials have started lies below it, marked or not.
"""

import ctypes
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing.util import Finalize

import psutil

from pipeline.processes.environment import set_variable
from pipeline.processes.process_owner import ProcessOwner
from pipeline.processes.process_tree import has_lists_of_children, list_children

MARKS = "FULCRUM_STARTED_BY"
"""The variable: the marks of all by whom a process was started, outermost first, with spaces between."""
OWNER_PREFIX = "owner-"
ENDS_BY_ITSELF = "resource_tracker"
"""In the command line of Python's own helper, and of joblib's, which tidies up once its process has ended."""
START_SECONDS = 1.0
"""For which processes may have neither words nor environment, all together."""
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2), since Linux 3.4
_adopting = set[int]()
"""The id of this process where it adopts orphans; a copy that is forked off has another one."""


def add_mark(mark: str) -> str:
    """Return the value of `MARKS` for what is to have this mark as well as those of this process."""
    return " ".join(dict.fromkeys((*os.environ.get(MARKS, "").split(), mark)))


def mark_started() -> None:
    """Mark all that this process starts from here on as its own."""
    os.environ[MARKS] = add_mark(_make_own_mark(os.getpid()))


@contextmanager
def marking_started() -> Iterator[None]:
    """Mark what this process starts during the block as its own, and kill it when this process ends."""
    _kill_started_at_exit()
    before = os.environ.get(MARKS)
    mark_started()
    try:
        yield
    finally:
        set_variable(MARKS, before)


@cache
def _kill_started_at_exit() -> None:
    """End it last, after libraries have ended by themselves what is theirs.

    Ray ends a process whose cluster was killed, and `multiprocessing` waits for what it has started.
    """
    Finalize(None, kill_started, exitpriority=-300)  # that of files is -200


def adopt_orphans() -> None:
    """Let what loses its parent below this process become its own child, where the system can."""
    with suppress(AttributeError, OSError):
        if ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0) == 0 and has_lists_of_children():
            _adopting.add(os.getpid())


def kill_started() -> bool:
    """End what this process has marked as its own, or all below it; return whether there was anything."""
    if os.getpid() not in _adopting:
        return kill_marked(_make_own_mark(os.getpid()))
    has_killed = _kill(lambda _: True, _list_below())
    for pid in list_children(os.getpid()):  # of an orphan that has ended, nobody else asks how
        with suppress(OSError):
            os.waitpid(pid, os.WNOHANG)
    return has_killed


def kill_marked(mark: str) -> bool:
    """End what this process has started with a mark, also what has lost its parent; return whether it had."""
    return _kill(_has_mark({mark}.__contains__), _list_below() if os.getpid() in _adopting else None)


def kill_abandoned() -> bool:
    """End what was marked by processes that are gone, which could not do it; return whether there was any."""
    return _kill(_has_mark(cache(_is_abandoned)))


def _is_abandoned(mark: str) -> bool:
    owner = None
    if mark.startswith(OWNER_PREFIX):
        owner = ProcessOwner.from_file_name(mark.removeprefix(OWNER_PREFIX))
    return owner is not None and owner.is_gone()


def _has_mark(is_meant: Callable[[str], bool]) -> Callable[[psutil.Process], bool]:
    """Return a function that tells of a process whether one of its marks is meant."""
    return lambda process: any(map(is_meant, process.environ().get(MARKS, "").split()))


def _kill(is_meant: Callable[[psutil.Process], bool], among: Iterable[psutil.Process] | None = None) -> bool:
    """End processes; return whether there were any. `among`: whom to look at; None: at all."""
    has_killed, deadline = False, time.monotonic() + START_SECONDS
    for process in psutil.process_iter() if among is None else among:
        with suppress(psutil.Error, OSError):
            words = _wait_for_words(process, deadline)
            if ENDS_BY_ITSELF not in " ".join(words) and is_meant(process):
                process.kill()
                has_killed = True
    return has_killed


def _wait_for_words(process: psutil.Process, deadline: float) -> list[str]:
    """Return the words of a process, once one that becomes another program has them and its environment.

    For an instant it has neither, when whoever started it goes on already: it would be taken for another's.
    Kernel threads have no words either, but no program.
    """
    while not (words := process.cmdline()) and process.exe() and time.monotonic() < deadline:
        time.sleep(0.001)
    return words


def _list_below() -> Iterator[psutil.Process]:
    """Yield all living processes below this one, until no further one comes while they are ended."""
    seen, is_new = {os.getpid()}, True
    while is_new:
        is_new, parents = False, [os.getpid()]
        while parents:
            children = list_children(parents.pop())
            parents += children
            for pid in children:
                if pid not in seen:
                    seen.add(pid)
                    with suppress(psutil.Error):
                        process = psutil.Process(pid)
                        if process.status() != psutil.STATUS_ZOMBIE:
                            is_new = True
                            yield process


@cache
def _make_own_mark(_pid: int) -> str:
    """Return the mark of this process; a copy that is forked off has another id, and so a mark of its own."""
    return f"{OWNER_PREFIX}{ProcessOwner.current().to_file_name()}"
