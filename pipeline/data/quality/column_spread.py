"""How the training rows of one column are spread: counts by bin, which is all that is kept of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pipeline.formatting import shorten

Format: TypeAlias = Callable[[float], str]
"""Writes one number of a column for a person."""
BINS = 10
"""Of the training rows of a column of numbers, as many in each as equal values allow."""
MOST_WORDS = 50
MOST_COLUMNS = 200
MARGIN = 0.5
"""Of the range of training, that a number may lie beyond its ends: those of few rows are narrow by chance."""


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

    def describe(self, format_end: Format = "{:.6g}".format) -> str:
        """Describe what training had: `0 .. 90`, or its most common words."""
        if self.words is None:
            return f"{format_end(self.low)} .. {format_end(self.high)}"
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
