"""Ways to search a table. Each takes a ledger and a seed, and spends the ledger's budget.

All get the same space and no list of its rows, the number of epochs included (an int on a log scale), and pay
for every epoch trained. Suggestions that lie outside of the table are snapped to the nearest row that was not
yet run, and the sampler is told that row, not what it had asked for. `frontier` may go on with a row that it
left, paying the difference. Several workers run by simulated clocks.
"""

import importlib.util
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler

from benchmarks.table import EPOCHS, Ledger, Table
from pipeline.frontier import dominates
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import make_key
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.measures import Point

Strategy = Callable[[Ledger, int], None]
DIRECTIONS = ["maximize", "minimize"]


class Absent(Exception):
    """What a strategy needs is not installed; the text is one line."""


def distribution_of(domain: Numeric | Choices) -> BaseDistribution:
    if isinstance(domain, Choices):
        return CategoricalDistribution(domain.values)
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def distributions(table: Table) -> dict[str, BaseDistribution]:
    """By name of the space, without epochs."""
    return {each.name: distribution_of(each.domain) for each in table.parameters}


def epochs_of(table: Table) -> IntDistribution:
    return IntDistribution(table.first, max(table.first, table.epochs), log=True)


def suggest(trial: optuna.Trial, table: Table) -> dict[str, Any]:
    """Asked parameter by parameter, as an objective does it."""
    params: dict[str, Any] = {}
    for each in table.space.parameters:
        if each.applies_to(params):
            params[each.name] = trial._suggest(each.name, distribution_of(each.domain))
    return params


# ---- ours ---------------------------------------------------------------------------------------------


def frontier(ledger: Ledger, seed: int) -> None:
    """Suggest freely in the space; a paused row is continued where its own settings are suggested again."""
    table = ledger.table
    sampler = FrontierSampler(
        distributions={**distributions(table), EPOCHS: epochs_of(table)},
        when={each.name: (each.parent, each.among) for each in table.parameters if each.parent},
        epochs=EPOCHS,
        seed=seed,
    )
    _simulate(ledger, sampler, every=True, resume=True)


def _simulate(ledger: Ledger, sampler: BaseSampler, *, every: bool, resume: bool) -> None:
    """Ask whenever a worker is free, and tell each trial when its worker's clock says that it has ended."""
    table = ledger.table
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    while ledger.open:
        while ledger.open and ledger.has_free_worker:
            trial = study.ask()
            params = suggest(trial, table)
            epochs = trial._suggest(EPOCHS, epochs_of(table))
            row = table.place.get(make_key(params)) if resume else None
            if row is None or ledger.reached[row] >= epochs or row in ledger.busy:
                row = table.nearest(params, ledger.taken())
            _set_row(study, trial, table, row)
            ledger.start(row, epochs, trial, every=every, resume=resume)
        trial, curve = ledger.finish_next()
        if every:
            trial.set_user_attr("curve", [list(entry) for entry in curve])
        study.tell(trial, (curve[-1][2], curve[-1][1]))


# ---- Optuna's -----------------------------------------------------------------------------------------


def _by_sampler(make: Callable[[int], BaseSampler], every: bool) -> Strategy:
    """Run every trial from its start to its number of epochs; `every`: what the score counts."""

    def strategy(ledger: Ledger, seed: int) -> None:
        _simulate(ledger, make(seed), every=every, resume=False)

    return strategy


def _set_row(study: optuna.Study, trial: optuna.Trial, table: Table, place: int) -> None:
    """The trial has the row's parameters, whatever was suggested."""
    storage, told = study._storage, table.inner[place]
    for name, distribution in distributions(table).items():
        if name in told:
            internal = distribution.to_internal_repr(told[name])
            storage.set_trial_param(trial._trial_id, name, internal, distribution)
    kept = storage._get_trial(trial._trial_id)  # what only the other branch of a choice has goes
    for name in [name for name in kept.params if name not in told and name != EPOCHS]:
        del kept.params[name], kept.distributions[name]


