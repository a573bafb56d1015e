"""What looks odd in a column: it is told, and left as it is."""

import numpy as np
import pyarrow.compute as pc

from pipeline.data.readers.quantities import EXACT
from pipeline.data.tables.column_content import ColumnContent
from pipeline.data.tables.find_type import CATEGORY_WORDS

SENTINELS = tuple(sign * (10**digits - 1) for digits in (2, 3, 4, 5, 6) for sign in (-1, 1))
"""Numbers that stand for "no value" in old files: -99, 999, -9999 and the like."""
LEAST_ROWS = 2
FIGURES = r"^[^\p{L}\d]*\d+(?:[^\p{L}\d]+\d+)+[^\p{L}\d]*$"
MANY = 20


def find_sentinel(content: ColumnContent, numbers: np.ndarray) -> str:
    """Return a number that may mean "no value", as it is written, "" where there is none.

    It is in several rows, and farther from all other numbers than those are from each other. `numbers`: of
    the values of the content.
    """
    for sentinel in SENTINELS:
        is_it = numbers == sentinel
        others = numbers[np.isfinite(numbers) & ~is_it]
        if content.counts[is_it].sum() < LEAST_ROWS or len(others) < 2:
            continue
        if np.abs(others - sentinel).min() > others.max() - others.min():
            return str(content.values[int(np.argmax(is_it))].as_py())
    return ""


def find_rounded(content: ColumnContent, numbers: np.ndarray) -> bool:
    """Return whether whole numbers lose digits as floating-point ones. `numbers`: of the values."""
    large = np.flatnonzero(np.abs(numbers) > EXACT)
    cells = content.values.take(large)
    are_whole = pc.match_substring_regex(cells, r"^[+-]?\d+$").to_pylist()
    return any(
        is_whole and int(cell.as_py()) != int(numbers[row])
        for row, cell, is_whole in zip(large, cells, are_whole, strict=True)
    )


def are_figures(content: ColumnContent) -> bool:
    """Return whether many categories are made of several numbers each: 120/80, 52-57, 10.0.0.1."""
    if len(content.values) <= MANY:
        return False
    return pc.all(pc.match_substring_regex(content.values, FIGURES)).as_py() is True


def find_missing_words(classes: tuple[str, ...]) -> list[str]:
    """Return the names of classes that elsewhere stand for an empty cell, such as NaN and null."""
    return [name for name in classes if name.lower() in CATEGORY_WORDS]
