"""How likely a point is truly on the frontier, when it was trained again with new seeds. Pure."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.frontier import frontier
from pipeline.measures import Point

DRAWS = 4000  # the answer is good to about 1 %


@dataclass(frozen=True, slots=True)
class Seen:
    """A point as the search found it, and as it came out with each new seed."""

    found: Point
    again: tuple[Point, ...]


def on_frontier(seen: Sequence[Seen], draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Probability 0..1 of each point to be on the frontier of the *expected* points of all that are given.

    A point's true mean accuracy and mean log cost are drawn from their posteriors under a normal model with
    one variance for all and the usual flat prior (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.2). The
    variance comes from the spread within each point, the found run among them; the mean from the new seeds
    alone, since the found run was chosen for its luck. A point without new seeds competes as found, as if
    that were one new seed.
    """
    accuracies = [_Spread.of(_accuracy(each.found), [*map(_accuracy, each.again)]) for each in seen]
    costs = [_Spread.of(_log_cost(each.found), [*map(_log_cost, each.again)]) for each in seen]
    draw, counts = random.Random(seed), [0] * len(seen)
    for _ in range(draws):
        pairs = zip(_drawn(accuracies, draw), _drawn(costs, draw), strict=True)
        for index in frontier([Point(accuracy, cost) for accuracy, cost in pairs]):
            counts[index] += 1
    return [count / draws for count in counts]


def _accuracy(point: Point) -> float:
    return point.accuracy


def _log_cost(point: Point) -> float:
    return math.log(point.device_seconds)


@dataclass(frozen=True, slots=True)
class _Spread:
    """One point's values: mean of `size` new ones; squared deviations of all; degrees of freedom."""

    mean: float
    size: int
    squares: float
    freedom: int

    @classmethod
    def of(cls, found: float, again: Sequence[float]) -> "_Spread":
        values = [found, *again]
        middle = statistics.fmean(values)
        squares = math.fsum((value - middle) ** 2 for value in values)
        return cls(statistics.fmean(again or values), max(1, len(again)), squares, len(again))


def _drawn(spreads: Sequence[_Spread], draw: random.Random) -> list[float]:
    """One draw of every true mean: first the common variance, then the means given it."""
    freedom = sum(each.freedom for each in spreads)
    if not freedom:
        return [each.mean for each in spreads]
    chi_square = draw.gammavariate(freedom / 2, 2)
    deviation = math.sqrt(math.fsum(each.squares for each in spreads) / chi_square)
    return [each.mean + deviation / math.sqrt(each.size) * draw.gauss() for each in spreads]
