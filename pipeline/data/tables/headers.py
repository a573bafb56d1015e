"""Which row of a table has the names of its columns."""

from collections.abc import Sequence

HEAD_ROWS = 20
"""So many first rows are looked at for the header."""


def count_rows_above(head: Sequence[Sequence[str]], label: str) -> int:
    """Return how many rows stand above the header, as titles do: it is the first row with the label's name.

    A place (0, -1) is no name.
    """
    if label.lstrip("-").isdecimal() or label in head[0]:
        return 0
    return next((row for row, cells in enumerate(head[:-1]) if label in cells and len(cells) > 1), 0)


def has_header(first: Sequence[str], label: str) -> bool:
    """Return whether the first row has names: the label is one of them, or none of its cells is a number."""
    return label in first or not any(_is_number(cell) or not cell for cell in first)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
