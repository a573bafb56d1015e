"""Accuracy against device-seconds: who dominates whom, the frontier, its area, its knee, its prices. Pure.

Points are finite, with `device_seconds` > 0, and all have as many `further` costs: none in the plane, any
number beside it, where the area is a volume. The functions return indices into the points that they get, so
that a caller can look up what belongs to a point.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.errors import BadInput
from pipeline.measures import Point

CLOSE = 1e-9  # accuracies that differ by less are equal: 0.95 + 0.005 is 0.955


# ---- who dominates whom ---------------------------------------------------------------------------------


def dominates(a: Point, b: Point) -> bool:
    """Return whether `a` is at least as good as `b` in every objective, and better in one."""
    return (
        a.accuracy >= b.accuracy
        and a.device_seconds <= b.device_seconds
        and all(cost <= rival for cost, rival in zip(a.further, b.further, strict=True))
        and a != b
    )


def find_frontier(points: Sequence[Point]) -> list[int]:
    """Find the points that no other one dominates: their indices, cheapest first; of equal points the first.

    O(n log n) in the plane; with further costs O(n f), f the size of the frontier.
    """
    if points and points[0].further:
        return _find_frontier_beyond_the_plane(points)
    indices: list[int] = []
    best = -math.inf
    order = sorted((point.device_seconds, -point.accuracy, index) for index, point in enumerate(points))
    for _, worse, index in order:
        if -worse > best:
            best = -worse
            indices.append(index)
    return indices


def _find_frontier_beyond_the_plane(points: Sequence[Point]) -> list[int]:
    """Take the first point in the order of all costs, which nothing later dominates; drop what it beats."""
    losses = np.array([(point.device_seconds, -point.accuracy, *point.further) for point in points])
    rest = np.lexsort(losses.T[::-1])  # stable: of equal points the first
    indices: list[int] = []
    while len(rest):
        indices.append(int(rest[0]))
        rest = rest[(losses[rest] < losses[rest[0]]).any(axis=1)]
    return indices


def flatten(points: Iterable[Point]) -> list[Point]:
    """Return the points by accuracy and device-seconds alone."""
    return [Point(point.accuracy, point.device_seconds) for point in points]


def select_frontier(points: Sequence[Point]) -> list[Point]:
    """Select the points of the frontier, cheapest first; in the plane each is better than the one before."""
    return [points[index] for index in find_frontier(points)]


def find_dominator(point: Point, points: Sequence[Point]) -> int | None:
    """Find the cheapest point that dominates `point`, of equally cheap ones the best; None if none does."""
    beating = (index for index, rival in enumerate(points) if dominates(rival, point))
    return min(beating, key=lambda index: _by_cost(points[index]), default=None)


def _by_cost(point: Point) -> tuple[float, float]:
    return point.device_seconds, -point.accuracy


def require_one_device(names: Iterable[str]) -> str:
    """Return the device that all names agree on.

    Raises:
        BadInput: there are several, whose seconds cannot be compared, or none.
    """
    devices = sorted(set(names))
    if len(devices) != 1:
        got = " and ".join(devices) if devices else "none"
        raise BadInput(
            f"a frontier must hold points of exactly one device, got {got}; "
            "start another study with search.study=... for another device"
        )
    return devices[0]


# ---- area ---------------------------------------------------------------------------------------------


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
        further = tuple(map(_enclose_positive, columns))
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


def _enclose_positive(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of a further cost, of which 0 counts as the smallest that is more."""
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


# ---- choosing -----------------------------------------------------------------------------------------


