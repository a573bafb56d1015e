"""The labels of new rows, which need not be there: their column, and how its words or quantities are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.report import Findings
from pipeline.data.tables import numbers
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_content import count_values
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.data.tables.labels import read_labels
from pipeline.data.tables.read_columns import read_numbers_of_any_form
from pipeline.models.serving.description import ModelDescription, find_place
from pipeline.models.serving.table_columns import match_formats
from pipeline.settings.tables import Csv


def find_label(
    table: CellTable, needed: Sequence[str], data: Csv, description: ModelDescription, findings: Findings
) -> str | None:
    """Return the column of labels, where the table has one; tell of one that is nearly called so."""
    name = data.label
    number = find_place(name, len(table.names))
    if name not in table.names and number is not None and 0 <= number < len(table.names):
        name = table.names[number]
    if name not in table.names or name in needed:
        folded = name.casefold()
        near = [column for column in table.names if column.casefold() == folded and column not in needed]
        text = f"called nearly as the labels: data.label={near[0]} reads them" if near else ""
        findings.add("column", text, near[0] if near else "", len(near))
        return None
    if name == data.label:
        return name
    are_classes = pc.is_in(read_labels(table, name), pa.array(list(description.classes), pa.large_string()))
    return name if pc.any(are_classes).as_py() else None


def read_new_labels(
    table: CellTable,
    name: str,
    columns: Sequence[ColumnType],
    data: Csv,
    description: ModelDescription,
    path: Path,
) -> Any:
    """Return the labels of the column `name` as a pyarrow array of text; quantities as Python writes them.

    `columns`: those of training, by whose cells a comma is told from a point.

    Raises:
        BadData: quantities can be read in two ways.
    """
    labels = read_labels(table, name)
    if description.classes:
        return labels
    cells = count_values(name, table.get_column(name)).values
    affixes = numbers.find_affixes(cells.filter(pc.fill_null(numbers.match_numbers(cells), False)))
    prefix, suffix = next(iter(affixes)) if len(affixes) == 1 else ("", "")
    column = ColumnType(name=name, kind=Kind.number, number=NumberFormat(prefix=prefix, suffix=suffix))
    column = match_formats(table, (*columns, column), data, path, Findings())[-1]
    if column.number == NumberFormat():
        return labels
    values, _ = read_numbers_of_any_form(column, labels)
    written = [repr(value) if np.isfinite(value) else None for value in values.tolist()]
    return pc.coalesce(pa.array(written, labels.type), labels)
