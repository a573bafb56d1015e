"""Tables with a column of classes or quantities: numbers, dates and categories, or one column of texts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.features import SampleKind, TableSamples, TextSamples
from pipeline.data.readers.class_labels import note_classes
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import ColumnReport, Findings
from pipeline.data.samples import RawSamples, Table
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_types import WORDS, ColumnType, Kind
from pipeline.data.tables.find_types import find_types
from pipeline.data.tables.labels import find_column, find_telltales, list_classes, number_labels, read_labels
from pipeline.data.tables.oddities import find_missing_words, find_several
from pipeline.data.tables.read_columns import build_table, make_texts, read_numbers
from pipeline.data.tables.table_files import read_table
from pipeline.data.tables.targets import find_copies, read_targets
from pipeline.errors import BadData, DataMissing
from pipeline.files import describe_no_file, expand_home
from pipeline.settings.tables import Csv, SplitBy

FORMAT = 14
"""Raised when the same tables come to mean other samples; a test holds the answers of this one."""
FILES = {"train": "path", "validation": "validation", "test": "test_path"}
"""The key of each split's file below `data.`."""


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The columns that are read: `label`, and either `text` or the others; `reports` tells of all."""

    label: str
    columns: tuple[ColumnType, ...]
    text: str | None
    group: str | None
    reports: tuple[ColumnReport, ...]


def fingerprint(data: Csv, _data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the files of all splits."""
    return hash_files(_find_files(data).values())


