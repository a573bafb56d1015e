"""What a running program of the user's tells: the lines that it prints or writes."""

import codecs
import json
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
LONGEST = 16 * 2**20
"""Bytes of a line; without a bound a program that ends no line would fill the memory."""
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_SPEAKS = re.compile(rb"(\b|_)acc(uracy)?\b", re.IGNORECASE)
_NAMED = re.compile(rb"""["']accuracy["']\s*:""")


class _LineCutter:
    """Cuts what comes in pieces into lines; one that is longer than `LONGEST` comes in several."""

    def __init__(self) -> None:
        self._parts, self._size = list[bytes](), 0

    def cut(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that end in this piece."""
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self._parts.append(end)
            yield self._join()
        self._parts.append(rest)
        self._size += len(rest)
        if self._size > LONGEST:
            yield self._join()

    def finish(self) -> Iterator[bytes]:
        """Yield what has come since the last end of a line, if anything has."""
        if self._size:
            yield self._join()

    def _join(self) -> bytes:
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line


def read_pipe(descriptor: int, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the lines that a program prints, as they come, until it has ended. `is_over`: it has."""
    lines = _LineCutter()
    while True:
        ready, _, _ = select.select([descriptor], [], [], POLL_SECONDS)
        if not ready:
            if not is_over():
                continue
            break  # something that it has started still holds the pipe
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            break
        yield from lines.cut(piece)
    yield from lines.finish()


def read_file(path: Path, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the lines that a program writes into a file, as they come, until it has ended."""
    lines, offset = _LineCutter(), 0
    while True:
        has_ended = is_over()
        with suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(offset)
            while piece := file.read(1 << 20):
                offset += len(piece)
                yield from lines.cut(piece)
        if has_ended:
            break
        time.sleep(POLL_SECONDS)
    yield from lines.finish()


def show_line(line: bytes) -> bytes:
    """Return a line without its colours, and without what was drawn before the last carriage return."""
    shown = _COLOUR.sub(b"", line.removeprefix(codecs.BOM_UTF8)).rstrip(b"\r").rpartition(b"\r")[2]
    return shown.replace(b"\b", b"")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return what a line of JSON says, as a terminal shows it; None where it is another line.

    A progress bar may stand before it: where that of Keras is drawn, callbacks print behind it.
    """
    shown = show_line(line)
    if b"\r" in line.rstrip(b"\r"):
        shown = shown[max(0, shown.find(b"{")) :]
    if not shown.lstrip().startswith(b"{") or b"\0" in shown:  # UTF-16, of which only some lines can be read
        return None
    try:
        values = json.loads(shown.decode(errors="replace"))  # else a report would be lost by one odd letter
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def is_nearly_report(line: bytes) -> bool:
    """Return whether a line speaks of an accuracy, whatever it calls it, in any encoding in use."""
    return _SPEAKS.search(line.replace(b"\0", b"")) is not None


def is_cut_report(line: bytes) -> bool:
    """Return whether a line is the beginning of a report, the rest of which a program has never written."""
    shown = show_line(line).lstrip()
    return shown.startswith(b"{") and b"}" not in shown and b'"accuracy"' in shown


def is_broken_report(line: bytes) -> bool:
    """Return whether a line is a report that is no JSON, as `.75` of bc or `0,75` of a locale makes it."""
    shown = show_line(line).strip()
    is_object = shown.startswith(b"{") and shown.endswith(b"}")
    return is_object and b'"accuracy"' in shown and parse_line(line) is None


def hides_report(line: bytes) -> bool:
    """Return whether a line has a report in it that does not stand by itself."""
    # One pass: a pattern that begins at any brace would look through a line of many once for each.
    begin, end = line.find(b"{"), line.rfind(b"}")
    return begin >= 0 and _NAMED.search(line, begin, max(begin, end)) is not None
