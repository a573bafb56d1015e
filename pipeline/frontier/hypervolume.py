"""The area or volume that points dominate, plain or on log scales within a window."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.frontier.dominance import select_frontier
from pipeline.measures import Point


def compute_hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Compute the exact area or volume that the points dominate, up to `reference`, the worst of everything.

    A point that does not beat the reference in every objective adds nothing.
    (Zitzler and Thiele 1999, doi 10.1109/4235.797969; in two dimensions a sum of rectangles, beyond by slices
    of the last objective: While et al. 2006, doi 10.1109/TEVC.2005.851275.)
    """
    inside = [
        point
        for point in points
        if point.accuracy > reference.accuracy
        and point.device_seconds < reference.device_seconds
        and all(cost < limit for cost, limit in zip(point.further, reference.further, strict=True))
    ]
    if reference.further:
        losses = [(point.device_seconds, -point.accuracy, *point.further) for point in inside]
        worst = reference.device_seconds, -reference.accuracy, *reference.further
        return _compute_volume(losses, worst)
    steps = select_frontier(inside)
    return math.fsum(
        (following.device_seconds - step.device_seconds) * (step.accuracy - reference.accuracy)
        for step, following in pairwise([*steps, reference])
    )


def _compute_volume(losses: Sequence[tuple[float, ...]], worst: tuple[float, ...]) -> float:
    """Compute the volume between losses (three or more columns) and `worst`: a sum of slices."""
    order = sorted(losses, key=lambda row: row[-1])
    edges = [row[-1] for row in [*order, worst]]
    area, slices = _GrowingArea(worst[0], worst[1]), list[float]()
    for count, (row, (low, high)) in enumerate(zip(order, pairwise(edges), strict=True), start=1):
        if len(worst) == 3:
            size = area.add(row[0], row[1])
        else:
            size = _compute_volume([loss[:-1] for loss in order[:count]], worst[:-1]) if high > low else 0.0
        slices.append((high - low) * size)
    return math.fsum(slices)


class _GrowingArea:
    """The area between a staircase that falls and a corner above it; steps are added one by one."""

    def __init__(self, right: float, top: float) -> None:
        self._right, self._top, self._size = right, top, 0.0
        self._across: list[float] = []
        self._up: list[float] = []

    def add(self, across: float, up: float) -> float:
        """Add a place below the corner and return the area."""
        first = bisect_left(self._across, across)
        if (first and self._up[first - 1] <= up) or (
            first < len(self._across) and self._across[first] == across and self._up[first] <= up
        ):
            return self._size
        last = first
        while last < len(self._up) and self._up[last] >= up:
            last += 1
        edges = [across, *self._across[first:last], (*self._across[last:], self._right)[0]]
        ceilings = [self._up[first - 1] if first else self._top, *self._up[first:last]]
        for (left, right), ceiling in zip(pairwise(edges), ceilings, strict=True):
            self._size += (right - left) * (ceiling - up)
        self._across[first:last], self._up[first:last] = [across], [up]
        return self._size


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window of the plane log(device-seconds) x log(error), error = 1 - accuracy.

    `min_error` > 0 is the floor: below it nothing counts as better, so an accuracy of 1 is finite. `further`:
    smallest (> 0) and largest of each further cost.
    """

    min_seconds: float
    max_seconds: float
    min_error: float
    max_error: float
    further: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        ranges = (self.min_seconds, self.max_seconds), (self.min_error, self.max_error), *self.further
        if not all(0 < low < high for low, high in ranges):
            raise ValueError(f"bounds must be positive and grow, got {self}")

    @classmethod
    def enclose(cls, points: Sequence[Point], floor: float | None = None) -> "Bounds":
        """Return the window that holds the points, with a margin at its dear and its bad edge.

        The margin makes all points count. It is a tenth of the range (usual: Ishibuchi et al. 2018, doi
        10.1162/evco_a_00226), and the window is at least a factor of 2 wide and high. `floor`: the smallest
        error that differs from none, such as half a row of the validation split; by default
        `compute_error_floor`.
        """
        costs = [point.device_seconds for point in points]
        floor = floor or compute_error_floor(points)
        errors = [max(floor, 1 - point.accuracy) for point in points]
        columns = zip(*(point.further for point in points), strict=True)
        further = tuple(map(enclose_positive, columns))
        return cls(min(costs), _pad_edge(costs), min(errors), _pad_edge(errors), further)

    def normalise(self, point: Point) -> Point:
        """Return the point in shares of the window: accuracy 1 is the best, of all costs 0 is the least."""
        cost, *further = (
            max(0.0, math.log(max(value, low) / low) / math.log(high / low))
            for value, (low, high) in zip(
                (point.device_seconds, *point.further),
                ((self.min_seconds, self.max_seconds), *self.further),
                strict=True,
            )
        )
        error = max(1 - point.accuracy, self.min_error)
        share = math.log(self.max_error / error) / math.log(self.max_error / self.min_error)
        return Point(share, cost, tuple(further))

    @property
    def worst(self) -> Point:
        """Return the corner of the window at which nothing is gained, in shares of it."""
        return Point(0.0, 1.0, (1.0,) * len(self.further))


def enclose_positive(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of a further cost, with a margin at its dear edge; 0 counts as the least above it."""
    smallest = min((value for value in values if value > 0), default=1.0)
    return smallest, _pad_edge([max(value, smallest) for value in values])


def compute_error_floor(points: Sequence[Point]) -> float:
    """Compute half the smallest error above 0: where an accuracy of 1 stands on a log scale of error."""
    return max(1e-6, min((1 - point.accuracy for point in points if point.accuracy < 1), default=0.01) / 2)


def _pad_edge(values: Sequence[float]) -> float:
    smallest, largest = min(values), max(values)
    return max(largest * math.pow(largest / smallest, 0.1), 2 * smallest)


def compute_log_hypervolume(points: Sequence[Point], bounds: Bounds) -> float:
    """Compute the share 0..1 of the window that the points dominate.

    Each halving of a cost or of the error weighs the same.
    """
    return compute_hypervolume([bounds.normalise(point) for point in points], bounds.worst)
