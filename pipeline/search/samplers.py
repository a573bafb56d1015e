"""The samplers that can suggest trials: a function and an entry of `SAMPLERS` each."""

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from pipeline.errors import BadSetting
from pipeline.frontier_sampler.curves.costs import Work
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.search.space import Dimension, SearchSpace, Value
from pipeline.settings.search import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerTask:
    """What a sampler is made for.

    `epochs`: name of the dimension that says how long to train, `work`: what an epoch of some params takes
    (see `epoch_work`), and `trials`: how many there will be in all, None where no number ends the search;
    these three for the frontier sampler alone.
    """

    space: SearchSpace
    seed: int
    workers: int = 1
    epochs: str | None = None
    work: Work | None = None
    trials: int | None = None


def make_sampler(kind: Sampler, task: SamplerTask) -> BaseSampler:
    """Return a sampler of this kind.

    Raises:
        BadSetting: the sampler cannot search this space, or needs a library that is not there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of no use to who searches
        return SAMPLERS[kind](task)


def _make_frontier(task: SamplerTask) -> BaseSampler:
    dimensions = task.space.dimensions
    return FrontierSampler(
        distributions={dimension.name: make_distribution(dimension) for dimension in dimensions},
        when={d.name: (d.when.key, d.when.value) for d in dimensions if d.when},
        epochs=task.epochs,
        work=task.work,
        trials=task.trials,
        seed=task.seed,
    )


def _make_tpe(task: SamplerTask) -> BaseSampler:
    return optuna.samplers.TPESampler(
        seed=task.seed, multivariate=True, group=True, constant_liar=task.workers > 1
    )


def _make_nsga2(task: SamplerTask) -> BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=task.seed)


def _make_gp(task: SamplerTask) -> BaseSampler:
    if importlib.util.find_spec("torch") is None:
        raise BadSetting(
            "search.sampler=gp needs PyTorch, which is not installed; "
            "pip install torch, or use search.sampler=frontier"
        )
    return optuna.samplers.GPSampler(seed=task.seed)


def _make_random(task: SamplerTask) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=task.seed)


def _make_qmc(task: SamplerTask) -> BaseSampler:
    return optuna.samplers.QMCSampler(seed=task.seed, warn_independent_sampling=False)


def _make_grid(task: SamplerTask) -> BaseSampler:
    return GridSampler(task.space)


class GridSampler(BaseSampler):
    """Every combination once, the last dimension first.

    Optuna's own grids know no conditions, or cannot be asked from outside.
    """

    def __init__(self, space: SearchSpace) -> None:
        """List the combinations; the space must be finite."""
        self._combinations = list(space.iterate_combinations())
        self.exhausted = False
        """Whether the last suggestion had to repeat one, because none was left."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        rows = study.get_trials(deepcopy=False)
        tried = {freeze_params(row.params) for row in rows if row.number != trial.number}
        untried = (params for params in self._combinations if freeze_params(params) not in tried)
        params = next(untried, None)
        self._next, self.exhausted = params or self._combinations[-1], params is None
        return {}

    def sample_relative(self, *_: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, _study: optuna.Study, _trial: FrozenTrial, name: str, _distribution: BaseDistribution
    ) -> Any:
        return self._next[name]


SAMPLERS: dict[Sampler, Callable[[SamplerTask], BaseSampler]] = {
    Sampler.frontier: _make_frontier,
    Sampler.tpe: _make_tpe,
    Sampler.nsga2: _make_nsga2,
    Sampler.gp: _make_gp,
    Sampler.random: _make_random,
    Sampler.grid: _make_grid,
    Sampler.qmc: _make_qmc,
}


# ---- what samplers need --------------------------------------------------------------------------------


def make_distribution(dimension: Dimension) -> BaseDistribution:
    """Return a dimension as an Optuna distribution."""
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.is_integer:
        step = 1 if dimension.step is None else int(dimension.step)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def make_distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the distribution of each dimension, by its name."""
    return {dimension.name: make_distribution(dimension) for dimension in space.dimensions}


def arrange_params(
    space: SearchSpace, params: Mapping[str, Value], distributions: Mapping[str, BaseDistribution]
) -> tuple[dict[str, Value], dict[str, BaseDistribution]]:
    """Return params as Optuna would give them back, in the order of the space, and their distributions."""
    arranged = dict[str, Value]()
    for dimension in space.iterate_active(arranged):
        distribution = distributions[dimension.name]
        stored = distribution.to_internal_repr(params[dimension.name])
        arranged[dimension.name] = distribution.to_external_repr(stored)
    return arranged, {name: distributions[name] for name in arranged}


def suggest_value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Value:
    """Ask the sampler of a trial for the value of a parameter, as an objective function does."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case _:
            raise TypeError(f"no parameter has such values: {distribution}")


def freeze_params(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """Return params as a set, to compare those of two trials."""
    return frozenset(params.items())
