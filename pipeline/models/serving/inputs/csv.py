"""New rows of a table, read by what training took its columns for; labels are optional."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.features import LogMel
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_types import WORDS, ColumnType, Kind
from pipeline.data.tables.labels import find_column
from pipeline.data.tables.read_columns import read_numbers_of_any_form, read_words
from pipeline.data.tables.table_files import read_table
from pipeline.errors import BadData, DataMissing, format_one_line
from pipeline.files import describe_no_file, expand_home
from pipeline.formatting import shorten
from pipeline.models.serving.description import PLACE, ModelDescription, find_place
from pipeline.models.serving.inputs import NewBatch, NewData, refuse_model
from pipeline.models.serving.requests import ModelRequest
from pipeline.models.serving.table_columns import (
    UNKNOWN_WORDS,
    check_columns,
    check_words,
    match_formats,
    read_known_words,
    tell_unused,
)
from pipeline.models.serving.table_labels import find_label, read_new_labels
from pipeline.settings.tables import Csv

Categories: TypeAlias = Mapping[str, Sequence[str]]
"""The words that training saw, by column."""
TEXT = "text"
"""The column of texts, where several could be and nobody named one."""
ROWS = 4096
"""Rows of one batch."""
SEVERAL = 2
"""So many cells without a single right one are no mistakes in some of them."""


def open_new_data(
    data: Csv, description: ModelDescription, scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open a table; its cells lie on disk where they are many.

    A cell that is not what its column holds counts as an empty one, and is named in `findings`.

    Raises:
        DataMissing, BadData: there is no such table, or it lacks a column, or one is written in another way.
        BadModel: the model answers to no table.
    """
    if isinstance(description.front, LogMel) or description.front is None:
        refuse_model(data, "sounds" if description.front else f"arrays of shape {description.shape}")
    path = expand_home(data.path)
    if not path.is_file():
        raise DataMissing(
            f"data.path must be a table, got {path}, {describe_no_file(path)}; set data.path=..."
        )
    columns = description.list_columns()
    is_text = not columns or (len(columns) == 1 and columns[0].kind is Kind.text)
    if not is_text:
        data = replace(data, header=not all(PLACE.fullmatch(column.name) for column in columns))
    lone = "" if is_text else columns[0].name if len(columns) == 1 else None
    table = read_table(path, _find_by_columns(data, description), scratch, findings, lone)
    table = _name_columns(table, data, description, path)
    if is_text:
        trained = columns[0].name if columns else description.text
        text = _find_text(table, data.text or trained, data.label, path, findings)
        needed = [columns[0].name if columns else text]
        table = _rename(table, text, needed[0])
    else:
        table = _take_text(table, columns, data.text, path)
        needed = [column.name for column in columns]
        table = table.fill(needed)
    check_columns(table.names, needed, path)
    categories = description.get_categories()
    columns = match_formats(table, columns, data, path, findings)
    _check_cells(table, columns, categories, path)
    label = find_label(table, needed, data, description, findings)
    used = needed if label is None else [*needed, label]
    tell_unused(table.names, used, description.left_out, findings)
    labels = None if label is None else read_new_labels(table, label, columns, data, description, path)
    batches = _read_batches(table, columns, categories, needed, labels, findings)
    others = [name for name in table.names if name not in used]
    return NewData(
        name="line", total=len(table), batches=batches, has_labels=label is not None, others=others
    )


def _find_by_columns(data: Csv, description: ModelDescription) -> Csv:
    """Return `data` so that header and table are found by a column that is needed: no label need be there."""
    names = [column.name for column in description.list_columns()] or [data.text or description.text or TEXT]
    if data.header is False or PLACE.fullmatch(names[0]):
        return data
    found = copy(data)  # not checked again: only the reading of the file goes by it
    found.label, found.columns, found.text = names[0], None, None
    found.drop, found.categorical, found.group, found.time = None, None, None, None
    return found


def _name_columns(table: CellTable, data: Csv, description: ModelDescription, path: Path) -> CellTable:
    """Return a table without a header with the names that its columns had in training.

    Without the label, those behind it have moved by one place.
    """
    if data.header is not False or description.width is None:
        return table
    width, label = description.width, find_place(data.label, description.width)
    if len(table.names) == width:
        return table
    if len(table.names) != width - 1 or label is None:
        raise BadData(
            f"{path} must have {width} columns as in training, or all but the label, got {len(table.names)}; "
            "they have no names to go by"
        )
    names = tuple(f"column_{number}" for number in range(width) if number != label)
    return replace(table, names=names)


