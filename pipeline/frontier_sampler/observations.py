"""Observations for the surrogates, bounded in number: errors along curves, and costs of epochs. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.acquisition import Reference, Staircase
from pipeline.frontier_sampler.encoding import Params
from pipeline.frontier_sampler.history import Configuration, Curve, Fidelity
from pipeline.frontier_sampler.surrogate import Kernel, Trend

Array = NDArray[np.float64]
Work = Callable[[Mapping[str, Any]], Sequence[float]]

LEAST_ERROR, LEAST_SECONDS = 1e-6, 1e-12
MOST_ROWS, MOST_FITTED, MOST_COSTS = 350, 150, 120
"""Rows that the posterior is conditioned on, that hyper-parameters are fitted to, and of the cost model."""
PRIOR_DECLINE, MOST_DECLINE = 0.4, 1.5


def error_floor(configurations: Sequence[Configuration]) -> float:
    """Half the least error that was seen above zero: what an accuracy of 1 may stand for."""
    errors = np.concatenate([1 - each.points[:, 2] for each in configurations])
    positive = errors[errors > 1e-9]
    least = float(positive.min()) if len(positive) else 2 * LEAST_ERROR
    return max(0.5 * least, LEAST_ERROR)


def plane(entries: Array, floor: float) -> Array:
    """(log cost, log error) of entries [n, 3]: [n, 2]."""
    costs = np.log(np.maximum(entries[:, 1], LEAST_SECONDS))
    return np.stack([costs, np.log(np.maximum(1 - entries[:, 2], floor))], axis=1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations: features [n, d + 1] (the last is log epoch), log errors [n], log costs [n]."""

    features: Array
    log_errors: Array
    log_costs: Array

    def take(self, places: NDArray[np.intp]) -> "Rows":
        return Rows(self.features[places], self.log_errors[places], self.log_costs[places])

    def flat(self, fall: float) -> Array:
        """Log errors without the decline that all curves share."""
        found: Array = self.log_errors + fall * self.features[:, -1]
        return found


def rows_of(configurations: Sequence[Configuration], fidelity: Fidelity, floor: float, most: int) -> Rows:
    """Every curve at the rungs and at its end; where that is too much the rows that matter most."""
    entries = np.concatenate([each.shown for each in configurations])
    settings = np.array([each.features for each in configurations])
    settings = np.repeat(settings, [len(each.shown) for each in configurations], axis=0)
    later = fidelity.scaled(np.maximum(entries[:, 0], 1))[:, None]
    points = plane(entries, floor)
    rows = Rows(np.concatenate([settings, later], axis=1), points[:, 1], points[:, 0])
    return rows if len(entries) <= most else rows.take(_bounded(regrets(points), most))


def regrets(points: Array) -> Array:
    """How far each point [n, 2] lies above the frontier of all, in log error."""
    stairs = Staircase(points, Reference.beyond(points[:, 0], points[:, 1]))
    found: Array = np.maximum(points[:, 1] - stairs.level(points[:, 0]), 0.0)
    return found


def _bounded(regret: Array, most: int) -> NDArray[np.intp]:
    """Most of them the nearest to the frontier, the others evenly from the rest."""
    order = np.argsort(regret, kind="stable")
    near = most * 3 // 5
    rest = np.sort(order[near:])
    spread = rest[np.linspace(0, len(rest) - 1, most - near).round().astype(int)]
    return np.sort(np.concatenate([order[:near], spread]))


def decline(configurations: Sequence[Configuration]) -> float:
    """How fast error falls: the slope b of log error = a - b log epoch, usual among the curves seen.

    A power law is what learning curves resemble (Viering and Loog 2023, doi 10.1109/TPAMI.2022.3220744);
    two curves of PRIOR_DECLINE are counted in.
    """
    slopes = [PRIOR_DECLINE] * 2
    for each in configurations:
        (start, _, before), (end, _, after) = each.curve[0], each.curve[-1]
        if each.fair and end > start and before < 1 and after < 1:
            slopes.append(math.log((1 - before) / (1 - after)) / math.log(end / start))
    return min(max(float(np.mean(slopes)), 0.0), MOST_DECLINE)


# ---- costs --------------------------------------------------------------------------------------------


class Costs:
    """Device-seconds of any configuration after any epoch: first epoch + rate x further epochs."""

    def __init__(self, configurations: Sequence[Configuration], work: Work | None) -> None:
        places = np.linspace(0, len(configurations) - 1, min(len(configurations), MOST_COSTS))
        told = [configurations[place] for place in places.round().astype(int)]
        self._work = work
        settings = np.array([each.features for each in told])
        self.features = self.inputs(settings, [each.params for each in told])
        firsts = np.log([max(each.first_cost(), LEAST_SECONDS) for each in told])
        rates = np.log([math.nan if rate is None else rate for rate in map(Configuration.rate, told)])
        ratio = rates - firsts
        usual = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else 0.0
        self.targets: Array = np.stack([firsts, np.where(np.isfinite(ratio), rates, firsts + usual)], axis=1)
        self._trend: Trend | None = None

    def inputs(self, features: Array, configurations: Sequence[Params]) -> Array:
        """Settings' features and the logs of their work, side by side."""
        if self._work is None:
            return features
        work = [[math.log(max(float(part), 1e-12)) for part in self._work(each)] for each in configurations]
        return np.concatenate([features, np.array(work)], axis=1)

    def fit(self, seed: int) -> Kernel:
        """Hyper-parameters for what a straight line leaves."""
        return surrogate.fit(self.features, Trend.rest(self.features, self.targets)[:, 0], seed)

    def believe(self, kernel: Kernel) -> None:
        self._trend = Trend(kernel, self.features, self.targets)

    def at(self, configurations: Sequence[Configuration], features: Array, rungs: NDArray[np.int_]) -> Array:
        """Device-seconds [m, rungs]: measured where a curve was, from there on by its own rate."""
        assert self._trend is not None
        predicted = self._trend.at(self.inputs(features, [each.params for each in configurations]))
        first, rate = np.exp(predicted[:, 0]), np.exp(predicted[:, 1])
        found: Array = first[:, None] + rate[:, None] * np.maximum(rungs - 1, 0)[None, :]
        for row, each in enumerate(configurations):
            if each.curve:
                own = each.rate() or each.first_cost() * rate[row] / first[row]
                found[row] = _measured(each.curve, own, rungs)
        return np.maximum(found, LEAST_SECONDS)


def _measured(curve: Curve, rate: float, rungs: NDArray[np.int_]) -> Array:
    epochs, seconds = np.array([entry[0] for entry in curve]), np.array([entry[1] for entry in curve])
    known = np.interp(rungs, epochs, seconds) * np.minimum(rungs / epochs[0], 1.0)
    found: Array = known + np.maximum(rungs - epochs[-1], 0) * rate
    return found
