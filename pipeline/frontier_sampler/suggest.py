"""Which configuration to train next and for how many epochs. Pure: trials in, a proposal out.

New configurations and continuations of paused ones compete: the one whose further curve is expected to add
most area to the frontier (log device-seconds x log error) per extra device-second is proposed. The same
trials, number and seed give the same proposal in any process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc  # type: ignore[import-untyped]

from pipeline.frontier_sampler.encoding import Key, Params, Space, key_of
from pipeline.frontier_sampler.forecast import Field, Kernels, Outlook, fitted
from pipeline.frontier_sampler.history import Configuration, Fidelity, Memory, State, Told
from pipeline.frontier_sampler.observations import Work

Array = NDArray[np.float64]

FRESH, MOVED, PAUSED, LISTED = 128, 96, 64, 512
"""Candidates at a time: quasi-random ones, small moves from good ones, paused ones; and of a list."""
SOBOL = 2**16
MOVE = 0.12
REFIT = 12
FIRST_TARGETS = (1, 1, 2)
"""Epochs of the quasi-random trials, in turn."""
GROWTH = 2.0
"""A proposal goes at most so many times as far as the configuration was trained: what is learned on the way
may say that the rest is not worth its cost."""
BOLD = (-4.0, -2.5)
"""Deviations to look at where nothing seems to improve the frontier."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`epochs`: how far to train, counted from the start; None where that is not to be chosen.

    `exhausted`: nothing new was left, this repeats a finished configuration.
    """

    params: dict[str, Any]
    epochs: int | None
    exhausted: bool = False


class Proposer:
    """Proposals for one space; keeps what can be kept between calls, and nothing that changes an answer."""

    def __init__(
        self,
        space: Space,
        fidelity: Fidelity,
        *,
        seed: int = 0,
        startup_trials: int = 8,
        work: Work | None = None,
        listed: Sequence[Params] | None = None,
        study: str = "",
    ) -> None:
        """`listed`: the only configurations that may be proposed; None: any of the space.

        `study`: a name for whom it is that is asking.
        """
        self.space, self.fidelity, self.work, self.study = space, fidelity, work, study
        self._seed, self._startup = seed, startup_trials
        self._memory = Memory(space, fidelity)
        self._kernels: tuple[tuple[int, ...], Kernels] | None = None
        self._listed = None if listed is None else [dict(params) for params in listed]
        self._listed_keys = [key_of(params) for params in listed or ()]
        self._listed_features = space.features(self._listed or [])

    # ---- the choice -------------------------------------------------------------------------------------

    def propose(self, trials: Sequence[Told], number: int) -> Proposal:
        """For trial `number`, given all others."""
        self._memory.learn(trials)
        running = [told for told in trials if told.state is State.running]
        busy = {key_of(told.params) for told in running}
        teaching = self._memory.teaching()
        found = None
        if len(teaching) < self._startup:
            found = self._quasi_random(number, busy)
        if found is None and len(teaching) >= 2:
            found = self._best(running, busy, number)
        return found or self._anything(number, busy)

    def _best(self, running: Sequence[Told], busy: set[Key], number: int) -> Proposal | None:
        outlook = Outlook(self._memory, running, self._fit(), self.work)
        candidates = self._candidates(outlook, busy, number)
        if not candidates:
            return None
        field = outlook.field(candidates)
        gains = outlook.gains(field)
        if self._listed is None and (near := self._moves(field, gains, busy, number)):
            nearer = outlook.field(near)
            better = outlook.gains(nearer)
            if better.max() > gains.max():
                field, gains = nearer, better
        if not gains.max() > 0:
            gains = outlook.gains(field, BOLD)
        if not gains.max() > 0:  # nothing is believed to help: learn most a second
            gains = np.where(field.allowed, field.deviation, 0.0) / field.extra
        if not gains.max() > 0:
            return None
        row, rung = divmod(int(gains.argmax()), gains.shape[1])
        params = dict(field.candidates[row].params)
        if not self.fidelity.chosen:
            return Proposal(params, None)
        target = int(outlook.rungs[rung])
        return Proposal(params, self._next(target, int(field.reached[row])) if field.fair[row] else target)

    def _next(self, target: int, reached: int) -> int:
        """The target, or a rung before it (see GROWTH)."""
        most = reached * GROWTH if reached else self.fidelity.low
        ahead = [rung for rung in self.fidelity.rungs if rung > reached]
        return max((rung for rung in ahead if rung <= min(target, most)), default=ahead[0])

    def _fit(self) -> Kernels:
        """Fitted to the first trials up to a round number, so that every process comes to the same."""
        numbers = tuple(sorted(self._memory.trials))
        key = numbers[: _refit_at(len(numbers), self._startup)]
        if self._kernels is None or self._kernels[0] != key:
            first = self._memory.only(key)
            if len(first.teaching()) < 2:  # failures came first
                first = self._memory
            self._kernels = key if first is not self._memory else (), fitted(first, self.work, self._seed)
        return self._kernels[1]

    # ---- candidates -------------------------------------------------------------------------------------

    def _candidates(self, outlook: Outlook, busy: set[Key], number: int) -> list[Configuration]:
        paused = [each for each in outlook.nearest if each.may_go_on(self.fidelity)]
        paused = [each for each in paused if key_of(each.params) not in busy][:PAUSED]
        if self._listed is not None:
            return paused + self._of_list(busy, number)
        random = self._random(number)
        units = list(qmc.Sobol(self.space.dimensions, seed=self._random(number, 4)).random(FRESH))
        good = [self.space.encode(each.params) for each in outlook.nearest[:12]]
        for place in range(MOVED if good else 0):
            units.append(_moved(good[place % len(good)], random, MOVE * (0.3 + place / MOVED)))
        return paused + self._fresh([self.space.decode(unit) for unit in units], busy, number)

    def _of_list(self, busy: set[Key], number: int) -> list[Configuration]:
        assert self._listed is not None
        free = [place for place, key in enumerate(self._listed_keys) if self._is_new(key, busy)]
        if len(free) > LISTED:
            free = sorted(self._random(number).choice(free, LISTED, replace=False).tolist())
        return [self._start(self._listed[place], self._listed_features[place], number) for place in free]

    def _fresh(self, proposed: Sequence[Params], busy: set[Key], number: int) -> list[Configuration]:
        """Those never tried, each once."""
        new = {key_of(params): params for params in reversed(proposed)}
        found = [params for key, params in reversed(new.items()) if self._is_new(key, busy)]
        features = self.space.features(found)
        return [self._start(params, row, number) for params, row in zip(found, features, strict=True)]

    def _is_new(self, key: Key, busy: set[Key]) -> bool:
        known = self._memory.configurations.get(key)
        return key not in busy and (known is None or known.may_start_again(self.fidelity))

    def _start(self, params: Params, features: Array, number: int) -> Configuration:
        """From its first epoch; what it was trained for before, if anything, is not to be repeated."""
        known = self._memory.configurations.get(key_of(params))
        if known is None:
            return Configuration(params, number, features)
        return Configuration(params, number, features, fair=known.fair, targets=known.targets)

    def _moves(self, field: Field, gains: Array, busy: set[Key], number: int) -> list[Configuration]:
        """Small moves from the best candidates so far."""
        random = self._random(number, 1)
        units = [
            _moved(self.space.encode(field.candidates[row].params), random, MOVE / 3 * (1 + turn % 3))
            for row in np.argsort(-gains.max(1), kind="stable")[:5]
            for turn in range(8)
        ]
        return self._fresh([self.space.decode(unit) for unit in units], busy, number)

    # ---- before anything is known, and after all is -----------------------------------------------------

    def _quasi_random(self, number: int, busy: set[Key]) -> Proposal | None:
        """The trial's own Sobol point, or the next that was not tried."""
        place = number % SOBOL
        unit = qmc.Sobol(self.space.dimensions, seed=self._seed).random_base2(place.bit_length())[place]
        epochs = first_target(self.fidelity, number) if self.fidelity.chosen else None
        if self._listed is not None:
            features = self.space.features([self.space.decode(unit)])
            apart = ((self._listed_features - features) ** 2).sum(1)
            order = np.argsort(apart, kind="stable")
            near = (at for at in order if self._untried(self._listed_keys[at], busy))
            at = next(near, None)
            return None if at is None else Proposal(dict(self._listed[at]), epochs)
        units = [unit, *self._random(number, 5).random((64, self.space.dimensions))]
        proposed = (self.space.decode(each) for each in units)
        new = next((params for params in proposed if self._untried(key_of(params), busy)), None)
        return None if new is None else Proposal(new, epochs)

    def _untried(self, key: Key, busy: set[Key]) -> bool:
        return key not in busy and key not in self._memory.configurations

    def _anything(self, number: int, busy: set[Key]) -> Proposal:
        """Something new where there is any, by looking further; else a repetition, which says so."""
        fidelity, random = self.fidelity, self._random(number, 2)
        low, high = (fidelity.low, fidelity.high) if fidelity.chosen else (None, None)
        proposed = self._listed
        if proposed is None:
            proposed = [self.space.decode(unit) for unit in random.random((2048, self.space.dimensions))]
        for params in proposed:
            if self._untried(key_of(params), busy):
                return Proposal(dict(params), low)
        for each in self._memory.teaching():
            if each.may_go_on(fidelity) and key_of(each.params) not in busy:
                return Proposal(dict(each.params), high)
        return Proposal(dict(proposed[number % len(proposed)]), high, exhausted=True)

    def _random(self, number: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, stream])


def first_target(fidelity: Fidelity, number: int) -> int:
    """How far the quasi-random trial `number` goes."""
    wanted = FIRST_TARGETS[number % len(FIRST_TARGETS)] * fidelity.low
    return min(fidelity.rungs, key=lambda rung: abs(rung - wanted))


def _refit_at(count: int, startup: int) -> int:
    """The last count at which hyper-parameters are fitted: every 12 trials, later every fifth more."""
    at = max(min(startup, count), 2)
    following = at
    while following <= count:
        at = following
        following = at + max(REFIT if at > startup else REFIT // 2, at // 5)
    return at


def _moved(unit: Array, random: np.random.Generator, size: float) -> Array:
    """A small move in some coordinates; now and then one starts anew, so that choices change, too."""
    which = random.random(len(unit)) < max(0.5, 1.0 / len(unit))
    moved = unit + which * random.normal(0.0, size, len(unit))
    anew = random.random(len(unit)) < 0.5 / len(unit)
    moved = np.where(anew, random.random(len(unit)), moved)
    return np.clip(np.where(moved < 0, -moved, np.where(moved > 1, 2 - moved, moved)), 0.0, 1.0)
