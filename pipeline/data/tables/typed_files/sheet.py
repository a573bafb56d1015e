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


def number_filled(rows: Iterable[Sequence[object]]) -> list[tuple[int, Sequence[object]]]:
    """Return the rows that are not empty, each with its number from 1."""
    return [(line, row) for line, row in enumerate(rows, 1) if any(cell is not None for cell in row)]
