"""Expected improvement of a whole curve: the area that it adds to a frontier on the plane of logs.

A learning curve lies in the plane (log device-seconds, log error) as a staircase: from the cost of an epoch
on, the best error so far is to be had. The idea that a trial is worth its whole trajectory, not its end, is
that of trajectory-based multi-objective optimisation (Wang et al. 2024, arXiv 2405.15303).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

NODES = (-math.sqrt(1.5), 0.0, math.sqrt(1.5))
"""Standard deviations at which the improvement is looked at, with equal weights: the three-point rule that
has the mean and variance of a normal distribution right (Chebyshev's quadrature; +-1.22)."""


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """The expensive and inaccurate corner of the plane; points beyond it do not count."""

    log_cost: float
    log_error: float

    @classmethod
    def around(cls, costs: Array, errors: Array, margin: float = 0.1) -> "ReferencePoint":
        """Return the point `margin` of the range beyond all points [n], so that extreme points count, too."""
        return cls(_edge_beyond(costs, margin), _edge_beyond(errors, margin))


def _edge_beyond(logs: Array, margin: float) -> float:
    low, high = float(logs.min()), float(logs.max())
    return max(high + margin * (high - low), low + math.log(2))


class Staircase:
    """The lowest log error that each log cost buys, up to a reference point."""

    def __init__(self, points: Array, reference: ReferencePoint) -> None:
        """Build the steps from `points`: (log cost, log error) [n, 2] in any order."""
        self.reference = reference
        points = points[np.lexsort((points[:, 1], points[:, 0]))]
        points = points[points[:, 0] < reference.log_cost]
        before = np.minimum.accumulate(np.concatenate([[reference.log_error], points[:, 1]]))
        steps = points[points[:, 1] < before[:-1]]
        self._knots = np.append(steps[:, 0], reference.log_cost)
        self._levels = np.concatenate([[reference.log_error], steps[:, 1]])  # level i holds before knot i
        self._areas = np.concatenate([[0.0], np.cumsum(np.diff(self._knots) * self._levels[1:])])
        self._first = self._knots[0]

    def extend_to(self, reference: ReferencePoint) -> "Staircase":
        """Return the same steps up to another reference point."""
        return Staircase(np.stack([self._knots[:-1], self._levels[1:]], axis=1), reference)

    def add(self, points: Array) -> "Staircase":
        """Return the steps with further points (log cost, log error) [n, 2]."""
        steps = np.stack([self._knots[:-1], self._levels[1:]], axis=1)
        return Staircase(np.concatenate([steps, points]), self.reference)

    def area(self) -> float:
        """Return the area that the points dominate, up to the reference point."""
        heights = self.reference.log_error - self._levels[1:]
        return float((np.diff(self._knots) * heights).sum())

    def level(self, costs: Array) -> Array:
        """Return the lowest log error to be had at log costs of any shape."""
        return self._levels[np.searchsorted(self._knots[:-1], costs, side="right")]

    def _integrate(self, costs: Array) -> Array:
        """Return the integral of the level from the first knot to each cost; negative before that knot."""
        early = np.minimum(costs - self._first, 0.0) * self.reference.log_error
        integral: Array = np.interp(costs, self._knots, self._areas) + early
        return integral

    def _find_costs(self, errors: Array) -> Array:
        """Find the log cost from which on the level is at most each log error."""
        index = np.searchsorted(-self._levels, -errors, side="left")
        return self._knots[np.minimum(np.maximum(index - 1, 0), len(self._knots) - 1)]

    def compute_gain(self, start: Array, end: Array, errors: Array) -> Array:
        """Compute the area that a level of log error `errors` from log cost `start` to `end` adds.

        All three have one shape, which is that of the result.
        """
        stop = np.where(errors < self._levels[-1], self.reference.log_cost, self._find_costs(errors))
        stop = np.where(errors >= self.reference.log_error, start, stop)
        end = np.minimum(np.minimum(end, stop), self.reference.log_cost)
        start = np.minimum(start, end)
        return np.maximum(self._integrate(end) - self._integrate(start) - errors * (end - start), 0.0)


def compute_improvements(stairs: Staircase, log_costs: Array, log_errors: Array, counts: Flags) -> Array:
    """Compute the area that each prefix of each curve adds: [curves, epochs].

    `log_costs`, `log_errors` [curves, epochs], costs rising; `counts` bool [curves, epochs]: whether an epoch
    is a point of its own (epochs already paid for are on the frontier, and do not count again).
    """
    worst = stairs.reference.log_error
    best = np.minimum.accumulate(np.where(counts, log_errors, worst), axis=1)
    last = np.full((len(log_costs), 1), stairs.reference.log_cost)
    following = np.concatenate([log_costs[:, 1:], np.maximum(last, log_costs[:, -1:])], axis=1)
    steps = stairs.compute_gain(log_costs, following, best)
    before = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)[:, :-1]], axis=1)
    return before + stairs.compute_gain(log_costs, np.full_like(log_costs, stairs.reference.log_cost), best)


def compute_end_improvements(stairs: Staircase, log_costs: Array, log_errors: Array) -> Array:
    """Compute the area that each epoch adds where only the end of a curve counts: [curves, epochs]."""
    return stairs.compute_gain(log_costs, np.full_like(log_costs, stairs.reference.log_cost), log_errors)


def expect_improvement(
    stairs: Staircase,
    log_costs: Array,
    mean: Array,
    deviation: Array,
    counts: Flags,
    fair: Flags,
    nodes: Sequence[float] = NODES,
) -> Array:
    """Compute the expected improvement of each prefix [curves, epochs]; a curve moves up or down as one.

    `fair` bool [curves]: whether every epoch counts, or the end alone.
    """
    total = np.zeros_like(mean)
    for node in nodes:
        errors = np.minimum(mean + node * deviation, 0.0)  # an error is at most 1
        gains = compute_improvements(stairs, log_costs, errors, counts)
        if not fair.all():
            gains = np.where(fair[:, None], gains, compute_end_improvements(stairs, log_costs, errors))
        total += gains
    return total / len(nodes)
