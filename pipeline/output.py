"""Where the results of a command go: to a person, or to a program that called it.

Standard output and error may go away: a closed pipe, a full disk, a terminal that is gone. A command's work
is worth more than its words: it goes on in silence, and says at its end what was lost.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

_collected: ContextVar[list[Any] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_results() -> Iterator[list[Any]]:
    """Collect the results of the commands in the block, which print nothing meanwhile; yield the list."""
    results: list[Any] = []
    token = _collected.set(results)
    try:
        yield results
    finally:
        _collected.reset(token)


def hand_over(result: object) -> bool:
    """Hand a result to the program that collects; return whether there is one, else it is to be printed."""
    results = _collected.get()
    if results is None:
        return False
    results.append(result)
    return True


def is_collected() -> bool:
    """Return whether a program collects the results, so that nothing is printed."""
    return _collected.get() is not None


class GuardedOutput:
    """A text stream that is silent from its first failed write on; `error` is why that failed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None
        with suppress(AttributeError):  # what is no terminal may know fewer letters than names have
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`, or drop it where nobody can read it any more."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._silence(error)
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._silence(error)

    @property
    def is_lost(self) -> bool:
        """Return whether text was lost that somebody wants; who closes a pipe has read enough."""
        return self.error is not None and self.error.errno != errno.EPIPE

    def _silence(self, error: OSError) -> None:
        """Send the rest, and what the interpreter flushes at its end, nowhere."""
        self.error = error
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def guard_output() -> Iterator[GuardedOutput]:
    """Let nothing in the block fail because its output cannot be written; yield standard output."""
    _open_closed_files()
    before = sys.stdout, sys.stderr
    out, err = (GuardedOutput(stream or open(os.devnull, "w")) for stream in before)  # noqa: SIM115
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _open_closed_files() -> None:
    """Open what a shell closed by `>&-`, so that no database gets that number and the text of libraries."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
