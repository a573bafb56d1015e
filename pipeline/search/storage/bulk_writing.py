"""New studies, and new trials, their attributes and heartbeats, in plain statements for many trials at once.

Optuna writes a trial object by object, and looks up the distribution of each value before: some twenty
statements, three times as slow. Distributions are the same for all trials of a study of ours
(`StudyStore` checks that), so nothing is looked up here.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from pipeline.search.storage.plain_rows import insert_rows

MAX_IDS = 500
"""Of trials that are named one by one in a statement; databases have limits."""


def insert_study(
    connection: Connection, name: str, directions: Sequence[StudyDirection], attrs: Mapping[str, Any]
) -> None:
    """Insert a study with its attributes; it is never there without them.

    Raises:
        IntegrityError: a study has that name.
    """
    done = connection.execute(insert(models.StudyModel.__table__).values(study_name=name))
    (study_id,) = done.inserted_primary_key or (0,)
    rows = [
        {"study_id": study_id, "objective": number, "direction": direction}
        for number, direction in enumerate(directions)
    ]
    connection.execute(insert(models.StudyDirectionModel.__table__), rows)
    texts = [{"study_id": study_id, "key": key, "value_json": json.dumps(attrs[key])} for key in attrs]
    insert_rows(connection, models.StudyUserAttributeModel.__table__, texts)


def insert_trials(
    connection: Connection, study_id: int, trials: Sequence[FrozenTrial]
) -> list[tuple[int, int]]:
    """Insert trials that have no values yet; return their ids and their numbers in the study.

    A running one gets its first heartbeat: whoever finds it knows since when nobody has spoken for it.
    Numbers are counted as Optuna does it, with the study locked where the database can.

    Raises:
        KeyError: the study is gone.
    """
    studies = models.StudyModel.__table__.c
    lock = select(studies.study_id).where(studies.study_id == study_id).with_for_update()
    if connection.execute(lock).first() is None:
        raise KeyError(study_id)
    ids = [_insert_trial(connection, study_id, trial) for trial in trials]
    numbers = _number_trials(connection, study_id, ids)
    named = list(zip(ids, trials, strict=True))
    insert_rows(connection, models.TrialParamModel.__table__, _make_param_rows(named))
    user_attrs = {trial_id: trial.user_attrs for trial_id, trial in named}
    system_attrs = {trial_id: trial.system_attrs for trial_id, trial in named}
    insert_rows(connection, models.TrialUserAttributeModel.__table__, _make_attr_rows(user_attrs))
    insert_rows(connection, models.TrialSystemAttributeModel.__table__, _make_attr_rows(system_attrs))
    running = [trial_id for trial_id, trial in named if trial.state is TrialState.RUNNING]
    _begin_heartbeats(connection, running)
    return list(zip(ids, numbers, strict=True))


def _insert_trial(connection: Connection, study_id: int, trial: FrozenTrial) -> int:
    row = {
        "study_id": study_id,
        "state": trial.state,
        "datetime_start": to_utc(trial.datetime_start),
        "datetime_complete": to_utc(trial.datetime_complete),
    }
    done = connection.execute(insert(models.TrialModel.__table__).values(row))
    (trial_id,) = done.inserted_primary_key or (0,)
    return int(trial_id)


def _number_trials(connection: Connection, study_id: int, ids: Sequence[int]) -> list[int]:
    """Give trials their numbers, which follow each other: nobody else adds one to the study meanwhile."""
    trials = models.TrialModel.__table__
    is_before = (trials.c.study_id == study_id) & (trials.c.trial_id < ids[0])
    first = connection.execute(select(func.count(trials.c.trial_id)).where(is_before)).scalar_one()
    rows = [{"id_": trial_id, "number": number} for number, trial_id in enumerate(ids, start=first)]
    connection.execute(update(trials).where(trials.c.trial_id == bindparam("id_")), rows)
    return [row["number"] for row in rows]


def _make_param_rows(named: Sequence[tuple[int, FrozenTrial]]) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": _to_json(trial.distributions[name]),
        }
        for trial_id, trial in named
        for name, value in trial.params.items()
    ]


@lru_cache(4096)
def _to_json(distribution: BaseDistribution) -> str:
    return distribution_to_json(distribution)


def _make_attr_rows(attrs: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for trial_id, values in attrs.items()
        for key, value in values.items()
    ]


def replace_attrs(connection: Connection, attrs: Mapping[int, Mapping[str, Any]]) -> None:
    """Write user attributes by the id of their trial, in the place of those of the same names."""
    model, by_names = models.TrialUserAttributeModel, defaultdict[frozenset[str], list[int]](list)
    for trial_id, values in attrs.items():
        by_names[frozenset(values)].append(trial_id)
    for names, trial_ids in by_names.items():
        for start in range(0, len(trial_ids) if names else 0, MAX_IDS):
            of_trials = model.trial_id.in_(trial_ids[start : start + MAX_IDS])
            connection.execute(delete(model).where(of_trials & model.key.in_(names)))
    insert_rows(connection, model.__table__, _make_attr_rows(attrs))


def record_heartbeats(connection: Connection, trial_ids: Sequence[int]) -> None:
    """Record that these trials are alive; those without a heartbeat get their first one."""
    model = models.TrialHeartbeatModel
    now = connection.execute(select(func.now())).scalar_one()
    beating = set[int]()
    for start in range(0, len(trial_ids), MAX_IDS):
        among = model.trial_id.in_(trial_ids[start : start + MAX_IDS])
        beating.update(connection.execute(select(model.trial_id).where(among)).scalars())
        connection.execute(update(model).where(among).values(heartbeat=now))
    _begin_heartbeats(connection, [trial_id for trial_id in trial_ids if trial_id not in beating])


def _begin_heartbeats(connection: Connection, trial_ids: Sequence[int]) -> None:
    if trial_ids:
        rows = [{"trial_id": trial_id} for trial_id in trial_ids]
        connection.execute(insert(models.TrialHeartbeatModel), rows)


def to_utc(moment: datetime | None) -> datetime | None:
    """Return a local moment as Optuna's tables have it: in UTC, without a time zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