def _gp(seed: int) -> BaseSampler:
    if importlib.util.find_spec("torch") is None:
        raise Absent("gp: optuna.samplers.GPSampler needs torch, which is not installed; skipped")
    return optuna.samplers.GPSampler(seed=seed)


def pareto_pruning(ledger: Ledger, seed: int) -> None:
    """TPE; a trial stops at an epoch at which another trial was better and cheaper at that same epoch."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.TPESampler(seed=seed))
    seen: dict[int, list[Point]] = {}
    while ledger.open:
        ledger.trials += 1
        trial = study.ask()
        params = suggest(trial, ledger.table)
        place = ledger.table.nearest(params, ledger.taken())
        curve: tuple[tuple[int, float, float], ...] = ()
        for epoch, seconds, accuracy in ledger.table.rows[place].curve:
            curve = ledger.run(place, epoch, every=True, resume=bool(curve))
            point, others = Point(accuracy, seconds), seen.setdefault(epoch, [])
            hopeless = any(dominates(other, point) for other in others)
            others.append(point)
            if hopeless or not ledger.open:
                break
        _set_row(study, trial, ledger.table, place)
        study.tell(trial, (curve[-1][2], curve[-1][1]))


# ---- Syne Tune's --------------------------------------------------------------------------------------


def moasha(ledger: Ledger, seed: int) -> None:
    """Syne Tune's MO-ASHA (its defaults), one trial at a time: least error, least device-seconds."""
    if importlib.util.find_spec("syne_tune") is None:
        raise Absent("moasha: needs syne-tune, which is not installed; skipped")
    from datetime import datetime

    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    np.random.seed(seed)  # its samples come from there
    random.seed(seed)
    table = ledger.table
    scheduler = MOASHA(
        {each.name: _syne_domain(each.domain) for each in table.parameters},
        metrics=["error", "device_seconds"],
        time_attr="epoch",
        max_t=table.epochs,
        grace_period=table.first,
        random_seed=seed,
    )
    number = 0
    while ledger.open:
        ledger.trials += 1
        config = scheduler.suggest().config
        trial = Trial(trial_id=number, config=config, creation_time=datetime(2026, 1, 1))
        scheduler.on_trial_add(trial)
        place = table.nearest(table.space.prune(config), ledger.taken())
        _train(
            ledger,
            place,
            lambda result, trial=trial: (
                scheduler.on_trial_result(trial, result) == SchedulerDecision.CONTINUE
            ),
        )
        number += 1


def _train(ledger: Ledger, place: int, goes_on: Callable[[dict[str, Any]], bool]) -> None:
    for number, (epoch, seconds, accuracy) in enumerate(ledger.table.rows[place].curve):
        ledger.run(place, epoch, every=True, resume=number > 0)
        result = {"epoch": epoch, "error": 1 - accuracy, "device_seconds": seconds}
        if not goes_on(result) or not ledger.open:
            return


def _syne_domain(domain: Numeric | Choices) -> Any:
    from syne_tune import config_space

    if isinstance(domain, Choices):
        return config_space.choice(list(domain.values))
    if domain.integer:
        make = config_space.lograndint if domain.log else config_space.randint
        return make(int(domain.low), int(domain.high))
    return (config_space.loguniform if domain.log else config_space.uniform)(domain.low, domain.high)


STRATEGIES: Mapping[str, Strategy] = {
    "frontier": frontier,
    "tpe": _by_sampler(lambda seed: optuna.samplers.TPESampler(seed=seed), every=False),
    "tpe_epochs": _by_sampler(lambda seed: optuna.samplers.TPESampler(seed=seed), every=True),
    "nsga2": _by_sampler(lambda seed: optuna.samplers.NSGAIISampler(seed=seed), every=False),
    "gp": _by_sampler(_gp, every=False),
    "random": _by_sampler(lambda seed: optuna.samplers.RandomSampler(seed=seed), every=False),
    "pareto_pruning": pareto_pruning,
    "moasha": moasha,
}
