"""Drift: whether new rows are spread as those of training were, column by column.

How far is the population stability index (PSI; Siddiqi 2006, Credit Risk Scorecards, ISBN 978-0-471-75451-0),
whether by more than chance Pearson's chi-squared test of homogeneity, its p values corrected for the number
of columns by the rule of Holm (1979, Scandinavian Journal of Statistics 6, 65). Of training nothing but
counts is kept, and new rows are counted portion by portion, so that no number of rows is too many.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.formatting import format_count, shorten

BINS = 10
"""Of the training rows of a column of numbers, as many in each as equal values allow."""
MOST_WORDS = 50
MOST_COLUMNS = 200
LEVEL = 0.01
"""Of the test, for all columns together."""
UNLIKE = 0.1
"""The index from which a column counts as unlike; from 0.25 on, it is commonly called a large shift."""
FEW_ROWS = 20
"""Fewer rows are too few for a test: they are only asked whether they lie outside of what training had."""
FEW_EXPECTED = 2.0
"""Bins where fewer rows are expected are taken together."""
MARGIN = 0.5
"""Of the range of training, that a number may lie beyond its ends: those of few rows are narrow by chance."""
MOST_OUTSIDE = 0.01
"""The share of rows that may lie outside; one may wherever there are enough rows for a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpread:
    """How the training rows of one column are spread.

    `counts`: rows in each bin, the last one being that of empty cells. Of numbers: the bins between `edges`,
    in rising order, a number on an edge belonging to the bin below; `low` and `high` are the ends. Of words:
    one for each of `words`, and one for all others.
    """

    name: str
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    words: tuple[str, ...] | None = None
    low: float = 0.0
    high: float = 0.0

    def find_bins(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value [n], numbers or words, int64 [n]."""
        if self.words is not None:
            numbers = {word: number for number, word in enumerate(self.words)} | {"": len(self.words) + 1}
            return np.array([numbers.get(str(word), len(self.words)) for word in values], np.int64)
        places = np.searchsorted(np.array(self.edges), np.asarray(values, np.float64))
        places[np.isnan(np.asarray(values, np.float64))] = len(self.counts) - 1
        return places

    def count(self, values: np.ndarray) -> tuple[np.ndarray, int]:
        """Count new values [n] by bin, int64 [bins], and how many are beyond all that training had."""
        counts = np.bincount(self.find_bins(values), minlength=len(self.counts))
        if self.words is not None:
            knows_all = self.counts[len(self.words)] == 0
            return counts, int(counts[len(self.words)]) if knows_all else 0
        margin = max(MARGIN * (self.high - self.low), 1e-6 * max(abs(self.low), abs(self.high)))
        numbers = np.asarray(values, np.float64)
        outside = (numbers < self.low - margin) | (numbers > self.high + margin)
        return counts, int(outside.sum())

    def describe(self) -> str:
        """Describe what training had: `0 .. 90`, or its most common words."""
        if self.words is None:
            return f"{self.low:.6g} .. {self.high:.6g}"
        return shorten(", ".join(shorten(word, 20) for word in self.words[:5]), 60)


def fit_spread(name: str, values: np.ndarray) -> ColumnSpread | None:
    """Count training values [n] of one column, numbers or words; None where all of them are empty."""
    if values.dtype == object:
        words, counts = np.unique(values.astype(str), return_counts=True)
        order = [int(number) for number in np.argsort(-counts, kind="stable") if words[number]]
        frequent, others = order[:MOST_WORDS], int(counts[order[MOST_WORDS:]].sum())
        empty = len(values) - others - int(counts[frequent].sum())
        by_word = tuple(int(counts[number]) for number in frequent)
        names = tuple(str(words[number]) for number in frequent)
        return ColumnSpread(name=name, counts=(*by_word, others, empty), words=names) if frequent else None
    numbers = np.asarray(values, np.float64)
    filled = numbers[np.isfinite(numbers)]
    if not len(filled):
        return None
    edges = np.unique(np.quantile(filled, np.linspace(0, 1, BINS + 1)[1:-1]))
    low, high = float(filled.min()), float(filled.max())
    bare = ColumnSpread(
        name=name, counts=(0,) * (len(edges) + 2), edges=tuple(edges.tolist()), low=low, high=high
    )
    return replace(bare, counts=tuple(bare.count(numbers)[0].tolist()))


def fit_spreads(columns: Mapping[str, np.ndarray]) -> tuple[ColumnSpread, ...]:
    """Count the training rows of the first `MOST_COLUMNS` columns; those without any value are left out."""
    fitted = (fit_spread(name, values) for name, values in list(columns.items())[:MOST_COLUMNS])
    return tuple(spread for spread in fitted if spread is not None)


# ---- comparing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How far the `rows` new rows of one column are from training.

    `psi`: the population stability index, and `p_value` of the chi-squared test, corrected for the number of
    columns; both None for fewer than `FEW_ROWS` rows. `outside`: rows beyond all that training had, which
    `training` describes. `is_unlike`: what a person should be told.
    """

    name: str
    rows: int
    psi: float | None
    p_value: float | None
    outside: int
    training: str
    is_unlike: bool

    def __str__(self) -> str:
        texts = [f"PSI {self.psi:.2f}"] if self.psi is not None and self.psi >= UNLIKE else []
        if self.outside:
            texts.append(f"{self.outside:,} of {self.rows:,} outside of {self.training}")
        return f"{shorten(self.name, 40)} ({'; '.join(texts)})"


class DriftCounter:
    """A counter of new rows, to be compared with those of training."""

    def __init__(self, spreads: Iterable[ColumnSpread]) -> None:
        """Compare with these training rows."""
        self._spreads = tuple(spreads)
        self._counts = [np.zeros(len(spread.counts), np.int64) for spread in self._spreads]
        self._outside = [0] * len(self._spreads)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Count more rows; columns that training had not, or that are not there, are no drift."""
        for number, spread in enumerate(self._spreads):
            if spread.name in columns:
                counts, outside = spread.count(columns[spread.name])
                self._counts[number] += counts
                self._outside[number] += outside

    def judge(self) -> tuple[ColumnDrift, ...]:
        """Compare all that was counted, the column that is farthest from training first."""
        indices = [
            compare_counts(np.array(spread.counts), counts)
            for spread, counts in zip(self._spreads, self._counts, strict=True)
        ]
        p_values = correct_for_many([p_value for _, p_value in indices])
        drifts = [
            self._judge_column(number, psi, p_value)
            for number, ((psi, _), p_value) in enumerate(zip(indices, p_values, strict=True))
        ]
        return tuple(
            sorted(drifts, key=lambda drift: (not drift.is_unlike, -(drift.psi or 0), -drift.outside))
        )

    def _judge_column(self, number: int, psi: float, p_value: float) -> ColumnDrift:
        spread, rows, outside = self._spreads[number], int(self._counts[number].sum()), self._outside[number]
        enough = rows >= FEW_ROWS
        differs = enough and psi >= UNLIKE and p_value < LEVEL
        return ColumnDrift(
            name=spread.name,
            rows=rows,
            psi=psi if enough else None,
            p_value=p_value if enough else None,
            outside=outside,
            training=spread.describe(),
            is_unlike=differs or outside > max(MOST_OUTSIDE * rows, 1 if enough else 0),
        )


def compare_counts(training: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Compute index and p value of two counts of the same bins, int [bins]; 0 and 1 where nothing is counted.

    Where fewer than `FEW_EXPECTED` new rows are expected, bins are taken together. Half a row is added to
    each bin for the index alone, whose logarithm knows no zero.
    """
    from scipy.special import chdtrc  # type: ignore[import-untyped]

    if not training.sum() or not new.sum():
        return 0.0, 1.0
    both = np.stack([training, new]).astype(np.float64)
    both = both[:, both.sum(axis=0) > 0]
    expected = both.sum(axis=0) * new.sum() / both.sum()
    both, expected = both[:, np.argsort(expected)], np.sort(expected)
    together = int((expected < FEW_EXPECTED).sum())
    if 0 < together < len(expected) and expected[:together].sum() < FEW_EXPECTED:
        together += 1
    if together:
        both = np.column_stack([both[:, :together].sum(axis=1), both[:, together:]])
    bins = both.shape[1]
    if bins == 1:
        return 0.0, 1.0
    means = np.outer(both.sum(axis=1), both.sum(axis=0)) / both.sum()
    p_value = float(chdtrc(bins - 1, ((both - means) ** 2 / means).sum()))
    before, after = (both + 0.5) / (both.sum(axis=1, keepdims=True) + 0.5 * bins)
    return float(((after - before) * np.log(after / before)).sum()), p_value


def correct_for_many(p_values: list[float]) -> list[float]:
    """Correct p values of several tests by the rule of Holm, so that all together err as seldom as one."""
    corrected, highest = [1.0] * len(p_values), 0.0
    for rank, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[number] * (len(p_values) - rank)))
        corrected[number] = highest
    return corrected


def describe_drift(drifts: Iterable[ColumnDrift], limit: int = 5) -> str:
    """Describe the columns that are unlike training in one line, "" where none is."""
    all_columns = list(drifts)
    unlike = [drift for drift in all_columns if drift.is_unlike]
    if not unlike:
        return ""
    more = f" and {len(unlike) - limit} more" if len(unlike) > limit else ""
    named = ", ".join(map(str, unlike[:limit]))
    return f"{len(unlike):,} of {format_count(len(all_columns), 'column')}: {named}{more}"
