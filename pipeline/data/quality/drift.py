"""Drift: whether new rows are spread as those of training were, column by column.

How far is the population stability index (PSI; Siddiqi 2006, Credit Risk Scorecards, ISBN 978-0-471-75451-0),
whether by more than chance Pearson's chi-squared test of homogeneity, its p values corrected for the number
of columns by the rule of Holm (1979, Scandinavian Journal of Statistics 6, 65). Of training nothing but
counts is kept, and new rows are counted portion by portion, so that no number of rows is too many.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.data.quality.column_spread import ColumnSpread, Format
from pipeline.formatting import format_count, shorten

LEVEL = 0.01
"""Of the test, for all columns together."""
UNLIKE = 0.1
"""The index from which a column counts as unlike; from 0.25 on, it is commonly called a large shift."""
FEW_ROWS = 20
"""Fewer rows are too few for that test: they are asked whether they lie outside of what training had, or all
at one end of it, as numbers in another unit do."""
FEW_EXPECTED = 5.0
"""Bins where fewer rows are expected are taken together: the test holds from there on (Cochran 1954, doi
10.2307/3001616), else it finds drift four times as often as it should."""
MOST_OUTSIDE = 0.01
"""The share of rows that may lie outside; one may wherever there are enough rows for a test."""
RARELY = 0.05
"""The chance of so many rows outside, for all columns together, below which they are told: a bound that holds
for any distribution is far above that of most. Of few rows it is for each column."""


# ---- comparing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How far the `rows` new rows of one column are from training.

    `psi`: the population stability index, and `p_value` of the chi-squared test, corrected for the number of
    columns; of fewer than `FEW_ROWS` rows there is no index, and the test is if they crowd at one end, as
    `crowded` says. `outside`: rows beyond all that training had, which `training` describes; `new_range`: of
    the new numbers. `is_unlike`: what a person should be told.
    """

    name: str
    rows: int
    psi: float | None
    p_value: float | None
    outside: int
    training: str
    is_unlike: bool
    new_range: str = ""
    crowded: str = ""

    def __str__(self) -> str:
        texts = [f"PSI {self.psi:.2f}"] if self.psi is not None and self.psi >= UNLIKE else []
        here = f", here {self.new_range}" if self.new_range else ""
        if self.outside:
            texts.append(f"{self.outside:,} of {self.rows:,} outside of {self.training}{here}")
        elif self.crowded:
            texts.append(self.crowded)
        elif here:
            texts.append(f"training {self.training}{here}")
        return f"{shorten(self.name, 40)} ({'; '.join(texts)})"


