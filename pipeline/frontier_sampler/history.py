"""What is known of each configuration: its trials together, and the curve that they told. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.encoding import Key, Params, Space, key_of

Array = NDArray[np.float64]
Curve = tuple[tuple[int, float, float], ...]


class State(Enum):
    finished = "finished"
    running = "running"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """One trial: `params` without the epochs; `target`: the epochs that it was asked for, if any.

    `curve`: ((epoch, device-seconds so far, accuracy), ...), whole; () where nothing is known.
    `fair`: every epoch is a point (else the end alone). `feasible`: it keeps to the study's constraints.
    `ended`: it stopped before its target for good, as by `train.patience`.
    """

    number: int
    params: Params
    state: State
    curve: Curve = ()
    target: int | None = None
    fair: bool = True
    feasible: bool = True
    ended: bool = False


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

    @property
    def span(self) -> float:
        """The log of `high`; 1 where there is but one epoch."""
        return math.log(self.high) if self.high > 1 else 1.0

    def scaled(self, epochs: Sequence[int] | Array) -> Array:
        """The log of each, 0..1."""
        found: Array = np.log(np.asarray(epochs, float)) / self.span
        return found


@dataclass(slots=True)
class Configuration:
    """All trials of one configuration together; `curve` is the longest of theirs.

    `first`: number of its first trial. `targets`: epochs that it was trained for where only ends count.
    `points` [n, 3]: the entries that count; `shown` [k, 3]: those of them at the rungs and at the end.
    """

    params: Params
    first: int
    features: Array
    curve: Curve = ()
    fair: bool = True
    failed: bool = False
    feasible: bool = True
    ended: bool = False
    targets: set[int] = field(default_factory=set)
    points: Array = field(default_factory=lambda: np.empty((0, 3)))
    shown: Array = field(default_factory=lambda: np.empty((0, 3)))
    teacher: int = -1
    halts: set[int] = field(default_factory=set)

    @property
    def reached(self) -> int:
        return self.curve[-1][0] if self.curve else 0

    def learn(self, told: Told, fidelity: Fidelity) -> None:
        self.first = min(self.first, told.number)
        self.failed |= told.state is State.failed
        self.feasible &= told.feasible
        self.ended |= told.ended or self._halts_again(told)
        if not told.fair and told.target is not None:
            self.targets.add(told.target)
        if told.curve and (told.curve[-1][0], -told.number) > (self.reached, -self.teacher):
            self.curve, self.fair, self.teacher = told.curve, told.fair, told.number
            self.points = np.array(told.curve if told.fair else told.curve[-1:], float)
            wanted = np.isin(self.points[:, 0], fidelity.rungs)
            wanted[-1] = True
            self.shown = self.points[wanted]

    def _halts_again(self, told: Told) -> bool:
        """Whether two trials stopped at one epoch before their targets: it will not go further."""
        end = told.curve[-1][0] if told.curve else 0
        if told.state is not State.finished or told.target is None or end >= told.target:
            return False
        again = end in self.halts
        self.halts.add(end)
        return again

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

    def may_go_on(self, fidelity: Fidelity) -> bool:
        """Whether it was left before its last epoch, and can be taken up there."""
        open_end = fidelity.chosen and 0 < self.reached < fidelity.high
        return open_end and self.fair and self.feasible and not self.failed and not self.ended

    def may_start_again(self, fidelity: Fidelity) -> bool:
        """Whether another number of epochs is another trial, as with a schedule that ends at zero."""
        sound = not self.fair and self.feasible and not self.failed
        return fidelity.chosen and sound and not set(fidelity.rungs) <= self.targets


class Memory:
    """Configurations by key, from trials in any order."""

    def __init__(self, space: Space, fidelity: Fidelity) -> None:
        self.space, self.fidelity = space, fidelity
        self.configurations: dict[Key, Configuration] = {}
        self.trials: dict[int, Told] = {}

    def learn(self, trials: Iterable[Told]) -> None:
        """Add finished and failed trials; those known already are passed over."""
        for told in trials:
            if told.number not in self.trials and told.state is not State.running:
                self.trials[told.number] = told
                self.find(told).learn(told, self.fidelity)

    def find(self, told: Told) -> Configuration:
        """The configuration of a trial, made where it is new."""
        key = key_of(told.params)
        if key not in self.configurations:
            features = self.space.features([told.params])[0]
            self.configurations[key] = Configuration(told.params, told.number, features)
        return self.configurations[key]

    def teaching(self) -> list[Configuration]:
        """Those with a curve, in the order of their first trials."""
        found = (each for each in self.configurations.values() if each.curve)
        return sorted(found, key=lambda each: each.first)

    def only(self, numbers: Iterable[int]) -> "Memory":
        """What those trials alone tell."""
        found = Memory(self.space, self.fidelity)
        found.learn(self.trials[number] for number in numbers)
        return found
