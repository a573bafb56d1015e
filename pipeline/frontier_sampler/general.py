"""Suggestions for any number of objectives in any direction, without curves. Pure.

Each objective has a Gaussian process. A candidate is worth its expected hypervolume improvement: the
integral, over the region that nothing dominates yet, of the chance that the candidate dominates a place there
(Emmerich et al. 2006, doi 10.1109/TEVC.2005.851274; with one objective it is the expected improvement of
Jones et al. 1998). The integral is a mean over quasi-random places, so its cost is linear in the objectives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.candidates import Candidate, CandidateSource, IsFree
from pipeline.frontier_sampler.conditions import Shapes
from pipeline.frontier_sampler.constraints import FeasibilityModel, fit_constraints
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Params, make_key
from pipeline.frontier_sampler.history import TrialStatus
from pipeline.frontier_sampler.quasi_random.sobol import draw_points
from pipeline.frontier_sampler.suggest import Suggestion, find_refit_count
from pipeline.frontier_sampler.surrogate import Kernel, Posterior

Array = NDArray[np.float64]

PLACES, MAX_PLACES = 4096, 512
"""Places that are drawn in the box of the objectives, and how many undominated ones are looked at."""
MAX_ROWS, MAX_TRIALS = 350, 450
"""Trials that the posteriors are conditioned on, and that are looked at, but for the frontier."""
MARGIN = 0.3
"""The box goes beyond the best and the worst of the frontier by this share of the range."""
WIDE = 10.0
"""Positive values that span this ratio are modelled on a log scale."""
WORSE = 2.0
"""What is worse than the median by more than twice as much as the best is better counts by its log."""
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ValueRecord:
    """One trial as plain values; `losses`: one an objective, all to be minimised, () where there are none."""

    number: int
    params: Params
    status: TrialStatus
    losses: tuple[float, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def feasible(self) -> bool:
        """Return whether all constraints are kept."""
        return all(value <= 0 for value in self.constraints.values())


class GeneralSuggester:
    """Suggestions for one space and number of objectives; caches between calls only what is fitted."""

    def __init__(
        self,
        space: EncodedSpace,
        *,
        seed: int = 0,
        startup_trials: int = 8,
        listed: Sequence[Params] | None = None,
    ) -> None:
        """Start without trials. `listed`: the only configurations to suggest; None: any of the space."""
        self.space = space
        self._startup = startup_trials
        self._source = CandidateSource(space, seed, listed)
        self._kernels: tuple[tuple[int, ...], list[Kernel]] | None = None
        self._ended: dict[int, ValueRecord] = {}
        self._tried: set[Key] = set()
        self._shapes = Shapes()

    def reseed(self, seed: int) -> None:
        """Draw other candidates from now on; what the trials have taught stays."""
        self._source.reseed(seed)

    def suggest(self, further: Sequence[ValueRecord], number: int) -> Suggestion:
        """Suggest what trial `number` shall train, given all other trials.

        `further`: those that have ended since the last call, and all that run; earlier ones are remembered.
        """
        running = [trial for trial in further if trial.status is TrialStatus.running]
        ended = [trial for trial in further if trial.status is not TrialStatus.running]
        self._ended |= {trial.number: trial for trial in ended}
        for trial in ended:
            self._tried.add(key := make_key(trial.params))
            self._shapes.add(key, trial.number, is_whole=trial.status is TrialStatus.finished)
        trials = sorted([*self._ended.values(), *running], key=lambda trial: trial.number)
        tried = self._tried | {make_key(trial.params) for trial in running}
        observed = sorted((trial for trial in trials if trial.losses), key=lambda trial: trial.number)

        def is_free(key: Key) -> bool:
            return tried.isdisjoint(self._shapes.list_keys(key))

        params = None
        if len(observed) < self._startup:
            params = self._source.draw_quasi_random(number, is_free)
        if params is None and len(observed) >= 2:
            params = self._suggest_best(observed, trials, is_free, number)
        if params is None:
            params = self._source.draw_any(number, is_free)
        if params is None:
            return Suggestion(dict(self._source.draw_repetition(number)), None, exhausted=True)
        return Suggestion(dict(params), None)

    def _suggest_best(
        self, observed: Sequence[ValueRecord], trials: Sequence[ValueRecord], is_free: IsFree, number: int
    ) -> Params | None:
        running = [trial for trial in trials if trial.status is TrialStatus.running and not trial.losses]
        all_kernels = self._fit_kernels(observed)
        observed = select_relevant(observed)
        unmeasured = [trial for trial in trials if trial.constraints and not trial.losses]
        constrained = sorted([*observed, *unmeasured[-MAX_TRIALS:]], key=lambda trial: trial.number)
        features = self.space.encode_features([trial.params for trial in constrained])
        constraints = [trial.constraints for trial in constrained]
        kernels = fit_constraints(features, constraints)
        feasibility = FeasibilityModel(kernels, features, constraints)
        model = ValueModel(self.space, observed, running, all_kernels)
        good = [trial.params for trial in model.rank()[:12]]
        best: tuple[float, Params] | None = None
        pool = self._source.make_candidates(good, number, is_free)
        for turn in range(ROUNDS):
            if not pool:
                break
            scores = _score(model, feasibility, pool)
            order = np.argsort(-scores, kind="stable")
            if best is None or scores[order[0]] > best[0]:
                best = float(scores[order[0]]), pool[int(order[0])].params
            leaders = [best[1], *(pool[int(row)].params for row in order)]
            size = 0.04 / 2**turn
            pool = self._source.make_neighbours(leaders, number, is_free, turn + 1, size)
        return None if best is None else best[1]

    def _fit_kernels(self, observed: Sequence[ValueRecord]) -> list[Kernel]:
        """Fit to the first trials up to a round number, so that every process comes to the same."""
        count = find_refit_count(len(observed), self._startup)
        key = tuple(trial.number for trial in observed[:count])
        if self._kernels is None or self._kernels[0] != key:
            fitted = select_relevant(observed[:count])
            features = self.space.encode_features([trial.params for trial in fitted])
            targets = scale_losses(np.array([trial.losses for trial in fitted], float))
            self._kernels = key, [surrogate.fit_kernel(features, column) for column in targets.T]
        return self._kernels[1]


def select_relevant(observed: Sequence[ValueRecord]) -> list[ValueRecord]:
    """Select at most about MAX_TRIALS trials: those that no feasible one dominates, good ones, the newest."""
    if len(observed) <= MAX_TRIALS:
        return list(observed)
    losses = scale_losses(np.array([trial.losses for trial in observed], float))
    feasible = np.flatnonzero([trial.feasible for trial in observed])
    selected = np.zeros(len(observed), bool)
    selected[_select_rows(losses, MAX_ROWS)] = selected[MAX_ROWS - MAX_TRIALS :] = True
    selected[feasible[_find_front(losses[feasible])]] = True
    return [observed[int(row)] for row in np.flatnonzero(selected)]


class ValueModel:
    """Posteriors of the objectives, and the region that no feasible trial dominates."""

    def __init__(
        self,
        space: EncodedSpace,
        observed: Sequence[ValueRecord],
        running: Sequence[ValueRecord],
        kernels: Sequence[Kernel],
    ) -> None:
        """Condition on `observed` trials; `running` ones count as if they reached what is expected."""
        self._trials = observed
        features = space.encode_features([trial.params for trial in observed])
        self._losses = scale_losses(np.array([trial.losses for trial in observed], float))
        feasible = np.array([trial.feasible for trial in observed])
        self._feasible = feasible if feasible.any() else np.ones(len(observed), bool)
        rows = _select_rows(self._losses, MAX_ROWS)
        self._kernels = kernels
        self._posteriors = _condition(kernels, features[rows], self._losses[rows])
        points = self._losses[self._feasible]
        if running:
            pending = space.encode_features([trial.params for trial in running])
            expected = self.predict(pending)[0]
            points = np.concatenate([points, expected])
            self._posteriors = _condition(
                kernels,
                np.concatenate([features[rows], pending]),
                np.concatenate([self._losses[rows], expected]),
            )
        self._places, self._share = _draw_undominated(points)

    def rank(self) -> list[ValueRecord]:
        """List feasible trials, those first that the fewest others dominate."""
        rows = np.flatnonzero(self._feasible)
        losses = self._losses[rows]
        dominated = (losses[None, :, :] <= losses[:, None, :]).all(2).sum(1)
        return [self._trials[int(rows[row])] for row in np.argsort(dominated, kind="stable")]

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Predict mean and deviation [m, objectives] of the scaled losses."""
        predicted = [posterior.predict(features) for posterior in self._posteriors]
        return np.stack([mean for mean, _ in predicted], 1), np.stack(
            [deviation for _, deviation in predicted], 1
        )

    def expect_improvement(self, features: Array) -> Array:
        """Compute the expected hypervolume improvement [m], as a share of the box of the objectives."""
        from scipy.special import ndtr  # type: ignore[import-untyped]

        mean, deviation = self.predict(features)
        chance = np.ones((len(features), len(self._places)))
        for column in range(mean.shape[1]):
            distance = self._places[None, :, column] - mean[:, column, None]
            chance *= ndtr(distance / deviation[:, column, None])
        improvement: Array = chance.mean(1) * self._share
        return improvement


