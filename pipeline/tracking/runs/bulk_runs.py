"""Many runs written in one transaction, where MLflow's store is a database.

MLflow reads a run before each write, and writes params, metrics, tags and status object by object in
transactions of their own: tens of milliseconds of a core for a trial. Here the same rows are plain
statements. Whatever is not as plain as that (a server, a run or an experiment that was deleted, a metric that
a run has already) is left to MLflow's client: the functions tell so.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Metric
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.search.storage.plain_rows import insert_rows
from pipeline.settings.addresses import is_database

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

MAX_IDS = 500
"""Of runs that are named in one statement; databases have limits."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that begins now; `tags` and `params` are masked and cut as MLflow takes them."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunChange:
    """What is written into a run; `tags` are masked and cut. `status`: its end; None: it goes on."""

    run_id: str
    tags: Mapping[str, str]
    metrics: Sequence[Metric] = ()
    status: str | None = None


def insert_runs(client: MlflowClient, experiment_id: str, runs: Sequence[NewRun]) -> list[str] | None:
    """Open the runs and return their ids; None where that is left to the client: nothing was written.

    Raises:
        MlflowException: the store does not answer.
    """
    store = _find_database(client)
    if store is None or not _are_plain(key for run in runs for key in (*run.tags, *run.params)):
        return None
    try:
        experiment = store.get_experiment(experiment_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None  # it was removed for good
    if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
        return None
    run_ids, began = [uuid4().hex for _ in runs], _read_clock()
    named = list(zip(run_ids, runs, strict=True))
    with store.ManagedSessionMaker(read_only=False) as session:
        connection = session.connection()
        new = [_make_run_row(run_id, run, experiment, began) for run_id, run in named]
        connection.execute(insert(_get_table("runs")), new)  # it has columns that SQLAlchemy fills
        _insert(connection, "tags", [row for run_id, run in named for row in _make_rows(run_id, run.tags)])
        _insert(
            connection, "params", [row for run_id, run in named for row in _make_rows(run_id, run.params)]
        )
    return run_ids


def read_tag(client: MlflowClient, run_ids: Sequence[str], name: str) -> dict[str, str]:
    """Read one tag of runs, by their ids; those without it, and those that are gone, are left out.

    Raises:
        MlflowException: the store does not answer.
    """
    texts, store, tags = dict[str, str](), _find_database(client), _get_table("tags")
    if store is None:
        for run_id in run_ids:
            with suppress(MlflowException):
                recorded = client.get_run(run_id).data.tags
                if name in recorded:
                    texts[run_id] = recorded[name]
        return texts
    for start in range(0, len(run_ids), MAX_IDS):
        among = tags.c.run_uuid.in_(run_ids[start : start + MAX_IDS])
        with store.ManagedSessionMaker(read_only=True) as session:
            query = select(tags.c.run_uuid, tags.c.value).where(among & (tags.c.key == name))
            texts |= dict(map(tuple, session.connection().execute(query)))
    return texts


def change_runs(client: MlflowClient, changes: Sequence[RunChange]) -> bool:
    """Write changes, each of another run; False where they are left to the client, who may write all of them.

    Raises:
        MlflowException: the store does not answer.
    """
    store = _find_database(client)
    names = (key for change in changes for key in (*change.tags, *(metric.key for metric in change.metrics)))
    if store is None or not _are_plain(names):
        return False
    parts = [changes[start : start + MAX_IDS] for start in range(0, len(changes), MAX_IDS)]
    try:
        return all(_write_changes(store, part) for part in parts)
    except MlflowException as error:
        if isinstance(error.__cause__, IntegrityError):  # somebody has written the same, now or before
            return False
        raise


def replace_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> bool:
    """Write other values for params of a run, which MLflow lets nobody change; False where a server has them.

    Raises:
        MlflowException: the store does not answer.
    """
    store, table = _find_database(client), _get_table("params")
    if store is None:
        return False
    with store.ManagedSessionMaker(read_only=False) as session:
        for key, value in params.items():
            is_param = (table.c.run_uuid == run_id) & (table.c.key == key)
            session.connection().execute(update(table).where(is_param).values(value=value))
    return True


def _write_changes(store: "SqlAlchemyStore", changes: Sequence[RunChange]) -> bool:
    """Write the changes in one transaction; False where a run is not active, and nothing is written."""
    run_ids, runs = [change.run_id for change in changes], _get_table("runs")
    with store.ManagedSessionMaker(read_only=False) as session:
        connection = session.connection()
        is_active = runs.c.run_uuid.in_(run_ids) & (runs.c.lifecycle_stage == LifecycleStage.ACTIVE)
        if len(connection.execute(select(runs.c.run_uuid).where(is_active)).all()) < len(changes):
            return False
        _replace_tags(connection, changes)
        metrics = [row for change in changes for row in _make_metric_rows(store, change)]
        _insert(connection, "metrics", metrics)
        _insert(connection, "latest_metrics", _select_latest(metrics))
        _end_runs(connection, [change for change in changes if change.status])
    return True


def _replace_tags(connection: Connection, changes: Sequence[RunChange]) -> None:
    tags, by_names = _get_table("tags"), defaultdict[frozenset[str], list[str]](list)
    for change in changes:
        by_names[frozenset(change.tags)].append(change.run_id)
    for names, run_ids in by_names.items():
        if names:
            connection.execute(delete(tags).where(tags.c.run_uuid.in_(run_ids) & tags.c.key.in_(names)))
    _insert(connection, "tags", [row for change in changes for row in _make_rows(change.run_id, change.tags)])


def _end_runs(connection: Connection, changes: Sequence[RunChange]) -> None:
    if changes:
        runs = _get_table("runs")
        end = update(runs).where(runs.c.run_uuid == bindparam("ended"))
        rows = [
            {"ended": change.run_id, "status": change.status, "end_time": _read_clock()} for change in changes
        ]
        connection.execute(end, rows)


def _find_database(client: MlflowClient) -> "SqlAlchemyStore | None":
    """Return the store that writes into a database; None where the client asks a server, or has tenants."""
    if not is_database(client.tracking_uri):
        return None
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store
    return store if type(store) is SqlAlchemyStore else None


@lru_cache(4096)
def _is_plain(name: str) -> bool:
    """Return whether MLflow takes it as the name of a metric, a param or a tag."""
    try:
        _validate_metric_name(name)
    except MlflowException:
        return False
    return bool(len(name) <= MAX_ENTITY_KEY_LENGTH)


def _are_plain(names: Iterable[str]) -> bool:
    return all(map(_is_plain, set(names)))


def _read_clock() -> int:
    """Return milliseconds since 1970."""
    return int(time.time() * 1000)


# ---- tables -------------------------------------------------------------------------------------------


def _get_table(name: str) -> Table:
    from mlflow.store.tracking.dbmodels.models import Base

    table: Table = Base.metadata.tables[name]
    return table


def _insert(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    insert_rows(connection, _get_table(table), rows)


def _make_run_row(run_id: str, run: NewRun, experiment: Experiment, began: int) -> Row:
    return {
        "run_uuid": run_id,
        "name": run.name,
        "experiment_id": int(experiment.experiment_id),
        "artifact_uri": append_to_uri_path(experiment.artifact_location, run_id, "artifacts"),
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": run.tags.get("mlflow.user", "unknown"),
        "status": "RUNNING",
        "start_time": began,
        "lifecycle_stage": LifecycleStage.ACTIVE,
    }


def _make_rows(run_id: str, texts: Mapping[str, str]) -> list[Row]:
    """Make the rows of tags or params."""
    return [{"run_uuid": run_id, "key": key, "value": text} for key, text in texts.items()]


def _make_metric_rows(store: "SqlAlchemyStore", change: RunChange) -> list[Row]:
    """Make a row for each metric; what comes twice is there once."""
    rows = []
    for metric in dict.fromkeys(change.metrics):
        is_nan, value = store.sanitize_metric_value(metric.value)
        row = {"key": metric.key, "value": value, "timestamp": metric.timestamp, "step": metric.step}
        rows.append({"run_uuid": change.run_id, **row, "is_nan": is_nan})
    return rows


def _select_latest(rows: Sequence[Row]) -> list[Row]:
    """Select of each metric of each run the row that MLflow shows: of the last step, then the last moment."""
    latest = dict[tuple[str, str], Row]()
    for row in rows:
        name, order = (row["run_uuid"], row["key"]), (row["step"], row["timestamp"], row["value"])
        before = latest.get(name)
        if before is None or order > (before["step"], before["timestamp"], before["value"]):
            latest[name] = row
    return list(latest.values())
