"""Ctrl-C and SIGTERM: both end a run clean, at any moment.

The handler raises where the program stands. Libraries may turn that into an error of their own, so who
catches anything asks `requested()` what it was. What must not be torn apart stands in `held_back()`.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.errors import Stopped

_received: list[int] = []
_holding: list[bool] = []


def listen() -> None:
    """Take over SIGINT and SIGTERM, for the main thread of a command."""
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)


def requested() -> signal.Signals | None:
    """The first signal that asked this process to stop, if one did."""
    return signal.Signals(_received[0]) if _received else None


@contextmanager
def held_back() -> Iterator[None]:
    """A signal that comes inside takes effect at the end of the block."""
    before = len(_received)
    _holding.append(True)
    try:
        yield
    finally:
        _holding.pop()
    if len(_received) > before and not _holding:
        raise _as_exception(_received[-1])


def _on_signal(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    if not _holding:
        raise _as_exception(number)


def _as_exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Stopped()
