"""New trials and heartbeats, each in one transaction of plain statements.

Optuna writes a trial object by object, and looks up the distribution of each value before: some twenty
statements, three times as slow. Distributions are the same for all trials of a study of ours
(`StudyStore` checks that), so nothing is looked up here.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, func, insert, select, update

MAX_IDS = 500
"""Of trials that are named one by one in a statement; databases have limits."""


def insert_trial(connection: Connection, study_id: int, trial: FrozenTrial) -> tuple[int, int]:
    """Insert a trial that has no values yet; return its id and its number in the study.

    A running one gets its first heartbeat: whoever finds it knows since when nobody has spoken for it.
    Numbers are counted as Optuna does it, with the study locked where the database can.

    Raises:
        KeyError: the study is gone.
    """
    studies, trials = models.StudyModel.__table__.c, models.TrialModel.__table__
    lock = select(studies.study_id).where(studies.study_id == study_id).with_for_update()
    if connection.execute(lock).first() is None:
        raise KeyError(study_id)
    row = {
        "study_id": study_id,
        "state": trial.state,
        "datetime_start": to_utc(trial.datetime_start),
        "datetime_complete": to_utc(trial.datetime_complete),
    }
    (trial_id,) = connection.execute(insert(trials).values(row)).inserted_primary_key or (0,)
    is_before = (trials.c.study_id == study_id) & (trials.c.trial_id < trial_id)
    number = connection.execute(select(func.count(trials.c.trial_id)).where(is_before)).scalar_one()
    connection.execute(update(trials).where(trials.c.trial_id == trial_id).values(number=number))
    _insert_params(connection, trial_id, trial)
    write_attrs(connection, trial_id, trial.user_attrs)
    write_attrs(connection, trial_id, trial.system_attrs, models.TrialSystemAttributeModel)
    if trial.state is TrialState.RUNNING:
        connection.execute(insert(models.TrialHeartbeatModel), [{"trial_id": trial_id}])
    return int(trial_id), int(number)


def _insert_params(connection: Connection, trial_id: int, trial: FrozenTrial) -> None:
    rows = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]
    if rows:
        connection.execute(insert(models.TrialParamModel), rows)


def write_attrs(
    connection: Connection,
    trial_id: int,
    attrs: Mapping[str, Any],
    model: Any = models.TrialUserAttributeModel,
) -> None:
    """Insert attributes that a trial does not have yet."""
    if rows := [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attrs.items()
    ]:
        connection.execute(insert(model), rows)


def replace_attrs(connection: Connection, attrs: Mapping[int, Mapping[str, Any]]) -> None:
    """Write user attributes by the id of their trial, in the place of those of the same names."""
    model = models.TrialUserAttributeModel
    for trial_id, values in attrs.items():
        if values:
            named = (model.trial_id == trial_id) & model.key.in_(list(values))
            connection.execute(delete(model).where(named))
            write_attrs(connection, trial_id, values)


def record_heartbeats(connection: Connection, trial_ids: Sequence[int]) -> None:
    """Record that these trials are alive; those without a heartbeat get their first one."""
    model = models.TrialHeartbeatModel
    now = connection.execute(select(func.now())).scalar_one()
    beating = set[int]()
    for start in range(0, len(trial_ids), MAX_IDS):
        among = model.trial_id.in_(trial_ids[start : start + MAX_IDS])
        beating.update(connection.execute(select(model.trial_id).where(among)).scalars())
        connection.execute(update(model).where(among).values(heartbeat=now))
    if missing := [{"trial_id": trial_id} for trial_id in trial_ids if trial_id not in beating]:
        connection.execute(insert(model), missing)


def to_utc(moment: datetime | None) -> datetime | None:
    """Return a local moment as Optuna's tables have it: in UTC, without a time zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
