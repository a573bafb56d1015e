"""Ctrl-C, and what terminals and batch systems send before they kill: it ends a run clean, at any moment.

The handler raises where the program stands. Libraries may turn that into an error of their own, so who
catches anything asks `read_requested()` what it was. What must not be torn apart stands in `hold_back()`,
and what may be within that in `let_through()`. Two things go on by themselves before they are stopped. Torn
apart, a transaction of the stores would keep the database locked for all who write the end of the run, and
the way into a block (`with`) or out of it would leave undone what the end of the block undoes. Where Python
swallows what the handler raises, as in the callback of a weak reference, it is asked again.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
REQUESTS = ("urllib3.",)
"""Modules in whose calls a server is waited for: minutes, where it has gone. So long nothing is held back."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
STOPPING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""What asks a process to stop: SIGHUP of a terminal that is closed, SIGUSR1 or SIGUSR2 of a batch system some
time before it kills (`sbatch --signal`), SIGXCPU where a limit of CPU seconds is reached."""

AGAIN_SECONDS = 0.02
PATIENCE_SECONDS = 2.0
"""How long the way into a block or out of it goes on: it may wait, for a lock, a server or a process."""
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

_received: list[int] = []
_holds: list[int] = []
"""For the blocks that this process is in, 1 where signals are held back, and -1 where that is taken back."""
_deferred: list[float] = []
"""When signals were deferred since one was last heard, by `time.monotonic`."""
_timers: list[threading.Timer] = []
_pending: list[int] = []
"""What came while it was held back, and is still to be heard."""


def listen() -> None:
    """Take over what asks to stop, for the main thread of a command.

    Others than SIGINT and SIGTERM stay ignored where they are: `nohup` lets a command outlive its terminal.
    """
    sys.unraisablehook = _ask_again
    for number in STOPPING:
        is_always_heard = number in (signal.SIGINT, signal.SIGTERM)
        if is_always_heard or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def listen_no_more() -> None:
    """Let what asks to stop end this process at once and without a word: its command is over."""
    while _timers:
        _timers.pop().cancel()
    for number in STOPPING:
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, signal.SIG_DFL)


def raise_deferred() -> None:
    """Raise at once what was to be asked again, if anything was: behind this there is no block to end."""
    if _deferred:
        _deferred.clear()
        raise _as_exception(_received[-1])


@contextmanager
def hear_interrupt() -> Iterator[None]:
    """Hear Ctrl-C as a command does, for a call by a program or notebook; behind it that hears it as before.

    Where it is another thread, or has a handler of its own, nothing changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    hook = sys.unraisablehook
    try:
        sys.unraisablehook = _ask_again
        signal.signal(signal.SIGINT, _on_signal)
        yield
    finally:
        sys.unraisablehook = hook
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        finally:  # one that comes now is the program's
            del _received[:], _pending[:], _deferred[:]


def is_stop(error: BaseException) -> bool:
    """Return whether an exception that came out of a block is, or hides, that somebody asked to stop."""
    return read_requested() is not None or isinstance(error, KeyboardInterrupt | Stopped)


def end_at_interrupt() -> None:
    """Let Ctrl-C end this process at once and without a word: while it imports there is nothing to record."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def defer_interrupt() -> Iterator[None]:
    """Let a program that begins in the block not hear Ctrl-C until it calls `end_at_interrupt`.

    Python would print a traceback for it from its first moment on, and ignoring it would lose it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def get_name(number: int) -> str:
    """Return the name of a signal, as SIGKILL, or its number where it has none, as those of real time."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def read_requested() -> signal.Signals | None:
    """Return the first signal that asked this process to stop, None if none did."""
    return signal.Signals(_received[0]) if _received else None


@contextmanager
def hold_back() -> Iterator[None]:
    """Hold back a signal that comes inside the block until its end."""
    _holds.append(1)
    try:
        yield
    finally:
        _holds.remove(1)  # in a generator it need not be the last one
    _raise_pending()


@contextmanager
def let_through() -> Iterator[None]:
    """Take back in the block what the `hold_back` around it does, but for others around that.

    So what is done before the block and behind it is done whole, wherever a signal falls.
    """
    try:
        _holds.append(-1)
        _raise_pending()
        yield
    finally:
        _holds.remove(-1)


def _is_held() -> bool:
    return sum(_holds) > 0


def _raise_pending() -> None:
    """Raise what was held back, unless it still is."""
    if _pending and not _is_held():
        number = _pending[-1]
        del _pending[:], _deferred[:]
        raise _as_exception(number)


def _on_signal(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    asks_server = _is_within(frame, REQUESTS)
    if _is_held() and not asks_server:
        _pending.append(number)
    elif (_is_held() and not _has_waited()) or _is_between_blocks(frame) or _is_within(frame, TRANSACTIONS):
        _deferred.append(time.monotonic())
        _send_later(number)
    else:
        _deferred.clear()
        raise _as_exception(number)


def _ask_again(swallowed: "sys.UnraisableHookArgs") -> None:
    """Ask again for a stop that nobody can have heard; others that Python swallows are told as ever."""
    if _received and isinstance(swallowed.exc_value, KeyboardInterrupt | Stopped):
        _send_later(_received[-1])
    else:
        sys.__unraisablehook__(swallowed)


def _send_later(number: int) -> None:
    later = threading.Timer(AGAIN_SECONDS, _send, (number,))
    later.daemon = True
    _timers[:] = [*(timer for timer in _timers if timer.is_alive()), later]
    later.start()


def _has_waited() -> bool:
    return bool(_deferred) and time.monotonic() - _deferred[0] > PATIENCE_SECONDS


def _is_within(frame: FrameType | None, modules: tuple[str, ...]) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(modules):
            return True
        frame = frame.f_back
    return False


def _is_between_blocks(frame: FrameType | None) -> bool:
    """Return whether this process is on the way into a block or out of it, and has not been so for long."""
    if frame is not None and frame.f_globals.get("__name__") == "contextlib":
        return True
    if _has_waited():
        return False
    while frame is not None:
        if frame.f_code.co_name in ("__enter__", "__exit__"):
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


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends, where the system can."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
