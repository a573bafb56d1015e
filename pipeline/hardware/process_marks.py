"""Marks in the environment by which all that a trial has started is known, to end it when the trial is over.

A process hands its environment on to what it starts, so a mark reaches what has a session of its own and what
has lost its parent. It does not reach what is forked without being started anew, which dies with its session.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing.util import Finalize

import psutil

from pipeline.processes import ProcessOwner, set_variable

MARKS = "FULCRUM_STARTED_BY"
"""The variable: the marks of all by whom a process was started, outermost first, with spaces between."""
OWNER_PREFIX = "owner-"
ENDS_BY_ITSELF = "resource_tracker"
"""In the command line of Python's own helper, and of joblib's, which tidies up once its process has ended."""


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


def kill_started() -> bool:
    """End what this process has marked as its own; return whether there was anything."""
    return kill_marked(_make_own_mark(os.getpid()))


def kill_marked(mark: str) -> bool:
    """End what has a mark, also what has lost its parent; return whether there was anything."""
    return _kill({mark}.__contains__)


def kill_abandoned() -> bool:
    """End what was marked by processes that are gone, which could not do it; return whether there was any."""
    return _kill(cache(_is_abandoned))


def _is_abandoned(mark: str) -> bool:
    owner = None
    if mark.startswith(OWNER_PREFIX):
        owner = ProcessOwner.from_file_name(mark.removeprefix(OWNER_PREFIX))
    return owner is not None and owner.is_gone()


def _kill(is_meant: Callable[[str], bool]) -> bool:
    has_killed = False
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            marks = process.environ().get(MARKS, "").split()
            if any(map(is_meant, marks)) and ENDS_BY_ITSELF not in " ".join(process.cmdline()):
                process.kill()
                has_killed = True
    return has_killed


@cache
def _make_own_mark(_pid: int) -> str:
    """Return the mark of this process; a copy that is forked off has another id, and so a mark of its own."""
    return f"{OWNER_PREFIX}{ProcessOwner.current().to_file_name()}"
