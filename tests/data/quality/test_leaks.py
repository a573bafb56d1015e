"""A column that alone tells the class is found, whatever its form; a column of chance is none."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.data.quality.column_spread import fit_spreads
from pipeline.data.quality.leaks import explain_no_leaks, find_telling

Column = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def sort_key(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Give out keys class by class, from a number on that float32 cannot hold."""
    keys = np.empty(len(labels))
    keys[np.lexsort((draw.random(len(labels)), labels))] = np.arange(len(labels)) + 2.0**40
    return keys


LEAKS: dict[str, Column] = {
    "equal": lambda labels, _: labels.astype(np.float64),
    "monotone": lambda labels, draw: np.exp(labels + 0.5 * draw.random(len(labels))),
    "hashed": lambda labels, _: (labels * 2654435761 % 4093).astype(np.float64),
    "words": lambda labels, _: np.array([f"code {label * 7919 % 1000}" for label in labels], object),
    "empty where it is the last": lambda labels, _: np.where(labels == labels.max(), np.nan, labels),
    "a sorted key": sort_key,
}


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("classes", [2, 10])
def test_a_column_that_tells_the_class_is_found(name: str, classes: int) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, 1500)
    values = {name: LEAKS[name](labels, draw), "chance": draw.normal(size=1500), "rank": np.arange(1500.0)}
    half = {"train": slice(0, 1200), "validation": slice(1200, 1500)}
    columns = {split: {key: value[rows] for key, value in values.items()} for split, rows in half.items()}
    found = find_telling(
        fit_spreads(columns["train"]), columns, {split: labels[rows] for split, rows in half.items()}
    )
    assert [column.name for column in found] == [name]
    assert found[0].accuracy >= 0.98


def test_why_nothing_is_looked_for() -> None:
    labels = np.arange(100) % 2
    assert explain_no_leaks(labels, 5, True) == ""
    assert explain_no_leaks(labels, 5, False) == "labels are quantities"
    assert explain_no_leaks(labels, 0, True) == "samples have no columns"
    assert explain_no_leaks(labels, 1, True) == "there is but one column"
    assert explain_no_leaks(labels[:9], 5, True) == "the validation split has fewer than 20 rows"
    assert explain_no_leaks(labels * 0, 5, True) == "more than 90% of the validation rows are of one class"
