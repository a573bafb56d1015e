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
class Reference:
    """The dear and bad corner of the plane; what lies beyond it does not count."""

    log_cost: float
    log_error: float

    @classmethod
    def beyond(cls, costs: Array, errors: Array, room: float = 0.1) -> "Reference":
        """A tenth of the range outside of what is in sight, so that the edge counts, too (see `frontier`)."""
        return cls(_edge(costs, room), _edge(errors, room))


def _edge(logs: Array, room: float) -> float:
    least, most = float(logs.min()), float(logs.max())
    return max(most + room * (most - least), least + math.log(2))


class Staircase:
    """The least log error that each log cost buys, up to a reference."""

    def __init__(self, points: Array, reference: Reference) -> None:
        """`points`: (log cost, log error) [n, 2] in any order."""
        self.reference = reference
        points = points[np.lexsort((points[:, 1], points[:, 0]))]
        points = points[points[:, 0] < reference.log_cost]
        before = np.minimum.accumulate(np.concatenate([[reference.log_error], points[:, 1]]))
        steps = points[points[:, 1] < before[:-1]]
        self._knots = np.append(steps[:, 0], reference.log_cost)
        self._levels = np.concatenate([[reference.log_error], steps[:, 1]])  # level i holds before knot i
        self._areas = np.concatenate([[0.0], np.cumsum(np.diff(self._knots) * self._levels[1:])])
        self._first = self._knots[0]

    def upto(self, reference: Reference) -> "Staircase":
        """The same steps up to another corner."""
        return Staircase(np.stack([self._knots[:-1], self._levels[1:]], axis=1), reference)

    def area(self) -> float:
        """What the points dominate, up to the reference."""
        heights = self.reference.log_error - self._levels[1:]
        return float((np.diff(self._knots) * heights).sum())

    def level(self, costs: Array) -> Array:
        """The least log error at log costs of any shape."""
        return self._levels[np.searchsorted(self._knots[:-1], costs, side="right")]

    def _integral(self, costs: Array) -> Array:
        """Of the level, from the first knot to each cost; negative before it."""
        early = np.minimum(costs - self._first, 0.0) * self.reference.log_error
        found: Array = np.interp(costs, self._knots, self._areas) + early
        return found

    def _falls_to(self, errors: Array) -> Array:
        """The log cost from which on the level is at most each log error."""
        place = np.searchsorted(-self._levels, -errors, side="left")
        return self._knots[np.minimum(np.maximum(place - 1, 0), len(self._knots) - 1)]

    def gain(self, start: Array, end: Array, errors: Array) -> Array:
        """Area that a level of `errors` from log cost `start` to `end` adds; arrays of one shape."""
        stop = np.where(errors < self._levels[-1], self.reference.log_cost, self._falls_to(errors))
        stop = np.where(errors >= self.reference.log_error, start, stop)
        end = np.minimum(np.minimum(end, stop), self.reference.log_cost)
        start = np.minimum(start, end)
        return np.maximum(self._integral(end) - self._integral(start) - errors * (end - start), 0.0)


def improvements(stairs: Staircase, log_costs: Array, log_errors: Array, counts: Flags) -> Array:
    """Area that each prefix of each curve adds: [curves, epochs].

    `log_costs`, `log_errors` [curves, epochs], costs rising; `counts` bool [curves, epochs]: whether an epoch
    is a point of its own (epochs already paid for are on the frontier, and do not count again).
    """
    worst = stairs.reference.log_error
    best = np.minimum.accumulate(np.where(counts, log_errors, worst), axis=1)
    last = np.full((len(log_costs), 1), stairs.reference.log_cost)
    following = np.concatenate([log_costs[:, 1:], np.maximum(last, log_costs[:, -1:])], axis=1)
    steps = stairs.gain(log_costs, following, best)
    before = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)[:, :-1]], axis=1)
    return before + stairs.gain(log_costs, np.full_like(log_costs, stairs.reference.log_cost), best)


def end_improvements(stairs: Staircase, log_costs: Array, log_errors: Array) -> Array:
    """Area that each epoch adds as the end of a curve whose other epochs do not count: [curves, epochs]."""
    return stairs.gain(log_costs, np.full_like(log_costs, stairs.reference.log_cost), log_errors)


def expected(
    stairs: Staircase,
    log_costs: Array,
    mean: Array,
    deviation: Array,
    counts: Flags,
    fair: Flags,
    nodes: Sequence[float] = NODES,
) -> Array:
    """Expected improvement of each prefix [curves, epochs]; a curve moves up or down as one.

    `fair` bool [curves]: whether every epoch counts, or the end alone.
    """
    total = np.zeros_like(mean)
    for node in nodes:
        errors = np.minimum(mean + node * deviation, 0.0)  # an error is at most 1
        whole = improvements(stairs, log_costs, errors, counts)
        if not fair.all():
            whole = np.where(fair[:, None], whole, end_improvements(stairs, log_costs, errors))
        total += whole
    return total / len(nodes)
