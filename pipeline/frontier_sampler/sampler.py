"""`FrontierSampler`: an Optuna sampler for accuracy against device-seconds that learns from whole curves.

    study = optuna.create_study(directions=["maximize", "minimize"], sampler=FrontierSampler(seed=0))

The objective returns (accuracy in 0..1, device-seconds) and may report the curve that led there:
`trial.set_user_attr("curve", [[epoch, device_seconds, accuracy], ...])`, from epoch 1, seconds so far.
Where it suggests the number of epochs (`epochs`, an int), the sampler chooses that, too, and may come back to
the same configuration with more of them: restore the checkpoint, train the difference, report the whole
curve.

The idea to value a trial by its trajectory is that of trajectory-based multi-objective optimisation
(Wang et al. 2024, arXiv 2405.15303).
"""

import secrets
import threading
import warnings
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from threadpoolctl import ThreadpoolController

from pipeline.frontier_sampler import reading, suggest
from pipeline.frontier_sampler.curves.costs import Work
from pipeline.frontier_sampler.curves.outlook import Outlook
from pipeline.frontier_sampler.distributions import (
    as_tuple,
    convert_distribution,
    make_fidelity,
    round_up_epochs,
)
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.general import GeneralSuggester, ValueRecord
from pipeline.frontier_sampler.history import Fidelity, TrialRecord
from pipeline.frontier_sampler.reading import TrialReading
from pipeline.frontier_sampler.study_summary import SeenTrials, StudySummary, find_index
from pipeline.frontier_sampler.suggest import Suggester, Suggestion

T = TypeVar("T")


