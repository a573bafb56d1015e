"""How accurate and how dear a point is, by all of its seeds; its intervals; its chance on the frontier. Pure.

What the search itself saw of a point is optimistic: the point stands on the frontier because its number was
the largest of many noisy ones (the optimizer's curse: Smith and Winkler 2006, doi 10.1287/mnsc.1050.0451; in
the choice of models: Cawley and Talbot 2010, JMLR 11, 2079). New seeds decided nothing, so they are not. The
estimate of a confirmed point is the mean over all of its seeds, that of the search among them, so that with k
new seeds 1/(k + 1) of the optimism remains. A point without new seeds has no interval: it is shown as not
confirmed, and is chosen only where no point is confirmed.
"""

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped]

from pipeline.frontier.dominance import find_frontier
from pipeline.measures import Point
from pipeline.models.scores import measure_classes
from pipeline.settings.searching.measures import ACCURACY_MEASURE, BY_CLASS, BY_ORDER, Measure

LEVEL = 0.95
"""Of the intervals, two-sided."""
NORMAL_QUANTILE = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
DRAWS = 4000  # a probability is good to about 1 %
CLOSE = 1e-18  # squares of logs: seeds that differ by less measured the same


def _count_rows_of_order(counts: np.ndarray) -> int:
    """Return how many rows a share would need to be as sure as an AUC of classes with `counts` rows each.

    The variance of an area A is at most A (1 - A) / the smaller number of rows, of the class or of the others
    (Birnbaum and Klose 1957, doi 10.1214/aoms/1177706794); that of a mean at most their mean.
    """
    smaller = np.minimum(counts, counts.sum() - counts)
    return max(1, round(len(counts) / float((1 / np.maximum(smaller, 1)).sum())))


@dataclass(frozen=True, slots=True)
class ValidationSplit:
    """The rows that accuracies are counted on: how many they are, and the share 0..1 of the largest class.

    Of a mean over the classes or an order of the rows: how many rows a share would need to be as sure, and
    the value that guessing has.
    """

    rows: int
    majority_share: float

    @classmethod
    def count(cls, labels: np.ndarray, measure: Measure = ACCURACY_MEASURE) -> "ValidationSplit":
        """Count the rows of a split and of its largest class.

        `labels`: numbers of classes [n], n > 0; or quantities as floats, of which guessing explains nothing.
        """
        if labels.dtype.kind == "f":
            return cls(len(labels), 0.0)
        there = np.bincount(np.asarray(labels))
        if measure.name in BY_ORDER:
            return cls(_count_rows_of_order(there[there > 0]), 0.5)
        if measure.name in BY_CLASS:
            is_largest = np.arange(len(there)) == there.argmax()
            right, named = np.where(is_largest, there, 0), np.where(is_largest, len(labels), 0)
            of_classes = there[there > 0]
            rows = len(of_classes) ** 2 / float((1 / of_classes).sum())
            return cls(max(1, round(rows)), measure_classes(right, named, there, measure.name))
        return cls(len(labels), float(there.max() / len(labels)))

    @classmethod
    def read(cls, values: Mapping[str, object] | None) -> "ValidationSplit | None":
        """Read what `to_dict` wrote; None where nothing was, as in studies of earlier releases."""
        if not values:
            return None
        return cls(int(str(values["rows"])), float(str(values["majority_share"])))

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain values."""
        return asdict(self)

    def compute_chance_level(self, measure: Measure = ACCURACY_MEASURE) -> float:
        """Compute the largest accuracy that does not differ from guessing (see `Measure.guess`)."""
        return measure.compute_chance_level(self.majority_share, self.rows)


@dataclass(frozen=True, slots=True)
class RepeatedPoint:
    """A point as the search found it, and as each new seed repeated it."""

    searched: Point
    repeats: tuple[Point, ...]


# ---- the mean over all seeds --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the mean of a positive measure may be off: its 95 % interval is mean / `factor` .. x `factor`.

    One seed leaves it open (None); where all seeds measured the same, it is 1.
    """

    factor: float | None = None

    def bound(self, mean: float) -> tuple[float, float] | None:
        """Return both ends of the interval around a mean."""
        return None if self.factor is None else (mean / self.factor, mean * self.factor)

    def format(self) -> str:
        """Return half the width of the interval, ` ±6%` of the mean, or where it is wide ` ×÷2.3`."""
        if self.factor is None or self.factor <= 1:
            return ""
        return f" ±{100 * (self.factor - 1):.2g}%" if self.factor < 1.995 else f" ×÷{self.factor:.2g}"


