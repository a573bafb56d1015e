"""The labels of a table: words of one column, which are the names of the classes."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.quantities import OFFER
from pipeline.data.report import Findings
from pipeline.data.samples import Table
from pipeline.data.tables import numbers
from pipeline.data.tables.cells import CellTable
from pipeline.errors import BadData
from pipeline.formatting import format_count

MANY = 20
"""Numbers with more different values than this may be a quantity."""
ROWS_OF_A_CLASS = 10
FEW_ROWS = 20
WHOLE = r"^[+-]?\d+(?:\.0*)?$"


def find_column(name: str, names: Sequence[str], key: str, path: Path) -> str:
    """Return a column's name from its name or its place (0: the first, -1: the last).

    Raises:
        BadData: there is no such column.
    """
    name = unicodedata.normalize("NFC", name)
    if name in names:
        return name
    if name.lstrip("-").isdecimal() and name.isascii() and -len(names) <= int(name) < len(names):
        return names[int(name)]
    near = [each for each in names if each.casefold() == name.strip().casefold()]
    near = near or [each for each in names if each.endswith(f".{name}")]  # within an object of JSON
    near = near or get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names[:12])}"
    raise BadData(f"{key} must be a column of {path}, got {name}; {hint}")


def read_labels(table: CellTable, name: str) -> Any:
    """Return the labels of a column as a pyarrow array of text; an empty cell is "".

    Whole numbers written as fractions (1.0) are 1; no other word is changed or taken for missing.
    """
    cells = table.get_column(name).combine_chunks()
    labels = pc.fill_null(cells, pa.scalar("", cells.type))
    filled = labels.filter(pc.not_equal(labels, pa.scalar("", cells.type)))
    if len(filled) and pc.all(pc.match_substring_regex(filled, WHOLE)).as_py():
        return pc.replace_substring_regex(labels, r"\.0*$", "")
    return labels


def list_classes(labels: Sequence[Any], key: str, path: Path) -> tuple[str, ...]:
    """Return the classes, sorted as numbers where all are whole numbers, else by the alphabet.

    `labels`: of each file.

    Raises:
        BadData: there are none, or they are quantities, or nearly as many as rows.
    """
    counted = pc.value_counts(pa.chunked_array(list(labels)))
    filled = pc.not_equal(counted.field("values"), pa.scalar("", pa.large_string()))
    values, rows = (
        counted.field("values").filter(filled),
        pc.sum(counted.field("counts").filter(filled)).as_py(),
    )
    if not len(values):
        raise BadData(f"the column {key} must hold classes, got empty cells only; set data.label=...")
    _refuse_quantities(values, rows, key, path)
    names = values.to_pylist()
    are_whole = pc.all(pc.match_substring_regex(values, r"^[+-]?\d+$")).as_py()
    return tuple(sorted(names, key=lambda name: (int(name), name)) if are_whole else sorted(names))


def _refuse_quantities(values: Any, rows: int, key: str, path: Path) -> None:
    if len(values) <= MANY:
        return
    are_numbers = pc.all(numbers.match_numbers(values)).as_py() and numbers.find_formats(values)
    are_whole = pc.all(pc.match_substring_regex(values, WHOLE)).as_py()
    if are_numbers and (not are_whole or rows < ROWS_OF_A_CLASS * len(values)):
        raise BadData(
            f"column {key} of {path} has {len(values):,} different numbers in "
            f"{format_count(rows, 'row')}: {OFFER}; or cut "
            "it into classes, or choose another column with data.label=..."
        )
    if rows < 2 * len(values):
        raise BadData(
            f"column {key} of {path} must hold classes, got {len(values):,} different words in "
            f"{format_count(rows, 'row')} "
            f"(such as {values[0].as_py()[:40]!r}); choose another column with data.label=..."
        )


def number_labels(labels: Any, classes: Sequence[str]) -> np.ndarray:
    """Return the number of each label in `classes`, int64 [n]; -1: no class, for cleaning to drop."""
    places = pc.index_in(labels, pa.array(list(classes), pa.large_string()))
    return np.asarray(pc.fill_null(places, -1), np.int64)


def find_telltales(
    table: Table, labels: np.ndarray, findings: Findings, free_texts: Sequence[str] = ()
) -> None:
    """Add a finding for columns of which each value stands for one class: they may be the answer itself.

    `labels`: the class of each row [n], -1 where it is missing; `free_texts`: columns that are not asked, as
    nearly every row has another text.
    """
    rows = np.flatnonzero(labels >= 0)
    labelled = labels[rows]
    if len(rows) < FEW_ROWS or len(np.unique(labelled)) < 2:
        return
    names = [
        name for position, name in enumerate(table.numeric) if _tells(table.numbers[rows, position], labelled)
    ]
    for texts, name in zip(table.words, table.categorical, strict=True):
        if name in free_texts:
            continue
        codes = np.unique(texts[rows].astype(str), return_inverse=True)[1]
        if _stands_for_one(codes, labelled):
            names.append(name)
    text = "from which the class of every row follows; if it is not known beforehand: data.drop=[...]"
    findings.add("column", text, ", ".join(names[:8]), len(names))


def _tells(column: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether one number has one class, or the classes lie in a row without an overlap."""
    if np.isnan(column).any():
        return False
    order = np.argsort(column, kind="stable")
    changes = int((np.diff(labels[order]) != 0).sum())
    codes = np.unique(column, return_inverse=True)[1]
    in_a_row = changes == len(np.unique(labels)) - 1
    return _are_pure(codes, labels) and (in_a_row or _stands_for_one(codes, labels))


def _stands_for_one(codes: np.ndarray, labels: np.ndarray) -> bool:
    distinct = int(codes.max()) + 1
    return 1 < distinct <= len(codes) / 4 and _are_pure(codes, labels)


def _are_pure(codes: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether all rows of one code have one label."""
    pairs = codes.astype(np.int64) * (int(labels.max()) + 1) + labels
    return len(np.unique(pairs)) == int(codes.max()) + 1
