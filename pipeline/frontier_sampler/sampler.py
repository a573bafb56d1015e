"""`FrontierSampler`: an Optuna sampler for accuracy against device-seconds that learns from whole curves.

    study = optuna.create_study(directions=["maximize", "minimize"], sampler=FrontierSampler(seed=0))

The objective returns (accuracy in 0..1, device-seconds) and may tell the curve that led there:
`trial.set_user_attr("curve", [[epoch, device_seconds, accuracy], ...])`, whole, from epoch 1, seconds so far.
Where it suggests the number of epochs (`epochs`, an int), the sampler chooses that, too, and may come back to
the same configuration with more of them: restore the checkpoint, train the difference, tell the whole curve.

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
from pipeline.frontier_sampler.conditions import Trait, conditions
from pipeline.frontier_sampler.encoding import Choices, Numeric, Parameter, Space
from pipeline.frontier_sampler.history import Curve, Fidelity, State, Told
from pipeline.frontier_sampler.observations import Work
from pipeline.frontier_sampler.suggest import Proposer

DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
STATES = {
    TrialState.COMPLETE: State.finished,
    TrialState.PRUNED: State.finished,
    TrialState.FAIL: State.failed,
    TrialState.RUNNING: State.running,
    TrialState.WAITING: State.running,
}


class FrontierSampler(BaseSampler):
    """Expected improvement of the whole curve per device-second, over new and paused configurations.

    COMPLETE and PRUNED (= paused) trials teach; one that is COMPLETE with fewer epochs than it was asked for
    has ended for good. A configuration whose trial FAILED is not tried again; trials that run count as if
    they had reached what is expected of them. A trial with `trial.set_user_attr("fair_midway", False)` counts
    by the end of its curve alone, and is never continued. The same seed and the same trials give the same
    proposal, in any process.
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
        """All arguments may stay away.

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
        self._when = {name: (parent, _several(value)) for name, (parent, value) in (when or {}).items()}
        self._given = None if distributions is None else dict(distributions)
        self._candidates = None if candidates is None else [dict(each) for each in candidates]
        self._lock = threading.Lock()
        self._told: dict[tuple[str, int], Told] = {}
        self._traits: dict[tuple[str, int], Trait] = {}
        self._proposer: Proposer | None = None
        self.exhausted = False
        """Whether the last proposal had to repeat a finished configuration, because none was left."""
        if self._given is not None:
            self._space(self._given, self._when)
            _check_epochs(self._given, epochs)

    # ---- what Optuna asks ---------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The space that was given, or what the trials so far suggested."""
        if self._given is not None:
            return dict(self._given)
        with self._lock:
            return union(self._others(study, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the parameters that apply, and the epochs to train.

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
            others = self._others(study, trial)
            told = [self._tell(study, each) for each in others]
            proposer = self._proposer_for(study, others, told, search_space)
            with _blas().limit(limits=1):  # many small products: threads would only get in each other's way
                found = proposer.propose([each for each in told if each is not None], trial.number)
        if found.exhausted:
            self._repeats(study)
        self.exhausted = found.exhausted
        if found.epochs is None:
            return found.params
        assert self._epochs is not None
        return {**found.params, self._epochs: _allowed(found.epochs, search_space[self._epochs])}

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Uniform, where the space is not known yet; epochs as the first trials have them."""
        if param_name == self._epochs and isinstance(param_distribution, IntDistribution):
            low, high = param_distribution.low, param_distribution.high
            fidelity = Fidelity(low, high, chosen=True)
            return _allowed(suggest.first_target(fidelity, trial.number), param_distribution)
        stream = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        return domain_of(param_distribution).value(float(np.random.default_rng(stream).random()))

    def _repeats(self, study: Study) -> None:
        with suppress(RuntimeError):  # not inside of study.optimize
            study.stop()
        warnings.warn(
            "FrontierSampler repeats a finished configuration because the space has no other left; "
            "stop the study, or widen the space",
            stacklevel=2,
        )

    # ---- trials as plain values ---------------------------------------------------------------------------

    def _others(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        trials = study.get_trials(deepcopy=False)
        return [each for each in trials if each.number != trial.number]

    def _tell(self, study: Study, trial: FrozenTrial) -> Told | None:
        """What a trial teaches; finished ones are read once."""
        key = (study.study_name, trial.number)
        if key not in self._told or not trial.state.is_finished():
            told = _told(trial, self._epochs)
            if told is None:
                return None
            self._told[key] = told
        return self._told[key]

    # ---- the proposer -------------------------------------------------------------------------------------

    def _proposer_for(
        self,
        study: Study,
        trials: Sequence[FrozenTrial],
        told: Sequence[Told | None],
        search_space: Mapping[str, BaseDistribution],
    ) -> Proposer:
        """The one in use, or a new one where space or fidelity turned out to be another."""
        when = self._when if self._given is not None else {**self._learned(study, trials), **self._when}
        space = self._space(search_space, when)
        fidelity = self._fidelity(search_space, told)
        now = self._proposer
        if now is None or now.space != space or now.fidelity != fidelity or now.study != study.study_name:
            self._proposer = now = Proposer(
                space,
                fidelity,
                seed=self._seed,
                startup_trials=self._startup,
                work=self._work,
                listed=self._candidates,
                study=study.study_name,
            )
        return now

    def _learned(
        self, study: Study, trials: Sequence[FrozenTrial]
    ) -> dict[str, tuple[str, tuple[object, ...]]]:
        """Which parameter appears under which value of which choice."""
        finished = [each for each in trials if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        traits = []
        for each in finished:
            key = (study.study_name, each.number)
            if key not in self._traits:
                names = frozenset(each.params)
                chosen = {
                    name: value
                    for name, value in each.params.items()
                    if isinstance(each.distributions[name], CategoricalDistribution)
                }
                self._traits[key] = Trait(names, tuple(sorted(chosen.items())))
            traits.append(self._traits[key])
        return conditions(traits)

    def _space(
        self,
        distributions: Mapping[str, BaseDistribution],
        when: Mapping[str, tuple[str, tuple[object, ...]]],
    ) -> Space:
        parameters = []
        for name, distribution in distributions.items():
            if name != self._epochs or not isinstance(distribution, IntDistribution):
                parent, among = when.get(name, (None, ()))
                parameters.append(Parameter(name, domain_of(distribution), parent, among))
        for name in when:
            if name not in distributions:
                raise ValueError(
                    f"when[{name!r}] must be one of the distributions, got none of that name; add it there"
                )
        return Space(parameters)

    def _fidelity(
        self, distributions: Mapping[str, BaseDistribution], told: Sequence[Told | None]
    ) -> Fidelity:
        """The range of the epochs, or as long as the longest trial was."""
        found = distributions.get(self._epochs) if self._epochs else None
        if isinstance(found, IntDistribution):
            return Fidelity(found.low, found.high, chosen=True)
        longest = max((each.curve[-1][0] for each in told if each and each.curve), default=1)
        return Fidelity(1, longest, chosen=False)


@cache
def _blas() -> ThreadpoolController:
    """The linear algebra of this process; found once, when numpy and scipy are loaded."""
    return ThreadpoolController().select(user_api="blas")


# ---- translation ------------------------------------------------------------------------------------------


def domain_of(distribution: BaseDistribution) -> Numeric | Choices:
    """The same without Optuna."""
    match distribution:
        case FloatDistribution():
            return Numeric(distribution.low, distribution.high, distribution.log, distribution.step)
        case IntDistribution():
            step = None if distribution.step == 1 else float(distribution.step)
            return Numeric(distribution.low, distribution.high, distribution.log, step, whole=True)
        case CategoricalDistribution():
            return Choices(tuple(distribution.choices))
    raise ValueError(
        f"a distribution must be float, int or categorical, got {distribution!r}; use one of these"
    )


def _several(value: object) -> tuple[object, ...]:
    if isinstance(value, set | frozenset):
        return tuple(sorted(value, key=repr))
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _told(trial: FrozenTrial, epochs: str | None) -> Told | None:
    """None: a trial of which nothing is known yet.

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
    curve = _curve(trial, target or 1)
    if not fair and trial.state is TrialState.PRUNED:
        curve = ()  # it did not reach the end that alone would count
    feasible = all(value <= 0 for value in trial.constraints.values())
    short = target is not None and bool(curve) and curve[-1][0] < target
    ended = short and trial.state is TrialState.COMPLETE
    return Told(trial.number, params, STATES[trial.state], curve, target, fair, feasible, ended)


def _curve(trial: FrozenTrial, epochs: int) -> Curve:
    """As told, else the one point that the values are."""
    rows = trial.user_attrs.get("curve")
    if rows:
        found = ((int(epoch), float(seconds), float(accuracy)) for epoch, seconds, accuracy in rows)
        return tuple(row for row in found if math.isfinite(row[2]) and 0 < row[1] < math.inf)
    if trial.state is not TrialState.COMPLETE or trial.values is None:
        return ()
    accuracy, seconds = trial.values
    if not 0 <= accuracy <= 1:
        raise ValueError(
            f"the accuracy of trial {trial.number} must lie in 0..1, got {accuracy}; return a share"
        )
    return ((epochs, seconds, accuracy),) if 0 < seconds < math.inf else ()


def union(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Every parameter that was suggested, in the widest range that was."""
    found: dict[str, BaseDistribution] = {}
    for each in trials:
        for name, distribution in each.distributions.items():
            before = found.get(name, distribution)
            found[name] = distribution if before == distribution else _widest(before, distribution)
    return found


def _widest(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """Of one name in two trials; the later one where they are of different kinds."""
    if isinstance(one, IntDistribution) and isinstance(other, IntDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        step = other.step if one.step == other.step and (one.low - other.low) % other.step == 0 else 1
        return IntDistribution(low, high, log=one.log and other.log, step=step)
    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        every = other.step if one.step == other.step else None
        least, most = min(one.low, other.low), max(one.high, other.high)
        return FloatDistribution(least, most, log=one.log and other.log, step=every)
    return other


def _allowed(epochs: int, distribution: BaseDistribution) -> int:
    """The next number of epochs that the step allows."""
    assert isinstance(distribution, IntDistribution)
    steps = math.ceil((epochs - distribution.low) / distribution.step)
    return min(distribution.low + steps * distribution.step, distribution.high)


def _check_epochs(distributions: Mapping[str, BaseDistribution], epochs: str | None) -> None:
    found = distributions.get(epochs) if epochs else None
    if found is not None and not isinstance(found, IntDistribution):
        raise ValueError(f"distributions[{epochs!r}] must be an IntDistribution, got {found!r}; use one")
