"""Where studies lie: Optuna's storages, and whether the process that holds a trial is still alive."""

import time
import warnings
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage, get_storage
from optuna.storages._rdb.models import StudyModel, TrialModel
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, inspect, update
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import BadInput
from pipeline.processes import ProcessOwner
from pipeline.settings import sqlite_waiting
from pipeline.settings.addresses import explain_failure, read_sqlite_path
from pipeline.settings.search import TASK_QUEUE_SUFFIX

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 90
OPEN_SECONDS, RETRY_SECONDS = 60, 0.2
PASSING_REASONS = ("locked", "busy", "disk i/o error", "already exists", "unique constraint", "duplicate key")
"""What databases say of a table or row that another process makes, and SQLite of a journal left by a kill."""

OWNER, ONCE, OUTCOME, ABOUT = "owner", "once", "outcome", "about"
OUR_ROW_ATTRS = {OWNER, ONCE, OUTCOME}
"""Every trial of ours has one of them from its first moment, also in studies of version 0.1.0."""

DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
"""Accuracy, device-seconds."""


def read_owner(row: FrozenTrial) -> ProcessOwner | None:
    """Return the process that holds or held a trial, None where none is written down."""
    return ProcessOwner.from_dict(row.user_attrs.get(OWNER) or {})


def is_orphan(row: FrozenTrial) -> bool:
    """Return whether the process that holds the trial has certainly ended; else its heartbeat decides."""
    owner = read_owner(row)
    return owner is not None and owner.is_gone()


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
    if directions != DIRECTIONS:
        names = ", ".join(direction.name.lower() for direction in directions)
        return f"its directions are {names}, ours are maximize, minimize"
    if ABOUT in storage.get_study_user_attrs(study_id):
        return None
    rows = storage.get_all_trials(study_id, deepcopy=False)
    if not all(map(is_our_row, rows)):
        return "its trials have no outcome of ours"
    if not rows and storage.get_study_system_attrs(study_id):
        return "another program has begun it"
    return None


def is_our_row(row: FrozenTrial) -> bool:
    """Return whether this product made the row."""
    return not OUR_ROW_ATTRS.isdisjoint(row.user_attrs)


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


def _connect(url: str, create: bool) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        return RDBStorage(
            url,
            engine_kwargs={"pool_pre_ping": True},  # a server that was restarted is found again
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
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


def claim_waiting(storage: Any, trial_id: int) -> bool:
    """Set a waiting trial running; False where another process was faster.

    Optuna reads and then writes, and SQLite locks no row in between: two processes would both have it.
    """
    waiting = (TrialModel.trial_id == trial_id) & (TrialModel.state == TrialState.WAITING)
    running = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}
    with storage._backend.engine.begin() as connection:
        return bool(connection.execute(update(TrialModel).where(waiting).values(running)).rowcount)


def explain_unusable(url: str, error: Exception) -> BadInput:
    """Return the error for a storage that does not answer; secrets are masked."""
    remedy = "leave it out to use studies.db beside mlflow.db"
    return BadInput(
        f"search.storage must be an Optuna URL that answers, {explain_failure(url, error, remedy)}"
    )
