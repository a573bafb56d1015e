"""`run` of a user's function in a process of its own: what crashes that one is told, and its record ends.

A library of the user's may end the process at once: by memory that is not its own, say. Nobody in there can
tell of it, so the command waits beside it. Nothing is imported before, so that nothing is doubled.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from pipeline.errors import FulcrumError
from pipeline.secrets import mask
from pipeline.signals import STOPPING, end_with_parent

FROM_THE_SYSTEM = 128
"""SI_KERNEL of sigaction(2): the terminal has sent it to all processes at once."""


def is_of_function(words: Sequence[str]) -> bool:
    """Return whether the words, as far as can be seen without Hydra, run a function of the user's."""
    can_wait = hasattr(os, "fork") and hasattr(signal, "sigwaitinfo")
    return can_wait and words[:1] == ["run"] and any("function" in word for word in words)


def run_apart(words: Sequence[str], run: Callable[[], int]) -> int:
    """Return the exit code of `run`, called in a process of its own, or 1 where that crashes.

    Signals that ask this process to stop are for the other one, which ends its record.
    """
    watched = {signal.SIGCHLD, *STOPPING}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if not pid:
        _end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return run()
    status = _wait(pid, watched)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    if number in STOPPING:
        _end_by(number)
    print(f"error: {mask(_explain(words, number))}", file=sys.stderr)
    _end_records(pid)
    return FulcrumError.exit_code


def _end_with(parent: int) -> None:
    """End this process where its parent is killed."""
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _wait(pid: int, watched: set[signal.Signals]) -> int:
    """Wait for the end of a process, hand on what asks to stop, and return its status."""
    while True:
        about = signal.sigwaitinfo(watched)
        if about.si_signo != signal.SIGCHLD:
            if about.si_code != FROM_THE_SYSTEM:
                os.kill(pid, about.si_signo)
            continue
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status


def _end_by(number: int) -> NoReturn:
    """End by a signal that has ended the other process before it listened."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _explain(words: Sequence[str], number: int) -> str:
    from pipeline.search.workers.exit_reason import explain_exit

    call = next((word for word in words if word.startswith("trial.call=")), "the function")
    return f"{call} failed: {explain_exit(-number, None, '')}; mend it"


def _end_records(pid: int) -> None:
    """End the runs of the process that has crashed."""
    from pipeline.tracking import mlflow_store
    from pipeline.tracking.runs import orphans

    with suppress(FulcrumError):  # the store is gone as well: the next command ends them
        orphans.end_crashed(mlflow_store.open_store(), pid)