def load(data: Csv, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read a table, or texts where `data.text` names a column.

    Raises:
        BadData: a column is missing, a row has another number of cells, or a cell is not what its column is.
    """
    findings, paths = Findings(), _find_files(data)
    tables = {split: read_table(path, data, scratch, findings) for split, path in paths.items()}
    return load_tables(tables, paths, data, scratch, findings)


def load_tables(
    tables: dict[str, CellTable],
    paths: Mapping[str, Path],
    data: Csv,
    scratch: ScratchSpace,
    findings: Findings,
) -> LoadedData:
    """Make samples and labels of tables by split; `paths`: what each is called in messages.

    Raises:
        BadData: as `load`.
    """
    layout = _choose_layout(paths["train"], tables["train"], data, findings)
    tables = {split: table.fill(tables["train"].names) for split, table in tables.items()}
    samples, classes = {}, tuple[str, ...]()
    for split, table in tables.items():
        _check_names(table, layout, paths[split], paths["train"])
        samples[split] = _read_samples(table, layout, scratch, paths[split])
    if data.is_regression:
        labels, _ = read_targets(tables, layout.label, data, paths)
    else:
        labels, classes = _read_classes(tables, layout.label, paths["train"], findings)
    groups = _number_groups(tables, layout.group, findings)
    made = {
        split: LabelledSamples(
            samples[split],
            labels[split],
            groups.get(split),
            _read_times(table, data, layout, paths[split], findings) if split == "train" else None,
            places=table.lines,
        )
        for split, table in tables.items()
    }
    if isinstance(samples["train"], Table):
        free = tuple(column.name for column in layout.columns if column.kind is Kind.text)
        if data.is_regression:
            find_copies(samples["train"], made["train"].labels, findings)
        else:
            find_telltales(samples["train"], made["train"].labels, findings, free)
    kind: SampleKind = TableSamples(layout.columns) if layout.text is None else TextSamples()
    return LoadedData(
        train=made["train"],
        test=made.get("test"),
        classes=classes,
        kind=kind,
        validation=made.get("validation"),
        findings=findings.to_tuple(),
        columns=layout.reports,
        unit="line",
    )


def _read_classes(
    tables: dict[str, CellTable], label: str, path: Path, findings: Findings
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the number of each row's class by split, and the classes."""
    words = {split: read_labels(table, label) for split, table in tables.items()}
    classes = list_classes(list(words.values()), label, path)
    note_classes(classes, findings)
    several = find_several(classes)
    text = "of which each combination of several is one: give each label a column to learn them one by one"
    findings.add("class", text, several, len(classes) if several else 0)
    doubtful = find_missing_words(classes)
    text = "that may mean a label is missing, and is learned as any other; remove such rows if it does"
    findings.add("class", text, ", ".join(doubtful), len(doubtful))
    return {split: number_labels(each, classes) for split, each in words.items()}, classes


def _find_files(data: Csv) -> dict[str, Path]:
    paths = {}
    for split, key in FILES.items():
        text = getattr(data, key)
        if text is not None:
            paths[split] = path = expand_home(text)
            if not path.is_file():
                raise DataMissing(
                    f"data.{key} must be a table, got {path}, {describe_no_file(path)}; set data.{key}=..."
                )
    return paths


def _choose_layout(path: Path, table: CellTable, data: Csv, findings: Findings) -> TableLayout:
    label = find_column(data.label, table.names, "data.label", path)
    listed = {
        key: _find_columns(getattr(data, key), key, table, path) for key in ("columns", "drop", "categorical")
    }
    text, group = (
        name and find_column(name, table.names, f"data.{key}", path)
        for key, name in (("text", data.text), ("group", data.group))
    )
    for key, names in listed.items():
        if label in names:
            raise BadData(
                f"data.{key} must be columns without data.label, got {label}; leave it out of the list"
            )
    if text is not None:
        return TableLayout(label, (), text, group, ())
    names = listed["columns"] or [name for name in table.names if name != label]
    used = [name for name in names if name not in listed["drop"] and name != group]
    columns, reports = find_types(table, used, data, path, findings)
    findings.add("column", "left out: data.drop", ", ".join(listed["drop"][:8]), len(listed["drop"]))
    return TableLayout(label, columns, None, group, reports)


def _find_columns(names: list[str] | None, key: str, table: CellTable, path: Path) -> list[str]:
    return [find_column(name, table.names, f"data.{key}", path) for name in names or ()]


def _check_names(table: CellTable, layout: TableLayout, path: Path, first: Path) -> None:
    needed = [
        layout.label,
        *([layout.text] if layout.text else []),
        *(column.name for column in layout.columns),
    ]
    missing = [name for name in needed if name not in table.names]
    if missing:
        raise BadData(
            f"{path} must have the columns of {first}, got none called {', '.join(missing[:5])}; "
            "use files of one table"
        )


def _read_samples(table: CellTable, layout: TableLayout, scratch: ScratchSpace, path: Path) -> RawSamples:
    if layout.text is None:
        return build_table(table, layout.columns, scratch, path)
    cells = table.get_column(layout.text)
    chunks = [pc.fill_null(chunk, pa.scalar("", chunk.type)) for chunk in cells.chunks]
    return make_texts(chunks, scratch)


def _read_times(
    table: CellTable, data: Csv, layout: TableLayout, path: Path, findings: Findings
) -> np.ndarray | None:
    """Return what `data.split=time` goes by, float64 [n].

    Raises:
        BadData: no column of dates is known, or several are.
    """
    if data.split is not SplitBy.time:
        return None
    dated = [column for column in layout.columns if column.kind is Kind.date]
    if data.time is not None:
        name = find_column(data.time, table.names, "data.time", path)
        columns, _ = find_types(table, [name], replace(data, columns=[name]), path, Findings())
        dated = [column for column in columns if column.kind not in WORDS]
    if len(dated) != 1:
        names = ", ".join(column.name for column in dated) or "none"
        raise BadData(
            f"data.split=time must have one column of dates or numbers, got {names}; set data.time=COLUMN"
        )
    times = read_numbers(dated[0], table.get_column(dated[0].name).combine_chunks())[0]
    text = "without a time: taken for the latest, which the test split has"
    findings.add("row", text, dated[0].name, int(np.isnan(times).sum()))
    return times


def _number_groups(
    tables: Mapping[str, CellTable], name: str | None, findings: Findings
) -> dict[str, np.ndarray]:
    """Return a number for each value of a column, by split; each empty cell is a group of its own.

    A value has one number in all files; a file without the column has no groups.
    """
    if name is None:
        return {}
    columns = {split: table.get_column(name) for split, table in tables.items() if name in table.names}
    values: Any = pc.unique(
        pa.chunked_array([chunk for column in columns.values() for chunk in column.chunks])
    )
    values = values.filter(pc.not_equal(values, ""))
    groups, first = {}, len(values)
    for split, column in columns.items():
        numbers = np.array(pc.fill_null(pc.index_in(column, values, skip_nulls=True), -1), np.int64)
        empty = numbers == -1
        numbers[empty] = first + np.arange(int(empty.sum()))
        groups[split], first = numbers, first + int(empty.sum())
    findings.add("column", "whose rows of one value are kept on one side of a split (data.group)", name)
    return groups
