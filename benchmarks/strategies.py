"""Ways to search a table. Each takes a ledger and a seed, and spends the ledger's budget.

All get the same space and no list of its rows, the number of epochs included (an int on a log scale). The
world that they search is the same as well: a suggestion is trained as the row nearest to it that nobody has
trained as far yet, for the difference. Samplers of Optuna are told both, the row with its curve and the
suggestion with that same curve, which is as near to it as a table comes; who suggests the same settings
again goes on with the same row. Several workers run by simulated clocks.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from benchmarks.ledger import Ledger, Trained
from benchmarks.other_tuners import log_losses, moasha, need, primo, smac, train_on
from benchmarks.table import EPOCHS, Curve, Space
from pipeline.frontier.dominance import dominates
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import make_key
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.measures import Point
from pipeline.search.samplers import suggest_value

Strategy = Callable[[Ledger, int], None]
DIRECTIONS = ["maximize", "minimize"]


def distribution_of(domain: Numeric | Choices) -> BaseDistribution:
    if isinstance(domain, Choices):
        return CategoricalDistribution(domain.values)
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def distributions(table: Space) -> dict[str, BaseDistribution]:
    """By name of the space, without epochs."""
    return {each.name: distribution_of(each.domain) for each in table.parameters}


def epochs_of(table: Space) -> IntDistribution:
    return IntDistribution(table.first, max(table.first, table.epochs), log=True)


def suggest(trial: optuna.Trial, table: Space) -> dict[str, Any]:
    """Asked parameter by parameter, as an objective does it."""
    params: dict[str, Any] = {}
    for each in table.space.parameters:
        if each.applies_to(params):
            params[each.name] = suggest_value(trial, each.name, distribution_of(each.domain))
    return params


# ---- samplers of Optuna -------------------------------------------------------------------------------


def make_frontier(ledger: Ledger, seed: int) -> BaseSampler:
    """Ours; eight trials at the start as everywhere, which a table tells as sixteen (see `_tell_row`).

    Where trials alone end the search, it knows how many there will be, as in a sweep.
    """
    table = ledger.table
    told_as = 2 if table.recorded else 1
    return FrontierSampler(
        distributions={**distributions(table), EPOCHS: epochs_of(table)},
        when={each.name: (each.parent, each.among) for each in table.parameters if each.parent},
        epochs=EPOCHS,
        seed=seed,
        startup_trials=8 * told_as,
        trials=told_as * ledger.most_trials if math.isinf(ledger.budget) else None,
    )


def make_gp(_ledger: Ledger, seed: int) -> BaseSampler:
    """Raises Absent: PyTorch is missing."""
    need("gp", "torch", "torch")
    return GPSampler(seed=seed)


def _by_sampler(
    make: Callable[[Ledger, int], BaseSampler],
    *,
    every: bool,
    log: bool = False,
    tell: bool = False,
) -> Strategy:
    """`every`: whether each epoch of a trial counts, or its last alone; `log`: objectives are log error and
    log cost; `tell`: every epoch is told as a trial of its own.
    """

    def strategy(ledger: Ledger, seed: int) -> None:
        sampler = make(ledger, seed)
        study = optuna.create_study(directions=["minimize"] * 2 if log else DIRECTIONS, sampler=sampler)
        while ledger.open:
            while ledger.open and ledger.has_free_worker:
                with ledger.thinking():
                    trial = study.ask()
                    params = suggest(trial, ledger.table)
                    epochs = suggest_value(trial, EPOCHS, epochs_of(ledger.table))
                ledger.start(ledger.find_row(params, epochs), epochs, trial, every=every)
            ended = ledger.finish_next()
            with ledger.thinking():
                trial, curve = ended.trial, ended.curve
                if every:
                    trial.set_user_attr("curve", [list(entry) for entry in curve])
                values = [_values(entry, log=log) for entry in curve]
                study.tell(trial, values[-1])
                _tell_row(study, ended, ledger.table, values[-1])
                if tell:
                    _tell_epochs(study, trial, curve, values)

    return strategy


def _tell_row(study: optuna.Study, ended: Trained, table: Space, values: tuple[float, float]) -> None:
    """Tell the row that was trained, too, where the suggestion was another."""
    row, trial = table.inner[ended.row], ended.trial
    epochs = trial.params[EPOCHS]
    if make_key({**row, EPOCHS: epochs}) != make_key(trial.params):
        spread = {**distributions(table), EPOCHS: epochs_of(table)}
        trained = optuna.trial.create_trial(
            params={**row, EPOCHS: epochs},
            distributions={name: spread[name] for name in (*row, EPOCHS)},
            values=values,
            user_attrs={"curve": [list(entry) for entry in ended.curve]},
        )
        study.add_trial(trained)


def _values(entry: tuple[int, float, float], *, log: bool) -> tuple[float, float]:
    _, seconds, accuracy = entry
    return log_losses(accuracy, seconds) if log else (accuracy, seconds)


def _tell_epochs(study: optuna.Study, trial: Any, curve: Curve, values: list[tuple[float, float]]) -> None:
    for entry, pair in zip(curve[:-1], values, strict=False):
        study.add_trial(
            optuna.trial.create_trial(
                params={**trial.params, EPOCHS: entry[0]}, distributions=trial.distributions, values=pair
            )
        )


def pareto_pruning(ledger: Ledger, seed: int) -> None:
    """TPE; a trial stops at an epoch at which another trial was better and cheaper at that same epoch."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=TPESampler(seed=seed))
    seen: dict[int, list[Point]] = {}
    while ledger.open:
        ledger.trials += 1
        with ledger.thinking():
            trial = study.ask()
            params = suggest(trial, ledger.table)
        results: list[dict[str, Any]] = []

        def goes_on(result: dict[str, Any], results: list[dict[str, Any]] = results) -> bool:
            results.append(result)
            point = Point(1 - result["error"], result["device_seconds"])
            others = seen.setdefault(result["epoch"], [])
            hopeless = any(dominates(other, point) for other in others)
            others.append(point)
            return not hopeless

        train_on(ledger, ledger.find_row(params, ledger.table.first), goes_on)
        with ledger.thinking():
            study.tell(trial, (1 - results[-1]["error"], results[-1]["device_seconds"]))


STRATEGIES: Mapping[str, Strategy] = {
    "frontier": _by_sampler(make_frontier, every=True),
    "tpe": _by_sampler(lambda _, seed: TPESampler(seed=seed), every=False),
    "tpe_epochs": _by_sampler(lambda _, seed: TPESampler(seed=seed), every=True),
    "tpe_log": _by_sampler(lambda _, seed: TPESampler(seed=seed), every=True, log=True, tell=True),
    "nsga2": _by_sampler(lambda _, seed: NSGAIISampler(seed=seed), every=False),
    "random": _by_sampler(lambda _, seed: RandomSampler(seed=seed), every=False),
    "gp": _by_sampler(make_gp, every=True, log=True),
    "pareto_pruning": pareto_pruning,
    "moasha": moasha,
    "primo": primo,
    "smac": smac,
}