class FrontierSampler(BaseSampler):
    """Expected improvement of the whole curve per device-second, over new and paused configurations.

    COMPLETE and PRUNED (= paused) trials teach; one that is COMPLETE with fewer epochs than it was asked for
    has ended for good. A configuration whose trial FAILED is not tried again; trials that run count as if
    they had reached what is expected of them, until they end. `trial.set_constraint(name, value)` says how
    far a trial is from its limit, 0 and less being feasible. A trial with
    `trial.set_user_attr("fair_midway", False)` counts by the end of its curve alone, and is never continued.
    The same seed and the same trials give the same suggestion, in any process.

    A study of other objectives (one, two of any directions, three and more) is searched by the expected
    improvement of its hypervolume, without curves.
    """

    def __init__(
        self,
        *,
        distributions: Mapping[str, BaseDistribution] | None = None,
        when: Mapping[str, tuple[str, object]] | None = None,
        epochs: str | None = "train.epochs",
        work: Work | None = None,
        candidates: Sequence[Mapping[str, Any]] | None = None,
        seed: int | None = None,
        startup_trials: int = 8,
        trials: int | None = None,
    ) -> None:
        """Start without trials; every argument may be left out.

        `distributions`: the whole space, conditional parameters, too; None: learned from the study's trials.
        `when`: name -> (parent, value): that parameter applies only where the parent has that value, or one
        of them where it is a tuple, list or set.
        `epochs`: the int parameter that says how far to train; where a study has none, trials run whole.
        `work`: params -> positive numbers to which the cost of an epoch is roughly proportional, such as
        FLOPs and steps. `candidates`: the only configurations (without epochs) that may be proposed.
        `startup_trials`: quasi-random ones before the surrogate takes over. `trials`: how many the study will
        have in all, such as `n_trials`: the fewer are left, the further each may go; None: nobody knows.

        Raises:
            ValueError: `when` names what is not in `distributions`, `epochs` is no int there, `seed` is no
                whole number from 0 on, or there are no `candidates`.
        """
        if not (seed is None or (isinstance(seed, Integral) and seed >= 0)):
            raise ValueError(f"seed must be a whole number from 0 on or None, got {seed!r}; give one")
        self._seed = secrets.randbits(31) if seed is None else int(seed)
        self._epochs, self._work, self._startup, self._trials = epochs, work, startup_trials, trials
        self._when = {name: (parent, as_tuple(value)) for name, (parent, value) in (when or {}).items()}
        self._given = None if distributions is None else dict(distributions)
        self._candidates = None if candidates is None else [dict(params) for params in candidates]
        if self._candidates == []:
            raise ValueError("candidates must have a configuration at least, got none; leave it out for any")
        self._lock = threading.Lock()
        self._summary: tuple[object, StudySummary] | None = None
        self._curves: tuple[object, Suggester, SeenTrials[TrialRecord | None]] | None = None
        self._general: tuple[object, GeneralSuggester, SeenTrials[ValueRecord | None]] | None = None
        self.exhausted = False
        """Whether the last suggestion had to repeat a finished configuration, because none was left."""
        if self._given is not None:
            self._make_space(self._given, self._when, epochs)
            _check_epochs(self._given, epochs)

    # ---- what Optuna asks ---------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space that was given, or what the trials so far suggested."""
        if self._given is not None:
            return dict(self._given)
        with self._lock:
            return self._summarise(study, self._list_other_trials(study, trial)).join_distributions()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of the parameters that apply, and the epochs to train.

        Raises:
            ValueError: trials reported curves that are not of accuracies against device-seconds.
        """
        fixed = trial.system_attrs.get("fixed_params", {})
        if not search_space or set(fixed) >= set(search_space):
            return {}
        with self._lock, _find_blas().limit(limits=1):  # threads would slow down many small products
            others = self._list_other_trials(study, trial)
            summary = self._summarise(study, others)
            suggestion = self._suggest(study, summary, others, trial, search_space)
            suggested = self._to_params(suggestion, search_space)
            summary.handed[trial.number] = suggested
        if suggestion.exhausted:
            warnings.warn(
                "FrontierSampler repeats a finished configuration because the space has no other left; "
                "stop the study, or widen the space",
                stacklevel=2,
            )
        self.exhausted = suggestion.exhausted
        return suggested

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample uniformly, where the space is not known yet; epochs as the first trials have them."""
        if param_name == self._epochs and isinstance(param_distribution, IntDistribution):
            fidelity = make_fidelity(param_distribution)
            return round_up_epochs(suggest.choose_first_target(fidelity, trial.number), param_distribution)
        stream = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        return convert_distribution(param_distribution).decode(float(np.random.default_rng(stream).random()))

    def suggest_many(self, study: Study, count: int) -> list[dict[str, Any]]:
        """Suggest the parameters of the next `count` trials at once, for as many workers that wait.

        The surrogates are conditioned once for all of them; each is told what is expected of those before.
        There are fewer where the space has no more, and none where the sampler has to be asked one by one: in
        a study of other objectives.
        """
        with self._lock, _find_blas().limit(limits=1):
            trials = study.get_trials(deepcopy=False)
            summary = self._summarise(study, trials)
            search_space = self._given or summary.join_distributions()
            curves = self._find_suggester(study, summary, trials, search_space) if search_space else None
            suggestions = curves[0].suggest_many(curves[1], len(trials), count) if curves else []
        return [self._to_params(new, search_space) for new in suggestions if not new.exhausted]

    def _to_params(
        self, suggestion: Suggestion, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        if suggestion.epochs is None:
            return suggestion.params
        assert self._epochs is not None
        epochs = round_up_epochs(suggestion.epochs, search_space[self._epochs])
        return {**suggestion.params, self._epochs: epochs}

    def look_ahead(self, study: Study, best_accuracy: float = 0.0) -> Outlook | None:
        """Forecast what more training would add to the best accuracy of a study.

        `best_accuracy`: of what is no trial of the study, such as a baseline beside it. None where the
        sampler cannot say: before its start-up trials have ended, or without curves.
        """
        with self._lock, _find_blas().limit(limits=1):
            trials = study.get_trials(deepcopy=False)
            summary = self._summarise(study, trials)
            search_space = self._given or summary.join_distributions()
            found = self._find_suggester(study, summary, trials, search_space) if search_space else None
            return found[0].look_ahead(found[1], len(trials), best_accuracy) if found else None

    def reseed_rng(self) -> None:
        """Draw another seed; Optuna asks for it before each trial of `n_jobs`."""
        with self._lock:
            self._seed = secrets.randbits(31)
            for cached in (self._curves, self._general):
                if cached is not None:
                    cached[1].reseed(self._seed)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the lock and what trials have taught, for pickle and deepcopy."""
        with self._lock:
            state = {name: value for name, value in vars(self).items() if name != "_lock"}
        return state | {"_summary": None, "_curves": None, "_general": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state over, with a lock of its own."""
        vars(self).update(state)
        self._lock = threading.Lock()

    # ---- trials as plain values ---------------------------------------------------------------------------

    def _list_other_trials(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        trials = study.get_trials(deepcopy=False)  # in the order of their numbers
        if self._summary is not None and self._summary[0] == _identify_study(study):
            trials = self._summary[1].add_handed(trials)
        index = find_index(trials, trial.number)
        return trials if index is None else trials[:index] + trials[index + 1 :]

    def _summarise(self, study: Study, trials: Sequence[FrozenTrial]) -> StudySummary:
        """Return what is known of the study after these trials."""
        key = _identify_study(study)
        if self._summary is None or self._summary[0] != key:
            self._summary = key, StudySummary(study)
        self._summary[1].update(trials)
        return self._summary[1]

    def _read_new(
        self,
        seen_trials: SeenTrials[T | None],
        trials: Sequence[FrozenTrial],
        convert: Callable[[TrialReading], T],
    ) -> list[T]:
        """Convert the trials that a suggester has not seen, or that may have changed since."""

        def convert_trial(trial: FrozenTrial) -> T | None:
            row = reading.read_trial(trial)
            return None if row is None else convert(row)

        return [value for value in seen_trials.convert_new(trials, convert_trial) if value is not None]

    # ---- suggestions --------------------------------------------------------------------------------------

    def _suggest(
        self,
        study: Study,
        summary: StudySummary,
        others: Sequence[FrozenTrial],
        trial: FrozenTrial,
        search_space: Mapping[str, BaseDistribution],
    ) -> Suggestion:
        found = self._find_suggester(study, summary, others, search_space)
        if found is None:
            when = self._find_conditions(summary, search_space)
            return self._suggest_general(study, others, self._make_space(search_space, when, None), trial)
        suggester, records = found
        return suggester.suggest(records, trial.number)

    def _find_conditions(
        self, summary: StudySummary, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, tuple[str, tuple[object, ...]]]:
        """Find the conditions of this space: other samplers fix parameters, threads bring them."""
        learned = {} if self._given is not None else summary.learn_conditions()
        return {
            name: (parent, among)
            for name, (parent, among) in [*learned.items(), *self._when.items()]
            if name in search_space and parent in search_space
        }

    def _find_suggester(
        self,
        study: Study,
        summary: StudySummary,
        trials: Sequence[FrozenTrial],
        search_space: Mapping[str, BaseDistribution],
    ) -> tuple[Suggester, list[TrialRecord]] | None:
        """Find what suggests from curves, with what the trials teach it; None where a study has none."""
        scale = summary.find_scale()
        if scale is None:
            return None
        space = self._make_space(search_space, self._find_conditions(summary, search_space), self._epochs)
        fidelity = self._find_fidelity(search_space, summary)
        key = (_identify_study(study), space, fidelity, scale)
        if self._curves is None or self._curves[0] != key:
            suggester = Suggester(
                space,
                fidelity,
                seed=self._seed,
                startup_trials=self._startup,
                work=self._work,
                listed=self._candidates,
                trials=self._trials,
            )
            self._curves = key, suggester, SeenTrials()
        _, suggester, seen_trials = self._curves
        records = self._read_new(
            seen_trials, trials, lambda row: reading.make_curve_record(row, scale, self._epochs, space.names)
        )
        return suggester, records

    def _suggest_general(
        self, study: Study, others: Sequence[FrozenTrial], space: EncodedSpace, trial: FrozenTrial
    ) -> Suggestion:
        key = (_identify_study(study), space)
        if self._general is None or self._general[0] != key:
            suggester = GeneralSuggester(
                space, seed=self._seed, startup_trials=self._startup, listed=self._candidates
            )
            self._general = key, suggester, SeenTrials()
        _, suggester, seen_trials = self._general
        directions = study.directions
        records = self._read_new(
            seen_trials, others, lambda row: reading.make_value_record(row, directions, space.names)
        )
        return suggester.suggest(records, trial.number)

    def _make_space(
        self,
        distributions: Mapping[str, BaseDistribution],
        when: Mapping[str, tuple[str, tuple[object, ...]]],
        epochs: str | None,
    ) -> EncodedSpace:
        """Make the space of all parameters but `epochs`, where that is an int."""
        parameters = []
        for name, distribution in distributions.items():
            if name != epochs or not isinstance(distribution, IntDistribution):
                parent, among = when.get(name, (None, ()))
                parameters.append(Parameter(name, convert_distribution(distribution), parent, among))
        for name in when:
            if name not in distributions:
                raise ValueError(
                    f"when[{name!r}] must be one of the distributions, got none of that name; add it there"
                )
        return EncodedSpace(parameters)

    def _find_fidelity(
        self, distributions: Mapping[str, BaseDistribution], summary: StudySummary
    ) -> Fidelity:
        """Return the range of the epochs, or the length of the longest trial where none are chosen."""
        distribution = distributions.get(self._epochs) if self._epochs else None
        if isinstance(distribution, IntDistribution):
            return make_fidelity(distribution)
        return Fidelity(1, summary.find_longest(), chosen=False)


def _identify_study(study: Study) -> tuple[object, int]:
    """Return what tells a study from all others of this process: names come again in other storages."""
    return weakref.ref(study._storage), study._study_id


@cache
def _find_blas() -> ThreadpoolController:
    """Return the linear algebra libraries of this process, looked up once numpy and scipy are loaded."""
    return ThreadpoolController().select(user_api="blas")


def _check_epochs(distributions: Mapping[str, BaseDistribution], epochs: str | None) -> None:
    distribution = distributions.get(epochs) if epochs else None
    if distribution is not None and not isinstance(distribution, IntDistribution):
        raise ValueError(
            f"distributions[{epochs!r}] must be an IntDistribution, got {distribution!r}; use one"
        )
