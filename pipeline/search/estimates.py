"""How accurate a point is, by all of its seeds, its interval, and its chance on the frontier. Pure.

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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped]

from pipeline.frontier import find_frontier
from pipeline.measures import Point

LEVEL = 0.95
"""Of the intervals, two-sided."""
NORMAL_QUANTILE = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
DRAWS = 4000  # a probability is good to about 1 %


@dataclass(frozen=True, slots=True)
class ValidationSplit:
    """The rows that accuracies are counted on: how many they are, and the share 0..1 of the largest class."""

    rows: int
    majority_share: float

    @classmethod
    def count(cls, labels: np.ndarray) -> "ValidationSplit":
        """Count the rows of a split and of its largest class. `labels`: whole numbers [n], n > 0."""
        return cls(len(labels), float(np.bincount(np.asarray(labels)).max() / len(labels)))

    @classmethod
    def read(cls, values: Mapping[str, object] | None) -> "ValidationSplit | None":
        """Read what `to_dict` wrote; None where nothing was, as in studies of earlier releases."""
        if not values:
            return None
        return cls(int(str(values["rows"])), float(str(values["majority_share"])))

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain values."""
        return asdict(self)

    @property
    def chance_level(self) -> float:
        """Return the largest accuracy that does not differ from always naming the largest class.

        One-sided test of a share at 5 %: normal approximation of the binomial.
        """
        quantile = statistics.NormalDist().inv_cdf(0.95)
        return self.majority_share + quantile * math.sqrt(
            self.majority_share * (1 - self.majority_share) / self.rows
        )


@dataclass(frozen=True, slots=True)
class RepeatedPoint:
    """A point as the search found it, and as each new seed repeated it."""

    searched: Point
    repeats: tuple[Point, ...]


# ---- the mean over all seeds --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean accuracy and mean device-seconds of a point over `seeds` seeds.

    `half_width`: of the 95 % interval of the accuracy; None where only the seed of the search is known.
    """

    accuracy: float
    device_seconds: float
    seeds: int
    half_width: float | None

    @property
    def point(self) -> Point:
        """Return the means as a point."""
        return Point(self.accuracy, self.device_seconds)

    @property
    def low(self) -> float | None:
        """Return the lower end of the interval, at least 0."""
        return None if self.half_width is None else max(0.0, self.accuracy - self.half_width)

    @property
    def high(self) -> float | None:
        """Return the upper end of the interval, at most 1."""
        return None if self.half_width is None else min(1.0, self.accuracy + self.half_width)

    def format(self) -> str:
        """Return the accuracy with half the width of its interval: `95.00% ±1.30`."""
        interval = "" if self.half_width is None else f" ±{100 * self.half_width:.2f}"
        return f"{self.accuracy:.2%}{interval}"


def estimate_points(points: Sequence[RepeatedPoint], split: ValidationSplit | None) -> list[Estimate]:
    """Estimate each point by all of its seeds.

    The spread between seeds is one for all points, as a multiple of sqrt(p (1 - p)), p the accuracy: the
    scale on which counts of right answers spread alike. The interval is Student's, with the degrees of
    freedom of all points. Where the split is known, its rows are a sample, too: p (1 - p) / rows is added,
    which more seeds do not make smaller.
    """
    values = [[point.searched.accuracy, *(repeat.accuracy for repeat in point.repeats)] for point in points]
    freedom = sum(len(accuracies) - 1 for accuracies in values)
    squares = math.fsum(
        (accuracy - statistics.fmean(accuracies)) ** 2 / _compute_scale(accuracies)
        for accuracies in values
        for accuracy in accuracies
    )
    spread = stdtrit(freedom, (1 + LEVEL) / 2) * math.sqrt(squares / freedom) if freedom else math.inf
    return [
        _estimate(point, accuracies, float(spread), split)
        for point, accuracies in zip(points, values, strict=True)
    ]


def _estimate(
    point: RepeatedPoint, accuracies: Sequence[float], spread: float, split: ValidationSplit | None
) -> Estimate:
    """Estimate one point. `spread`: of one seed, times the quantile, as a multiple of sqrt(p (1 - p))."""
    costs = [point.searched.device_seconds, *(repeat.device_seconds for repeat in point.repeats)]
    half_width = None
    if point.repeats:
        scale = _compute_scale(accuracies)
        # An accuracy of 1 is as good as one mistake in all rows, else the rows would leave no doubt.
        of_rows = NORMAL_QUANTILE**2 * max(scale, 1 / split.rows) / split.rows if split else 0.0
        half_width = math.sqrt(scale * spread**2 / len(accuracies) + of_rows)
    return Estimate(statistics.fmean(accuracies), statistics.fmean(costs), len(accuracies), half_width)


def _compute_scale(accuracies: Sequence[float]) -> float:
    """Compute p (1 - p) of the mean accuracy p; where all are right or all wrong, a number just above 0."""
    share = statistics.fmean(accuracies)
    return max(share * (1 - share), 1e-9)


# ---- the probability to be on the frontier -------------------------------------------------------------


def estimate_probabilities(points: Sequence[RepeatedPoint], draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Estimate the probability 0..1 of each point to be on the frontier of the *expected* points of all.

    A point's true mean accuracy and mean log cost are drawn from their posteriors under a normal model with
    one variance for all and the usual flat prior (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.2). The
    variance comes from the spread within each point, the run of the search among them; the mean from the new
    seeds alone, since the run of the search was chosen for its luck. A point without new seeds competes as
    the search found it, as if that were one new seed.
    """
    accuracies = [
        _Spread.measure(_accuracy(point.searched), [*map(_accuracy, point.repeats)]) for point in points
    ]
    costs = [_Spread.measure(_log_cost(point.searched), [*map(_log_cost, point.repeats)]) for point in points]
    draw, counts = random.Random(seed), [0] * len(points)
    for _ in range(draws):
        pairs = zip(_draw_means(accuracies, draw), _draw_means(costs, draw), strict=True)
        for index in find_frontier([Point(accuracy, cost) for accuracy, cost in pairs]):
            counts[index] += 1
    return [count / draws for count in counts]


def _accuracy(point: Point) -> float:
    return point.accuracy


def _log_cost(point: Point) -> float:
    return math.log(point.device_seconds)


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
