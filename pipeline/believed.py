"""What is known of each configuration, and what its curve is believed to cost. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import surrogate
from pipeline.space import Key, Params, Space, key_of
from pipeline.surrogate import Kernel, Trend

Array = NDArray[np.float64]
Curve = tuple[tuple[int, float, float], ...]
Work = Callable[[Mapping[str, Any]], Sequence[float]]

LEAST_ERROR = 1e-6
MOST_ROWS = 350
"""Observations that the posterior is conditioned on, and that hyper-parameters are fitted to."""
MOST_FITTED = 150
MOST_COSTS = 120
PRIOR_DECLINE, MOST_DECLINE = 0.4, 1.5


class State(Enum):
    finished = "finished"
    running = "running"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """One trial: `params` without the epochs; `target`: the epochs that it was asked for, if any.

    `curve`: ((epoch, device-seconds so far, accuracy), ...), whole; () where nothing is known.
    `fair`: every epoch is a point (else the end alone).
    """

    number: int
    params: Params
    state: State
    curve: Curve = ()
    target: int | None = None
    fair: bool = True


@dataclass(slots=True)
class Configuration:
    """All trials of one configuration together; `curve` is the longest of theirs."""

    params: Params
    first: int
    features: Array
    curve: Curve = ()
    fair: bool = True
    failed: bool = False
    targets: set[int] = field(default_factory=set)

    @property
    def reached(self) -> int:
        return self.curve[-1][0] if self.curve else 0

    def points(self) -> Curve:
        """The entries that count."""
        return self.curve if self.fair else self.curve[-1:]

    def first_cost(self) -> float:
        """Device-seconds of the first epoch, or of an average one where the curve starts later."""
        epoch, seconds, _ = self.curve[0]
        return seconds / epoch

    def rate(self) -> float | None:
        """Device-seconds of each further epoch; None where one entry tells nothing of it."""
        (start, early, _), (end, late, _) = self.curve[0], self.curve[-1]
        if end > start:
            return max((late - early) / (end - start), 1e-3 * late / end)
        return early / start if start > 1 else None


class Memory:
    """Configurations by key, from trials in any order."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.configurations: dict[Key, Configuration] = {}
        self._known: set[int] = set()

    def learn(self, trials: Iterable[Told]) -> None:
        """Add finished and failed trials; those known already are passed over."""
        for told in trials:
            if told.number not in self._known and told.state is not State.running:
                self._known.add(told.number)
                self._add(told)

    def _add(self, told: Told) -> None:
        key = key_of(told.params)
        found = self.configurations.get(key)
        if found is None:
            found = Configuration(told.params, told.number, self.space.features([told.params])[0])
            self.configurations[key] = found
        found.first = min(found.first, told.number)
        found.failed |= told.state is State.failed
        if told.target is not None:
            found.targets.add(told.target)
        if told.curve and (not found.curve or told.curve[-1][0] > found.reached):
            found.curve, found.fair = told.curve, told.fair

    def teaching(self) -> list[Configuration]:
        """Those with a curve, in the order of their first trials."""
        return sorted(
            (each for each in self.configurations.values() if each.curve), key=lambda each: each.first
        )


