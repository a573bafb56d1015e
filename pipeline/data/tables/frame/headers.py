"""Which row of a table has the names of its columns."""

from collections.abc import Sequence

HEAD_ROWS = 20
"""So many first rows are looked at for the header."""


def count_rows_above(head: Sequence[Sequence[str]], label: str) -> int:
    """Return how many rows stand above the header, as titles do: it is the first row with the label's name.

    A place (0, -1) is no name: then titles are the first rows that have one cell, where others have more.
    """
    if _is_place(label):
        return _count_titles(head)
    return next((row for row, cells in enumerate(head[:-1]) if label in cells and len(cells) > 1), 0)


def _count_titles(head: Sequence[Sequence[str]]) -> int:
    width = max(map(len, head))
    filled = [sum(map(bool, cells)) for cells in head]
    titles = 0
    while titles < len(head) - 1 and filled[titles] < 2 and (width > 2 or len(head[titles]) < width):
        titles += 1
    return titles if filled[titles] > 1 else 0


def has_header(first: Sequence[str], label: str) -> bool:
    """Return whether the first row has names: the label is one of them, or none of its cells is a number.

    Names may be the numbers of the columns, as pandas writes those without names.
    """
    if label in first and not _is_place(label):
        return True
    names = first if first[:1] != [""] else first[1:]
    return list(names) == [str(number) for number in range(len(names))] or not any(
        _is_number(cell) or not cell for cell in first
    )


def are_row_names(cells: Sequence[str]) -> bool:
    """Return whether the first cells of rows may be their names as R writes them: none twice, no fractions.

    Rows that have one cell more than the header may as well have a column at their end that it does not name.
    """
    is_fraction = (_is_number(cell) and not cell.isdecimal() for cell in cells)
    return len(set(cells)) == len(cells) and not any(is_fraction)


def _is_place(label: str) -> bool:
    return label.lstrip("-").isdecimal()


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
