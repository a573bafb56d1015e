"""One moment of a study: its frontier, how curves are expected to go on, and what that would gain. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr  # type: ignore[import-untyped]

from pipeline.frontier_sampler import acquisition, observations, surrogate
from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase
from pipeline.frontier_sampler.constraints import FeasibilityModel, fit_constraints
from pipeline.frontier_sampler.history import Configuration, Fidelity, History, TrialRecord
from pipeline.frontier_sampler.observations import CostModel, Observations, Work
from pipeline.frontier_sampler.surrogate import GridExpectations, Kernel, Posterior

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FREE_SHARE, UNCUT_SHARE = 0.002, 0.005
"""A trial that costs less than these shares of all device-seconds paid so far is as good as free: its gain
decides rather than its price, and it need not be cut short. Without this the cheapest corner of a space
draws hundreds of trials, since what is hoped for there is divided by next to nothing. Where only so many
trials are left, both are at least one share of as many: what is rare is not spent on an epoch that costs
next to nothing, and the last ones go as far as they gain."""
GROWTH = 2.0
"""A trial goes at most so many times as far as the configuration was trained: what is learned on the way may
show that the rest is not worth its cost."""
DISCOUNT = 0.6
"""What a gain is worth for each further trial that lies before it, as the plan may be given up at each: so
what has begun well is finished before the next new configuration is begun in the same hope."""


MAX_WHOLE, MAX_RUNNING = 16, 128
"""Of more running trials than this only the ends are expected, and of more than that an even selection: a
thousand would take the surrogates seconds, and many of them are near to each other."""
TENTH = 1.2816
"""Deviations from the mean to the first and the last tenth of a normal distribution."""
NEARLY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What more training is expected to add to the best accuracy: of one configuration, to `epochs`.

    `gain`: expected, in 0..1; `low`, `high`: where it lies with 80 %; `reached`: epochs it was trained for, 0
    where it is a new one; `extra_seconds`: device-seconds that the rest costs.
    """

    epochs: int
    reached: int
    extra_seconds: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Kernels:
    """Hyper-parameters of both surrogates."""

    errors: Kernel
    costs: Kernel
    constraints: Mapping[str, Kernel]