UNKNOWN = Spread()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The mean accuracy and mean device-seconds of a point over `seeds` seeds.

    `half_width`: of the 95 % interval of the accuracy; None where only the seed of the search is known.
    `seconds_spread`: of the device-seconds; `further`, `further_spreads`: means and spreads of the further
    costs; `measure`: what the accuracy is.
    """

    accuracy: float
    device_seconds: float
    seeds: int
    half_width: float | None
    seconds_spread: Spread = UNKNOWN
    further: tuple[float, ...] = ()
    further_spreads: tuple[Spread, ...] = ()
    measure: Measure = ACCURACY_MEASURE

    @property
    def point(self) -> Point:
        """Return the means as a point."""
        return Point(self.accuracy, self.device_seconds, self.further)

    @property
    def low(self) -> float | None:
        """Return the lower end of the interval of the accuracy, at least what is possible."""
        return None if self.half_width is None else max(self.measure.lowest, self.accuracy - self.half_width)

    @property
    def high(self) -> float | None:
        """Return the upper end of the interval of the accuracy, at most 1."""
        return None if self.half_width is None else min(1.0, self.accuracy + self.half_width)

    def format(self) -> str:
        """Return the accuracy with half the width of its interval: `95.00% ±1.30`."""
        interval = "" if self.half_width is None else f" ±{self.measure.format_width(self.half_width)}"
        return f"{self.measure.format(self.accuracy)}{interval}"


def estimate_points(
    points: Sequence[RepeatedPoint], split: ValidationSplit | None, measure: Measure = ACCURACY_MEASURE
) -> list[Estimate]:
    """Estimate each point by all of its seeds.

    The spread between seeds is one for all points, as a multiple of a scale on which values of the measure
    spread alike: sqrt(p (1 - p)) of an accuracy p. The interval is Student's, with the degrees of freedom of
    all points. Where the split is known, its rows are a sample, too: their variance is added, which more
    seeds do not make smaller. Costs spread by a factor, one for all points: their interval is Student's
    on the logs.
    """
    values = [[point.searched.accuracy, *(repeat.accuracy for repeat in point.repeats)] for point in points]
    freedom = sum(len(accuracies) - 1 for accuracies in values)
    squares = math.fsum(
        (accuracy - statistics.fmean(accuracies)) ** 2
        / measure.compute_seed_scale(statistics.fmean(accuracies))
        for accuracies in values
        for accuracy in accuracies
    )
    spread = _compute_quantile(freedom) * math.sqrt(squares / freedom) if freedom else math.inf
    columns = [(*_list_costs(point),) for point in points]
    spreads = [*zip(*(_estimate_spreads(rows) for rows in zip(*columns, strict=True)), strict=True)]
    return [
        _estimate(point, accuracies, spread, split, rows, own, measure)
        for point, accuracies, rows, own in zip(points, values, columns, spreads, strict=True)
    ]


def _compute_quantile(freedom: int) -> float:
    """Compute Student's quantile of the interval."""
    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _list_costs(point: RepeatedPoint) -> list[list[float]]:
    """List the device-seconds of all seeds, then each further cost of all seeds."""
    seeds = [(seed.device_seconds, *seed.further) for seed in (point.searched, *point.repeats)]
    return [list(column) for column in zip(*seeds, strict=True)]


def _estimate_spreads(rows: Sequence[Sequence[float]]) -> list[Spread]:
    """Estimate the spread of the mean of each row, from the logs of all of its values.

    The spread of one value is one for all rows; what is 0 or less in all seeds does not spread.
    """
    logs = [[math.log(max(value, math.ulp(1.0))) for value in row] for row in rows]
    freedom = sum(len(row) - 1 for row in logs)
    squares = math.fsum((value - statistics.fmean(row)) ** 2 for row in logs for value in row)
    if not freedom:
        return [UNKNOWN] * len(rows)
    spread = 0.0 if squares < CLOSE else _compute_quantile(freedom) * math.sqrt(squares / freedom)
    return [Spread(math.exp(spread / math.sqrt(len(row)))) if len(row) > 1 else UNKNOWN for row in logs]


