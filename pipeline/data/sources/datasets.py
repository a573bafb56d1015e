"""Data sets of the Hugging Face package `datasets`, where it is installed: images, sounds, texts, tables."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.features import TextSamples
from pipeline.data.readers.file_tree import FileTree
from pipeline.data.readers.hub import rows as hub_rows
from pipeline.data.readers.hub.labels import drop_unlabelled, read_labels
from pipeline.data.readers.hub.rows import ColumnRoles, RowFiles, Splits
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import RawSamples
from pipeline.data.sources import audio_folder, csv, image_folder
from pipeline.data.tables.read_columns import make_texts
from pipeline.data.tables.typed_files.arrow_files import collect_arrow
from pipeline.errors import BadData
from pipeline.settings.data import Datasets
from pipeline.settings.tables import Csv, SplitBy

FORMAT = csv.FORMAT + image_folder.FORMAT + audio_folder.FORMAT  # what changes one of them changes this
ROWS = 1000
"""Of a portion of a table."""


def fingerprint(data: Datasets, data_dir: Path) -> str:
    """Return one SHA-256 (hex) over the files of the set; it is fetched first where it is absent."""
    return hash_files(hub_rows.list_files(data, hub_rows.open_splits(data, data_dir, Findings())))


def load(data: Datasets, data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read the splits; names of classes are those of the set.

    Raises:
        BadSetting, DataMissing: as `hub_rows.open_splits`.
        BadData: as `hub_rows.choose_columns`, and as the kinds of what is in it.
    """
    findings = Findings()
    splits = hub_rows.open_splits(data, data_dir, findings)
    features = splits["train"].features
    columns = hub_rows.choose_columns(features, data)
    if columns.kind == "table":
        return _load_table(splits, features, columns, data, scratch, findings)
    labels, classes = read_labels(splits, features, columns.label, data)
    splits, labels = drop_unlabelled(splits, labels, findings)
    if columns.kind in ("image", "audio"):
        return _load_files(splits, columns, labels, classes, data, scratch, findings)
    read = _read_texts if columns.kind == "text" else _read_arrays
    made = {
        name: LabelledSamples(read(split, columns.inputs[0], scratch), labels[name])
        for name, split in splits.items()
    }
    return LoadedData(
        train=made["train"],
        validation=made.get("validation"),
        test=made.get("test"),
        classes=classes,
        kind=TextSamples() if columns.kind == "text" else None,
        findings=findings.to_tuple(),
    )


# ---- samples ----------------------------------------------------------------------------------------------


def _load_files(
    splits: Splits,
    columns: ColumnRoles,
    labels: dict[str, np.ndarray],
    classes: tuple[str, ...],
    data: Datasets,
    scratch: ScratchSpace,
    findings: Findings,
) -> LoadedData:
    """Read images or sounds as those of a folder are read."""
    if data.is_regression:
        values = np.unique(np.concatenate([labels[name] for name in splits]))
        classes = tuple(repr(float(value)) for value in values)
        labels = {name: np.searchsorted(values, labels[name]) for name in splits}
    name = columns.inputs[0]
    with TemporaryDirectory() as folder:
        files = {
            split: RowFiles(
                split,
                rows.cast_column(name, type(rows.features[name])(decode=False)),
                name,
                labels[split].tolist(),
                Path(folder),
            )
            for split, rows in splits.items()
        }
        tree = FileTree(files, classes)
        if columns.kind == "image":
            return image_folder.load_tree(data.make_image_folder(), tree, scratch, findings)
        return audio_folder.load_tree(data.make_audio_folder(), tree, scratch, findings)


def _read_texts(split: Any, name: str, scratch: ScratchSpace) -> RawSamples:
    cells = hub_rows.read_column(split, name)
    chunks = [pc.fill_null(pc.cast(chunk, pa.large_string()), "") for chunk in cells.chunks]
    return make_texts(chunks, scratch)


def _read_arrays(split: Any, name: str, _scratch: ScratchSpace) -> RawSamples:
    """Return lists of numbers of one shape, float32 [n, *shape]."""
    cells = hub_rows.read_column(split, name).to_pylist()
    try:
        array = np.array(cells, np.float32)
    except (TypeError, ValueError):
        array = np.zeros((0,), np.float32)
    if array.ndim < 2:
        raise BadData(
            f"the column {name} must hold lists of numbers of one length, got others; set data.features=[...]"
        )
    return array


def _load_table(
    splits: Splits,
    features: Any,
    columns: ColumnRoles,
    data: Datasets,
    scratch: ScratchSpace,
    findings: Findings,
) -> LoadedData:
    """Read columns as those of a table in a file are read; numbers of classes become their names."""
    chosen = [*columns.inputs, columns.label]
    named = {
        name: list(features[name].names) for name in chosen if type(features[name]).__name__ == "ClassLabel"
    }
    tables = {}
    for split, rows in splits.items():
        arrow = rows.select_columns(chosen).with_format("arrow")
        batches = (
            _name_classes(batch, named)
            for portion in arrow.iter(ROWS)
            for batch in portion.combine_chunks().to_batches()
        )
        schema = _name_classes(arrow[:1].combine_chunks().to_batches()[0], named).schema
        tables[split] = collect_arrow(schema, batches, scratch, findings)
    for split in [name for name in tables if name != "train"]:
        if not pc.any(pc.not_equal(tables[split].get_column(columns.label), "")).as_py():
            findings.add("split", "left out: without labels", split)
            del tables[split]
    paths = {split: Path(f"{data.name}[{split}]") for split in tables}
    loaded = csv.load_tables(tables, paths, _make_table_settings(columns, data), scratch, findings)
    names = named.get(columns.label, ())
    return loaded if not loaded.classes or not names else _order_classes(loaded, names)


def _name_classes(batch: Any, named: dict[str, list[str]]) -> Any:
    """Return a record batch with the names of classes in place of their numbers; -1 is an empty cell."""
    columns = []
    for field in batch.schema:
        column = batch.column(field.name)
        if field.name in named:
            numbers = pc.cast(column, pa.int64())
            numbers = pc.if_else(pc.less(numbers, 0), pa.scalar(None, pa.int64()), numbers)
            column = pc.take(pa.array(named[field.name], pa.large_string()), numbers)
        columns.append(column)
    return pa.record_batch(columns, names=batch.schema.names)


def _make_table_settings(columns: ColumnRoles, data: Datasets) -> Csv:
    """Return the settings of a table that are found, not said."""
    unsaid = (
        *("test_path", "validation", "text", "drop", "categorical", "header", "separator", "quote"),
        *("missing", "decimal", "thousands", "dates", "group", "time"),
    )
    return Csv(
        path=data.name,
        label=columns.label,
        columns=list(columns.inputs) if data.features else None,
        encoding="auto",
        split=SplitBy.random,
        on_error=data.on_error,
        task=data.task,
        fraction=data.fraction,
        in_memory_limit=data.in_memory_limit,
        **dict.fromkeys(unsaid),
    )


def _order_classes(loaded: LoadedData, names: list[str] | tuple[str, ...]) -> LoadedData:
    """Return the same data with the classes in the order of the set's own list."""
    classes = tuple(sorted(loaded.classes, key=list(names).index))
    numbers = np.array([*(classes.index(name) for name in loaded.classes), -1])

    def renumber(samples: LabelledSamples | None) -> LabelledSamples | None:
        return samples and replace(samples, labels=numbers[samples.labels])

    train = renumber(loaded.train)
    assert train is not None
    return replace(
        loaded,
        train=train,
        validation=renumber(loaded.validation),
        test=renumber(loaded.test),
        classes=classes,
    )
