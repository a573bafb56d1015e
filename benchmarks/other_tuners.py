"""Tuners of other projects, searching a table: MO-ASHA (Syne Tune), PriMO (NePS), ParEGO (SMAC3).

Each needs packages that the product does not: where one is missing, the tuner is skipped, and the line that
says so names the way to install it.
"""

import importlib.util
import random
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.ledger import Ledger
from benchmarks.table import EPOCHS
from pipeline.frontier_sampler.domains import Choices, Numeric

INSTALL = "make bench installs it, or pip install -r requirements-bench.txt"
OWN = "it needs pandas < 3, MLflow newer: pip install neural-pipeline-search optuna hydra-core rich elsewhere"


class Absent(Exception):
    """What a strategy needs is not installed; the text is one line."""


def need(name: str, module: str, package: str, install: str = INSTALL) -> None:
    """Raises Absent: a package is missing."""
    if importlib.util.find_spec(module) is None:
        raise Absent(f"{name}: needs {package}, which is not installed; skipped ({install})")


def moasha(ledger: Ledger, seed: int) -> None:
    """Syne Tune's MO-ASHA (its defaults), one trial at a time: least error, least device-seconds."""
    need("moasha", "syne_tune", "syne-tune")
    from datetime import datetime

    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

    _seed_globals(seed)
    table = ledger.table
    scheduler = MOASHA(
        {each.name: _syne_domain(each.domain) for each in table.parameters},
        metrics=["error", "device_seconds"],
        time_attr="epoch",
        max_t=table.epochs,
        grace_period=table.first,
        random_seed=seed,
    )
    while ledger.open:
        with ledger.thinking():
            config = scheduler.suggest().config
            trial = Trial(trial_id=ledger.trials, config=config, creation_time=datetime(2026, 1, 1))
            scheduler.on_trial_add(trial)
        ledger.trials += 1
        train_on(
            ledger,
            ledger.find_row(table.space.prune(config), table.first),
            lambda result, trial=trial: (
                scheduler.on_trial_result(trial, result) == SchedulerDecision.CONTINUE
            ),
        )


def train_on(ledger: Ledger, place: int, goes_on: Callable[[dict[str, Any]], bool]) -> None:
    """Train a row epoch by epoch as long as `goes_on` says so of each result."""
    for epoch, seconds, accuracy in ledger.table.rows[place].curve:
        ledger.run(place, epoch, every=True)
        with ledger.thinking():
            wanted = goes_on({"epoch": epoch, "error": 1 - accuracy, "device_seconds": seconds})
        if not wanted or not ledger.open:
            return


def _syne_domain(domain: Numeric | Choices) -> Any:
    from syne_tune import config_space

    if isinstance(domain, Choices):
        return config_space.choice(list(domain.values))
    if domain.integer:
        make = config_space.lograndint if domain.log else config_space.randint
        return make(int(domain.low), int(domain.high))
    return (config_space.loguniform if domain.log else config_space.uniform)(domain.low, domain.high)


def primo(ledger: Ledger, seed: int) -> None:
    """NePS' PriMO without priors: MO-ASHA first, then Bayesian optimisation of a scalarisation; logs."""
    need("primo", "neps", "neural-pipeline-search", OWN)
    import neps
    import torch
    from neps.optimizers.algorithms import primo as make

    _seed_globals(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    table = ledger.table
    domains = {each.name: _neps_domain(neps, each.domain) for each in table.parameters}
    domains[EPOCHS] = neps.HPOInteger(table.first, table.epochs, is_fidelity=True)
    tuner = neps.AskAndTell(make(neps.SearchSpace(domains), prior_centers={}))
    while ledger.open:
        with ledger.thinking():
            trial = tuner.ask()
        ledger.trials += 1
        epochs = int(trial.config[EPOCHS])
        place = ledger.find_row(table.space.prune(trial.config), epochs)
        end = ledger.run(place, epochs, every=True)[-1]
        with ledger.thinking():
            tuner.tell(trial, {"objective_to_minimize": list(log_losses(end[2], end[1]))})


def _neps_domain(neps: Any, domain: Numeric | Choices) -> Any:
    if isinstance(domain, Choices):
        return neps.HPOCategorical(list(domain.values))
    if domain.integer:
        return neps.HPOInteger(int(domain.low), int(domain.high), log=domain.log)
    return neps.HPOFloat(domain.low, domain.high, log=domain.log)


def smac(ledger: Ledger, seed: int) -> None:
    """SMAC3 with random forests and ParEGO, conditions of the space and epochs included; log objectives."""
    need("smac", "smac", "smac")
    from ConfigSpace import ConfigurationSpace, EqualsCondition, OrConjunction
    from smac import HyperparameterOptimizationFacade as Facade
    from smac import Scenario
    from smac.multi_objective.parego import ParEGO
    from smac.runhistory.dataclasses import TrialValue

    table, space = ledger.table, ConfigurationSpace(seed=seed)
    for each in table.parameters:
        space.add(_smac_domain(each.name, each.domain))
    for each in table.parameters:
        equal = [EqualsCondition(space[each.name], space[each.parent], value) for value in each.among]
        if equal:
            space.add(OrConjunction(*equal) if len(equal) > 1 else equal[0])
    space.add(_smac_domain(EPOCHS, Numeric(table.first, table.epochs, log=True, integer=True)))
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            objectives=["error", "device_seconds"],
            deterministic=True,
            n_trials=100_000,
            seed=seed,
            output_directory=folder,
        )
        tuner = Facade(
            scenario,
            lambda config, seed=0: {},  # noqa: ARG005
            multi_objective_algorithm=ParEGO(scenario),
            initial_design=Facade.get_initial_design(scenario, n_configs=10),
            logging_level=False,
        )
        while ledger.open:
            with ledger.thinking():
                info = tuner.ask()
            ledger.trials += 1
            params: Mapping[str, Any] = dict(info.config)
            place = ledger.find_row(table.space.prune(params), int(params[EPOCHS]))
            end = ledger.run(place, int(params[EPOCHS]), every=True)[-1]
            with ledger.thinking():
                tuner.tell(info, TrialValue(cost=list(log_losses(end[2], end[1]))))


def _smac_domain(name: str, domain: Numeric | Choices) -> Any:
    from ConfigSpace import (
        CategoricalHyperparameter,
        UniformFloatHyperparameter,
        UniformIntegerHyperparameter,
    )

    if isinstance(domain, Choices):
        return CategoricalHyperparameter(name, list(domain.values))
    make = UniformIntegerHyperparameter if domain.integer else UniformFloatHyperparameter
    return make(name, domain.low, domain.high, log=domain.log)


def log_losses(accuracy: float, seconds: float, floor: float = 1e-4) -> tuple[float, float]:
    """Log error and log device-seconds, both to be minimised."""
    return float(np.log(max(1 - accuracy, floor))), float(np.log(seconds))


def _seed_globals(seed: int) -> None:
    np.random.seed(seed)  # their samples come from there
    random.seed(seed)
