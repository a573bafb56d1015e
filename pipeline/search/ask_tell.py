"""Ask a sampler for the next trial, and tell it what became of the trials."""

import copy
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.frontier_sampler.curves.costs import Work
from pipeline.frontier_sampler.curves.outlook import Outlook
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.search.samplers import (
    SamplerTask,
    arrange_params,
    freeze_params,
    make_distributions,
    make_sampler,
    suggest_value,
)
from pipeline.search.space import SearchSpace, Value
from pipeline.search.storage.our_studies import DIRECTIONS, OUTCOME, make_directions
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.trial_states import WORDS, is_interrupted, read_end
from pipeline.search.workers.job import Limits
from pipeline.settings.search import Sampler

MAX_REPEATS = 30
"""Times in a row that a sampler may repeat what was tried, besides each trial once: it knows no other."""

NO_LIMITS = Limits()


class TrialSuggester:
    """A sampler over a copy of the study in memory, for whichever storage the study itself lies in."""

    def __init__(
        self,
        space: SearchSpace,
        kind: Sampler,
        epochs: str | None,
        seed: int,
        workers: int,
        work: Work | None = None,
        limits: Limits = NO_LIMITS,
        about: Mapping[str, Any] | None = None,
        trials: int | None = None,
    ) -> None:
        """Make the sampler; `epochs`, `work`, `trials`: see `SamplerTask`. `limits`: constraints of trials.

        `about`: what is written down about the study; its objectives are those of the copy.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._limits, self._epochs = space, limits, epochs
        directions = make_directions(about)
        self._is_in_the_plane = len(directions) == len(DIRECTIONS)
        task = SamplerTask(space=space, seed=seed, workers=workers, epochs=epochs, work=work, trials=trials)
        sampler = make_sampler(kind, task)
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._distributions = make_distributions(space)
        self._positions: dict[int, int] = {}
        self._open: set[int] = set()
        self._tried: Counter[frozenset[tuple[str, Any]]] = Counter()
        """How often these params were tried, but for paused trials that may be resumed."""

    def suggest(self) -> ProposedTrial | None:
        """Return the next trial, which nobody tried before; None: the sampler knows no other.

        It counts as running until `bind` and `show` say otherwise. A sampler that draws by its seed begins
        with what it drew before the study was taken up again: as many repeats are no sign of anything.
        """
        for _ in range(MAX_REPEATS + len(self._tried)):
            trial = self._ask_sampler()
            if not self._tried[freeze_params(trial.params)]:
                self._tried[freeze_params(trial.params)] += 1
                return trial
            self.bind(None, trial)
            if getattr(self._study.sampler, "exhausted", False):
                break
        return None

    def suggest_many(self, count: int) -> list[ProposedTrial]:
        """Return at most `count` next trials, see `suggest`; none: the sampler knows no other."""
        sampler, proposals = self._study.sampler, list[ProposedTrial]()
        if count > 1 and isinstance(sampler, FrontierSampler):
            for params in sampler.suggest_many(self._study, count):
                if not self._tried[freeze_params(params)]:
                    self._tried[freeze_params(params)] += 1
                    proposals.append(self._add_running(params))
        if not proposals and (trial := self.suggest()):
            proposals.append(trial)
        return proposals

    def _add_running(self, params: Mapping[str, Value]) -> ProposedTrial:
        """Add a trial of these params, in the order of the space, to the copy of the study."""
        chosen, distributions = arrange_params(self._space, params, self._distributions)
        running = create_trial(state=TrialState.RUNNING, params=chosen, distributions=distributions)
        return ProposedTrial(chosen, distributions, {}, position=self._add_copy(running))

    def look_ahead(self, best_accuracy: float) -> Outlook | None:
        """Forecast what more training would add to the best accuracy so far; None: the sampler cannot say."""
        sampler = self._study.sampler
        if not isinstance(sampler, FrontierSampler):
            return None
        return sampler.look_ahead(self._study, best_accuracy)

    def _may_resume(self, state: TrialState) -> bool:
        """Return whether the sampler may suggest a paused trial again, to train it further."""
        return state is TrialState.PRUNED and isinstance(self._study.sampler, FrontierSampler)

    def _ask_sampler(self) -> ProposedTrial:
        params = dict[str, Value]()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "FrontierSampler repeats")  # `suggest` notices
            trial = self._study.ask()
            for dimension in self._space.iterate_active(params):
                name = dimension.name
                params[name] = suggest_value(trial, name, self._distributions[name])
        row = self._study.get_trials(deepcopy=False)[trial.number]
        return ProposedTrial(params, trial.distributions, row.system_attrs, position=trial.number)

    def bind(self, number: int | None, suggestion: ProposedTrial) -> None:
        """Note that the suggestion became trial `number` of the study; None: nothing became of it."""
        if number is None:
            self._study.tell(suggestion.position, state=TrialState.FAIL)
        else:
            self._positions[number] = suggestion.position
            self._open.add(number)

    def show(self, rows: Iterable[FrozenTrial]) -> None:
        """Update the copy from `rows` of the study."""
        for row in rows:
            if row.number in self._positions and row.number not in self._open:
                continue  # nothing of it is new, as of nearly all
            if row.state is TrialState.WAITING or WORDS in row.user_attrs:
                continue  # a baseline lies outside the space
            if is_interrupted(row):
                row = _drop_values(row)
            if row.number not in self._positions:
                self._tried[freeze_params(row.params)] += not self._may_resume(row.state)
                self._positions[row.number] = self._add_copy(row)
                self._show_reached(row)
                if row.state is TrialState.RUNNING:
                    self._open.add(row.number)
            elif row.state.is_finished():
                self._finish(row)

    def _add_copy(self, row: FrozenTrial) -> int:
        """Add a copy of a row, which Optuna has checked before, and return its position."""
        storage = self._study._storage
        trial_id = storage.create_new_trial(
            self._study._study_id, template_trial=_TrialCopy(row, self._limits)
        )
        return storage.get_trial_number_from_id(trial_id)

    def _show_reached(self, row: FrozenTrial) -> None:
        """Tell the frontier sampler what a paused trial has reached, where it cannot read that off a curve.

        Over more than two objectives it learns from values alone; this state is one that may be trained to.
        """
        outcome = row.user_attrs.get(OUTCOME, {})
        if (
            self._is_in_the_plane
            or row.state is not TrialState.PRUNED
            or not isinstance(self._study.sampler, FrontierSampler)
            or not outcome.get("fair_midway")
        ):
            return
        params = dict(row.params)
        if self._epochs in params:
            params[self._epochs] = len(outcome["curve"])
            if not row.distributions[self._epochs]._contains(params[self._epochs]):
                return
        _, values = read_end({**outcome, "state": "complete"})
        reached = create_trial(
            state=TrialState.COMPLETE,
            values=values,
            params=params,
            distributions=row.distributions,
            constraints=_measure_excess(row, self._limits),
        )
        self._study.add_trial(reached)
        self._tried[freeze_params(params)] += 1

    def _finish(self, row: FrozenTrial) -> None:
        position = self._positions[row.number]
        trial_id = self._study.get_trials(deepcopy=False)[position]._trial_id
        for key, value in list_lessons(row).items():
            self._study._storage.set_trial_user_attr(trial_id, key, value)
        for name, excess in _measure_excess(row, self._limits).items():
            optuna.Trial(self._study, trial_id).set_constraint(name, excess)
        self._study.tell(position, values=row.values, state=row.state)
        self._tried[freeze_params(row.params)] -= self._may_resume(row.state)
        self._open.discard(row.number)
        self._show_reached(row)


def _drop_values(row: FrozenTrial) -> FrozenTrial:
    """Return a trial that came to nothing without the values that another program has told for it."""
    failed = copy.copy(row)
    failed.state, failed.values = TrialState.FAIL, None
    return failed


class _TrialCopy(FrozenTrial):
    """A copy of a row that shares its values: nobody changes them."""

    def __init__(self, row: FrozenTrial, limits: Limits) -> None:
        super().__init__(
            number=-1,
            state=row.state,
            value=None,
            values=row.values,
            datetime_start=row.datetime_start,
            datetime_complete=row.datetime_complete,
            params=row.params,
            distributions=row.distributions,
            user_attrs=list_lessons(row),
            system_attrs=dict(row.system_attrs),
            intermediate_values={},
            trial_id=-1,
        )
        for name, excess in _measure_excess(row, limits).items():
            self.set_constraint(name, excess)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_TrialCopy":
        """Return a shallow copy: Optuna would copy every entry of a curve, and each distribution."""
        return copy.copy(self)


def _measure_excess(row: FrozenTrial, limits: Limits) -> dict[str, float]:
    """Return the log of each measured value over its limit; 0 and less keeps to it."""
    outcome = row.user_attrs.get(OUTCOME, {})
    measured = {
        "max_latency_ms": (outcome.get("latency_p99_ms"), limits.max_latency_ms),
        "max_parameters": (outcome.get("parameters"), limits.max_parameters),
    }
    return {name: math.log(value / limit) for name, (value, limit) in measured.items() if value and limit}


def list_lessons(row: FrozenTrial) -> dict[str, Any]:
    """Return what a sampler may learn from: the full curve.

    An R2 below 0 counts as 0: how much worse than the mean a state is teaches nothing.
    """
    outcome = row.user_attrs.get(OUTCOME, {})
    lessons = {key: outcome[key] for key in ("curve", "fair_midway") if key in outcome}
    if any(value < 0 for *_, value in lessons.get("curve", ())):
        lessons["curve"] = [(*state, max(0.0, value)) for *state, value in lessons["curve"]]
    return lessons
