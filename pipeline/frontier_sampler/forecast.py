"""One moment of a study: its frontier, what curves are believed to do next, what that would gain. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import acquisition, observations, surrogate
from pipeline.frontier_sampler.acquisition import Reference, Staircase
from pipeline.frontier_sampler.encoding import key_of
from pipeline.frontier_sampler.history import Configuration, Fidelity, Memory, Told
from pipeline.frontier_sampler.observations import Costs, Rows, Work
from pipeline.frontier_sampler.surrogate import Kernel, Posterior

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CERTAIN = 0.5
"""Weight of the belief that a configuration keeps to the constraints, against a kernel of 1 a known one."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Hyper-parameters of both surrogates."""

    errors: Kernel
    costs: Kernel


def fitted(memory: Memory, work: Work | None, seed: int) -> Kernels:
    """From all that `memory` knows."""
    teaching, fidelity = memory.teaching(), memory.fidelity
    floor = observations.error_floor(teaching)
    rows = observations.rows_of(teaching, fidelity, floor, observations.MOST_FITTED)
    flat = rows.flat(observations.decline(teaching) * fidelity.span)
    errors = surrogate.fit(rows.features, flat, seed, surrogate.EPOCH_LENGTHS)
    return Kernels(errors, Costs(teaching, work).fit(seed))


@dataclass(frozen=True, slots=True)
class Field:
    """Candidates and what is believed of them, [m] or [m, rungs].

    `base`: device-seconds paid already; `allowed`: rungs that may be a target; `sound`: chance, 0..1, that
    the constraints are kept.
    """

    candidates: Sequence[Configuration]
    reached: NDArray[np.int_]
    base: Array
    fair: Flags
    allowed: Flags
    sound: Array
    costs: Array
    mean: Array
    deviation: Array

    @property
    def extra(self) -> Array:
        """Device-seconds still to be paid."""
        found: Array = np.maximum(self.costs - self.base[:, None], observations.LEAST_SECONDS)
        return found


