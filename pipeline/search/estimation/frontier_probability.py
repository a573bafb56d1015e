"""The probability of each point to be on the frontier of the expected points, by its new seeds. Pure."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.frontier.dominance import find_frontier
from pipeline.measures import Point
from pipeline.search.estimation.estimates import RepeatedPoint

DRAWS = 4000  # a probability is good to about 1 %


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
