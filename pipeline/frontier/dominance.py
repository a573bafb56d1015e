"""Who dominates whom, and the frontier: the points that no other point dominates."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.errors import BadInput
from pipeline.measures import Point


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
    return min(beating, key=lambda index: order_by_cost(points[index]), default=None)


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


def order_by_cost(point: Point) -> tuple[float, float]:
    """Return the key by which points are sorted: the cheapest first, of equally cheap ones the best."""
    return point.device_seconds, -point.accuracy
