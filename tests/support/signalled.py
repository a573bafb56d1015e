"""A signal before each line of some files: what a block leaves behind, wherever it was stopped."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from pipeline import signals


def stop_at_each_line(
    block: Callable[[], object], *files: str, number: signal.Signals = signal.SIGTERM
) -> Iterator[tuple[str, BaseException | None]]:
    """Run `block` again and again, stopped as it first comes to the next line each time, until it is through.

    `files`: how the names of the files end whose lines count. Yields the line, as `FILE:NUMBER`, and what the
    block has raised, if it has.
    """
    at = 0
    while True:
        del signals._received[:], signals._pending[:], signals._deferred[:]
        signals.listen()  # tests/conftest.py gives the handlers back
        stop, error = _Stop(files, at, number), None
        before = sys.gettrace()
        try:
            sys.settrace(stop.begin)
            block()
            if signals._deferred:
                time.sleep(20)  # less, as it is asked again
        except BaseException as raised:
            error = raised
        finally:
            sys.settrace(before)
        if not stop.place:
            return
        yield stop.place, error
        at += 1


class _Stop:
    """A trace function (see `sys.settrace`) that sends a signal once, before the line of a number."""

    def __init__(self, files: tuple[str, ...], at: int, number: signal.Signals) -> None:
        self._files, self._left, self._number = files, at, number
        self._seen, self.place = set[tuple[str, int]](), ""

    def begin(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._watch if frame.f_code.co_filename.endswith(self._files) else None

    def _watch(self, frame: FrameType, event: str, _argument: object) -> Any:
        line = frame.f_code.co_filename, frame.f_lineno
        if event != "line" or self.place or line in self._seen:
            return self._watch
        self._seen.add(line)
        self._left -= 1
        if self._left < 0:
            sys.settrace(None)
            self.place = "{}:{}".format(*line)
            handler = signal.getsignal(self._number)
            assert callable(handler)
            handler(self._number, frame)  # as Python does where the signal comes in that very frame
        return self._watch
