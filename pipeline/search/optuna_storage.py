"""Where studies lie: Optuna's storages, and whether the process that holds a trial is still alive."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

import optuna
from optuna.storages import get_storage
from optuna.storages._rdb.models import (
    StudyModel,
    TrialHeartbeatModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialValueModel,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, create_engine, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import BadInput, FulcrumError, StoreLocked, find_cause
from pipeline.processes import HEARTBEAT_SECONDS, LEASE_SECONDS, ProcessOwner, is_free
from pipeline.search.storage.bulk_reading import BulkReadingStorage
from pipeline.search.storage.bulk_writing import record_heartbeats, replace_attrs, to_utc
from pipeline.settings import sqlite_waiting
from pipeline.settings.addresses import explain_failure, read_sqlite_path
from pipeline.settings.search import TASK_QUEUE_SUFFIX
from pipeline.settings.searching.measures import ACCURACY_MEASURE, find_measure
from pipeline.settings.searching.objectives import COST, FIRST, OBJECTIVES

OPEN_SECONDS, RETRY_SECONDS = 60, 0.2
PASSING_REASONS = ("locked", "busy", "disk i/o error", "already exists", "unique constraint", "duplicate key")
"""What databases say of a table or row that another process makes, and SQLite of a journal left by a kill."""

OWNER, ONCE, OUTCOME, ABOUT = "owner", "once", "outcome", "about"

STUDY_ATTRS: dict[str, type] = {
    **dict.fromkeys((ABOUT, "data", "tracking", "validation"), dict),
    "identity": str,
    "page": str,
    "unit": list,
}
"""What a study of ours may have as attributes, and their types; another program may use the same words."""

DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
"""Accuracy, device-seconds; a study may have further objectives behind them."""

FURTHER = "further"
"""In an outcome: name -> values after each epoch, or one for all, of each objective beside the first two."""

METRIC_NAMES = "study:metric_names"
"""Optuna's own attribute of a study: what its objectives are called in plots and tables."""

OBJECTIVE_NAMES = "objectives"
"""In what is written down about a study: the names of its objectives, where there are more than two."""


def read_owner(row: FrozenTrial) -> ProcessOwner | None:
    """Return the process that holds or held a trial, None where none is written down."""
    return ProcessOwner.from_dict(row.user_attrs.get(OWNER) or {})


def find_abandoned(storage: Any, study_id: int) -> list[FrozenTrial]:
    """Find the running trials that nobody holds any more: see `processes.is_free`.

    A trial of another machine whose process ended before its first heartbeat gets one here, so that its lease
    runs from now on.
    """
    rows = storage.get_all_trials(study_id, deepcopy=False)
    running = [row for row in rows if row.state is TrialState.RUNNING and is_our_row(row)]
    if not running:
        return []
    beating = _read_beating(storage, study_id)
    for row in running:
        if row._trial_id not in beating:
            storage.record_heartbeat(row._trial_id)
    over = set(storage._get_stale_trial_ids(study_id))
    return [row for row in running if is_free(read_owner(row), row._trial_id in over)]


def _read_beating(storage: Any, study_id: int) -> set[int]:
    """Return the ids of the running trials that have a heartbeat."""
    of_study = (TrialModel.study_id == study_id) & (TrialModel.state == TrialState.RUNNING)
    found = select(TrialHeartbeatModel.trial_id).join(TrialModel).where(of_study)
    with storage._backend.engine.begin() as connection:
        return set(connection.execute(found).scalars())