class DriftCounter:
    """A counter of new rows, to be compared with those of training."""

    def __init__(self, spreads: Iterable[ColumnSpread], dates: Collection[str] = ()) -> None:
        """Compare with these training rows. `dates`: columns whose numbers are seconds since 1970."""
        self._spreads, self._dates = tuple(spreads), frozenset(dates)
        self._counts = [np.zeros(len(spread.counts), np.int64) for spread in self._spreads]
        self._outside = [0] * len(self._spreads)
        self._ends = [(math.inf, -math.inf)] * len(self._spreads)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Count more rows; columns that training had not, or that are not there, are no drift."""
        for number, spread in enumerate(self._spreads):
            if spread.name in columns:
                counts, outside = spread.count(columns[spread.name])
                self._counts[number] += counts
                self._outside[number] += outside
                if spread.words is None:
                    self._ends[number] = _widen(self._ends[number], columns[spread.name])

    def judge(self) -> tuple[ColumnDrift, ...]:
        """Compare all that was counted, the column that is farthest from training first."""
        indices, chances, crowds, odds = [], [], [], list[float]()
        for spread, counts in zip(self._spreads, self._counts, strict=True):
            psi, chance = compare_counts(np.array(spread.counts), counts)
            crowded = ""
            if 0 < counts.sum() < FEW_ROWS:
                chance, crowded = find_crowd(spread, counts, self._get_format(spread))
            indices.append(psi)
            chances.append(chance)
            crowds.append(crowded)
            odds.append(compute_chance_outside(spread, counts, self._outside[len(odds)]))
        judged = zip(indices, correct_for_many(chances), crowds, odds, correct_for_many(odds), strict=True)
        drifts = [self._judge_column(number, *measured) for number, measured in enumerate(judged)]
        return tuple(
            sorted(drifts, key=lambda drift: (not drift.is_unlike, -(drift.psi or 0), -drift.outside))
        )

    def _get_format(self, spread: ColumnSpread) -> Format:
        return write_date if spread.name in self._dates else "{:.6g}".format

    def _judge_column(
        self, number: int, psi: float, p_value: float, crowded: str, chance: float, corrected: float
    ) -> ColumnDrift:
        """Judge a column; `chance`: that so many rows lie outside, and as `corrected` for many columns."""
        spread, rows, outside = self._spreads[number], int(self._counts[number].sum()), self._outside[number]
        enough = rows >= FEW_ROWS
        differs = p_value < LEVEL and (psi >= UNLIKE if enough else bool(crowded))
        is_rare = (corrected if enough else chance) < RARELY
        is_outside = outside > max(MOST_OUTSIDE * rows, 1 if enough else 0) and is_rare
        (low, high), write = self._ends[number], self._get_format(spread)
        return ColumnDrift(
            name=spread.name,
            rows=rows,
            psi=psi if enough else None,
            p_value=p_value if enough or crowded else None,
            outside=outside,
            training=spread.describe(write),
            is_unlike=differs or is_outside,
            new_range="" if low > high else f"{write(low)} .. {write(high)}" if low < high else write(low),
            crowded=crowded if differs else "",
        )


def write_date(seconds: float) -> str:
    """Write seconds since 1970 as a date, with the time of day unless that is midnight."""
    return str(np.datetime64(round(seconds), "s")).removesuffix("T00:00:00")


def _widen(ends: tuple[float, float], values: np.ndarray) -> tuple[float, float]:
    numbers = np.asarray(values, np.float64)
    finite = numbers[np.isfinite(numbers)]
    return (min(ends[0], float(finite.min())), max(ends[1], float(finite.max()))) if len(finite) else ends


def compute_chance_outside(spread: ColumnSpread, counts: np.ndarray, outside: int) -> float:
    """Compute an upper bound of the chance that so many rows, or more, lie outside without any drift.

    Of numbers, whatever their distribution: the outermost ones of all rows, new and old, are new, in any of
    outside + 1 ways to share them between the two ends. Of words as of Good (1953, doi
    10.1093/biomet/40.3-4.237): as many rows have a word of their own as have one that training knows once.
    """
    from scipy.special import bdtrc  # type: ignore[import-untyped]

    old, new = sum(spread.counts[:-1]), int(counts[:-1].sum())
    if not outside:
        return 1.0
    if spread.words is None:
        places = range(outside)
        return min(1.0, (outside + 1) * math.prod((new - place) / (old + new - place) for place in places))
    once = spread.counts[:-1].count(1)
    share = min(1.0, (once + 2 * math.sqrt(once) + 1) / old)  # two deviations more than are known
    return float(bdtrc(outside - 1, new, share))


def find_crowd(spread: ColumnSpread, counts: np.ndarray, format_edge: Format) -> tuple[float, str]:
    """Return by what chance so many of a few rows lie at one end of the training numbers, or are empty.

    That is the binomial tail of the bin that has most beyond its share, for each of these; and which rows do.
    """
    from scipy.special import bdtrc

    training, rows = np.array(spread.counts, np.float64), int(counts.sum())
    shares = training / max(1.0, training.sum())
    bins = {len(counts) - 1: "empty"}
    if spread.edges:
        last = len(spread.edges)
        bins |= {
            0: f"at most {format_edge(spread.edges[0])}",
            last: f"above {format_edge(spread.edges[-1])}",
        }
    tails = [
        (float(bdtrc(int(counts[number]) - 1, rows, max(shares[number], 1 / training.sum()))), number)
        for number in bins
        if counts[number]
    ]
    if not tails:
        return 1.0, ""
    chance, number = min(tails)
    text = f"{int(counts[number]):,} of {rows:,} {bins[number]}, as {shares[number]:.0%} in training"
    return min(1.0, len(bins) * chance), text


def compare_counts(training: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Compute index and p value of two counts of the same bins, int [bins]; 0 and 1 where nothing is counted.

    Where fewer than `FEW_EXPECTED` new rows are expected, a bin is taken together with the next ones. Half a
    row is added to each bin for the index alone, whose logarithm knows no zero.
    """
    from scipy.special import chdtrc

    if not training.sum() or not new.sum():
        return 0.0, 1.0
    both = np.stack([training, new]).astype(np.float64)
    both = both[:, both.sum(axis=0) > 0]
    both = np.add.reduceat(both, _find_groups(both.sum(axis=0) * new.sum() / both.sum()), axis=1)
    bins = both.shape[1]
    if bins == 1:
        return 0.0, 1.0
    means = np.outer(both.sum(axis=1), both.sum(axis=0)) / both.sum()
    p_value = float(chdtrc(bins - 1, ((both - means) ** 2 / means).sum()))
    before, after = (both + 0.5) / (both.sum(axis=1, keepdims=True) + 0.5 * bins)
    return float(((after - before) * np.log(after / before)).sum()), p_value


def _find_groups(expected: np.ndarray) -> list[int]:
    """Return where groups of neighbouring bins begin, each of which expects enough rows, float64 [bins]."""
    starts, total = [0], 0.0
    for number, rows in enumerate(expected):
        if total >= FEW_EXPECTED and expected[number:].sum() >= FEW_EXPECTED:
            starts.append(number)
            total = 0.0
        total += rows
    return starts


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