def _find_text(table: CellTable, name: str | None, label: str, path: Path, findings: Findings) -> str:
    """Return the column of texts: the one of this name, or the only one beside the label."""
    others = [column for column in table.names if column != label] or list(table.names)
    if name in table.names or (name and len(table.names) > 1):
        return find_column(name, table.names, "data.text", path)
    if len(others) > 1 and TEXT not in others:
        raise BadData(
            f"data.text must name the column of texts in {path}, got none; "
            f"it has {', '.join(table.names[:12])}"
        )
    text = others[0] if len(others) == 1 else TEXT
    is_named = name is not None and not PLACE.fullmatch(text)
    findings.add("column", f"read as texts in the place of {name}", text, int(is_named))
    return text


def _take_text(table: CellTable, columns: Sequence[ColumnType], name: str | None, path: Path) -> CellTable:
    """Return a table whose column `name` is called as the only one of texts was in training."""
    texts = [column.name for column in columns if column.kind is Kind.text]
    if name is None:
        return table
    if len(texts) != 1:
        raise BadData(
            f"data.text must be of a model with one column of texts, got {name} for one with "
            f"{', '.join(texts) or 'none'}; name the columns of {path} as in training"
        )
    return _rename(table, find_column(name, table.names, "data.text", path), texts[0])


def _rename(table: CellTable, old: str, new: str) -> CellTable:
    """Return the table with a column under a new name; one that had that name gets the old one."""
    swapped = {old: new, new: old}
    return replace(table, names=tuple(swapped.get(name, name) for name in table.names))


def _check_cells(table: CellTable, columns: Sequence[ColumnType], categories: Categories, path: Path) -> None:
    """Raise BadData where no cell of a column can be read: the whole column would count as empty."""
    head = replace(table, content=table.content.slice(0, ROWS), lines=table.lines[:ROWS])
    for column in columns:
        findings = Findings()
        if column.name in categories:
            check_words(table, column, categories[column.name], path)
        if column.kind in WORDS or not np.isnan(_read_column(column, head, categories, findings)).all():
            continue
        for finding in findings.to_tuple():
            if finding.count >= SEVERAL:
                form = f" {column.number}" if str(column.number) else ""
                what = f"dates ({column.date})" if column.date else f"numbers{form}"
                raise BadData(
                    f"column {column.name} of {path} must hold {what} as in training, got none "
                    f"({finding.example}); write them so"
                )


def _read_batches(
    table: CellTable,
    columns: Sequence[ColumnType],
    categories: Categories,
    needed: Sequence[str],
    labels: Any,
    findings: Findings,
) -> Iterator[NewBatch]:
    for start in range(0, len(table), ROWS):
        portion = replace(
            table, content=table.content.slice(start, ROWS), lines=table.lines[start : start + ROWS]
        )
        samples: Any
        if columns:
            samples = {column.name: _read_column(column, portion, categories, findings) for column in columns}
        else:
            cells = portion.get_column(needed[0]).combine_chunks()
            samples = np.array(pc.fill_null(cells, pa.scalar("", cells.type)).to_pylist(), object)
        names = portion.lines.tolist()
        portion_labels = None if labels is None else labels[start : start + ROWS].to_pylist()
        yield NewBatch(names, ModelRequest(samples), portion_labels)


def _read_column(
    column: ColumnType, table: CellTable, categories: Categories, findings: Findings
) -> np.ndarray:
    cells = table.get_column(column.name).combine_chunks()
    if column.name in categories:
        values, mistaken = read_known_words(column, cells, categories[column.name])
        text = UNKNOWN_WORDS.format(column.name)
    elif column.kind in WORDS:
        return np.array(read_words(column, cells).to_pylist(), object)
    else:
        values, mistaken = read_numbers_of_any_form(column, cells)
        form = f"dates ({column.date})" if column.date else "numbers"
        text = f"of column {column.name} that are no {form}: they count as empty"
    if mistaken.any():
        row = int(np.flatnonzero(mistaken)[0])
        example = f"line {table.lines[row]}: {shorten(format_one_line(cells[row].as_py()), 40)!r}"
        findings.add("cell", text, example, int(mistaken.sum()))
    return values