def list_studies(url: str) -> list[str]:
    """List our studies of a storage, the newest last; nothing is written, not even an empty storage.

    Studies of other programs are left out.

    Raises:
        BadInput: the storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if not _has_tables(url):
            return []
        storage = open_storage(url, create=False)
        return [
            study.study_name
            for study in storage.get_all_studies()
            if not study.study_name.endswith(TASK_QUEUE_SUFFIX)
            and explain_foreign(storage, study._study_id) is None
        ]
    except Exception as error:
        raise explain_unusable(url, error) from None


def explain_foreign(storage: Any, study_id: int) -> str | None:
    """Explain why a study is none of ours: another program made it, or writes into it; None for ours."""
    directions = [StudyDirection(direction) for direction in storage.get_study_directions(study_id)]
    if directions[: len(DIRECTIONS)] != DIRECTIONS:
        names = ", ".join(direction.name.lower() for direction in directions)
        return f"its directions are {names}, ours are maximize, minimize"
    attrs = storage.get_study_user_attrs(study_id)
    for key, kind in STUDY_ATTRS.items():
        if not isinstance(attrs.get(key, kind()), kind):
            return f"its attribute {key} is not what we write there"
    if not attrs.get("identity", "0").isalnum():  # it names a folder
        return "its attribute identity is not what we write there"
    if ABOUT in attrs:
        return None
    rows = storage.get_all_trials(study_id, deepcopy=False)
    if not all(map(is_our_row, rows)):
        return "its trials have no outcome of ours"
    if not rows and (storage.get_study_system_attrs(study_id) or attrs.keys() - STUDY_ATTRS.keys()):
        return "another program has begun it"
    return None


def make_directions(about: Mapping[str, Any] | None) -> list[StudyDirection]:
    """Make the directions of a study from what is written down about it; see `OBJECTIVES`."""
    names = (about or {}).get(OBJECTIVE_NAMES, FIRST)
    further = [OBJECTIVES[name].maximise for name in names[len(FIRST) :]]
    return DIRECTIONS + [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in further]


def name_metrics(about: Mapping[str, Any]) -> list[str]:
    """Name the objectives of a study for Optuna's own plots and tables."""
    further = about.get(OBJECTIVE_NAMES, FIRST)[len(FIRST) :]
    accuracy = find_measure(about.get("objective", ACCURACY_MEASURE.name)).label
    return [accuracy, OBJECTIVES[COST].heading, *(OBJECTIVES[name].heading for name in further)]


def is_our_row(row: FrozenTrial) -> bool:
    """Return whether this product made the row; another program may use one of the words for its own.

    Every trial of ours has one of the three from its first moment, also in studies of version 0.1.0.
    """
    owner, once, outcome = (row.user_attrs.get(key) for key in (OWNER, ONCE, OUTCOME))
    has_outcome = isinstance(outcome, dict) and "curve" in outcome
    return has_outcome or isinstance(owner, dict) or isinstance(once, str)


def _has_tables(url: str) -> bool:
    """Return whether Optuna has made its tables there."""
    path = read_sqlite_path(url)
    if path is not None and not path.exists() and path.parent.exists():
        return False
    sqlite_waiting.install()
    engine = create_engine(url)
    try:
        return inspect(engine).has_table(StudyModel.__tablename__)
    finally:
        engine.dispose()


def open_storage(url: str, create: bool = True) -> Any:
    """Open the storage; finished trials are read once, because Optuna keeps them in memory.

    `create`: make the tables where they are missing; without it nothing is written.
    """
    sqlite_waiting.install()
    deadline = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            return get_storage(_connect(url, create))
        except Exception as error:
            if not _is_passing(error) or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _connect(url: str, create: bool) -> BulkReadingStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        return BulkReadingStorage(
            url,
            engine_kwargs={"pool_pre_ping": True},  # a server that was restarted is found again
            heartbeat_interval=round(HEARTBEAT_SECONDS),
            grace_period=round(LEASE_SECONDS),
            skip_table_creation=not create,
        )


def _is_passing(error: BaseException | None) -> bool:
    """Return whether the reason is a process that opens or writes the storage, or was killed while it did."""
    while error is not None:
        text = str(error).lower()
        if isinstance(error, SQLAlchemyError) and any(reason in text for reason in PASSING_REASONS):
            return True
        error = error.__cause__ or error.__context__
    return False


# ---- one transaction for each step of a trial ------------------------------------------------------------
#
# Optuna reads and then writes, an attribute and a state one after the other, and SQLite locks no row in
# between: two processes would both have a trial, or one would end it while the other gives it up.


