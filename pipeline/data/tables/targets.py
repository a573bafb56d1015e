"""The label of a table as a quantity: numbers as people write them, in one column."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from pipeline.data.readers.quantities import REMEDY
from pipeline.data.report import ColumnReport, Findings
from pipeline.data.samples import Table
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_types import Kind
from pipeline.data.tables.find_types import find_types
from pipeline.data.tables.read_columns import read_column
from pipeline.errors import BadData
from pipeline.settings.tables import Csv

COPY = 1 - 1e-9
"""A correlation with the label from which a column is taken for a copy of it."""


def read_targets(
    tables: Mapping[str, CellTable], name: str, data: Csv, paths: Mapping[str, Path]
) -> tuple[dict[str, np.ndarray], ColumnReport]:
    """Return the numbers of the column `name` by split, float64 [n] (NaN: missing), and its report.

    How they are written is found in the training file.

    Raises:
        BadData: they are no numbers, or a cell is none.
    """
    cells = tables["train"].get_column(name).combine_chunks()
    if not pc.any(pc.not_equal(pc.fill_null(cells, ""), "")).as_py():
        raise BadData(f"the column {name} must hold numbers, got empty cells only; set data.label=...")
    alone = replace(data, label="", columns=[name], categorical=None, drop=None, text=None)
    (column,), (report,) = find_types(tables["train"], [name], alone, paths["train"], Findings())
    if column.kind is not Kind.number:
        got = f"{'dates' if column.kind is Kind.date else 'words'} such as {report.examples[0]!r}"
        raise BadData(
            f"column {name} of {paths['train']} must hold numbers with data.task=regression, got {got}; "
            f"{REMEDY}"
        )
    return {split: read_column(table, column, paths[split]) for split, table in tables.items()}, report


def find_copies(table: Table, targets: np.ndarray, findings: Findings) -> None:
    """Add a finding for columns that lie on a line with the label: they may be the answer itself.

    `targets`: the label of each row [n], NaN where it is missing.
    """
    rows = np.flatnonzero(np.isfinite(targets))
    names = [
        name
        for position, name in enumerate(table.numeric)
        if _is_copy(np.asarray(table.numbers[rows, position]), targets[rows])
    ]
    text = "from which the label of every row follows; if it is not known beforehand: data.drop=[...]"
    findings.add("column", text, ", ".join(names[:8]), len(names))


def _is_copy(column: np.ndarray, targets: np.ndarray) -> bool:
    """Return whether the numbers lie on a line with the targets."""
    if len(targets) < 3 or not np.isfinite(column).all() or column.min() == column.max():
        return False
    if targets.min() == targets.max():
        return False
    return bool(abs(np.corrcoef(column, targets)[0, 1]) > COPY)
