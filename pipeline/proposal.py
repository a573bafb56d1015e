"""Which configuration to train next and for how many epochs. Pure: trials in, a proposal out.

New configurations and continuations of paused ones compete: the one whose further curve is expected to add
most area to the frontier (log device-seconds x log error) per extra device-second is proposed. The same
trials, number and seed give the same proposal in any process.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc  # type: ignore[import-untyped]

from pipeline import acquisition, believed, surrogate
from pipeline.acquisition import Reference, Staircase
from pipeline.believed import Configuration, Costs, Fidelity, Memory, Rows, State, Told, Work
from pipeline.space import Key, Params, Space, key_of
from pipeline.surrogate import Kernel, Posterior

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pool = Callable[[], Sequence[Params]]

FRESH = 128
"""Quasi-random configurations looked at a time, and small moves from good ones beside them."""
MOVED = 96
PAUSED = 64
LISTED = 512
SOBOL = 2**16
MOVE = 0.12
REFIT = 12
FIRST_TARGETS = (1, 1, 2)
"""Epochs of the quasi-random trials, in turn: most are cheap, some show how curves go on."""
GROWTH = 2.0
BOLD = (-4.0, -2.5)
"""Deviations to look at where nothing seems to improve the frontier."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """`epochs`: how far to train, counted from the start; None where that is not to be chosen."""

    params: dict[str, Any]
    epochs: int | None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """Candidates and what is believed of them; [m] or [m, rungs]. `base`: device-seconds paid already."""

    params: list[Params]
    features: Array
    reached: Array
    base: Array
    fair: Flags
    allowed: Flags
    costs: Array
    mean: Array
    deviation: Array


@dataclass(frozen=True, slots=True)
class Kernels:
    errors: Kernel
    costs: Kernel


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
        self._memory = Memory(space)
        self._kernels: dict[tuple[int, ...], Kernels] = {}
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
        if len(teaching) < self._startup:
            found = self._quasi_random(number, busy)
            if found is not None:
                return found
            if len(teaching) < 2:
                return self._anything(number, busy)
        return self._best(teaching, running, busy, number) or self._anything(number, busy)

    def _best(
        self, teaching: Sequence[Configuration], running: Sequence[Told], busy: set[Key], number: int
    ) -> Proposal | None:
        view = self._view(teaching, running)
        candidates = self._candidates(view, busy, number)
        if not candidates:
            return None
        field = view.field(candidates)
        gains = view.gains(field, acquisition.NODES)
        if self._listed is None:
            near = self._moves(field, gains, busy, number)
            if near:
                more = view.field(near)
                best, best_more = gains.max(), view.gains(more, acquisition.NODES)
                if best_more.max() > best:
                    field, gains = more, best_more
        if not gains.max() > 0:
            gains = view.gains(field, BOLD)
        if not gains.max() > 0:
            gains = np.where(field.allowed, field.deviation.max(1)[:, None] + 0 * gains, 0.0) / _extra(field)
        if not gains.max() > 0:
            return None
        row, rung = np.unravel_index(int(gains.argmax()), gains.shape)
        if not self.fidelity.chosen:
            return Proposal(dict(field.params[row]), None)
        return Proposal(dict(field.params[row]), self._next(view.rungs[rung], int(field.reached[row])))

    def _next(self, target: int, reached: int) -> int:
        """The target, or a rung before it: what was learned on the way may say that it is not worth the rest."""
        most = max(reached, self.fidelity.low) * GROWTH if reached else self.fidelity.low
        below = [rung for rung in self.fidelity.rungs if reached < rung <= min(target, most)]
        return below[-1] if below else next(rung for rung in self.fidelity.rungs if rung > reached)

    # ---- candidates -------------------------------------------------------------------------------------

    def _candidates(self, view: "View", busy: set[Key], number: int) -> list[Configuration]:
        known = self._memory.configurations
        found = self._continuations(view, busy)
        if self._listed is not None:
            free = [
                place
                for place, key in enumerate(self._listed_keys)
                if key not in busy and (key not in known or self._again(known[key]))
            ]
            if len(free) > LISTED:
                free = sorted(self._random(number).choice(free, LISTED, replace=False).tolist())
            return found + [
                Configuration(self._listed[place], number, self._listed_features[place]) for place in free
            ]
        units = self._sobol(FRESH, number)
        good = sorted(view.teaching, key=view.regret)[:12]
        random = self._random(number)
        units += [
            _moved(self.space.encode(good[place % len(good)].params), random, MOVE * (0.3 + place / MOVED))
            for place in range(MOVED)
        ]
        return found + self._fresh([self.space.decode(unit) for unit in units], busy, number)

    def _fresh(self, proposed: Sequence[Params], busy: set[Key], number: int) -> list[Configuration]:
        """Those never tried, each once."""
        known, seen, found = self._memory.configurations, set(busy), []
        for params in proposed:
            key = key_of(params)
            if key not in seen and (key not in known or self._again(known[key])):
                seen.add(key)
                found.append(params)
        features = self.space.features(found)
        return [Configuration(params, number, row) for params, row in zip(found, features, strict=True)]

    def _again(self, configuration: Configuration) -> bool:
        """Whether a configuration may be trained anew, for another number of epochs."""
        known = configuration
        return (
            self.fidelity.chosen
            and not known.failed
            and not known.fair
            and known.reached < self.fidelity.high
        )

    def _continuations(self, view: "View", busy: set[Key]) -> list[Configuration]:
        """Paused ones, those nearest to the frontier."""
        if not self.fidelity.chosen:
            return []
        found = [
            each
            for key, each in self._memory.configurations.items()
            if each.curve
            and each.fair
            and not each.failed
            and key not in busy
            and each.reached < self.fidelity.high
        ]
        return sorted(found, key=lambda each: (view.regret(each), each.first))[:PAUSED]

    def _moves(self, field: Field, gains: Array, busy: set[Key], number: int) -> list[Configuration]:
        """Small moves from the best candidates so far."""
        random = self._random(number, 1)
        order = np.argsort(-gains.max(1), kind="stable")[:5]
        units = [
            _moved(self.space.encode(field.params[row]), random, MOVE / 3 * (1 + turn % 3))
            for row in order
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
            for place in np.argsort(apart, kind="stable"):
                key = self._listed_keys[place]
                if key not in busy and key not in self._memory.configurations:
                    return Proposal(dict(self._listed[place]), epochs)
            return None
        tries = [unit, *qmc.Sobol(self.space.dimensions, seed=self._seed + 1 + number).random(64)]
        fresh = self._fresh([self.space.decode(each) for each in tries], busy, number)
        return Proposal(dict(fresh[0].params), epochs) if fresh else None

    def _anything(self, number: int, busy: set[Key]) -> Proposal:
        """Something new where there is any, by looking further; else a repetition, which says so."""
        if self._listed is None:
            units = self._random(number, 2).random((2048, self.space.dimensions))
            fresh = self._fresh([self.space.decode(unit) for unit in units], busy, number)
            if fresh:
                low = self.fidelity.low if self.fidelity.chosen else None
                return Proposal(dict(fresh[0].params), low)
        else:
            for params, key in zip(self._listed, self._listed_keys, strict=True):
                if key not in busy and key not in self._memory.configurations:
                    return Proposal(dict(params), self.fidelity.low if self.fidelity.chosen else None)
        for key, each in self._memory.configurations.items():
            unfinished = each.curve and each.fair and not each.failed and each.reached < self.fidelity.high
            if self.fidelity.chosen and unfinished and key not in busy:
                return Proposal(dict(each.params), self.fidelity.high)
        unit = self._random(number, 3).random(self.space.dimensions)
        params = (
            self.space.decode(unit)
            if self._listed is None
            else dict(self._listed[number % len(self._listed)])
        )
        return Proposal(params, self.fidelity.high if self.fidelity.chosen else None, exhausted=True)

    def _sobol(self, count: int, number: int) -> list[Array]:
        return list(qmc.Sobol(self.space.dimensions, seed=self._random(number, 4)).random(count))

    def _random(self, number: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, stream])

    # ---- beliefs ----------------------------------------------------------------------------------------

    def _view(self, teaching: Sequence[Configuration], running: Sequence[Told]) -> "View":
        floor = believed.error_floor(teaching)
        rows = believed.rows_of(teaching, self.fidelity, floor)
        costs = Costs(teaching, self.work)
        kernels = self._kernels_for(teaching)
        costs.believe(kernels.costs)
        return View(self, teaching, running, rows, costs, kernels.errors, floor)

    def _kernels_for(self, teaching: Sequence[Configuration]) -> Kernels:
        """Fitted to the first trials up to a round number, so that every process comes to the same."""
        count = _refit_at(len(teaching), self._startup)
        first = teaching[:count]
        key = tuple(each.first for each in first)
        if key not in self._kernels:
            floor = believed.error_floor(first)
            rows = believed.rows_of(first, self.fidelity, floor)
            rows = believed.bounded(rows, _regrets(rows), believed.MOST_FITTED)
            own = Costs(first, self.work)
            fall = believed.decline(first) * math.log(max(self.fidelity.high, 2))
            flat = rows.log_errors + fall * rows.features[:, -1]
            self._kernels = {
                key: Kernels(
                    surrogate.fit(rows.features, flat, self._seed, surrogate.EPOCH_LENGTHS),
                    own.fit(self._seed),
                )
            }
        return self._kernels[key]


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


def _regrets(rows: Rows) -> Array:
    """How far each row lies above the frontier of all, in log error."""
    stairs = Staircase(
        zip(rows.log_costs.tolist(), rows.log_errors.tolist(), strict=True),
        Reference.beyond(rows.log_costs.tolist(), rows.log_errors.tolist()),
    )
    return rows.log_errors - np.minimum(stairs.level(rows.log_costs), rows.log_errors)


def _extra(field: Field) -> Array:
    return np.maximum(field.costs - field.base[:, None], 1e-12)


class View:
    """One moment of a study: surrogate, and frontier with what running trials are believed to add."""

    def __init__(
        self,
        proposer: Proposer,
        teaching: Sequence[Configuration],
        running: Sequence[Told],
        rows: Rows,
        costs: Costs,
        kernel: Kernel,
        floor: float,
    ) -> None:
        self.proposer, self.teaching, self._costs, self._floor = proposer, teaching, costs, floor
        self.fidelity = proposer.fidelity
        self.rungs = np.array(self.fidelity.rungs)
        points = [
            (math.log(max(seconds, 1e-12)), math.log(max(1 - accuracy, floor)))
            for each in teaching
            for _, seconds, accuracy in each.points()
        ]
        self.reference = Reference.beyond([cost for cost, _ in points], [error for _, error in points])
        self.stairs = Staircase(points, self.reference)
        rows = believed.bounded(rows, _regrets(rows), believed.MOST_ROWS)
        self._decline = believed.decline(teaching) * math.log(max(self.fidelity.high, 2))
        self._rows = rows
        self._posterior = Posterior(kernel, rows.features, self._flat(rows.features, rows.log_errors))
        self._fair = np.array([each.fair for each in teaching])
        self._known = np.array([each.features for each in teaching])
        self._believe(running, points, rows, kernel)

    def _flat(self, features: Array, log_errors: Array) -> Array:
        """Log errors without the decline that all curves share."""
        return log_errors + self._decline * features[:, -1]

    def _believe(
        self, running: Sequence[Told], points: list[tuple[float, float]], rows: Rows, kernel: Kernel
    ) -> None:
        """Running trials count as if they had reached what is expected of them."""
        if not running:
            return
        memory, space = self.proposer._memory, self.proposer.space
        configurations = []
        for told in running:
            known = memory.configurations.get(key_of(told.params))
            if known is None or not known.curve:
                known = Configuration(told.params, told.number, space.features([told.params])[0], told.curve)
            configurations.append(known)
        field = self.field(configurations)
        scaled = self.fidelity.scaled(self.rungs)
        more, errors = [], []
        for row, told in enumerate(running):
            target = told.target or self.fidelity.high
            ahead = np.flatnonzero((self.rungs > field.reached[row]) & (self.rungs <= target))
            if not field.fair[row]:
                ahead = ahead[-1:]
            for rung in ahead:
                cost, error = math.log(field.costs[row, rung]), min(float(field.mean[row, rung]), 0.0)
                points.append((cost, error))
                more.append([*field.features[row], scaled[rung]])
                errors.append(error)
        if more:
            self.stairs = Staircase(points, self.reference)
            features = np.concatenate([rows.features, np.array(more)])
            errors = np.concatenate([rows.log_errors, errors])
            self._posterior = Posterior(kernel, features, self._flat(features, errors))

    def regret(self, configuration: Configuration) -> float:
        """How far the end of a curve lies above the frontier, in log error."""
        _, seconds, accuracy = configuration.curve[-1]
        error = math.log(max(1 - accuracy, self._floor))
        return error - float(self.stairs.level(np.array(math.log(max(seconds, 1e-12)))))

    def field(self, candidates: list[Configuration]) -> Field:
        """What is believed of candidates, at every rung."""
        features = np.array([each.features for each in candidates])
        reached = np.array([each.reached for each in candidates])
        inputs = self._costs.inputs(features, [each.params for each in candidates])
        costs = believed.believed_costs(
            self._costs.predicted(inputs),
            [each.curve for each in candidates],
            [each.rate() if each.curve else None for each in candidates],
            self.rungs,
        )
        mean, deviation = self._posterior.on_grid(features, self.fidelity.scaled(self.rungs))
        mean = mean - self._decline * self.fidelity.scaled(self.rungs)[None, :]
        allowed = self.rungs[None, :] > reached[:, None]
        if not self.fidelity.chosen:
            allowed = allowed & (self.rungs == self.fidelity.high)[None, :]
        fair = np.array([self._fairness(each) for each in candidates])
        base = np.array([each.curve[-1][1] if each.curve else 0.0 for each in candidates])
        return Field(
            [each.params for each in candidates],
            features,
            reached,
            base,
            fair,
            allowed,
            np.maximum(costs, 1e-12),
            mean,
            deviation,
        )

    def _fairness(self, candidate: Configuration) -> bool:
        """Its own, or that of the nearest configuration that is known."""
        if candidate.curve or self._fair.all():
            return candidate.fair
        return bool(self._fair[((self._known - candidate.features) ** 2).sum(1).argmin()])

    def gains(self, field: Field, nodes: Sequence[float]) -> Array:
        """Expected area per extra device-second [m, rungs]; 0 where a target is not allowed."""
        reference = self._with_room_for(field)
        stairs = self.stairs if reference == self.reference else replace_reference(self.stairs, reference)
        counts = self.rungs[None, :] > field.reached[:, None]
        mean = np.maximum(field.mean, math.log(self._floor))
        area = acquisition.expected(
            stairs, np.log(field.costs), mean, field.deviation, counts, field.fair, nodes
        )
        return np.where(field.allowed, area, 0.0) / _extra(field)

    def _with_room_for(self, field: Field) -> Reference:
        """The dear edge lies behind the dearest whole trial in sight."""
        dearest = math.log(float(field.costs[:, -1].max()))
        return replace(self.reference, log_cost=max(self.reference.log_cost, dearest))


def replace_reference(stairs: Staircase, reference: Reference) -> Staircase:
    """The same steps up to another corner."""
    return Staircase(stairs.points(), reference)