def claim_waiting(storage: Any, trial_id: int, owner: ProcessOwner) -> bool:
    """Set a waiting trial running, held by `owner`; False where another process was faster."""
    running = {"state": TrialState.RUNNING, "datetime_start": to_utc(datetime.now())}
    with storage._backend.engine.begin() as connection:
        if not _change_state(connection, trial_id, TrialState.WAITING, running):
            return False
        replace_attrs(connection, {trial_id: {OWNER: owner.to_dict()}})
    return True


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How a trial ends: its values and user attributes, as plain values; `before`: the state it must have.

    The accuracies of a complete trial's curve become its intermediate values. One that paused or failed has
    none: with them, Optuna's TPE asks a study of several objectives for its one direction, and raises.
    """

    state: TrialState
    values: Sequence[float] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    before: TrialState = TrialState.RUNNING


def end_trial(storage: Any, trial_id: int, end: TrialEnd) -> bool:
    """End a trial; False where it is not in the state `before`, and nothing is written."""
    return bool(end_trials(storage, {trial_id: end}))


def end_trials(storage: Any, ends: Mapping[int, TrialEnd]) -> set[int]:
    """End trials by their ids; return the ids of those that were in their state `before`, and have ended."""
    now = to_utc(datetime.now())
    with storage._backend.engine.begin() as connection:  # in one order, or two processes wait for each other
        ended = {
            trial_id: end
            for trial_id, end in sorted(ends.items(), key=itemgetter(0))
            if _change_state(connection, trial_id, end.before, {"state": end.state, "datetime_complete": now})
        }
        replace_attrs(connection, {trial_id: end.attrs for trial_id, end in ended.items()})
        values = [row for trial_id, end in ended.items() for row in _make_value_rows(trial_id, end.values)]
        curves = [row for trial_id, end in ended.items() for row in _make_curve_rows(trial_id, end)]
        for model, rows in ((TrialValueModel, values), (TrialIntermediateValueModel, curves)):
            if rows:
                connection.execute(insert(model), rows)
    return set(ended)


def _change_state(
    connection: Connection, trial_id: int, before: TrialState, columns: Mapping[str, Any]
) -> bool:
    wanted = (TrialModel.trial_id == trial_id) & (TrialModel.state == before)
    return bool(connection.execute(update(TrialModel).where(wanted).values(columns)).rowcount)


def write_heartbeats(storage: Any, trial_ids: Sequence[int], attrs: Mapping[int, Mapping[str, Any]]) -> None:
    """Record that running trials are alive, and user attributes by the id of their trial, all at once."""
    if trial_ids:
        with storage._backend.engine.begin() as connection:
            record_heartbeats(connection, trial_ids)
            replace_attrs(connection, attrs)


def _make_value_rows(trial_id: int, values: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    for objective, value in enumerate(values):
        stored, kind = TrialValueModel.value_to_stored_repr(float(value))
        rows.append({"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind})
    return rows


def _make_curve_rows(trial_id: int, end: TrialEnd) -> list[dict[str, Any]]:
    if end.state is not TrialState.COMPLETE:
        return []
    model, curve = TrialIntermediateValueModel, end.attrs.get(OUTCOME, {}).get("curve", ())
    rows = []
    for step, accuracy in {int(epoch): accuracy for epoch, _, accuracy in curve}.items():
        stored, kind = model.intermediate_value_to_stored_repr(float(accuracy))
        value = {"intermediate_value": stored, "intermediate_value_type": kind}
        rows.append({"trial_id": trial_id, "step": step, **value})
    return rows


def explain_unusable(url: str, error: Exception) -> FulcrumError:
    """Return the error for a storage that does not answer; secrets are masked."""
    if locked := find_cause(error, StoreLocked):
        return locked
    remedy = "leave it out to use studies.db beside mlflow.db"
    return BadInput(
        f"search.storage must be an Optuna URL that answers, {explain_failure(url, error, remedy)}"
    )
