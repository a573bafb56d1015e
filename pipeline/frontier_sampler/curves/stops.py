"""Where the next trial of a candidate shall stop: what it adds until then, and what is decided there. Pure.

A trial that stops early shows how its curve goes on, and most are then not worth the rest: so a candidate is
worth more than what the mean of its curve adds. Its error at the stop is looked at over a few nodes; at each
the training goes on to where it adds most, or ends. Its rate is that at which what is added pays for what is
paid, both expected: a threshold for the next step of a search in stages, as of the boxes of Weitzman (1979,
doi 10.2307/1910412), found by the iteration of Dinkelbach (1967, doi 10.1287/mnsc.13.7.492).
"""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import acquisition
from pipeline.frontier_sampler.acquisition import Staircase

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS /= WEIGHTS.sum()
"""Gauss and Hermite's rule of five points for a normal distribution: nodes in deviations, and weights."""
ROUNDS = 6
"""Of Dinkelbach's iteration, which is there after four or five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveBeliefs:
    """What is believed of the curves of candidates at every rung: [m, rungs]; covariance [m, rungs, rungs].

    `log_costs`, `mean`: log device-seconds and log error; `extra_seconds`: to be paid until there; `counts`:
    whether a rung is a point that was not paid before; `allowed`: whether it may be a target.
    """

    log_costs: Array
    mean: Array
    covariance: Array
    extra_seconds: Array
    counts: Flags
    allowed: Flags

    def take(self, rows: NDArray[np.intp]) -> "CurveBeliefs":
        """Return those of some candidates."""
        return CurveBeliefs(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@cache
def list_stops(rungs: tuple[int, ...]) -> tuple[int, ...]:
    """List the places of the rungs nearest to the first one doubled again and again, and of the last."""
    doublings = int(np.log2(rungs[-1] / rungs[0])) + 1
    wanted = np.log(rungs[0]) + np.log(2) * np.arange(doublings)
    nearest = np.abs(np.log(rungs)[:, None] - wanted[None, :]).argmin(0)
    return tuple(sorted({*nearest.tolist(), len(rungs) - 1}))


def rate_stops(
    stairs: Staircase, beliefs: CurveBeliefs, trial_seconds: float, stops: tuple[int, ...], goes_on: bool
) -> Array:
    """Rate each stop of each candidate: expected area for a device-second [m, rungs]; 0 for other rungs.

    `trial_seconds`: what a trial costs beside its training; `goes_on`: whether another trial may follow.
    """
    rates = np.zeros_like(beliefs.mean)
    for stop in stops:
        rows = np.flatnonzero(beliefs.allowed[:, stop])
        if len(rows):
            rates[rows, stop] = _rate_stop(stairs, beliefs.take(rows), trial_seconds, stop, goes_on)
    return rates


def _rate_stop(
    stairs: Staircase, beliefs: CurveBeliefs, trial_seconds: float, stop: int, goes_on: bool
) -> Array:
    area = _expect_areas(stairs, beliefs, stop)
    rung = np.arange(area.shape[2])
    price = beliefs.extra_seconds + trial_seconds * np.where(rung > stop, 2, 1)
    within = beliefs.allowed & (rung > stop) if goes_on else np.zeros_like(beliefs.allowed)
    within = (within | (rung == stop))[None]
    rate = np.zeros(area.shape[1])
    for _ in range(ROUNDS):
        best = np.where(within, area - rate[None, :, None] * price[None], -np.inf).argmax(2)[:, :, None]
        gained = WEIGHTS @ np.take_along_axis(area, best, 2)[:, :, 0]
        paid = WEIGHTS @ np.take_along_axis(np.broadcast_to(price, area.shape), best, 2)[:, :, 0]
        rate = gained / paid
    return rate


def _expect_areas(stairs: Staircase, beliefs: CurveBeliefs, stop: int) -> Array:
    """Expect the area that each rung adds, for each error that the stop may show: [nodes, m, rungs]."""
    variance = np.maximum(beliefs.covariance[:, stop, stop], 1e-12)
    slope = beliefs.covariance[:, :, stop] / variance[:, None]
    ends = np.einsum("ikk->ik", beliefs.covariance)
    left = np.sqrt(np.maximum(ends - slope**2 * variance[:, None], 0.0))
    shown = slope * np.sqrt(variance)[:, None]
    further = np.array(acquisition.NODES)
    paths = NODES[:, None, None, None] * shown + further[None, :, None, None] * left + beliefs.mean
    repeats = len(NODES) * len(further)
    areas = acquisition.compute_improvements(
        stairs,
        np.tile(beliefs.log_costs, (repeats, 1)),
        np.minimum(paths, 0.0).reshape(-1, paths.shape[-1]),
        np.tile(beliefs.counts, (repeats, 1)),
    )
    expected: Array = areas.reshape(paths.shape).mean(1)
    return expected