class Outlook:
    """What is known after the trials in `memory`, with what `running` ones are expected to add."""

    def __init__(
        self, memory: Memory, running: Sequence[Told], kernels: Kernels, work: Work | None = None
    ) -> None:
        self.fidelity: Fidelity = memory.fidelity
        self.rungs = np.array(self.fidelity.rungs)
        self.teaching = memory.teaching()
        self._floor = observations.error_floor(self.teaching)
        self._fall = observations.decline(self.teaching) * self.fidelity.span
        self._costs = Costs(self.teaching, work)
        self._costs.believe(kernels.costs)
        self._kernel = kernels.errors
        self._see()
        self._rows = observations.rows_of(self.teaching, self.fidelity, self._floor, observations.MOST_ROWS)
        self._posterior = Posterior(self._kernel, self._rows.features, self._rows.flat(self._fall))
        if running:
            self._believe(running, memory)

    def _see(self) -> None:
        """The frontier of all feasible points, and how far the end of each curve lies above it."""
        sound = [each for each in self.teaching if each.feasible] or self.teaching
        self._points = observations.plane(np.concatenate([each.points for each in sound]), self._floor)
        self.reference = Reference.beyond(self._points[:, 0], self._points[:, 1])
        self.stairs = Staircase(self._points, self.reference)
        ends = observations.plane(np.array([each.curve[-1] for each in self.teaching], float), self._floor)
        above = ends[:, 1] - self.stairs.level(ends[:, 0])
        order = np.argsort(above, kind="stable")
        self.nearest = [self.teaching[place] for place in order if self.teaching[place].feasible]
        """Feasible configurations, those first whose ends lie nearest to the frontier."""
        self._settings = np.array([each.features for each in self.teaching])
        self._fair = np.array([each.fair for each in self.teaching])
        self._feasible = np.array([float(each.feasible) for each in self.teaching])

    def _believe(self, running: Sequence[Told], memory: Memory) -> None:
        """Running trials count as if they had reached what is expected of them."""
        other = Memory(memory.space, memory.fidelity)
        ahead = []
        for told in running:
            known = memory.configurations.get(key_of(told.params))
            ahead.append(known if known is not None and known.curve else other.find(told))
        field = self.field(ahead)
        points, features = [self._points], [self._rows.features]
        for row, told in enumerate(running):
            target = told.target or self.fidelity.high
            places = np.flatnonzero((self.rungs > field.reached[row]) & (self.rungs <= target))
            places = places if field.fair[row] else places[-1:]
            errors = np.minimum(field.mean[row, places], 0.0)
            points.append(np.stack([np.log(field.costs[row, places]), errors], axis=1))
            settings = np.repeat(ahead[row].features[None], len(places), axis=0)
            later = self.fidelity.scaled(self.rungs[places])[:, None]
            features.append(np.concatenate([settings, later], axis=1))
        self._points = np.concatenate(points)
        self.stairs = Staircase(self._points, self.reference)
        errors = np.concatenate([self._rows.log_errors, *(part[:, 1] for part in points[1:])])
        self._rows = Rows(np.concatenate(features), errors, np.zeros(len(errors)))
        self._posterior = Posterior(self._kernel, self._rows.features, self._rows.flat(self._fall))

    # ---- beliefs ----------------------------------------------------------------------------------------

    def field(self, candidates: Sequence[Configuration]) -> Field:
        """What is believed of candidates, at every rung."""
        features = np.array([each.features for each in candidates])
        later = self.fidelity.scaled(self.rungs)
        mean, deviation = self._posterior.on_grid(features, later)
        fair = np.array([self._fairness(each) for each in candidates])
        reached = np.array([each.reached if each.fair else 0 for each in candidates])
        base = np.array([each.curve[-1][1] if each.curve and each.fair else 0.0 for each in candidates])
        return Field(
            candidates,
            reached,
            base,
            fair,
            self._allowed(candidates, reached),
            self._soundness(features),
            self._costs.at(candidates, features, self.rungs),
            mean - self._fall * later[None, :],
            deviation,
        )

    def _allowed(self, candidates: Sequence[Configuration], reached: NDArray[np.int_]) -> Flags:
        if not self.fidelity.chosen:
            return np.repeat((self.rungs == self.fidelity.high)[None], len(candidates), axis=0)
        found: Flags = self.rungs[None, :] > reached[:, None]
        for row, each in enumerate(candidates):
            if each.targets:
                found[row] &= ~np.isin(self.rungs, list(each.targets))
        return found

    def _fairness(self, candidate: Configuration) -> bool:
        """Its own, or that of the nearest configuration that is known."""
        if candidate.curve or self._fair.all():
            return candidate.fair
        return bool(self._fair[((self._settings - candidate.features) ** 2).sum(1).argmin()])

    def _soundness(self, features: Array) -> Array:
        """The share of feasible ones among known configurations, the near ones counting most."""
        if self._feasible.all():
            return np.ones(len(features))
        lengths = np.asarray(self._kernel.lengths[:-1])
        squares = surrogate.square_distances(features / lengths, self._settings / lengths)
        near = self._kernel.at(squares) / self._kernel.amplitude
        found: Array = (CERTAIN + near @ self._feasible) / (CERTAIN + near.sum(1))
        return found

    # ---- gains ------------------------------------------------------------------------------------------

    def gains(self, field: Field, nodes: Sequence[float] = acquisition.NODES) -> Array:
        """Expected area per extra device-second [m, rungs]; 0 where a target is not allowed."""
        dearest = math.log(float(field.costs[:, -1].max()))  # the edge lies behind the dearest trial in sight
        reference = replace(self.reference, log_cost=max(self.reference.log_cost, dearest))
        counts = self.rungs[None, :] > field.reached[:, None]
        area = acquisition.expected(
            self.stairs.upto(reference),
            np.log(field.costs),
            np.maximum(field.mean, math.log(self._floor)),
            field.deviation,
            counts,
            field.fair,
            nodes,
        )
        found: Array = np.where(field.allowed, area, 0.0) * field.sound[:, None] / field.extra
        return found
