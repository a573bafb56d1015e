"""One moment of a study: its frontier, how curves are expected to go on, and what that would gain. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import acquisition, observations, surrogate
from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase
from pipeline.frontier_sampler.batches.candidate_forecasts import CandidateForecasts
from pipeline.frontier_sampler.constraints import FeasibilityModel, fit_constraints
from pipeline.frontier_sampler.curves.costs import CostModel, Work
from pipeline.frontier_sampler.curves.process import (
    CurveKernel,
    CurveProcess,
    GridExpectations,
    fit_curve_kernel,
)
from pipeline.frontier_sampler.curves.stops import CurveBeliefs, list_stops, rate_stops
from pipeline.frontier_sampler.history import Configuration, Fidelity, History, TrialRecord
from pipeline.frontier_sampler.observations import Observations
from pipeline.frontier_sampler.surrogate import Kernel

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FREE_SHARE = 0.002
"""Beside its training a trial is priced at this share of all device-seconds paid so far: one that costs less
is as good as free, and its gain decides rather than its price. Without this the cheapest corner of a space
draws hundreds of trials, since what is hoped for there is divided by next to nothing. Where only so many
trials are left, it is at least one share of as many: what is rare is not spent on next to nothing."""
MAX_WHOLE, MAX_RUNNING = 16, 128
"""Of more running trials than this only the ends are expected, and of more than that an even selection: a
thousand would take the surrogates seconds, and many of them are near to each other."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Hyper-parameters of both surrogates."""

    errors: CurveKernel
    costs: Kernel
    constraints: Mapping[str, Kernel]


def fit_kernels(history: History, work: Work | None) -> Kernels:
    """Fit both surrogates to the whole history."""
    observed, fidelity = history.list_relevant(), history.fidelity
    floor = observations.estimate_error_floor(observed)
    rows = observations.collect_observations(observed, fidelity, floor, observations.MAX_FITTED)
    flat = rows.flatten(observations.estimate_decline(observed, fidelity))
    errors = fit_curve_kernel(rows.features, flat)
    constrained = history.list_constrained()
    constraints = fit_constraints(
        np.array([configuration.features for configuration in constrained]),
        [configuration.constraints for configuration in constrained],
    )
    return Kernels(errors, CostModel(observed, work, fidelity).fit(), constraints)