def fit_kernels(history: History, work: Work | None) -> Kernels:
    """Fit both surrogates to the whole history."""
    observed, fidelity = history.list_relevant(), history.fidelity
    floor = observations.estimate_error_floor(observed)
    rows = observations.collect_observations(observed, fidelity, floor, observations.MAX_FITTED)
    flat = rows.flatten(observations.estimate_decline(observed, fidelity))
    errors = surrogate.fit_kernel(rows.features, flat, surrogate.EPOCH_LENGTHS)
    constrained = history.list_constrained()
    constraints = fit_constraints(
        np.array([configuration.features for configuration in constrained]),
        [configuration.constraints for configuration in constrained],
    )
    return Kernels(errors, CostModel(observed, work).fit(), constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateForecasts:
    """Candidates and what is expected of them, [m] or [m, rungs].

    `paid_seconds`: device-seconds paid already; `allowed`: rungs that may be a target; `feasible_chance`:
    0..1, that the constraints are kept; `explained`: see `Posterior.explain_grid`.
    """

    candidates: Sequence[Configuration]
    reached: NDArray[np.int_]
    paid_seconds: Array
    fair: Flags
    allowed: Flags
    feasible_chance: Array
    costs: Array
    mean: Array
    deviation: Array
    explained: Array

    def take(self, rows: NDArray[np.intp]) -> "CandidateForecasts":
        """Return those of some candidates."""
        values = {column.name: getattr(self, column.name) for column in fields(self)}
        values["candidates"] = [self.candidates[row] for row in rows]
        selected = {name: value if name == "candidates" else value[rows] for name, value in values.items()}
        return CandidateForecasts(**selected)

    @classmethod
    def join(cls, several: "Sequence[CandidateForecasts]") -> "CandidateForecasts":
        """Return the candidates of all, in their order."""
        columns = {column.name: [getattr(one, column.name) for one in several] for column in fields(cls)}
        candidates = list(chain.from_iterable(columns.pop("candidates")))
        joined = {name: np.concatenate(values) for name, values in columns.items()}
        return cls(candidates=candidates, **joined)

    @property
    def extra_seconds(self) -> Array:
        """Return the device-seconds still to be paid, [candidates, rungs]."""
        extra: Array = np.maximum(self.costs - self.paid_seconds[:, None], observations.MIN_SECONDS)
        return extra


def _make_points(forecasts: CandidateForecasts, row: int, columns: NDArray[np.intp]) -> Array:
    """Make the points (log cost, log error) [columns, 2] that a candidate is expected to reach."""
    errors = np.minimum(forecasts.mean[row, columns], 0.0)
    return np.stack([np.log(forecasts.costs[row, columns]), errors], axis=1)


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
        self._paid_seconds = history.paid_seconds
        self._least_share = 1 / trials_left if trials_left else 0.0
        self._floor = observations.estimate_error_floor(self.observed)
        self._decline = observations.estimate_decline(self.observed, self.fidelity)
        self._costs = CostModel(self.observed, work)
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
            self.observed, self.fidelity, self._floor, observations.MAX_ROWS
        )
        self._posterior = Posterior(self._kernel, self._rows.features, self._rows.flatten(self._decline))
        if running:
            self._add_expectations(running, history)

    def _find_frontier(self) -> None:
        """Find the frontier of all feasible points, and how far the end of each curve lies above it."""
        points = observations.to_plane(
            np.concatenate([configuration.points for configuration in self.observed]), self._floor
        )
        feasible = np.array([configuration.feasible for configuration in self.observed])
        counts = np.repeat(feasible, [len(configuration.points) for configuration in self.observed])
        self._points = points[counts]
        basis = self._points if len(self._points) else points
        self.reference = ReferencePoint.around(basis[:, 0], basis[:, 1])
        self.stairs = Staircase(self._points, self.reference)
        self.members = self._find_members(points, counts)
        ends = observations.to_plane(
            np.array([configuration.curve[-1] for configuration in self.observed], float), self._floor
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
        if len(running) > MAX_RUNNING:
            evenly = np.linspace(0, len(running) - 1, MAX_RUNNING).round().astype(int)
            running = [running[index] for index in evenly]
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
        points, features = [self._points], [self._rows.features]
        for row, trial in enumerate(running):
            target = trial.target or self.fidelity.high
            columns = np.flatnonzero((self.rungs > forecasts.reached[row]) & (self.rungs <= target))
            columns = columns if forecasts.fair[row] else columns[-1:]
            points.append(_make_points(forecasts, row, columns))
            columns = columns[-1:] if is_many else columns
            settings = np.repeat(configurations[row].features[None], len(columns), axis=0)
            later = self.fidelity.scale(self.rungs[columns])[:, None]
            features.append(np.concatenate([settings, later], axis=1))
        self._points = np.concatenate(points)
        self.stairs = Staircase(self._points, self.reference)
        levels = [each[-1:, 1] if is_many else each[:, 1] for each in points[1:]]
        errors = np.concatenate([self._rows.log_errors, *levels])
        self._rows = Observations(np.concatenate(features), errors, np.zeros(len(errors)))
        self._posterior = Posterior(self._kernel, self._rows.features, self._rows.flatten(self._decline))

    def expect(self, forecasts: CandidateForecasts, row: int, target: int) -> None:
        """Add to the frontier what a candidate is expected to reach until the epoch `target`."""
        columns = np.flatnonzero((self.rungs > forecasts.reached[row]) & (self.rungs <= target))
        columns = columns if forecasts.fair[row] else columns[-1:]
        self.stairs = self.stairs.add(_make_points(forecasts, row, columns))

    def expect_on_grid(self, forecasts: CandidateForecasts, capacity: int) -> GridExpectations:
        """Return the deviations of candidates, of which at most `capacity` will be expected."""
        features = np.array([candidate.features for candidate in forecasts.candidates])
        later = self.fidelity.scale(self.rungs)
        return GridExpectations(self._posterior, features, later, forecasts.explained, capacity)

    # ---- beliefs ----------------------------------------------------------------------------------------

    def predict(self, candidates: Sequence[Configuration]) -> CandidateForecasts:
        """Predict errors and costs of candidates at every rung."""
        features = np.array([candidate.features for candidate in candidates])
        later = self.fidelity.scale(self.rungs)
        mean, deviation, explained = self._posterior.explain_grid(features, later)
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
            costs=self._costs.predict(candidates, features, self.rungs),
            mean=mean - self._decline.sum_until(later)[None, :],
            deviation=deviation,
            explained=explained,
        )

    def _find_allowed_rungs(self, candidates: Sequence[Configuration], reached: NDArray[np.int_]) -> Flags:
        if not self.fidelity.chosen:
            return np.repeat((self.rungs == self.fidelity.high)[None], len(candidates), axis=0)
        allowed: Flags = self.rungs[None, :] > reached[:, None]
        for row, candidate in enumerate(candidates):
            if candidate.targets:
                allowed[row] &= ~np.isin(self.rungs, list(candidate.targets))
        return allowed

    def find_limits(self, forecasts: CandidateForecasts) -> NDArray[np.int_]:
        """Find how far the next trial of each candidate may go [m]; see GROWTH and UNCUT_SHARE."""
        reached = forecasts.reached[:, None]
        grown = np.where(reached > 0, reached * GROWTH, self.fidelity.low)
        further = self.rungs[None, :] > reached
        within = (self.rungs[None, :] <= grown) | (
            forecasts.extra_seconds <= max(UNCUT_SHARE, self._least_share) * self._paid_seconds
        )
        first = np.where(further.any(1), further.argmax(1), len(self.rungs) - 1)
        last = np.where(within & further, self.rungs[None, :], 0).max(1)
        limits: NDArray[np.int_] = np.maximum(last, self.rungs[first])
        return np.where(forecasts.fair, limits, self.fidelity.high)

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
        """Compute expected area per extra device-second [m, rungs]; 0 where a target is not allowed.

        See DISCOUNT, and FREE_SHARE for what is added to the device-seconds. `dearest`: device-seconds of the
        dearest trial in sight, behind which the edge lies; None: of these.
        """
        edge = math.log(dearest or float(forecasts.costs[:, -1].max()))
        reference = replace(self.reference, log_cost=max(self.reference.log_cost, edge))
        counts = self.rungs[None, :] > forecasts.reached[:, None]
        area = acquisition.expect_improvement(
            self.stairs.extend_to(reference),
            np.log(forecasts.costs),
            np.maximum(forecasts.mean, math.log(self._floor)),
            forecasts.deviation,
            counts,
            forecasts.fair,
            nodes,
        )
        trials_before = np.ceil(
            np.log2(np.maximum(self.rungs[None, :] / self.find_limits(forecasts)[:, None], 1.0))
        )
        gains: Array = (
            np.where(forecasts.allowed, area, 0.0)
            * DISCOUNT**trials_before
            * forecasts.feasible_chance[:, None]
            / (forecasts.extra_seconds + max(FREE_SHARE, self._least_share) * self._paid_seconds)
        )
        return gains

    def look_ahead(self, forecasts: CandidateForecasts, best_accuracy: float) -> Outlook | None:
        """Find what would add most to the best accuracy, for at most as much again as was paid so far.

        `best_accuracy`: of what the history does not hold, such as a baseline.

        The gain is the expected improvement under a lognormal error (in closed form as the value of a put:
        Black and Scholes 1973, doi 10.1086/260062). Of what adds nearly as much as the best, the cheapest;
        None where nothing is affordable.
        """
        best = max(1 - best_accuracy, self._floor)
        best = min([best, *(math.exp(error) for error in self._points[:, 1].tolist())])
        mean = np.maximum(forecasts.mean, math.log(self._floor))
        deviation = np.maximum(forecasts.deviation, 1e-9)
        place = (math.log(best) - mean) / deviation
        gains = best * ndtr(place) - np.exp(mean + deviation**2 / 2) * ndtr(place - deviation)
        counts = forecasts.allowed & (self.rungs[None, :] > forecasts.reached[:, None])
        counts &= forecasts.fair[:, None] | (self.rungs == self.fidelity.high)[None, :]
        counts &= forecasts.extra_seconds <= self._paid_seconds
        if not counts.any():
            return None
        gains = np.where(counts, gains * forecasts.feasible_chance[:, None], -1.0)
        costs = np.where(gains >= NEARLY * gains.max(), forecasts.extra_seconds, math.inf)
        row, rung = divmod(int(costs.argmin()), costs.shape[1])
        low, high = (
            max(0.0, best - math.exp(mean[row, rung] + side * deviation[row, rung]))
            for side in (TENTH, -TENTH)
        )
        gain = max(0.0, float(gains[row, rung]))
        return Outlook(
            epochs=int(self.rungs[rung]),
            reached=int(forecasts.reached[row]),
            extra_seconds=float(forecasts.extra_seconds[row, rung]),
            gain=gain,
            low=min(low, gain),
            high=max(high, gain),
        )
