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

_SPELLED = str.maketrans(
    {
        "\u00b5": "u",
        "\u03bc": "u",
        "\u00b1": "+/-",
        "\u00d7": "x",
        "\u00f7": "/",
        "\u2026": "...",
        "\u2013": "-",
        "\u2014": "--",
        "\u2264": "<=",
        "\u2265": ">=",
        "\u2192": "->",
        "\u2022": "*",
        **dict(zip("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588", "_.:-=+*#", strict=True)),
    }
)
"""Signs of numbers and pictures, and how a terminal without them shows them."""

_collected: ContextVar[list[Any] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_results() -> Iterator[list[Any]]:
    """Collect the results of the commands in the block, which print nothing meanwhile; yield the list."""
    results: list[Any] = []
    before = _collected.get()
    try:
        _collected.set(results)
        yield results
    finally:
        _collected.set(before)


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
        self.error: OSError | ValueError | None = None
        self.is_plain = _is_plain(stream)
        with suppress(AttributeError):  # what is no terminal may know fewer letters than names have
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    @property
    def encoding(self) -> str:
        """Return the letters that are sent: only those of ASCII where signs are spelled."""
        return "ascii" if self.is_plain else self._stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`, or drop it where nobody can read it any more."""
        return self.write_exactly(spell_in_ascii(text) if self.is_plain else text)

    def write_exactly(self, text: str) -> int:
        """Write `text` with the very letters that it has."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:
                self._silence(error)
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        if self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._silence(error)

    @property
    def is_lost(self) -> bool:
        """Return whether text was lost that somebody wants; who closes a pipe has read enough."""
        return self.error is not None and getattr(self.error, "errno", None) != errno.EPIPE

    def _silence(self, error: OSError | ValueError) -> None:
        """Send the rest, and what the interpreter flushes at its end, nowhere.

        Raises:
            ValueError: the stream refuses the text, and was not closed by a training loop.
        """
        if isinstance(error, ValueError) and not self._stream.closed:
            raise error
        self.error = error
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def is_plain(stream: object) -> bool:
    """Return whether a stream of ours spells signs such as ± in ASCII."""
    return getattr(stream, "is_plain", False)


def _is_plain(stream: TextIO) -> bool:
    """Return whether a stream, or the language that the shell names, knows no more letters than ASCII.

    Python sends UTF-8 under `LANG=C`, and sets LC_CTYPE to C.UTF-8 itself; who asks for C gets plain signs.
    """
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
    if not encoding.startswith("utf"):
        return True
    names = [os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    return next((name for name in names if name not in ("", "C.UTF-8", "UTF-8")), "") in ("C", "POSIX")


def spell_in_ascii(text: str) -> str:
    """Spell the signs that are printed here in ASCII: `5 us +/-3%`; letters of names stay."""
    return text if text.isascii() else text.translate(_SPELLED)


def print_exactly(text: str) -> None:
    """Print what programs read, such as CSV, with the very letters that it has."""
    getattr(sys.stdout, "write_exactly", sys.stdout.write)(f"{text}\n")


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
    """Open what a shell closed by `>&-`, here and in processes that this one starts.

    Else a database would get that number and the text of libraries, and a worker no output to write to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
