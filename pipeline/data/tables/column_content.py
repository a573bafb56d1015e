"""What is in a column: its different cells and how often each is there; and a cell that does not belong."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import BadData, format_one_line
from pipeline.formatting import format_list, shorten


@dataclass(frozen=True, slots=True)
class ColumnContent:
    """The different cells of a column that are not empty, how often each is there, and the number of rows."""

    name: str
    values: Any
    counts: np.ndarray
    rows: int

    @property
    def filled(self) -> int:
        """Return how many cells have a value."""
        return int(self.counts.sum())

    def select(self, mask: Any) -> "ColumnContent":
        """Return the values where `mask` (a pyarrow array of booleans) is true."""
        return ColumnContent(self.name, self.values.filter(mask), self.counts[np.asarray(mask)], self.rows)

    def find_words(self, words: Iterable[str]) -> list[str]:
        """Return the values that are one of these words (in small letters)."""
        missing = pa.array(list(words), self.values.type)
        values = pc.fill_null(pc.is_in(pc.utf8_lower(self.values), missing), False)
        return [str(value) for value in self.values.filter(values).to_pylist()]

    def drop_words(self, words: frozenset[str]) -> "ColumnContent":
        """Return the content without words (in small letters) that stand for an empty cell."""
        if not words or not len(self.values):
            return self
        is_missing = pc.is_in(pc.utf8_lower(self.values), pa.array(sorted(words), self.values.type))
        return self.select(pc.invert(is_missing))


def count_values(name: str, cells: Any) -> ColumnContent:
    """Count the different cells of a column that are not empty."""
    counted = pc.value_counts(cells)
    values, counts = counted.field("values"), np.asarray(counted.field("counts"), np.int64)
    content = ColumnContent(name, values, counts, len(cells))
    return content.select(pc.fill_null(pc.not_equal(values, pa.scalar("", values.type)), False))


class MistakenCell(BadData):
    """A cell that is not what its column holds; the caller adds the line."""

    def __init__(self, name: str, cell: str, what: str, file_name: str) -> None:
        """Describe the cell, for the moment without its line."""
        self.name, self.cell, self.what, self.file_name = name, cell, what, file_name
        super().__init__(self.describe(""))

    def describe(self, line: str) -> str:
        """Return the message; `line`: " in line 5", or nothing."""
        short = format_one_line(shorten(self.cell, 60))
        return (
            f"column {self.name} of {self.file_name} must hold {self.what}, got {short!r}{line}; "
            "mend the cell, "
            f"call it an empty one ({format_list('data.missing', short)}) or the column a category: "
            f"{format_list('data.categorical', self.name)}"
        )


def refuse_cell(content: ColumnContent, cell: str, what: str, file_name: str) -> None:
    """Raise for a cell that is not what its column holds.

    Raises:
        MistakenCell: the caller adds the line.
    """
    raise MistakenCell(content.name, cell, what, file_name)
