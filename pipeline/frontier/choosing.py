"""Choosing on the frontier: its knee, the cheapest and the best point within a bound, few of many, prices."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipeline.frontier.dominance import find_frontier, flatten, order_by_cost
from pipeline.frontier.hypervolume import compute_error_floor, enclose_positive
from pipeline.measures import Point

CLOSE = 1e-9  # accuracies that differ by less are equal: 0.95 + 0.005 is 0.955
SHRINKAGE, SLACK = 1e-6, 1e-5
"""Small against the squares of extremes, which are 0 to 1: it decides only where they leave a choice.
By so much at most, and less than the slack, they lie below a plane that goes through all of them."""


def keeps_to(cost: float, bound: float) -> bool:
    """Return whether a cost is within a bound, or above it by rounding alone: the mean of 0.1s is."""
    return cost <= bound * (1 + CLOSE)


def find_knee(points: Sequence[Point], least_accuracy: float = -math.inf) -> int | None:
    """Find the best bend: the frontier point farthest from the plane through the extremes, on the good side.

    An extreme is the point that is best in one objective, of several the cheapest. Measured on log cost and
    log error, and the logs of further costs, all scaled to 0..1 over the frontier. Log error, since on plain
    accuracy the first step away from guessing outweighs all that follow. In the plane the extremes are the
    cheapest and the best, and this is Kneedle's rule for a concave curve (Satopaa et al. 2011, doi
    10.1109/ICDCSW.2011.20, without its smoothing); in space it is that of Das 1999 (doi 10.1007/BF01195985)
    and of KnEA (Zhang, Tian, Jin 2015, doi 10.1109/TEVC.2014.2378512); see `_weigh`.

    `least_accuracy`: what a knee must have; the extremes may have less. None where no point lies on the good
    side: a frontier of one or two points, or one that is straight or hollow, has no knee.
    """
    indices = find_frontier(points)
    if len(indices) < 3:
        return None
    places = np.array(scale_logs([points[index] for index in indices], compute_error_floor(points)))
    places = places[:, np.ptp(places, axis=0) > 0]  # what all have alike tells nothing
    # All epochs of the smallest network may answer alike: of them, its first is the extreme.
    ends = [int(np.lexsort((*places.T[::-1], column))[0]) for column in places.T]
    heights = places @ _weigh(places[ends])
    enough = [number for number, index in enumerate(indices) if points[index].accuracy >= least_accuracy]
    bend = min(enough, key=lambda number: float(heights[number]), default=ends[0])
    return indices[bend] if heights[bend] < 1 - (CLOSE if len(ends) < 3 else SLACK) else None


def _weigh(extremes: np.ndarray) -> np.ndarray:
    """Return the weights, none below 0, of the plane on which the extremes (a row each) have a sum of 1.

    Where one point is best in several objectives, as the smallest network is in cost and latency, many planes
    hold the extremes: the least weights are taken, which share one weight among such objectives. With a
    weight of 1 each, two costs that fall together would outvote the error, and the knee be next to guessing.
    Where a plane through all would need a weight below 0, it goes as near to them as it can.
    """
    count = extremes.shape[1]
    if count < 3:
        return np.ones(count)
    best, weights = math.inf, np.zeros(count)
    for chosen in (
        list(subset) for size in range(1, count + 1) for subset in combinations(range(count), size)
    ):
        rows = extremes[:, chosen]
        found = np.linalg.solve(rows.T @ rows + SHRINKAGE * np.eye(len(chosen)), rows.sum(0))
        off = float(np.square(rows @ found - 1).sum() + SHRINKAGE * np.square(found).sum())
        if found.min() >= 0 and off < best:  # of a convex function, the least of these is the least of all
            best, weights = off, np.zeros(count)
            weights[chosen] = found
    return weights


def scale_logs(points: Sequence[Point], floor: float) -> list[tuple[float, ...]]:
    """Scale log cost, log error (at least `floor`) and the logs of the further costs to 0..1 over these."""
    columns = [
        [point.device_seconds for point in points],
        [max(1 - point.accuracy, floor) for point in points],
    ]
    for column in zip(*(point.further for point in points), strict=True):
        floor_of_column = enclose_positive(column)[0]
        columns.append([max(value, floor_of_column) for value in column])
    return list(zip(*map(_scale_log, columns), strict=True))


def _scale_log(values: Sequence[float]) -> list[float]:
    logs = [math.log(value) for value in values]
    low, high = min(logs), max(logs)
    return [(value - low) / ((high - low) or 1.0) for value in logs]


def find_cheapest_with(points: Sequence[Point], accuracy: float) -> int | None:
    """Find the cheapest point with at least that accuracy, of equally cheap ones the best."""
    enough = (index for index, point in enumerate(points) if point.accuracy >= accuracy - CLOSE)
    return min(enough, key=lambda index: order_by_cost(points[index]), default=None)


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
        """Return the extra device-seconds for each `size` of accuracy."""
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
