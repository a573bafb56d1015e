"""A sheet of a workbook, before it is a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Merged = tuple[int, int, int, int]
"""Left, top, right and bottom of cells that are one, from 1."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook. `rows`: those that are not empty: the number (from 1) and the cells."""

    name: str
    rows: Sequence[tuple[int, Sequence[object]]]
    merged: Sequence[Merged]


@dataclass(frozen=True, slots=True)
class SheetSource:
    """A sheet that may be read. `read_head`: its first rows, at most as many as are asked for."""

    name: str
    is_visible: bool
    read_head: Callable[[int], Sequence[Sequence[object]]]
    read: Callable[[], Sheet]


MOST_CELLS = 100_000_000
"""As many fill a gigabyte, most of them empty: one cell far to the right makes a row that long."""


def number_filled(rows: Iterable[Sequence[object]]) -> list[tuple[int, Sequence[object]]]:
    """Return the rows that are not empty, each with its number from 1.

    Raises:
        ValueError: they have more cells than `MOST_CELLS`.
    """
    filled, cells = [], 0
    for line, row in enumerate(rows, 1):
        if all(cell is None for cell in row):
            continue
        cells += len(row)
        if cells > MOST_CELLS:
            raise ValueError(f"more than {MOST_CELLS:,} cells up to row {line}, most of them empty")
        filled.append((line, row))
    return filled