def _estimate(
    point: RepeatedPoint,
    accuracies: Sequence[float],
    spread: float,
    split: ValidationSplit | None,
    costs: Sequence[Sequence[float]],
    cost_spreads: Sequence[Spread],
    measure: Measure,
) -> Estimate:
    """Estimate one point. `spread`: of one seed, times the quantile, as a multiple of the measure's scale."""
    half_width = None
    if point.repeats:
        mean = statistics.fmean(accuracies)
        scale = measure.compute_seed_scale(mean)
        of_rows = NORMAL_QUANTILE**2 * measure.compute_variance(mean, split.rows) if split else 0.0
        half_width = math.sqrt(scale * spread**2 / len(accuracies) + of_rows)
    seconds, *further = map(statistics.fmean, costs)
    return Estimate(
        accuracy=statistics.fmean(accuracies),
        device_seconds=seconds,
        seeds=len(accuracies),
        half_width=half_width,
        seconds_spread=cost_spreads[0],
        further=tuple(further),
        further_spreads=tuple(cost_spreads[1:]),
        measure=measure,
    )


# ---- the probability to be on the frontier -------------------------------------------------------------


def estimate_probabilities(points: Sequence[RepeatedPoint], draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Estimate the probability 0..1 of each point to be on the frontier of the *expected* points of all.

    A point's true mean accuracy and mean log cost are drawn from their posteriors under a normal model with
    one variance for all and the usual flat prior (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.2). The
    variance comes from the spread within each point, the run of the search among them; the mean from the new
    seeds alone, since the run of the search was chosen for its luck. A point without new seeds competes as
    the search found it, as if that were one new seed.
    """
    columns = [_measure_column(points, _accuracy), _measure_column(points, _log_cost)]
    columns += [
        _measure_column(points, partial(_log_further, number))
        for number in range(len(points[0].searched.further) if points else 0)
    ]
    draw, counts = random.Random(seed), [0] * len(points)
    for _ in range(draws):
        rows = zip(*(_draw_means(column, draw) for column in columns), strict=True)
        for index in find_frontier(
            [Point(accuracy, cost, tuple(further)) for accuracy, cost, *further in rows]
        ):
            counts[index] += 1
    return [count / draws for count in counts]


def _measure_column(points: Sequence[RepeatedPoint], read: Callable[[Point], float]) -> list["_Spread"]:
    return [_Spread.measure(read(point.searched), [*map(read, point.repeats)]) for point in points]


def _accuracy(point: Point) -> float:
    return point.accuracy


def _log_cost(point: Point) -> float:
    return math.log(point.device_seconds)


def _log_further(number: int, point: Point) -> float:
    return math.log(max(point.further[number], math.ulp(1.0)))


@dataclass(frozen=True, slots=True)
class _Spread:
    """The values of one point: mean of `size` new ones, squared deviations of all, degrees of freedom."""

    mean: float
    size: int
    squares: float
    freedom: int

    @classmethod
    def measure(cls, searched: float, repeats: Sequence[float]) -> "_Spread":
        values = [searched, *repeats]
        middle = statistics.fmean(values)
        squares = math.fsum((value - middle) ** 2 for value in values)
        return cls(statistics.fmean(repeats or values), max(1, len(repeats)), squares, len(repeats))


def _draw_means(spreads: Sequence[_Spread], draw: random.Random) -> list[float]:
    """Draw every true mean once: first the common variance, then the means under it."""
    freedom = sum(spread.freedom for spread in spreads)
    if not freedom:
        return [spread.mean for spread in spreads]
    chi_square = draw.gammavariate(freedom / 2, 2)
    deviation = math.sqrt(math.fsum(spread.squares for spread in spreads) / chi_square)
    return [spread.mean + deviation / math.sqrt(spread.size) * draw.gauss() for spread in spreads]
