"""What the pages of a Parquet file unpack to, by the header that stands before each of them.

The end of a file may say anything of its pages; the library takes as much memory as their headers say.
Numbers of fields are those of `PageHeader` (parquet.thrift), in the compact protocol of Apache Thrift.
"""

import mmap
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRUE, FALSE, BYTE, INT_16, INT_32, INT_64, DOUBLE, BINARY, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
"""Kinds of values."""
UNPACKED, PACKED, DATA_PAGE, DATA_PAGE_2 = 2, 3, 5, 8
"""Fields of a page's header; the last two hold one of their own."""
VALUES, ENCODING, ENCODING_2 = 1, 2, 4
"""Fields of those: how many values the page has, and how they are written."""
DELTA_TEXTS = 7
"""Texts written so share their beginnings: each may be as long as all that lies in the page."""
NUMBER_BYTES = 8
MOST_BITS = 63


@dataclass(frozen=True, slots=True)
class Page:
    """What a page unpacks to, in bytes. `size`: all of it, and no less than its values take.

    `longest_shared`: the longest text that it may make out of few bytes, again and again; 0: none.
    """

    size: int
    longest_shared: int


class _Header:
    """The header that begins at `position`, which moves behind what was read."""

    def __init__(self, content: Any, position: int) -> None:
        self._content, self.position = content, position

    def read_struct(self) -> dict[int, Any]:
        """Return its whole numbers and structures by their fields.

        Raises:
            ValueError, LookupError, RecursionError: it ends early, or is none.
        """
        fields: dict[int, Any] = {}
        number = 0
        while head := self._read_byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._read_number()
            fields[number] = self._read_value(kind)
        return fields

    def _read_value(self, kind: int) -> Any:
        if kind in (INT_16, INT_32, INT_64):
            return self._read_number()
        if kind == STRUCT:
            return self.read_struct()
        if kind == BINARY:
            length = self._read_unsigned()
            self.position += length
        elif kind == DOUBLE:
            self.position += NUMBER_BYTES
        elif kind == BYTE:
            self.position += 1
        elif kind not in (TRUE, FALSE):
            raise ValueError("a page with a header of another format")
        return None

    def _read_number(self) -> int:
        coded = self._read_unsigned()
        return (coded >> 1) ^ -(coded & 1)

    def _read_unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._read_byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > MOST_BITS:
                raise ValueError("a page with a header that never ends")

    def _read_byte(self) -> int:
        byte: int = self._content[self.position]
        self.position += 1
        return byte


def measure_pages(path: Path, about: Any, names: Set[str]) -> Iterator[Page]:
    """Yield the pages of these columns. `about`: the metadata of the file, by the library.

    Raises:
        ValueError, LookupError, RecursionError: a header is damaged.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for group in range(about.num_row_groups):
            for number in range(about.num_columns):
                column = about.row_group(group).column(number)
                if _is_read(column.path_in_schema, names):
                    yield from _measure_column(content, column)


def _is_read(path: str, names: Set[str]) -> bool:
    """Return whether the library reads what lies at `path` where it is asked for columns of these names."""
    pieces = path.split(".")
    return any(".".join(pieces[: end + 1]) in names for end in range(len(pieces)))


def _measure_column(content: Any, column: Any) -> Iterator[Page]:
    position = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < position:
        position = column.dictionary_page_offset
    end = position + column.total_compressed_size
    while 0 <= position < min(end, len(content)):
        header = _Header(content, position)
        fields = header.read_struct()
        first, second = fields.get(DATA_PAGE, {}), fields.get(DATA_PAGE_2, {})
        values = max(first.get(VALUES, 0), second.get(VALUES, 0))
        unpacked, packed = fields.get(UNPACKED, -1), fields.get(PACKED, -1)
        if min(unpacked, packed) < 0:
            raise ValueError("a page without its size")
        is_delta = DELTA_TEXTS in (first.get(ENCODING), second.get(ENCODING_2))
        yield Page(max(unpacked, NUMBER_BYTES * values), unpacked if is_delta else 0)
        position = header.position + packed
