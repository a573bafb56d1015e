"""Observations of errors along curves, bounded in number, and the decline that all of them share. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase
from pipeline.frontier_sampler.history import Configuration, Fidelity

Array = NDArray[np.float64]

MIN_ERROR, MIN_SECONDS = 1e-6, 1e-12
MAX_ROWS, MAX_FITTED = 350, 150
"""Rows that the process is conditioned on, and that its kernel is fitted to."""
WORSE, LEAST_RANGE = 2.0, 0.3
"""What is worse than the median by more than twice as much as the best is better, or than 0.6, counts as
that: a few configurations that learn nothing would have the process doubt all others."""
PRIOR_DECLINE, MAX_DECLINE = 0.4, 5.0


def estimate_error_floor(configurations: Sequence[Configuration]) -> float:
    """Estimate the error that an accuracy of 1 stands for: half the lowest error above zero."""
    errors = np.concatenate([1 - configuration.points[:, 2] for configuration in configurations])
    positive = errors[errors > 1e-9]
    smallest = float(positive.min()) if len(positive) else 2 * MIN_ERROR
    return max(0.5 * smallest, MIN_ERROR)


def to_plane(entries: Array, floor: float) -> Array:
    """Convert entries [n, 3] to (log cost, log error) [n, 2]."""
    costs = np.log(np.maximum(entries[:, 1], MIN_SECONDS))
    return np.stack([costs, np.log(np.maximum(1 - entries[:, 2], floor))], axis=1)


@dataclass(frozen=True, slots=True)
class Observations:
    """Observations: features [n, d + 1] (the last is log epoch), log errors [n], log costs [n]."""

    features: Array
    log_errors: Array
    log_costs: Array

    def take(self, indices: NDArray[np.intp]) -> "Observations":
        """Return the observations at these indices [m]."""
        return Observations(self.features[indices], self.log_errors[indices], self.log_costs[indices])

    def flatten(self, decline: "Decline") -> Array:
        """Return log errors [n] without the decline that all curves share, and no failures; see WORSE."""
        flattened: Array = self.log_errors + decline.sum_until(self.features[:, -1])
        middle = float(np.median(flattened))
        worst = middle + WORSE * max(middle - float(flattened.min()), LEAST_RANGE)
        return np.minimum(flattened, worst)


def collect_observations(
    configurations: Sequence[Configuration], fidelity: Fidelity, floor: float, limit: int
) -> Observations:
    """Collect every curve at the rungs and at its end; beyond `limit` rows those that matter most."""
    entries = np.concatenate([configuration.rung_points for configuration in configurations])
    settings = np.array([configuration.features for configuration in configurations])
    settings = np.repeat(
        settings, [len(configuration.rung_points) for configuration in configurations], axis=0
    )
    later = fidelity.scale(np.maximum(entries[:, 0], 1))[:, None]
    points = to_plane(entries, floor)
    rows = Observations(np.concatenate([settings, later], axis=1), points[:, 1], points[:, 0])
    return rows if len(entries) <= limit else rows.take(_select_rows(compute_regrets(points), limit))


def compute_regrets(points: Array) -> Array:
    """Compute how far each point [n, 2] lies above the frontier of all, in log error."""
    stairs = Staircase(points, ReferencePoint.around(points[:, 0], points[:, 1]))
    regret: Array = np.maximum(points[:, 1] - stairs.level(points[:, 0]), 0.0)
    return regret


def _select_rows(regret: Array, limit: int) -> NDArray[np.intp]:
    """Select rows: three fifths are the nearest to the frontier, the others spread evenly over the rest."""
    order = np.argsort(regret, kind="stable")
    near = limit * 3 // 5
    remainder = np.sort(order[near:])
    spread = remainder[surrogate.spread_evenly(len(remainder), limit - near)]
    return np.sort(np.concatenate([order[:near], spread]))


@dataclass(frozen=True, slots=True)
class Decline:
    """The decline that all curves share: how far log error has fallen at each rung, [rungs] both.

    `later`: the rungs as `Fidelity.scale` has them; `fallen`: since the first of them, never falling.
    """

    later: Array
    fallen: Array

    def sum_until(self, later: Array) -> Array:
        """Return how far log error falls from the first rung to each scaled log epoch, of the same shape."""
        fallen: Array = np.interp(later, self.later, self.fallen)
        return fallen


def estimate_decline(configurations: Sequence[Configuration], fidelity: Fidelity) -> Decline:
    """Estimate how log error falls from rung to rung, in the mean of the curves that passed both.

    Between two rungs it is a power law, log error = a - b log epoch, which learning curves resemble (Viering
    and Loog 2023, doi 10.1109/TPAMI.2022.3220744). Not over all of them with one b: most curves are short,
    and a steep beginning would promise wonders of the end. Two curves are counted in that go on as it fell
    before, but not faster than PRIOR_DECLINE; so they speak for the rungs that nobody has reached yet.
    """
    rungs = fidelity.rungs
    entries = np.concatenate([configuration.rung_points for configuration in configurations])
    owners = np.repeat(
        np.arange(len(configurations)), [len(configuration.rung_points) for configuration in configurations]
    )
    errors = 1 - entries[:, 2]
    pairs = np.flatnonzero((owners[:-1] == owners[1:]) & (errors[:-1] > 0) & (errors[1:] > 0))
    starts, ends = entries[pairs, 0], entries[pairs + 1, 0]
    slopes = np.log(errors[pairs] / errors[pairs + 1]) / np.log(ends / starts)
    first, last = np.searchsorted(rungs, starts), np.searchsorted(rungs, ends, side="right") - 1
    fallen, slope = [0.0], PRIOR_DECLINE
    for rung, (start, end) in enumerate(pairwise(rungs)):
        seen = slopes[(first <= rung) & (rung < last)]
        slope = (2 * min(slope, PRIOR_DECLINE) + float(seen.sum())) / (2 + len(seen))
        slope = min(max(slope, 0.0), MAX_DECLINE)
        fallen.append(fallen[-1] + slope * math.log(end / start))
    return Decline(fidelity.scale(rungs), np.array(fallen))
