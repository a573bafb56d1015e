"""Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed: they end a run clean, at any moment.

The handler raises where the program stands. Libraries may turn that into an error of their own, so who
catches anything asks `read_requested()` what it was. What must not be torn apart stands in `hold_back()`; a
transaction of the stores is let through by itself: torn apart, it would keep the database locked for all
who write the end of the run.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.errors import Stopped

TRANSACTIONS = (
    "mlflow.store.db.",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages._rdb.",
    "sqlalchemy.",
)
"""Modules in whose calls a transaction may be open; those that ask a server are none, they may wait long."""

AGAIN_SECONDS = 0.02

_received: list[int] = []
_holds: list[bool] = []


def listen() -> None:
    """Take over SIGINT, SIGTERM and SIGHUP, for the main thread of a command.

    SIGHUP stays ignored where it is: `nohup` lets a command outlive its terminal.
    """
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _on_signal)


def read_requested() -> signal.Signals | None:
    """Return the first signal that asked this process to stop, None if none did."""
    return signal.Signals(_received[0]) if _received else None


@contextmanager
def hold_back() -> Iterator[None]:
    """Hold back a signal that comes inside the block until its end."""
    before = len(_received)
    _holds.append(True)
    try:
        yield
    finally:
        _holds.pop()
    if len(_received) > before and not _holds:
        raise _as_exception(_received[-1])


def _on_signal(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if _holds:
        return
    if _in_transaction(frame):
        later = threading.Timer(AGAIN_SECONDS, _send, (number,))
        later.daemon = True
        later.start()
        return
    raise _as_exception(number)


def _in_transaction(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(TRANSACTIONS):
            return True
        frame = frame.f_back
    return False


def _send(number: int) -> None:
    """Send to the main thread, which may wait in a system call, where the system can tell threads apart."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _as_exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Stopped()
