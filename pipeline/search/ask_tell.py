"""What to try next: any Optuna sampler, over a copy of the study in memory."""

import importlib.util
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.errors import BadSetting
from pipeline.frontier_sampler.observations import Work
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.search.space import Dimension, Space, Value
from pipeline.search.study_store import DIRECTIONS, OUTCOME, WORDS, Proposal
from pipeline.settings.search import Sampler

ASKED_AGAIN = 30
"""Times a sampler may propose what was tried before: in a small space it has nothing else."""


def _frozen(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(params.items())


def distribution(dimension: Dimension) -> BaseDistribution:
    """As Optuna has it."""
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        step = 1 if dimension.step is None else int(dimension.step)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def sampler(
    kind: Sampler, space: Space, epochs: str | None, seed: int, workers: int, work: Work | None = None
) -> BaseSampler:
    """`epochs`: name of the dimension that says how long to train, and `work`: what an epoch of some params
    takes (see `work`), both for the one sampler that makes use of them.

    Raises:
        BadSetting: the sampler cannot search this space, or needs a library that is not there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of no use to who searches
        return _sampler(kind, space, epochs, seed, workers, work)


def _sampler(
    kind: Sampler, space: Space, epochs: str | None, seed: int, workers: int, work: Work | None
) -> BaseSampler:
    match kind:
        case Sampler.frontier:
            return FrontierSampler(
                distributions={each.name: distribution(each) for each in space.dimensions},
                when={d.name: (d.when.key, d.when.value) for d in space.dimensions if d.when},
                epochs=epochs,
                work=work,
                seed=seed,
            )
        case Sampler.tpe:
            return optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=workers > 1
            )
        case Sampler.nsga2:
            return optuna.samplers.NSGAIISampler(seed=seed)
        case Sampler.gp:
            if importlib.util.find_spec("torch") is None:
                raise BadSetting(
                    "search.sampler=gp needs PyTorch, which is not installed; "
                    "pip install torch, or use search.sampler=frontier"
                )
            return optuna.samplers.GPSampler(seed=seed)
        case Sampler.random:
            return optuna.samplers.RandomSampler(seed=seed)
        case Sampler.qmc:
            return optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False)
        case Sampler.grid:
            return _Grid(space)


class _Grid(BaseSampler):
    """Every combination once, the last dimension first. Optuna's own grids know no conditions, or cannot
    be asked from outside.
    """

    def __init__(self, space: Space) -> None:
        self._combinations = list(space.combinations())
        self.exhausted = False
        """Whether the last proposal had to repeat one, because none was left."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        seen = {_frozen(row.params) for row in study.get_trials(deepcopy=False) if row.number != trial.number}
        left = next((each for each in self._combinations if _frozen(each) not in seen), None)
        self._next, self.exhausted = left or self._combinations[-1], left is None
        return {}

    def sample_relative(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, _study: optuna.Study, _trial: FrozenTrial, name: str, _distribution: BaseDistribution
    ) -> Any:
        return self._next[name]


class Proposer:
    """Asks the sampler, and shows it what became of the trials."""

    def __init__(
        self,
        space: Space,
        kind: Sampler,
        epochs: str | None,
        seed: int,
        workers: int,
        work: Work | None = None,
    ) -> None:
        """`epochs`, `work`: see `sampler`."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        own = sampler(kind, space, epochs, seed, workers, work)
        self._study = optuna.create_study(directions=DIRECTIONS, sampler=own)
        self._places: dict[int, int] = {}
        self._open: set[int] = set()

    def propose(self) -> Proposal | None:
        """The next trial, which nobody tried before; None: the sampler finds no other.

        It counts as running until `bind` and `see` say otherwise.
        """
        known = {
            _frozen(row.params) for row in self._study.get_trials(deepcopy=False) if not self._may_go_on(row)
        }
        for _ in range(ASKED_AGAIN):
            found = self._asked_once()
            if _frozen(found.params) not in known:
                return found
            self.bind(None)
            if getattr(self._study.sampler, "exhausted", False):
                break
        return None

    def _may_go_on(self, row: FrozenTrial) -> bool:
        """Whether the sampler may ask for a paused trial again: to train it further."""
        return row.state is TrialState.PRUNED and isinstance(self._study.sampler, FrontierSampler)

    def _asked_once(self) -> Proposal:
        params = dict[str, Value]()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "FrontierSampler repeats")  # `propose` notices
            trial = self._study.ask()
            for dimension in self._space.active(params):
                params[dimension.name] = self._suggested(trial, dimension)
        self._asked = trial.number
        row = self._study.get_trials(deepcopy=False)[trial.number]
        return Proposal(params, trial.distributions, row.system_attrs)

    @staticmethod
    def _suggested(trial: optuna.Trial, dimension: Dimension) -> Value:
        name, found = dimension.name, distribution(dimension)
        match found:
            case CategoricalDistribution():
                return trial.suggest_categorical(name, found.choices)
            case IntDistribution():
                return trial.suggest_int(name, found.low, found.high, log=found.log, step=found.step)
            case _:
                assert isinstance(found, FloatDistribution)
                return trial.suggest_float(name, found.low, found.high, log=found.log, step=found.step)

    def bind(self, number: int | None) -> None:
        """The proposal became trial `number` of the study; None: nothing became of it."""
        if number is None:
            self._study.tell(self._asked, state=TrialState.FAIL)
        else:
            self._places[number] = self._asked
            self._open.add(number)

    def see(self, rows: Iterable[FrozenTrial]) -> None:
        """Bring the copy up to what the study says."""
        for row in rows:
            if row.state is TrialState.WAITING or WORDS in row.user_attrs:
                continue  # a baseline lies outside the space
            if row.number not in self._places:
                self._study.add_trial(_copy(row))
                self._places[row.number] = len(self._study.get_trials(deepcopy=False)) - 1
                if row.state is TrialState.RUNNING:
                    self._open.add(row.number)
            elif row.number in self._open and row.state.is_finished():
                self._close(row)

    def _close(self, row: FrozenTrial) -> None:
        place = self._places[row.number]
        trial_id = self._study.get_trials(deepcopy=False)[place]._trial_id
        for key, value in _taught(row).items():
            self._study._storage.set_trial_user_attr(trial_id, key, value)
        self._study.tell(place, values=row.values, state=row.state)
        self._open.discard(row.number)


def _copy(row: FrozenTrial) -> FrozenTrial:
    return create_trial(
        state=row.state,
        values=row.values,
        params=row.params,
        distributions=row.distributions,
        system_attrs=row.system_attrs,
        user_attrs=_taught(row),
    )


def _taught(row: FrozenTrial) -> dict[str, Any]:
    """What a sampler may learn from: the whole curve."""
    outcome = row.user_attrs.get(OUTCOME, {})
    return {key: outcome[key] for key in ("curve", "fair_midway") if key in outcome}
