"""What the trials showed of each configuration, and the longest curve among them. Pure."""

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.conditions import Shapes
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Params, make_key
from pipeline.frontier_sampler.relevance import LIMIT, ConfigurationTable

Array = NDArray[np.float64]
Curve = tuple[tuple[int, float, float], ...]


class TrialStatus(Enum):
    """How far a trial is; a failed one has no point."""

    finished = "finished"
    running = "running"
    failed = "failed"


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as plain values: `params` without the epochs; `target`: the epochs it was asked for, if any.

    `curve`: ((epoch, device-seconds so far, accuracy), ...), whole; () where nothing is known.
    `fair`: every epoch is a point (else the end alone). `constraints`: values by name, feasible up to 0.
    `ended`: it stopped before its target for good, as by `train.patience`. It has no slots, since it caches.
    """

    number: int
    params: Params
    status: TrialStatus
    curve: Curve = ()
    target: int | None = None
    fair: bool = True
    constraints: Mapping[str, float] = field(default_factory=dict)
    ended: bool = False

    @cached_property
    def key(self) -> Key:
        """Return what it has alike with other trials of its configuration."""
        return make_key(self.params)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Epochs of a trial: from `low` to `high`; `chosen`: whether the search may choose how many."""

    low: int
    high: int
    chosen: bool

    @property
    def rungs(self) -> tuple[int, ...]:
        """Return the epochs at which curves are modelled; where epochs are chosen, a trial may stop there."""
        return surrogate.make_ladder(self.low if self.chosen else 1, self.high)

    @property
    def span(self) -> float:
        """Return the log of `high`; 1 where there is only one epoch."""
        return math.log(self.high) if self.high > 1 else 1.0

    def scale(self, epochs: Sequence[int] | Array) -> Array:
        """Return the log of each number of epochs, scaled to 0..1; of the same shape."""
        scaled: Array = np.log(np.asarray(epochs, float)) / self.span
        return scaled


@dataclass(slots=True, kw_only=True)
class Configuration:
    """All trials of one configuration together, which `key` tells from others; `curve` is their longest.

    `first`: number of its first trial. `targets`: epochs that it was trained for where only ends count.
    `points` [n, 3]: the entries that count; `rung_points` [k, 3]: those of them at the rungs and at the end;
    `row`: its place in the table of its history.
    """

    key: Key
    params: Params
    first: int
    features: Array
    curve: Curve = ()
    fair: bool = True
    failed: bool = False
    constraints: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    targets: frozenset[int] = frozenset()  # empty ones are one object for all
    points: Array = field(default_factory=lambda: np.empty((0, 3)))
    rung_points: Array = field(default_factory=lambda: np.empty((0, 3)))
    curve_trial: int = -1
    early_stops: frozenset[int] = frozenset()
    row: int | None = None

    @property
    def feasible(self) -> bool:
        """Return whether it keeps to all constraints."""
        return all(value <= 0 for value in self.constraints.values())

    @property
    def reached(self) -> int:
        """Return the last epoch that any trial of it has reached; 0 for none."""
        return self.curve[-1][0] if self.curve else 0

    def add_trial(self, trial: TrialRecord, fidelity: Fidelity) -> None:
        """Add what one of its trials tells: how far it came, its points, whether it ended or failed."""
        self.first = min(self.first, trial.number)
        self.failed |= trial.status is TrialStatus.failed
        self.constraints.update(trial.constraints)
        self.ended |= trial.ended or self._stops_again(trial)
        if not trial.fair and trial.target is not None:
            self.targets |= {trial.target}
        if trial.curve and (trial.curve[-1][0], -trial.number) > (self.reached, -self.curve_trial):
            self.curve, self.fair, self.curve_trial = trial.curve, trial.fair, trial.number
            self.points = np.array(trial.curve if trial.fair else trial.curve[-1:], float)
            at_rungs = np.isin(self.points[:, 0], fidelity.rungs)
            at_rungs[-1] = True
            self.rung_points = self.points[at_rungs]

    def _stops_again(self, trial: TrialRecord) -> bool:
        """Return whether two trials stopped at one epoch before their targets: it will not go further."""
        end = trial.curve[-1][0] if trial.curve else 0
        if trial.status is not TrialStatus.finished or trial.target is None or end >= trial.target:
            return False
        repeated = end in self.early_stops
        self.early_stops |= {end}
        return repeated

    def can_continue(self, fidelity: Fidelity) -> bool:
        """Return whether training can continue where it was paused."""
        open_end = fidelity.chosen and 0 < self.reached < fidelity.high
        return open_end and self.fair and self.feasible and not self.failed and not self.ended

    def can_restart(self, fidelity: Fidelity) -> bool:
        """Return whether another number of epochs is another trial, as with a schedule that ends at zero."""
        sound = not self.fair and self.feasible and not self.failed
        return fidelity.chosen and sound and not set(fidelity.rungs) <= self.targets


