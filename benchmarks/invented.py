"""Invented trials of a study, as a long sweep would have left them, written into its storage in one go.

Nothing is trained: errors fall by a power law whose level the settings decide, and so do they the costs, both
with noise. Some trials are paused, failed, interrupted and tried again, or go on where another one ended.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import create_engine, select

from pipeline.frontier_sampler.distributions import convert_distribution
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.samplers import make_distribution
from pipeline.search.space import SearchSpace, strip_condition
from pipeline.search.storage.our_studies import OUTCOME, OWNER
from pipeline.search.storage.trial_states import REQUEUES

PAUSED, FAILED, INTERRUPTED, CONTINUED = 0.18, 0.05, 0.02, 0.15
"""Shares of the trials."""
Rows = list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InventedTrial:
    """`params`: by name of the dimension; `curve`: [epoch, device-seconds, accuracy] each; `state`: as in an
    outcome, or interrupted; `paid_seconds`: without what an earlier trial paid.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    curve: Rows
    state: str
    paid_seconds: float


class Inventor:
    """Invents the trials of a study of one space, the same ones for the same seed."""

    def __init__(self, space: SearchSpace, epochs: str | None, seed: int = 0) -> None:
        """`epochs`: the dimension for how long to train; without one, trials train for 20 epochs."""
        self._distributions = {row.name: make_distribution(row) for row in space.dimensions}
        self._space = EncodedSpace(
            Parameter(
                row.name,
                convert_distribution(self._distributions[row.name]),
                row.when.key if row.when else None,
                (row.when.value,) if row.when else (),
            )
            for row in space.dimensions
            if row.name != epochs
        )
        self._epochs = epochs
        self._most: int = getattr(self._distributions.get(epochs or ""), "high", 20)
        self._draw = np.random.default_rng(seed)
        self._paused: list[tuple[dict[str, Any], float, float, float, Rows]] = []

    def invent(self, count: int) -> list[InventedTrial]:
        """Invent `count` trials, the numbers from 0 on."""
        return [self._invent_one(number) for number in range(count)]

    def _invent_one(self, number: int) -> InventedTrial:
        draw = self._draw
        if self._epochs and self._paused and draw.random() < CONTINUED:
            params, level, slope, cost, before = self._paused.pop(int(draw.integers(len(self._paused))))
        else:
            params = self._space.decode(draw.random(self._space.dimensions))
            level, slope, cost = self._judge(params)
            before = []
        reached = len(before)
        target = int(
            min(self._most, max(reached + 1, round(reached * draw.uniform(1.2, 2.0))) + draw.integers(3))
        )
        curve = before + [self._step(epoch, level, slope, cost) for epoch in range(reached + 1, target + 1)]
        state = self._draw_state()
        if state in ("failed", "interrupted"):
            curve = []
        elif target < self._most:
            self._paused.append((params, level, slope, cost, curve))
        named = {**params, self._epochs: target} if self._epochs else params
        return InventedTrial(
            number=number,
            params=named,
            distributions={name: self._distributions[name] for name in named},
            curve=curve,
            state=state,
            paid_seconds=curve[-1][1] - (before[-1][1] if before else 0.0) if curve else 0.0,
        )

    def train(self, number: int, params: dict[str, Any]) -> InventedTrial:
        """Invent what a trial of these params comes to."""
        level, slope, cost = self._judge(params)
        epochs = int(params.get(self._epochs or "", self._most))
        curve = [self._step(epoch, level, slope, cost) for epoch in range(1, epochs + 1)]
        return InventedTrial(
            number=number,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            curve=curve,
            state="complete",
            paid_seconds=curve[-1][1],
        )

    def _judge(self, params: dict[str, Any]) -> tuple[float, float, float]:
        """Return level and slope of the error, and the device-seconds of an epoch."""
        unit = self._space.encode(params)
        away = np.abs(unit - np.linspace(0.8, 0.3, len(unit)))
        weights = 0.5 ** np.arange(len(unit))
        level = math.exp(-2.0 + 1.5 * float(away @ weights) + 0.05 * self._draw.normal())
        cost = math.exp(-5 + 3 * unit[0] - 1.5 * unit[-1] + 0.05 * self._draw.normal())
        return min(level, 0.8), float(self._draw.uniform(0.3, 0.7)), cost

    def _step(self, epoch: int, level: float, slope: float, cost: float) -> list[float]:
        error = level * epoch**-slope * math.exp(0.02 * self._draw.normal())
        return [epoch, round(cost * epoch, 9), round(1 - min(error, 0.9), 6)]

    def _draw_state(self) -> str:
        place = self._draw.random()
        for state, share in (("paused", PAUSED), ("failed", FAILED), ("interrupted", INTERRUPTED)):
            if place < share:
                return state
            place -= share
        return "complete"