# ---- observations -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Epochs of a trial: from `low` to `high`; `chosen`: whether the search may choose how many."""

    low: int
    high: int
    chosen: bool

    @property
    def rungs(self) -> tuple[int, ...]:
        """Where curves are looked at; with a choice also where a trial may stop."""
        return surrogate.ladder(self.low if self.chosen else 1, self.high)

    def scaled(self, epochs: Sequence[int] | Array) -> Array:
        """The log of each, 0..1."""
        found: Array = np.log(np.asarray(epochs, float)) / max(math.log(self.high), 1e-9)
        return found


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations: features [n, d + 1] (the last is log epoch), log errors [n], log costs [n]."""

    features: Array
    log_errors: Array
    log_costs: Array

    def take(self, places: Array) -> "Rows":
        return Rows(self.features[places], self.log_errors[places], self.log_costs[places])


def error_floor(configurations: Iterable[Configuration]) -> float:
    """Half the least error that was seen above zero: what an accuracy of 1 may stand for."""
    errors = (1 - accuracy for each in configurations for _, _, accuracy in each.points())
    return max(0.5 * min((error for error in errors if error > 1e-9), default=2 * LEAST_ERROR), LEAST_ERROR)


def rows_of(configurations: Sequence[Configuration], fidelity: Fidelity, floor: float) -> Rows:
    """Every curve at the rungs and at its end."""
    wanted = set(fidelity.rungs)
    entries, whose = [], []
    for each in configurations:
        kept = [entry for entry in each.points() if entry[0] in wanted or entry[0] == each.reached]
        entries += kept
        whose += [each.features] * len(kept)
    table = np.array(entries, float).reshape(-1, 3)
    settings = np.array(whose).reshape(len(entries), -1)
    features = np.concatenate([settings, fidelity.scaled(np.maximum(table[:, 0], 1))[:, None]], axis=1)
    return Rows(features, np.log(np.maximum(1 - table[:, 2], floor)), np.log(np.maximum(table[:, 1], 1e-12)))


def decline(configurations: Sequence[Configuration]) -> float:
    """How fast error falls: the slope b of log error = a - b log epoch, usual among the curves seen.

    A power law is what learning curves resemble at first (Viering and Loog 2023, doi 10.1109/TPAMI.2022.3220744);
    two curves of PRIOR_DECLINE are counted in.
    """
    slopes = [PRIOR_DECLINE] * 2
    for each in configurations:
        (start, _, before), (end, _, after) = each.curve[0], each.curve[-1]
        if each.fair and end > start and before < 1 and after < 1:
            slopes.append(math.log((1 - before) / (1 - after)) / math.log(end / start))
    return min(max(float(np.mean(slopes)), 0.0), MOST_DECLINE)


def bounded(rows: Rows, regret: Array, most: int) -> Rows:
    """At most `most` rows: most of them the nearest to the frontier, the others evenly from the rest."""
    if len(regret) <= most:
        return rows
    order = np.argsort(regret, kind="stable")
    near = most * 3 // 5
    rest = np.sort(order[near:])
    spread = rest[np.linspace(0, len(rest) - 1, most - near).round().astype(int)]
    return rows.take(np.sort(np.concatenate([order[:near], spread])))


# ---- costs --------------------------------------------------------------------------------------------


class Costs:
    """Device-seconds of any configuration after any epoch: first epoch + rate x further epochs."""

    def __init__(self, configurations: Sequence[Configuration], work: Work | None) -> None:
        places = np.linspace(0, len(configurations) - 1, min(len(configurations), MOST_COSTS))
        told = [configurations[place] for place in places.round().astype(int)]
        self._work = work
        self.features = self.inputs(
            np.array([each.features for each in told]), [each.params for each in told]
        )
        firsts = np.log([each.first_cost() for each in told])
        rates = np.log([math.nan if rate is None else rate for rate in map(Configuration.rate, told)])
        ratio = rates - firsts
        usual = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else 0.0
        self.targets = np.stack([firsts, np.where(np.isfinite(ratio), rates, firsts + usual)], axis=1)
        self._trend: Trend | None = None

    def inputs(self, features: Array, configurations: Sequence[Params]) -> Array:
        """Settings' features and the logs of their work, side by side."""
        if self._work is None:
            return features
        work = [[math.log(max(float(part), 1e-12)) for part in self._work(each)] for each in configurations]
        return np.concatenate([features, np.array(work)], axis=1)

    def believe(self, kernel: Kernel) -> None:
        self._trend = Trend(kernel, self.features, self.targets)

    def predicted(self, inputs: Array) -> Array:
        """Log seconds of the first and of each further epoch [m, 2]."""
        assert self._trend is not None
        return self._trend.at(inputs)

    def fit(self, seed: int) -> Kernel:
        rest = Trend.rest(self.features, self.targets)[:, 0]
        return surrogate.fit(self.features, rest, seed)


def believed_costs(
    predicted: Array, curves: Sequence[Curve | None], rates: Sequence[float | None], rungs: Array
) -> Array:
    """Device-seconds [m, rungs]: measured where a curve was, from there on by its own rate."""
    first, rate = np.exp(predicted[:, 0]), np.exp(predicted[:, 1])
    found: Array = first[:, None] + rate[:, None] * np.maximum(rungs - 1, 0)[None, :]
    for row, (curve, own) in enumerate(zip(curves, rates, strict=True)):
        if curve:
            found[row] = _measured(curve, own or curve[0][1] / curve[0][0] * rate[row] / first[row], rungs)
    return found


def _measured(curve: Curve, rate: float, rungs: Array) -> Array:
    epochs, seconds = np.array([entry[0] for entry in curve]), np.array([entry[1] for entry in curve])
    known = np.interp(rungs, epochs, seconds)
    early = np.minimum(rungs / epochs[0], 1.0)
    found: Array = known * early + np.maximum(rungs - epochs[-1], 0) * rate
    return found