class History:
    """Configurations by key, from trials in any order."""

    def __init__(self, space: EncodedSpace, fidelity: Fidelity) -> None:
        self.space, self.fidelity = space, fidelity
        self.configurations: dict[Key, Configuration] = {}
        self.trials: dict[int, TrialRecord] = {}
        self.numbers: list[int] = []
        """Of the trials, rising."""
        self._observed: ConfigurationTable[Configuration] = ConfigurationTable()
        self._constrained: dict[Key, Configuration] = {}
        self._encoded: Mapping[Key, Configuration] = {}
        self.shapes = Shapes()

    def add_trials(self, trials: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Add finished and failed trials, and return those that run; those known already are passed over."""
        running = []
        for trial in [trial for trial in trials if trial.number not in self.trials]:  # few of thousands
            if trial.status is TrialStatus.running:
                running.append(trial)
                continue
            self.trials[trial.number] = trial
            insort(self.numbers, trial.number)
            self._add_to_configuration(trial)
        return running

    def _add_to_configuration(self, trial: TrialRecord) -> None:
        self.shapes.add(trial.key, trial.number, is_whole=trial.status is TrialStatus.finished)
        configuration = self.find_configuration(trial)
        configuration.add_trial(trial, self.fidelity)
        if configuration.curve:
            self._observed.update(configuration, configuration.can_continue(self.fidelity))
        if configuration.constraints:
            self._constrained[trial.key] = configuration

    def find_configuration(self, trial: TrialRecord) -> Configuration:
        """Find the configuration of a trial, or add it where it is new."""
        key = trial.key
        if key not in self.configurations:
            encoded = self._encoded.get(key)
            features = encoded.features if encoded else self.space.encode_features([trial.params])[0]
            self.configurations[key] = Configuration(
                key=key, params=trial.params, first=trial.number, features=features
            )
        return self.configurations[key]

    @property
    def observed_count(self) -> int:
        """Return how many configurations have a curve."""
        return len(self._observed)

    @property
    def paid_seconds(self) -> float:
        """Return the device-seconds of all curves."""
        return self._observed.sum_costs()

    def list_observed(self) -> list[Configuration]:
        """List the configurations with a curve, in the order of their first trials."""
        return self._observed.list_all()

    def list_relevant(self) -> list[Configuration]:
        """List the observed configurations that matter, all where they are few: see `relevance`."""
        return self.list_observed() if self.observed_count <= LIMIT else self._observed.select_relevant()

    def list_constrained(self) -> list[Configuration]:
        """List the relevant configurations, and those with constraint values, also where they failed.

        Of many those with values are kept whose largest one is nearest to its limit; where no trial had any,
        there is nothing to learn from: the list is empty.
        """
        if not self._constrained:
            return []
        rows = {id(row): row for row in self.list_relevant()}
        nearest = sorted(self._constrained.values(), key=_measure_distance)
        rows |= {id(row): row for row in nearest[:LIMIT]}
        return sorted(rows.values(), key=lambda configuration: configuration.first)

    def select_trials(self, numbers: Iterable[int]) -> "History":
        """Return the history of those trials alone."""
        selection = History(self.space, self.fidelity)
        selection._encoded = self.configurations
        selection.add_trials(self.trials[number] for number in numbers)
        return selection


def _measure_distance(configuration: Configuration) -> tuple[float, int]:
    """Return how far the largest constraint value is from its limit; of equal ones the first is nearer."""
    return abs(max(configuration.constraints.values())), configuration.first
