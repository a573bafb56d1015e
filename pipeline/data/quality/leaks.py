"""Leaks: columns of which one alone tells the class, as a key that was given by class does."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.data.quality.column_spread import ColumnSpread
from pipeline.data.quality.drift import FEW_ROWS
from pipeline.data.quality.report import TellingColumn

TELLING, USUAL = 0.98, 0.9
"""Share of validation rows of which one column tells the class; more are of one class anyway."""
FINE_BINS = 64
NEARLY = 0.5
"""Of what guessing the largest class leaves wrong, the share that a column has right in bins of equally many
rows, from which bins are sought that fit the classes: those of a sorted key end within others."""
NO_CLASSES = "labels are quantities"


def explain_no_leaks(validation: np.ndarray, columns: int, has_classes: bool) -> str:
    """Return why no column can be said to tell the class; "" where one can.

    `validation`: labels of the rows that are looked at; `columns`: how many samples have.
    """
    if not has_classes:
        return NO_CLASSES
    if columns < 2:
        return "there is but one column" if columns else "samples have no columns"
    if len(validation) < FEW_ROWS:
        return f"the validation split has fewer than {FEW_ROWS} rows"
    if np.bincount(validation).max() > USUAL * len(validation):
        return f"more than {USUAL:.0%} of the validation rows are of one class"
    return ""


def find_telling(
    spreads: Sequence[ColumnSpread],
    columns: Mapping[str, Mapping[str, np.ndarray]],
    labels: Mapping[str, np.ndarray],
) -> tuple[TellingColumn, ...]:
    """Find columns whose bins, by the training rows, tell nearly always the class of validation rows.

    `columns`: of each split by name; `labels`: int [n], of the same rows.
    """
    train, validation = labels["train"], labels["validation"]
    usual = float(np.bincount(validation).max() / len(validation))
    telling = []
    for spread in spreads:
        both = columns["train"][spread.name], columns["validation"][spread.name]
        accuracy = _measure_bins(*_make_fine_bins(spread, *both), train, validation)
        if spread.words is None and usual + NEARLY * (1 - usual) <= accuracy < TELLING:
            accuracy = max(accuracy, _measure_fitted_bins(*both, train, validation))
        if accuracy >= TELLING:
            telling.append(TellingColumn(spread.name, accuracy))
    return tuple(sorted(telling, key=lambda column: -column.accuracy))


def _measure_bins(bins: np.ndarray, asked: np.ndarray, train: np.ndarray, validation: np.ndarray) -> float:
    counts = np.zeros((max(bins.max(), asked.max()) + 1, int(train.max()) + 1), np.int64)
    np.add.at(counts, (bins, train), 1)
    return float((counts.argmax(axis=1)[asked] == validation).mean())


def _make_fine_bins(
    spread: ColumnSpread, train: np.ndarray, validation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bin of each training and validation row, in `FINE_BINS` of numbers; empty cells are one."""
    if spread.words is not None:
        return spread.find_bins(train), spread.find_bins(validation)
    edges = np.unique(np.quantile(train[np.isfinite(train)], np.linspace(0, 1, FINE_BINS + 1)[1:-1]))
    both = [np.searchsorted(edges, values) for values in (train, validation)]
    for places, values in zip(both, (train, validation), strict=True):
        places[np.isnan(values)] = len(edges) + 1
    return both[0], both[1]


def _measure_fitted_bins(
    train_values: np.ndarray, values: np.ndarray, train: np.ndarray, validation: np.ndarray
) -> float:
    """Return the share of validation rows whose class a tree tells that was grown on one column of numbers.

    It sees the ranks of the numbers: trees compute in float32, in which neighbouring keys are one.
    """
    from sklearn.tree import DecisionTreeClassifier

    finite = np.unique(train_values[np.isfinite(train_values)])
    ranks = [
        np.where(np.isnan(column), -1.0, np.searchsorted(finite, column)) for column in (train_values, values)
    ]
    tree = DecisionTreeClassifier(max_leaf_nodes=max(FINE_BINS, 2 * int(train.max() + 1)), random_state=0)
    tree.fit(ranks[0][:, None], train)
    return float((tree.predict(ranks[1][:, None]) == validation).mean())
