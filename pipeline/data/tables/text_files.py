"""The text of a table's file: unpacked, its encoding told or found, opened as often as it is needed."""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from pipeline.data.readers.alphabets import LOST, SCRIPTS
from pipeline.data.readers.compression import open_unpacked
from pipeline.data.readers.encodings import (
    AUTO,
    ISO_2022,
    detect_with_doubt,
    find_doubt,
    find_mark,
    is_broken_utf8,
    judge_encoding,
)
from pipeline.errors import BadData
from pipeline.formatting import format_count, shorten

CHUNK_BYTES = 1 << 18
OpenText = Callable[[], AbstractContextManager[TextIO]]
"""Opens the file again at its beginning."""


def make_opener(path: Path, encoding: str) -> OpenText:
    """Return what opens a file as text; a byte order mark goes before `encoding`, which may be `auto`.

    Line ends stay as they are.
    """
    if encoding == AUTO:
        encoding, _ = find_encoding(path)
    else:
        with open_unpacked(path) as file:
            encoding = find_mark(file.read(4)) or encoding
    return partial(_open_text, path, "utf-8-sig" if encoding == "utf-8" else encoding)


@contextmanager
def _open_text(path: Path, encoding: str) -> Iterator[TextIO]:
    with open_unpacked(path) as file:
        try:
            yield io.TextIOWrapper(io.BufferedReader(file), encoding, newline="")  # type: ignore[type-var]
        except (UnicodeError, LookupError) as error:
            raise BadData(f"{path} must be text in {encoding}, got: {error}; set data.encoding=...") from None


def find_encoding(path: Path) -> tuple[str, str]:
    """Return the encoding of a file: UTF-8 where all is, else by the part around the first other byte.

    The second result is the doubt in it, as of `find_doubt`.
    """
    with open_unpacked(path) as file:
        before, lines_before = b"", 1
        while chunk := file.read(CHUNK_BYTES):
            if not before and (marked := find_mark(chunk)):
                return marked, ""
            both = before[-4:] + chunk  # a letter may lie on both sides of the cut
            if both.count(0) > len(both) // 4:
                return detect_with_doubt([both])
            if not _is_utf8(both, whole=len(chunk) < CHUNK_BYTES):
                lines = both[both.find(b"\n") + 1 :] or both
                _refuse_broken(path, before + chunk, lines_before)
                encoding = judge_encoding(lines)
                _refuse_mixed(path, before + chunk, encoding)
                return encoding, find_doubt(lines, encoding)
            lines_before += before.count(b"\n")
            before = chunk
    return "utf-8", ""


def _refuse_broken(path: Path, content: bytes, first_line: int) -> None:
    """Raise BadData where all but a few letters are UTF-8. `first_line`: the number of the first line."""
    if not is_broken_utf8(content):
        return
    lines = content.decode("utf-8", "replace").split("\n")
    broken = [number for number, line in enumerate(lines) if LOST in line]
    raise BadData(
        f"{path} must be text in one encoding, got UTF-8 with broken letters in "
        f"{format_count(len(broken), 'line')}, such as line {first_line + broken[0]} "
        f"({shorten(lines[broken[0]].strip(), 40)!r}); mend them, or leave these letters out: "
        f"iconv -c -f utf-8 -t utf-8"
    )


def _refuse_mixed(path: Path, content: bytes, encoding: str) -> None:
    """Raise BadData where some lines are UTF-8 and others are not, as in files that were joined.

    Only where each letter has one byte: hardly any line of such an encoding is UTF-8 by chance.
    """
    if encoding in SCRIPTS:
        return
    lines = [line for line in content.splitlines() if not line.isascii()]
    are_utf8 = ["\ufffd" not in line.decode("utf-8", "replace") for line in lines]
    if sum(are_utf8) >= max(2, len(lines) // 10):
        one = shorten(lines[are_utf8.index(True)].decode(), 40)
        other = shorten(lines[are_utf8.index(False)].decode(encoding, "replace"), 40)
        raise BadData(
            f"{path} must be text in one encoding, got UTF-8 as in {one!r}, and {encoding} as in {other!r}; "
            "write it as UTF-8, or set data.encoding=... to read all of it so"
        )


def _is_utf8(content: bytes, whole: bool) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_at_start = error.start < 4 and error.reason == "invalid start byte"
        cut_at_end = not whole and error.reason == "unexpected end of data"
        return cut_at_end or (cut_at_start and _is_utf8(content[error.start + 1 :], whole))
    return ISO_2022.search(content) is None