# ---- writing ------------------------------------------------------------------------------------------


def make_outcome(trial: InventedTrial, device: str, run_id: str | None = None) -> dict[str, Any]:
    """Make what the store keeps of a trial; its command names every value, as a real one does."""
    values = {strip_condition(name): value for name, value in trial.params.items()}
    words = " ".join(f"{key}={value}" for key, value in values.items())
    return {
        "state": trial.state,
        "reason": {"paused": "at best 91.00%", "failed": "the loss is nan after epoch 1"}.get(
            trial.state, ""
        ),
        "run_id": run_id,
        "command": f"python -m pipeline run data=digits device=cpu {words}",
        "params": values,
        "curve": trial.curve,
        "fair_midway": True,
        "paid_seconds": trial.paid_seconds,
        "device": device,
        "ended": 1.7e9 + trial.number,
        "latency_p99_ms": None,
        "parameters": 10_000 + trial.number,
        "test_accuracy": None,
    }


def write_trials(
    address: str, study: str, trials: Sequence[InventedTrial], device: str, run_ids: Sequence[str] = ()
) -> None:
    """Write trials into an empty study; an interrupted one is followed by the trial that repeats it."""
    owner = ProcessOwner.current().to_dict()
    rows = _Rows()
    with create_engine(address).begin() as connection:
        of_study = select(models.StudyModel.study_id).where(models.StudyModel.study_name == study)
        study_id = connection.execute(of_study).scalar_one()
        first = connection.execute(models.TrialModel.__table__.select()).fetchall()
        offset = max((row.trial_id for row in first), default=0) + 1
        for trial in trials:
            run_id = run_ids[trial.number] if run_ids else None
            attrs: dict[str, Any] = {OWNER: owner}
            if trial.state != "interrupted":
                attrs[OUTCOME] = make_outcome(trial, device, run_id)
            if trial.number and trials[trial.number - 1].state == "interrupted":
                attrs[REQUEUES] = trial.number - 1
            rows.add(trial, offset + trial.number, study_id, attrs)
        for model, values in rows.by_model.items():
            if values:
                connection.execute(model.__table__.insert(), values)


class _Rows:
    """Rows for each of Optuna's tables."""

    def __init__(self) -> None:
        tables = (
            models.TrialModel,
            models.TrialParamModel,
            models.TrialValueModel,
            models.TrialUserAttributeModel,
            models.TrialSystemAttributeModel,
        )
        self.by_model: dict[Any, list[dict[str, Any]]] = {table: [] for table in tables}
        self._texts: dict[int, str] = {}

    def add(self, trial: InventedTrial, trial_id: int, study_id: int, attrs: dict[str, Any]) -> None:
        states = {"complete": TrialState.COMPLETE, "paused": TrialState.PRUNED}
        state, start = states.get(trial.state, TrialState.FAIL), datetime(2026, 1, 1)
        self.by_model[models.TrialModel].append(
            {
                "trial_id": trial_id,
                "number": trial.number,
                "study_id": study_id,
                "state": state,
                "datetime_start": start + timedelta(seconds=trial.number),
                "datetime_complete": start + timedelta(seconds=trial.number + 1),
            }
        )
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            self.by_model[models.TrialParamModel].append(
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(value),
                    "distribution_json": self._format(distribution),
                }
            )
        if state is TrialState.COMPLETE:
            _, seconds, accuracy = trial.curve[-1]
            self._add_values(trial_id, (accuracy, seconds))
        self._add_attrs(models.TrialUserAttributeModel, trial_id, attrs.items())

    def _format(self, distribution: BaseDistribution) -> str:
        return self._texts.setdefault(id(distribution), distribution_to_json(distribution))

    def _add_values(self, trial_id: int, values: Iterable[float]) -> None:
        finite = models.TrialValueModel.TrialValueType.FINITE
        self.by_model[models.TrialValueModel].extend(
            {"trial_id": trial_id, "objective": objective, "value": value, "value_type": finite}
            for objective, value in enumerate(values)
        )

    def _add_attrs(self, model: Any, trial_id: int, attrs: Iterable[tuple[str, Any]]) -> None:
        self.by_model[model].extend(
            {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attrs
        )
