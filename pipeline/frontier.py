"""Accuracy against device-seconds: who beats whom, the frontier, its area, its bend, its prices. Pure.

Points are finite, with `device_seconds` > 0. All functions give indices into the points they were handed, so
that a caller keeps whatever belongs to a point.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.errors import BadInput
from pipeline.measures import Point

CLOSE = 1e-9  # accuracies as near as this are one: 0.95 + 0.005 is 0.955


# ---- who beats whom -----------------------------------------------------------------------------------


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is at least as accurate and at most as dear as `b`, and better in one of both."""
    return a.accuracy >= b.accuracy and a.device_seconds <= b.device_seconds and a != b


def frontier(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other beats, cheapest first; of equal points the first. O(n log n)."""
    found: list[int] = []
    best = -math.inf
    order = sorted((point.device_seconds, -point.accuracy, index) for index, point in enumerate(points))
    for _, worse, index in order:
        if -worse > best:
            best = -worse
            found.append(index)
    return found


def staircase(points: Sequence[Point]) -> list[Point]:
    """The frontier's points, cheapest first: each dearer and more accurate than the one before."""
    return [points[index] for index in frontier(points)]


def dominator(point: Point, points: Sequence[Point]) -> int | None:
    """Who beats `point`: the cheapest that does, of equally cheap ones the best; None if nobody does."""
    beating = (index for index, other in enumerate(points) if dominates(other, point))
    return min(beating, key=lambda at: _cheap_then_good(points[at]), default=None)


def _cheap_then_good(point: Point) -> tuple[float, float]:
    return point.device_seconds, -point.accuracy


def one_device(names: Iterable[str]) -> str:
    """The device that all names agree on.

    Raises:
        BadInput: there are several, whose seconds cannot be compared, or none.
    """
    found = sorted(set(names))
    if len(found) != 1:
        got = " and ".join(found) if found else "none"
        raise BadInput(
            f"a frontier must hold points of exactly one device, got {got}; "
            "start another study with search.study=... for another device"
        )
    return found[0]


# ---- area ---------------------------------------------------------------------------------------------


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Area that the points dominate, up to `reference` = (worst accuracy, largest cost); exact.

    A point that does not beat the reference in both adds nothing.
    (Zitzler and Thiele 1999, doi 10.1109/4235.797969; in two dimensions a sum of rectangles.)
    """
    inside = [
        point
        for point in points
        if point.accuracy > reference.accuracy and point.device_seconds < reference.device_seconds
    ]
    steps = staircase(inside)
    return math.fsum(
        (following.device_seconds - step.device_seconds) * (step.accuracy - reference.accuracy)
        for step, following in pairwise([*steps, reference])
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window of the plane log(device-seconds) x log(error), error = 1 - accuracy.

    `least_error` > 0 is the floor: below it nothing counts as better, so an accuracy of 1 is finite.
    """

    cheapest: float
    dearest: float
    least_error: float
    most_error: float

    def __post_init__(self) -> None:
        if not (0 < self.cheapest < self.dearest and 0 < self.least_error < self.most_error):
            raise ValueError(f"bounds must be positive and grow, got {self}")

    @classmethod
    def around(cls, points: Sequence[Point], floor: float | None = None) -> "Bounds":
        """The window that holds the points, with room at its dear and its bad edge so that all of them count.

        The room is a tenth of the range (usual: Ishibuchi et al. 2018, doi 10.1162/evco_a_00226), and the
        window at least a factor of 2 wide and high. `floor`: the least error that can be told from none,
        such as half a row of the validation split; by default `error_floor`.
        """
        costs = [point.device_seconds for point in points]
        floor = floor or error_floor(points)
        errors = [max(floor, 1 - point.accuracy) for point in points]
        return cls(min(costs), _edge(costs), min(errors), _edge(errors))

    def place(self, point: Point) -> Point:
        """The point in shares of the window: accuracy 1 = least error, device_seconds 0 = cheapest."""
        cost = math.log(point.device_seconds / self.cheapest) / math.log(self.dearest / self.cheapest)
        error = max(1 - point.accuracy, self.least_error)
        share = math.log(self.most_error / error) / math.log(self.most_error / self.least_error)
        return Point(share, max(0.0, cost))


def error_floor(points: Sequence[Point]) -> float:
    """Half the least error above none: the place of an accuracy of 1 on a log scale of error."""
    return max(1e-6, min((1 - point.accuracy for point in points if point.accuracy < 1), default=0.01) / 2)


def _edge(values: Sequence[float]) -> float:
    least, most = min(values), max(values)
    return max(most * math.pow(most / least, 0.1), 2 * least)


def log_hypervolume(points: Sequence[Point], bounds: Bounds) -> float:
    """Share 0..1 of the window that the points dominate: each halving of cost or error weighs the same."""
    return hypervolume([bounds.place(point) for point in points], Point(0.0, 1.0))


# ---- choosing -----------------------------------------------------------------------------------------


def knee(points: Sequence[Point]) -> int:
    """Index of the best bend: the frontier point farthest above the chord from its cheapest to its dearest.

    Measured on log cost and log error, both scaled to 0..1 (Kneedle's rule for a concave curve: Satopaa
    et al. 2011, doi 10.1109/ICDCSW.2011.20, without its smoothing). Log error, since on plain accuracy the
    first step away from guessing outweighs all that follow. Where nothing lies above the chord, the
    cheapest. There must be at least one point.
    """
    indices, floor = frontier(points), error_floor(points)

    def place(index: int) -> tuple[float, float]:
        return math.log(points[index].device_seconds), -math.log(max(1 - points[index].accuracy, floor))

    (left, low), (right, high) = place(indices[0]), place(indices[-1])

    def above_chord(index: int) -> float:
        along, up = place(index)
        return (up - low) / ((high - low) or 1.0) - (along - left) / ((right - left) or 1.0)

    inner = max(indices[1:-1], key=above_chord, default=indices[0])
    return inner if inner != indices[0] and above_chord(inner) > CLOSE else indices[0]


def cheapest_at_least(points: Sequence[Point], accuracy: float) -> int | None:
    """Index of the cheapest point with at least that accuracy, of equally cheap ones the best."""
    enough = (index for index, point in enumerate(points) if point.accuracy >= accuracy - CLOSE)
    return min(enough, key=lambda at: _cheap_then_good(points[at]), default=None)


def best_within(points: Sequence[Point], device_seconds: float) -> int | None:
    """Index of the most accurate point that costs at most that, of equally accurate ones the cheapest."""
    affordable = (index for index, point in enumerate(points) if point.device_seconds <= device_seconds)
    return min(affordable, key=lambda at: (-points[at].accuracy, points[at].device_seconds), default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """From one frontier point to a better one: indices, gain in accuracy, extra device-seconds.

    `device_seconds_each`: extra device-seconds per `size` of accuracy, spread evenly over the gain.
    """

    start: int
    end: int
    gain: float
    extra_device_seconds: float
    size: float

    @property
    def device_seconds_each(self) -> float:
        return self.extra_device_seconds * self.size / self.gain


def prices(points: Sequence[Point], step: float = 0.005) -> list[Step]:
    """What each further `step` of accuracy costs along the frontier, cheapest first.

    From the cheapest point on, to the next that is at least `step` better, until the best is reached; the
    last step may gain less.
    """
    walked: list[Step] = []
    indices = frontier(points)
    here = indices[:1]
    while here and here[0] != indices[-1]:
        start = points[here[0]]
        nearest = cheapest_at_least(points, start.accuracy + step)
        index = indices[-1] if nearest is None else nearest
        extra = points[index].device_seconds - start.device_seconds
        walked.append(Step(here[0], index, points[index].accuracy - start.accuracy, extra, step))
        here = [index]
    return walked
