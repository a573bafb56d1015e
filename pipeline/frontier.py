"""Accuracy against device-seconds: who dominates whom, the frontier, its area, its knee, its prices. Pure.

Points are finite, with `device_seconds` > 0. The functions return indices into the points that they get, so
that a caller can look up what belongs to a point.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.errors import BadInput
from pipeline.measures import Point

CLOSE = 1e-9  # accuracies that differ by less are equal: 0.95 + 0.005 is 0.955


# ---- who dominates whom ---------------------------------------------------------------------------------


def dominates(a: Point, b: Point) -> bool:
    """Return whether `a` is at least as accurate and at most as dear as `b`, and better in one of both."""
    return a.accuracy >= b.accuracy and a.device_seconds <= b.device_seconds and a != b


def find_frontier(points: Sequence[Point]) -> list[int]:
    """Find the points that no other one dominates: their indices, cheapest first; of equal points the first.

    O(n log n).
    """
    indices: list[int] = []
    best = -math.inf
    order = sorted((point.device_seconds, -point.accuracy, index) for index, point in enumerate(points))
    for _, worse, index in order:
        if -worse > best:
            best = -worse
            indices.append(index)
    return indices


def select_frontier(points: Sequence[Point]) -> list[Point]:
    """Select the points of the frontier, cheapest first; each is dearer and better than the one before."""
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
    """Compute the exact area that the points dominate, up to `reference` = (worst accuracy, largest cost).

    A point that does not beat the reference in both adds nothing.
    (Zitzler and Thiele 1999, doi 10.1109/4235.797969; in two dimensions a sum of rectangles.)
    """
    inside = [
        point
        for point in points
        if point.accuracy > reference.accuracy and point.device_seconds < reference.device_seconds
    ]
    steps = select_frontier(inside)
    return math.fsum(
        (following.device_seconds - step.device_seconds) * (step.accuracy - reference.accuracy)
        for step, following in pairwise([*steps, reference])
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window of the plane log(device-seconds) x log(error), error = 1 - accuracy.

    `min_error` > 0 is the floor: below it nothing counts as better, so an accuracy of 1 is finite.
    """

    min_seconds: float
    max_seconds: float
    min_error: float
    max_error: float

    def __post_init__(self) -> None:
        if not (0 < self.min_seconds < self.max_seconds and 0 < self.min_error < self.max_error):
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
        return cls(min(costs), _pad_edge(costs), min(errors), _pad_edge(errors))

    def normalise(self, point: Point) -> Point:
        """Return the point in shares of the window: accuracy 1 is the best, device_seconds 0 the cheapest."""
        cost = math.log(point.device_seconds / self.min_seconds) / math.log(
            self.max_seconds / self.min_seconds
        )
        error = max(1 - point.accuracy, self.min_error)
        share = math.log(self.max_error / error) / math.log(self.max_error / self.min_error)
        return Point(share, max(0.0, cost))


def compute_error_floor(points: Sequence[Point]) -> float:
    """Compute half the smallest error above 0: where an accuracy of 1 stands on a log scale of error."""
    return max(1e-6, min((1 - point.accuracy for point in points if point.accuracy < 1), default=0.01) / 2)


def _pad_edge(values: Sequence[float]) -> float:
    smallest, largest = min(values), max(values)
    return max(largest * math.pow(largest / smallest, 0.1), 2 * smallest)


def compute_log_hypervolume(points: Sequence[Point], bounds: Bounds) -> float:
    """Compute the share 0..1 of the window that the points dominate.

    Each halving of cost or error weighs the same.
    """
    return compute_hypervolume([bounds.normalise(point) for point in points], Point(0.0, 1.0))


# ---- choosing -----------------------------------------------------------------------------------------


def find_knee(points: Sequence[Point]) -> int | None:
    """Find the best bend: the frontier point farthest above the chord from its cheapest to its dearest.

    Measured on log cost and log error, both scaled to 0..1 (Kneedle's rule for a concave curve: Satopaa
    et al. 2011, doi 10.1109/ICDCSW.2011.20, without its smoothing). Log error, since on plain accuracy the
    first step away from guessing outweighs all that follow. None where nothing lies above the chord: a
    frontier of one or two points, or one that is straight or hollow, has no knee.
    """
    indices = find_frontier(points)
    if len(indices) < 3:
        return None
    floor = compute_error_floor(points)

    def place(index: int) -> tuple[float, float]:
        return math.log(points[index].device_seconds), -math.log(max(1 - points[index].accuracy, floor))

    (left, low), (right, high) = place(indices[0]), place(indices[-1])

    def above_chord(index: int) -> float:
        along, up = place(index)
        return (up - low) / ((high - low) or 1.0) - (along - left) / ((right - left) or 1.0)

    bend = max(indices[1:-1], key=above_chord)
    return bend if above_chord(bend) > CLOSE else None


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