def find_knee(points: Sequence[Point]) -> int | None:
    """Find the best bend: the frontier point farthest above the chord from its cheapest to its best.

    Measured on log cost and log error, both scaled to 0..1 (Kneedle's rule for a concave curve: Satopaa
    et al. 2011, doi 10.1109/ICDCSW.2011.20, without its smoothing). Log error, since on plain accuracy the
    first step away from guessing outweighs all that follow. Farthest above the chord is where the sum of
    both is least; with further costs, they are part of the sum (the plane through the extremes takes the
    chord's place: Das 1999, doi 10.1007/BF01195985). None where no sum is less than at both ends: a frontier
    of one or two points, or one that is straight or hollow, has no knee.
    """
    indices = find_frontier(points)
    if len(indices) < 3:
        return None
    floor = compute_error_floor(points)
    places = dict(zip(indices, scale_logs([points[index] for index in indices], floor), strict=True))

    def add_up(index: int) -> float:
        return math.fsum(places[index])

    ends = indices[0], min(indices, key=lambda index: places[index][1])
    bend = min((index for index in indices if index not in ends), key=add_up, default=indices[0])
    return bend if add_up(bend) < min(map(add_up, ends)) - CLOSE else None


def scale_logs(points: Sequence[Point], floor: float) -> list[tuple[float, ...]]:
    """Scale log cost, log error (at least `floor`) and the logs of the further costs to 0..1 over these."""
    columns = [
        [point.device_seconds for point in points],
        [max(1 - point.accuracy, floor) for point in points],
    ]
    for column in zip(*(point.further for point in points), strict=True):
        floor_of_column = _enclose_positive(column)[0]
        columns.append([max(value, floor_of_column) for value in column])
    return list(zip(*map(_scale_log, columns), strict=True))


def _scale_log(values: Sequence[float]) -> list[float]:
    logs = [math.log(value) for value in values]
    low, high = min(logs), max(logs)
    return [(value - low) / ((high - low) or 1.0) for value in logs]


def find_cheapest_with(points: Sequence[Point], accuracy: float) -> int | None:
    """Find the cheapest point with at least that accuracy, of equally cheap ones the best."""
    enough = (index for index, point in enumerate(points) if point.accuracy >= accuracy - CLOSE)
    return min(enough, key=lambda index: _by_cost(points[index]), default=None)


def find_best_within(points: Sequence[Point], device_seconds: float) -> int | None:
    """Find the most accurate point that costs at most that, of equally accurate ones the cheapest."""
    affordable = (index for index, point in enumerate(points) if point.device_seconds <= device_seconds)
    return min(
        affordable, key=lambda index: (-points[index].accuracy, points[index].device_seconds), default=None
    )


def select_spread(points: Sequence[Point], limit: int, required: Iterable[int] = ()) -> list[int]:
    """Select at most `limit` of the points, far from each other on log scales: their indices in order.

    Those `required`, the cheapest and the most accurate are among them; then each time the one farthest from
    all so far (Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5: at most twice the best radius).
    """
    if len(points) <= limit:
        return list(range(len(points)))
    places = np.array(scale_logs(points, compute_error_floor(points)))
    chosen = list(dict.fromkeys([*required, int(places[:, 0].argmin()), int(places[:, 1].argmin())]))
    distances = np.min([np.square(places - places[index]).sum(1) for index in chosen], axis=0)
    while len(chosen) < limit and distances.max() > 0:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.square(places - places[chosen[-1]]).sum(1))
    return sorted(chosen)


@dataclass(frozen=True, slots=True)
class PriceStep:
    """A step from one frontier point to a better one: indices, gain in accuracy, extra device-seconds.

    `device_seconds_per_size`: extra device-seconds per `size` of accuracy, spread evenly over the gain.
    """

    start: int
    end: int
    gain: float
    extra_device_seconds: float
    size: float

    @property
    def device_seconds_per_size(self) -> float:
        return self.extra_device_seconds * self.size / self.gain


def compute_prices(points: Sequence[Point], step: float = 0.005) -> list[PriceStep]:
    """Compute what each further `step` of accuracy costs along the frontier, cheapest first.

    From the cheapest point on, to the next that is at least `step` better, until the best is reached; the
    last step may gain less.
    """
    steps: list[PriceStep] = []
    points = flatten(points)
    indices = find_frontier(points)
    current = indices[:1]
    while current and current[0] != indices[-1]:
        start = points[current[0]]
        nearest = find_cheapest_with(points, start.accuracy + step)
        index = indices[-1] if nearest is None else nearest
        extra = points[index].device_seconds - start.device_seconds
        steps.append(PriceStep(current[0], index, points[index].accuracy - start.accuracy, extra, step))
        current = [index]
    return steps