class Forecast:
    """What is expected after the trials in `history`, with what `running` ones are expected to add."""

    def __init__(
        self,
        history: History,
        running: Sequence[TrialRecord],
        kernels: Kernels,
        work: Work | None = None,
        trials_left: int | None = None,
    ) -> None:
        """Condition the surrogates. `trials_left`: that may still begin; None: any number."""
        self.fidelity: Fidelity = history.fidelity
        self.rungs = np.array(self.fidelity.rungs)
        self.observed = history.list_relevant()
        self.paid_seconds = history.paid_seconds
        self._least_share = 1 / trials_left if trials_left else 0.0
        self.floor = observations.estimate_error_floor(self.observed)
        self._decline = observations.estimate_decline(self.observed, self.fidelity)
        self._costs = CostModel(self.observed, work, self.fidelity)
        self._costs.condition(kernels.costs)
        self._kernel = kernels.errors
        constrained = history.list_constrained()
        self._feasibility = FeasibilityModel(
            kernels.constraints,
            np.array([configuration.features for configuration in constrained]),
            [configuration.constraints for configuration in constrained],
        )
        self._find_frontier()
        self._rows = observations.collect_observations(
            self.observed, self.fidelity, self.floor, observations.MAX_ROWS
        )
        self._process = CurveProcess(self._kernel, self._rows.features, self._rows.flatten(self._decline))
        if running:
            self._add_expectations(running, history)

    def _find_frontier(self) -> None:
        """Find the frontier of all feasible points, and how far the end of each curve lies above it."""
        points = observations.to_plane(
            np.concatenate([configuration.points for configuration in self.observed]), self.floor
        )
        feasible = np.array([configuration.feasible for configuration in self.observed])
        counts = np.repeat(feasible, [len(configuration.points) for configuration in self.observed])
        self.points = points[counts]
        basis = self.points if len(self.points) else points
        self.reference = ReferencePoint.around(basis[:, 0], basis[:, 1])
        self.stairs = Staircase(self.points, self.reference)
        self.members = self._find_members(points, counts)
        ends = observations.to_plane(
            np.array([configuration.curve[-1] for configuration in self.observed], float), self.floor
        )
        above = ends[:, 1] - self.stairs.level(ends[:, 0])
        order = np.lexsort((above, ~feasible))
        self.nearest = [self.observed[index] for index in order]
        """Feasible configurations before others, those first whose ends lie nearest to the frontier."""
        self._settings = np.array([configuration.features for configuration in self.observed])
        self._fair = np.array([configuration.fair for configuration in self.observed])

    def _find_members(self, points: Array, counts: Flags) -> list[Configuration]:
        """Find the configurations of which a point lies on the frontier, the cheapest point first."""
        owners = np.repeat(np.arange(len(self.observed)), [len(row.points) for row in self.observed])[counts]
        points = points[counts]
        order = np.lexsort((points[:, 1], points[:, 0]))
        best = np.minimum.accumulate(np.concatenate([[math.inf], points[order, 1]]))
        on_frontier = points[order, 1] < best[:-1]
        return [self.observed[row] for row in dict.fromkeys(owners[order][on_frontier].tolist())]

    def _add_expectations(self, running: Sequence[TrialRecord], history: History) -> None:
        """Add running trials as if they had reached what is expected of them; of very many some for all."""
        is_many = len(running) > MAX_WHOLE
        running = [running[place] for place in surrogate.spread_evenly(len(running), MAX_RUNNING)]
        pending = History(history.space, history.fidelity)
        configurations = []
        for trial in running:
            configuration = history.configurations.get(trial.key)
            configurations.append(
                configuration
                if configuration is not None and configuration.curve
                else pending.find_configuration(trial)
            )
        forecasts = self.predict(configurations)
        points, features = [self.points], [self._rows.features]
        for row, trial in enumerate(running):
            target = trial.target or self.fidelity.high
            columns = np.flatnonzero((self.rungs > forecasts.reached[row]) & (self.rungs <= target))
            columns = columns if forecasts.fair[row] else columns[-1:]
            points.append(forecasts.make_points(row, columns))
            columns = columns[-1:] if is_many else columns
            settings = np.repeat(configurations[row].features[None], len(columns), axis=0)
            later = self.fidelity.scale(self.rungs[columns])[:, None]
            features.append(np.concatenate([settings, later], axis=1))
        self.points = np.concatenate(points)
        self.stairs = Staircase(self.points, self.reference)
        levels = [each[-1:, 1] if is_many else each[:, 1] for each in points[1:]]
        errors = np.concatenate([self._rows.log_errors, *levels])
        self._rows = Observations(np.concatenate(features), errors, np.zeros(len(errors)))
        self._process = CurveProcess(self._kernel, self._rows.features, self._rows.flatten(self._decline))

    def expect(self, forecasts: CandidateForecasts, row: int, target: int) -> None:
        """Add to the frontier what a candidate is expected to reach until the epoch `target`."""
        columns = np.flatnonzero((self.rungs > forecasts.reached[row]) & (self.rungs <= target))
        columns = columns if forecasts.fair[row] else columns[-1:]
        self.stairs = self.stairs.add(forecasts.make_points(row, columns))

    def expect_on_grid(self, forecasts: CandidateForecasts, capacity: int) -> GridExpectations:
        """Return the deviations of candidates, of which at most `capacity` will be expected."""
        features = np.array([candidate.features for candidate in forecasts.candidates])
        later = self.fidelity.scale(self.rungs)
        return GridExpectations(self._process, features, later, capacity)

    # ---- beliefs ----------------------------------------------------------------------------------------

    def predict(self, candidates: Sequence[Configuration]) -> CandidateForecasts:
        """Predict errors and costs of candidates at every rung."""
        features = np.array([candidate.features for candidate in candidates])
        later = self.fidelity.scale(self.rungs)
        mean, deviation = self._process.predict_grid(features, later)
        fair = np.array([self._is_fair(candidate) for candidate in candidates])
        reached = np.array([candidate.reached if candidate.fair else 0 for candidate in candidates])
        base = np.array(
            [
                candidate.curve[-1][1] if candidate.curve and candidate.fair else 0.0
                for candidate in candidates
            ]
        )
        return CandidateForecasts(
            candidates=candidates,
            reached=reached,
            paid_seconds=base,
            fair=fair,
            allowed=self._find_allowed_rungs(candidates, reached),
            feasible_chance=self._feasibility.predict(features),
            costs=self._costs.predict(candidates, features),
            mean=mean - self._decline.sum_until(later)[None, :],
            deviation=deviation,
        )

    def _find_allowed_rungs(self, candidates: Sequence[Configuration], reached: NDArray[np.int_]) -> Flags:
        if not self.fidelity.chosen:
            return np.repeat((self.rungs == self.fidelity.high)[None], len(candidates), axis=0)
        allowed: Flags = self.rungs[None, :] > reached[:, None]
        for row, candidate in enumerate(candidates):
            if candidate.targets:
                allowed[row] &= ~np.isin(self.rungs, list(candidate.targets))
        return allowed

    def _is_fair(self, candidate: Configuration) -> bool:
        """Return whether every epoch counts: as observed, or as for the nearest observed configuration."""
        if candidate.curve or self._fair.all():
            return candidate.fair
        return bool(self._fair[((self._settings - candidate.features) ** 2).sum(1).argmin()])

    # ---- gains ------------------------------------------------------------------------------------------

    def compute_gains(
        self,
        forecasts: CandidateForecasts,
        nodes: Sequence[float] = acquisition.NODES,
        dearest: float | None = None,
    ) -> Array:
        """Compute expected area for each extra device-second [m, rungs] of one trial that goes there at once.

        0 where a rung is no target. See FREE_SHARE for what is added to the device-seconds. `dearest`:
        device-seconds of the dearest trial in sight, behind which the edge lies; None: of these.
        """
        area = acquisition.expect_improvement(
            self._extend_stairs(forecasts, dearest),
            np.log(forecasts.costs),
            np.maximum(forecasts.mean, math.log(self.floor)),
            forecasts.deviation,
            self._list_unpaid(forecasts),
            forecasts.fair,
            nodes,
        )
        gains: Array = (
            np.where(forecasts.allowed, area, 0.0)
            * forecasts.feasible_chance[:, None]
            / (forecasts.extra_seconds + self._trial_seconds)
        )
        return gains

    def rate_stops(self, forecasts: CandidateForecasts, gains: Array, dearest: float) -> Array:
        """Rate where to stop next [m, rungs]: expected area for a device-second, going on where that pays.

        `gains`, `dearest`: see `compute_gains`. A trial of which only the end counts is not looked at midway.
        """
        later = self.fidelity.scale(self.rungs)
        features = np.array([candidate.features for candidate in forecasts.candidates])
        beliefs = CurveBeliefs(
            log_costs=np.log(forecasts.costs),
            mean=np.maximum(forecasts.mean, math.log(self.floor)),
            covariance=self._process.cover_rungs(features, later),
            extra_seconds=forecasts.extra_seconds,
            counts=self._list_unpaid(forecasts),
            allowed=forecasts.allowed,
        )
        stairs, places = self._extend_stairs(forecasts, dearest), list_stops(self.fidelity.rungs)
        rates = rate_stops(stairs, beliefs, self._trial_seconds, places, goes_on=self._least_share < 1)
        rated: Array = np.where(forecasts.fair[:, None], rates * forecasts.feasible_chance[:, None], gains)
        return rated

    @property
    def _trial_seconds(self) -> float:
        return max(FREE_SHARE, self._least_share) * self.paid_seconds

    def _extend_stairs(self, forecasts: CandidateForecasts, dearest: float | None) -> Staircase:
        edge = math.log(dearest or float(forecasts.costs[:, -1].max()))
        reference = replace(self.reference, log_cost=max(self.reference.log_cost, edge))
        return self.stairs.extend_to(reference)

    def _list_unpaid(self, forecasts: CandidateForecasts) -> Flags:
        unpaid: Flags = self.rungs[None, :] > forecasts.reached[:, None]
        return unpaid
