"""How accurate and how dear a point is, by all of its seeds; its intervals. Pure.

What the search itself saw of a point is optimistic: the point stands on the frontier because its number was
the largest of many noisy ones (the optimizer's curse: Smith and Winkler 2006, doi 10.1287/mnsc.1050.0451; in
the choice of models: Cawley and Talbot 2010, JMLR 11, 2079). New seeds decided nothing, so they are not. The
estimate of a confirmed point is the mean over all of its seeds, that of the search among them, so that with k
new seeds 1/(k + 1) of the optimism remains. A point without new seeds has no interval: it is shown as not
confirmed, and is chosen only where no point is confirmed.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.formatting import format_number
from pipeline.measures import Point
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

LEVEL = 0.95
"""Of the intervals, two-sided."""
NORMAL_QUANTILE = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
CLOSE = 1e-18  # squares of logs: seeds that differ by less measured the same


@dataclass(frozen=True, slots=True)
class RepeatedPoint:
    """A point as the search found it, and as each new seed repeated it."""

    searched: Point
    repeats: tuple[Point, ...]


# ---- the mean over all seeds --------------------------------------------------------------------------


def average(values: Sequence[float]) -> float:
    """Return the mean, which is none but their value where all are equal: a third of 3 x 0.1 is not 0.1."""
    return min(max(statistics.fmean(values), min(values)), max(values))


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
        return (
            f" ±{100 * (self.factor - 1):.2g}%"
            if self.factor < 1.995
            else f" ×÷{format_number(self.factor, 2)}"
        )


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

    def format(self, asked: float | None = None) -> str:
        """Return the accuracy with half the width of its interval: `95.00% ±1.30`.

        `asked`: an accuracy that it must not look like.
        """
        interval = "" if self.half_width is None else f" ±{self.measure.format_width(self.half_width)}"
        return f"{self.measure.format_apart(self.accuracy, asked)}{interval}"


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
        (accuracy - average(accuracies)) ** 2 / measure.compute_seed_scale(average(accuracies))
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
    from scipy.special import stdtrit  # type: ignore[import-untyped]

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
    squares = math.fsum((value - average(row)) ** 2 for row in logs for value in row)
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
        mean = average(accuracies)
        scale = measure.compute_seed_scale(mean)
        of_rows = NORMAL_QUANTILE**2 * measure.compute_variance(mean, split.rows) if split else 0.0
        half_width = math.sqrt(scale * spread**2 / len(accuracies) + of_rows)
    seconds, *further = map(average, costs)
    return Estimate(
        accuracy=average(accuracies),
        device_seconds=seconds,
        seeds=len(accuracies),
        half_width=half_width,
        seconds_spread=cost_spreads[0],
        further=tuple(further),
        further_spreads=tuple(cost_spreads[1:]),
        measure=measure,
    )
