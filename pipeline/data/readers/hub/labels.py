"""The labels of a set of the Hugging Face Hub: classes or quantities; rows without one are left out."""

from typing import Any

import numpy as np

from pipeline.data.readers.class_labels import number_classes
from pipeline.data.readers.hub import rows as hub_rows
from pipeline.data.readers.hub.rows import Splits
from pipeline.data.readers.loaded import LabelledSamples
from pipeline.data.readers.quantities import take_quantities
from pipeline.data.report import Findings
from pipeline.errors import BadData
from pipeline.settings.data import Datasets


def read_labels(
    splits: Splits, features: Any, name: str, data: Datasets
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the labels of each split, numbers of classes with -1 for none or quantities, and the classes."""
    cells = {split: hub_rows.read_column(rows, name).to_pylist() for split, rows in splits.items()}
    if type(features[name]).__name__ == "ClassLabel" and not data.is_regression:
        numbers = {
            split: np.array([-1 if cell is None else cell for cell in column])
            for split, column in cells.items()
        }
        used = np.unique(np.concatenate(list(numbers.values())))
        used = used[used >= 0]
        positions = {int(number): position for position, number in enumerate(used)}
        labels = {
            split: np.array([positions.get(int(number), -1) for number in column], np.int64)
            for split, column in numbers.items()
        }
        return labels, tuple(str(features[name].names[number]) for number in used)
    combined = _make_array([cell for column in cells.values() for cell in column], name)
    read = take_quantities if data.is_regression else number_classes
    numbered = read(LabelledSamples(np.zeros((len(combined), 1)), combined), None, (name, name))
    ends = np.cumsum([len(column) for column in cells.values()])[:-1]
    columns = np.split(np.asarray(numbered.train.labels), ends)
    return dict(zip(cells, columns, strict=True)), numbered.classes


def _make_array(cells: list[Any], name: str) -> np.ndarray:
    if any(isinstance(cell, list | dict) for cell in cells):
        raise BadData(f"the column {name} must hold one label in each row, got lists; set data.label=...")
    if any(isinstance(cell, str) for cell in cells):
        return np.array(["" if cell is None else str(cell) for cell in cells], np.str_)
    if any(cell is None for cell in cells):
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    return np.array(cells)


def drop_unlabelled(
    splits: Splits, labels: dict[str, np.ndarray], findings: Findings
) -> tuple[Splits, dict[str, np.ndarray]]:
    """Leave out rows without a label, and splits without one, as those of a benchmark's test often are."""
    labelled: Splits = {}
    for name, split in splits.items():
        numbers = labels[name]
        rows = np.flatnonzero(np.isfinite(numbers) if numbers.dtype.kind == "f" else numbers >= 0)
        if not len(rows) and name != "train":
            findings.add("split", "left out: without labels", name)
            continue
        findings.add("row", "left out: without a label", name, len(numbers) - len(rows))
        labelled[name] = split if len(rows) == len(numbers) else split.select(rows)
        labels[name] = numbers[rows]
    return labelled, labels
