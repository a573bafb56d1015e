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

import math
import secrets
import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import ThreadpoolController

from pipeline.frontier_sampler import suggest
from pipeline.frontier_sampler.conditions import Trait, learn_conditions
from pipeline.frontier_sampler.encoding import Choices, EncodedSpace, Numeric, Parameter
from pipeline.frontier_sampler.history import Curve, Fidelity, TrialRecord, TrialStatus
from pipeline.frontier_sampler.observations import Work
from pipeline.frontier_sampler.suggest import Suggester

DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
STATES = {
    TrialState.COMPLETE: TrialStatus.finished,
    TrialState.PRUNED: TrialStatus.finished,
    TrialState.FAIL: TrialStatus.failed,
    TrialState.RUNNING: TrialStatus.running,
    TrialState.WAITING: TrialStatus.running,
}


class FrontierSampler(BaseSampler):
    """Expected improvement of the whole curve per device-second, over new and paused configurations.

    COMPLETE and PRUNED (= paused) trials teach; one that is COMPLETE with fewer epochs than it was asked for
    has ended for good. A configuration whose trial FAILED is not tried again; trials that run count as if
    they had reached what is expected of them. A trial with `trial.set_user_attr("fair_midway", False)` counts
    by the end of its curve alone, and is never continued. The same seed and the same trials give the same
    suggestion, in any process.
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
    ) -> None:
        """Start without trials; every argument may be left out.

        `distributions`: the whole space, conditional parameters, too; None: learned from the study's trials.
        `when`: name -> (parent, value): that parameter applies only where the parent has that value, or one
        of them where it is a tuple, list or set.
        `epochs`: the int parameter that says how far to train; where a study has none, trials run whole.
        `work`: params -> positive numbers to which the cost of an epoch is roughly proportional, such as
        FLOPs and steps. `candidates`: the only configurations (without epochs) that may be proposed.
        `startup_trials`: quasi-random ones before the surrogate takes over.

        Raises:
            ValueError: `when` names what is not in `distributions`, or `epochs` is no int there.
        """
        self._seed = secrets.randbits(31) if seed is None else seed
        self._epochs, self._work, self._startup = epochs, work, startup_trials
        self._when = {name: (parent, _as_tuple(value)) for name, (parent, value) in (when or {}).items()}
        self._given = None if distributions is None else dict(distributions)
        self._candidates = None if candidates is None else [dict(params) for params in candidates]
        self._lock = threading.Lock()
        self._records: dict[tuple[str, int], TrialRecord] = {}
        self._traits: dict[tuple[str, int], Trait] = {}
        self._suggester: Suggester | None = None
        self.exhausted = False
        """Whether the last suggestion had to repeat a finished configuration, because none was left."""
        if self._given is not None:
            self._make_space(self._given, self._when)
            _check_epochs(self._given, epochs)

    # ---- what Optuna asks ---------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the space that was given, or what the trials so far suggested."""
        if self._given is not None:
            return dict(self._given)
        with self._lock:
            return join_distributions(self._list_other_trials(study, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of the parameters that apply, and the epochs to train.

        Raises:
            ValueError: the study's directions or values are not (accuracy, device-seconds).
        """
        if study.directions != DIRECTIONS:
            got = [direction.name.lower() for direction in study.directions]
            raise ValueError(
                f"directions must be ['maximize', 'minimize'] (accuracy, device-seconds), got {got}; "
                "create the study with these"
            )
        fixed = trial.system_attrs.get("fixed_params", {})
        if not search_space or set(fixed) >= set(search_space):
            return {}
        with self._lock:
            others = self._list_other_trials(study, trial)
            records = [self._read_trial(study, record) for record in others]
            suggester = self._find_suggester(study, others, records, search_space)
            with _find_blas().limit(
                limits=1
            ):  # many small products: threads would only get in each other's way
                suggestion = suggester.suggest(
                    [record for record in records if record is not None], trial.number
                )
        if suggestion.exhausted:
            self._stop_exhausted(study)
        self.exhausted = suggestion.exhausted
        if suggestion.epochs is None:
            return suggestion.params
        assert self._epochs is not None
        return {
            **suggestion.params,
            self._epochs: _round_up_epochs(suggestion.epochs, search_space[self._epochs]),
        }

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample uniformly, where the space is not known yet; epochs as the first trials have them."""
        if param_name == self._epochs and isinstance(param_distribution, IntDistribution):
            low, high = param_distribution.low, param_distribution.high
            fidelity = Fidelity(low, high, chosen=True)
            return _round_up_epochs(suggest.choose_first_target(fidelity, trial.number), param_distribution)
        stream = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        return convert_distribution(param_distribution).decode(float(np.random.default_rng(stream).random()))

    def _stop_exhausted(self, study: Study) -> None:
        with suppress(RuntimeError):  # not inside of study.optimize
            study.stop()
        warnings.warn(
            "FrontierSampler repeats a finished configuration because the space has no other left; "
            "stop the study, or widen the space",
            stacklevel=2,
        )

    # ---- trials as plain values ---------------------------------------------------------------------------

    def _list_other_trials(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        trials = study.get_trials(deepcopy=False)
        return [row for row in trials if row.number != trial.number]

    def _read_trial(self, study: Study, trial: FrozenTrial) -> TrialRecord | None:
        """Read a trial as plain values; finished ones are read once."""
        key = (study.study_name, trial.number)
        if key not in self._records or not trial.state.is_finished():
            record = _make_record(trial, self._epochs)
            if record is None:
                return None
            self._records[key] = record
        return self._records[key]

    # ---- the proposer -------------------------------------------------------------------------------------

    def _find_suggester(
        self,
        study: Study,
        trials: Sequence[FrozenTrial],
        records: Sequence[TrialRecord | None],
        search_space: Mapping[str, BaseDistribution],
    ) -> Suggester:
        """Return the suggester in use, or a new one where space or fidelity changed."""
        when = (
            self._when if self._given is not None else {**self._learn_conditions(study, trials), **self._when}
        )
        space = self._make_space(search_space, when)
        fidelity = self._find_fidelity(search_space, records)
        current = self._suggester
        if (
            current is None
            or current.space != space
            or current.fidelity != fidelity
            or current.study != study.study_name
        ):
            self._suggester = current = Suggester(
                space,
                fidelity,
                seed=self._seed,
                startup_trials=self._startup,
                work=self._work,
                listed=self._candidates,
                study=study.study_name,
            )
        return current

    def _learn_conditions(
        self, study: Study, trials: Sequence[FrozenTrial]
    ) -> dict[str, tuple[str, tuple[object, ...]]]:
        """Learn which parameter appears under which value of which choice."""
        finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        traits = []
        for trial in finished:
            key = (study.study_name, trial.number)
            if key not in self._traits:
                names = frozenset(trial.params)
                chosen = {
                    name: value
                    for name, value in trial.params.items()
                    if isinstance(trial.distributions[name], CategoricalDistribution)
                }
                self._traits[key] = Trait(names, tuple(sorted(chosen.items())))
            traits.append(self._traits[key])
        return learn_conditions(traits)

    def _make_space(
        self,
        distributions: Mapping[str, BaseDistribution],
        when: Mapping[str, tuple[str, tuple[object, ...]]],
    ) -> EncodedSpace:
        parameters = []
        for name, distribution in distributions.items():
            if name != self._epochs or not isinstance(distribution, IntDistribution):
                parent, among = when.get(name, (None, ()))
                parameters.append(Parameter(name, convert_distribution(distribution), parent, among))
        for name in when:
            if name not in distributions:
                raise ValueError(
                    f"when[{name!r}] must be one of the distributions, got none of that name; add it there"
                )
        return EncodedSpace(parameters)

    def _find_fidelity(
        self, distributions: Mapping[str, BaseDistribution], records: Sequence[TrialRecord | None]
    ) -> Fidelity:
        """Return the range of the epochs, or the length of the longest trial where none are chosen."""
        distribution = distributions.get(self._epochs) if self._epochs else None
        if isinstance(distribution, IntDistribution):
            return Fidelity(distribution.low, distribution.high, chosen=True)
        longest = max((record.curve[-1][0] for record in records if record and record.curve), default=1)
        return Fidelity(1, longest, chosen=False)


@cache
def _find_blas() -> ThreadpoolController:
    """Return the linear algebra libraries of this process, looked up once numpy and scipy are loaded."""
    return ThreadpoolController().select(user_api="blas")


# ---- translation ------------------------------------------------------------------------------------------


def convert_distribution(distribution: BaseDistribution) -> Numeric | Choices:
    """Convert an Optuna distribution to a domain of the encoding."""
    match distribution:
        case FloatDistribution():
            return Numeric(distribution.low, distribution.high, distribution.log, distribution.step)
        case IntDistribution():
            step = None if distribution.step == 1 else float(distribution.step)
            return Numeric(distribution.low, distribution.high, distribution.log, step, integer=True)
        case CategoricalDistribution():
            return Choices(tuple(distribution.choices))
    raise ValueError(
        f"a distribution must be float, int or categorical, got {distribution!r}; use one of these"
    )


def _as_tuple(value: object) -> tuple[object, ...]:
    if isinstance(value, set | frozenset):
        return tuple(sorted(value, key=repr))
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _make_record(trial: FrozenTrial, epochs: str | None) -> TrialRecord | None:
    """Convert a trial to plain values; None where nothing is known of it yet.

    Raises:
        ValueError: its accuracy is not in 0..1.
    """
    params = dict(trial.params)
    if trial.state in (TrialState.WAITING, TrialState.RUNNING):
        params = {**trial.system_attrs.get("fixed_params", {}), **params}
    if not params:
        return None
    target = params.pop(epochs, None) if epochs else None
    target = int(target) if isinstance(target, int | float) else None
    fair = bool(trial.user_attrs.get("fair_midway", True))
    curve = _read_curve(trial, target or 1)
    if not fair and trial.state is TrialState.PRUNED:
        curve = ()  # it did not reach the end that alone would count
    feasible = all(value <= 0 for value in trial.constraints.values())
    short = target is not None and bool(curve) and curve[-1][0] < target
    ended = short and trial.state is TrialState.COMPLETE
    return TrialRecord(
        number=trial.number,
        params=params,
        status=STATES[trial.state],
        curve=curve,
        target=target,
        fair=fair,
        feasible=feasible,
        ended=ended,
    )


def _read_curve(trial: FrozenTrial, epochs: int) -> Curve:
    """Return the curve that was reported, else the one point that the values are."""
    rows = trial.user_attrs.get("curve")
    if rows:
        entries = ((int(epoch), float(seconds), float(accuracy)) for epoch, seconds, accuracy in rows)
        return tuple(row for row in entries if math.isfinite(row[2]) and 0 < row[1] < math.inf)
    if trial.state is not TrialState.COMPLETE or trial.values is None:
        return ()
    accuracy, seconds = trial.values
    if not 0 <= accuracy <= 1:
        raise ValueError(
            f"the accuracy of trial {trial.number} must lie in 0..1, got {accuracy}; return a share"
        )
    return ((epochs, seconds, accuracy),) if 0 < seconds < math.inf else ()


def join_distributions(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return every parameter that was suggested, in the widest range that was."""
    joined: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            before = joined.get(name, distribution)
            joined[name] = distribution if before == distribution else _join_pair(before, distribution)
    return joined


def _join_pair(earlier: BaseDistribution, later: BaseDistribution) -> BaseDistribution:
    """Join two distributions of one name; the later one where they are of different kinds."""
    if isinstance(earlier, IntDistribution) and isinstance(later, IntDistribution):
        low, high = min(earlier.low, later.low), max(earlier.high, later.high)
        step = later.step if earlier.step == later.step and (earlier.low - later.low) % later.step == 0 else 1
        return IntDistribution(low, high, log=earlier.log and later.log, step=step)
    if isinstance(earlier, FloatDistribution) and isinstance(later, FloatDistribution):
        every = later.step if earlier.step == later.step else None
        lowest, highest = min(earlier.low, later.low), max(earlier.high, later.high)
        return FloatDistribution(lowest, highest, log=earlier.log and later.log, step=every)
    return later


def _round_up_epochs(epochs: int, distribution: BaseDistribution) -> int:
    """Round up to the next number of epochs that the step allows."""
    assert isinstance(distribution, IntDistribution)
    steps = math.ceil((epochs - distribution.low) / distribution.step)
    return min(distribution.low + steps * distribution.step, distribution.high)


def _check_epochs(distributions: Mapping[str, BaseDistribution], epochs: str | None) -> None:
    distribution = distributions.get(epochs) if epochs else None
    if distribution is not None and not isinstance(distribution, IntDistribution):
        raise ValueError(
            f"distributions[{epochs!r}] must be an IntDistribution, got {distribution!r}; use one"
        )