def _score(model: ValueModel, feasibility: FeasibilityModel, pool: Sequence[Candidate]) -> Array:
    """Return improvement x feasibility [m]; tiny parts of both keep an order where all are zero."""
    features = np.array([candidate.features for candidate in pool])
    chance = feasibility.predict(features)
    score: Array = (model.expect_improvement(features) + 1e-12) * (chance + 1e-12)
    return score


def scale_losses(losses: Array) -> Array:
    """Scale losses [n, objectives] to 0..1, as logs where positive ones span WIDE; infinite is worst."""
    columns = []
    for column in losses.T:
        finite = column[np.isfinite(column)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        bounded = np.clip(np.nan_to_num(column, nan=high, posinf=high, neginf=low), low, high)
        scaled = np.log(bounded) if low > 0 and high / low >= WIDE else bounded
        halves = scaled / 2  # the difference of two huge values is infinite
        halves = halves if scaled is not bounded else _compress_tail(halves)
        spread = float(halves.max() - halves.min())
        columns.append((halves - halves.min()) / (spread if spread > 0 else 1.0))
    return np.stack(columns, axis=1)


def _compress_tail(values: Array) -> Array:
    """Compress what is much worse than the median to its log: beside disasters all good ones look alike."""
    middle = float(np.median(values))
    better = middle - float(values.min())
    if not better > 0:
        return values
    beyond = np.maximum((values - middle) / better - WORSE, 0.0)
    compressed: Array = np.where(beyond > 0, middle + better * (WORSE + np.log1p(beyond)), values)
    return compressed


def _condition(kernels: Sequence[Kernel], features: Array, losses: Array) -> list[Posterior]:
    return [Posterior(kernel, features, column) for kernel, column in zip(kernels, losses.T, strict=True)]


def _select_rows(losses: Array, limit: int) -> NDArray[np.intp]:
    """Select the rows nearest to the best in any objective, and others evenly from the rest."""
    if len(losses) <= limit:
        return np.arange(len(losses))
    order = np.argsort(losses.min(1) + losses.mean(1), kind="stable")
    near = limit * 3 // 5
    rest = order[near:]
    spread = rest[surrogate.spread_evenly(len(rest), limit - near)]
    return np.sort(np.concatenate([order[:near], spread]))


def _draw_undominated(points: Array) -> tuple[Array, float]:
    """Draw places [k, objectives] that no point [n, objectives] dominates, and their share of the box."""
    front = points[_find_front(points)]
    low, high = front.min(0), front.max(0)
    span = np.maximum(high - low, 0.1)
    low, high = low - MARGIN * span, high + (MARGIN * span if points.shape[1] > 1 else 0.0)
    unit = draw_points(points.shape[1], range(PLACES), None) + 0.5 / PLACES
    places = low + unit * (high - low)
    dominated = np.zeros(PLACES, bool)
    for point in front:
        dominated |= (point <= places).all(1)
    free = places[~dominated]
    return free[surrogate.spread_evenly(len(free), MAX_PLACES)], len(free) / PLACES


def _find_front(points: Array) -> NDArray[np.bool_]:
    """Find the points [n] that no other dominates; equal ones all stay."""
    front = np.zeros(len(points), bool)
    rows = np.lexsort(points.T[::-1])  # a point stands behind all that dominate it
    while len(rows):
        point = points[rows[0]]
        same = (points[rows] == point).all(1)
        front[rows[same]] = True
        rows = rows[~(points[rows] >= point).all(1)]
    return front
