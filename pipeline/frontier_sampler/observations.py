"""Observations for the surrogates, bounded in number: errors along curves, and costs of epochs. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase
from pipeline.frontier_sampler.encoding import Params
from pipeline.frontier_sampler.history import Configuration, Curve, Fidelity
from pipeline.frontier_sampler.surrogate import Kernel, Trend

Array = NDArray[np.float64]
Work = Callable[[Mapping[str, Any]], Sequence[float]]

MIN_ERROR, MIN_SECONDS = 1e-6, 1e-12
MAX_ROWS, MAX_FITTED, MAX_COSTS = 350, 150, 120
"""Rows that the posterior is conditioned on, that hyper-parameters are fitted to, and of the cost model."""
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
        """Return log errors [n] without the decline that all curves share."""
        flattened: Array = self.log_errors + decline.sum_until(self.features[:, -1])
        return flattened


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
    spread = remainder[np.linspace(0, len(remainder) - 1, limit - near).round().astype(int)]
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
    slopes: list[list[float]] = [[] for _ in rungs[1:]]
    for configuration in configurations:
        for (start, _, before), (end, _, after) in pairwise(configuration.rung_points.tolist()):
            if before < 1 and after < 1:
                slope = math.log((1 - before) / (1 - after)) / math.log(end / start)
                for passed in slopes[bisect_left(rungs, start) : bisect_right(rungs, end) - 1]:
                    passed.append(slope)
    fallen, slope = [0.0], PRIOR_DECLINE
    for (start, end), seen in zip(pairwise(rungs), slopes, strict=True):
        slope = min(max(fmean([min(slope, PRIOR_DECLINE)] * 2 + seen), 0.0), MAX_DECLINE)
        fallen.append(fallen[-1] + slope * math.log(end / start))
    return Decline(fidelity.scale(rungs), np.array(fallen))


# ---- costs --------------------------------------------------------------------------------------------


class CostModel:
    """Device-seconds of any configuration after any epoch: first epoch + rate x further epochs."""

    def __init__(self, configurations: Sequence[Configuration], work: Work | None) -> None:
        indices = np.linspace(0, len(configurations) - 1, min(len(configurations), MAX_COSTS))
        selected = [configurations[index] for index in indices.round().astype(int)]
        self._work = work
        settings = np.array([configuration.features for configuration in selected])
        self.features = self.encode_inputs(settings, [configuration.params for configuration in selected])
        firsts = np.log([max(configuration.first_cost(), MIN_SECONDS) for configuration in selected])
        rates = np.log([math.nan if rate is None else rate for rate in map(Configuration.rate, selected)])
        ratio = rates - firsts
        usual = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else 0.0
        self.targets: Array = np.stack([firsts, np.where(np.isfinite(ratio), rates, firsts + usual)], axis=1)
        self._trend: Trend | None = None

    def encode_inputs(self, features: Array, configurations: Sequence[Params]) -> Array:
        """Return the features of the settings [n, d], with the logs of their work if it is known."""
        if self._work is None:
            return features
        work = [
            [math.log(max(float(number), 1e-12)) for number in self._work(params)]
            for params in configurations
        ]
        return np.concatenate([features, np.array(work)], axis=1)

    def fit(self) -> Kernel:
        """Fit the kernel to the residuals of a straight line."""
        return surrogate.fit_kernel(self.features, Trend.compute_residuals(self.features, self.targets)[:, 0])

    def condition(self, kernel: Kernel) -> None:
        """Learn from all targets with this kernel; `predict` needs it."""
        self._trend = Trend(kernel, self.features, self.targets)

    def predict(
        self, configurations: Sequence[Configuration], features: Array, rungs: NDArray[np.int_]
    ) -> Array:
        """Predict device-seconds [m, rungs]: measured where there is a curve, beyond it by its own rate."""
        assert self._trend is not None
        predicted = self._trend.predict(
            self.encode_inputs(features, [configuration.params for configuration in configurations])
        )
        first, rate = np.exp(predicted[:, 0]), np.exp(predicted[:, 1])
        seconds: Array = first[:, None] + rate[:, None] * np.maximum(rungs - 1, 0)[None, :]
        for row, configuration in enumerate(configurations):
            if configuration.curve:
                epoch_seconds = configuration.rate() or configuration.first_cost() * rate[row] / first[row]
                seconds[row] = _extend_measured(configuration.curve, epoch_seconds, rungs)
        return np.maximum(seconds, MIN_SECONDS)


def _extend_measured(curve: Curve, rate: float, rungs: NDArray[np.int_]) -> Array:
    epochs, seconds = np.array([entry[0] for entry in curve]), np.array([entry[1] for entry in curve])
    measured = np.interp(rungs, epochs, seconds) * np.minimum(rungs / epochs[0], 1.0)
    extended: Array = measured + np.maximum(rungs - epochs[-1], 0) * rate
    return extended
