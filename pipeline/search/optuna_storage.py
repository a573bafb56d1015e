"""Where studies lie: Optuna's storages, and whether the process that holds a trial is still alive."""

import time
import warnings
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage, get_storage
from optuna.storages._rdb.models import StudyModel, TrialModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, inspect, update
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import BadInput
from pipeline.processes import ProcessOwner
from pipeline.settings.addresses import explain_failure, read_sqlite_path
from pipeline.settings.search import TASK_QUEUE_SUFFIX

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 90
LOCK_SECONDS, RETRY_SECONDS = 60, 0.2
PASSING_REASONS = ("locked", "busy", "disk i/o error", "already exists", "unique constraint", "duplicate key")
"""What databases say of a table or row that another process makes, and SQLite of a journal left by a kill."""

OWNER = "owner"


def read_owner(row: FrozenTrial) -> ProcessOwner | None:
    """Return the process that holds or held a trial, None where none is written down."""
    return ProcessOwner.from_dict(row.user_attrs.get(OWNER) or {})


def is_orphan(row: FrozenTrial) -> bool:
    """Return whether the process that holds the trial has certainly ended; else its heartbeat decides."""
    owner = read_owner(row)
    return owner is not None and owner.is_gone()


def list_studies(url: str) -> list[str]:
    """List the studies of a storage, the newest last; nothing is written, not even an empty storage.

    Raises:
        BadInput: the storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if not _has_tables(url):
            return []
        studies = [study.study_name for study in open_storage(url, create=False).get_all_studies()]
    except Exception as error:
        raise explain_unusable(url, error) from None
    return [name for name in studies if not name.endswith(TASK_QUEUE_SUFFIX)]


def _has_tables(url: str) -> bool:
    """Return whether Optuna has made its tables there."""
    path = read_sqlite_path(url)
    if path is not None and not path.exists() and path.parent.exists():
        return False
    engine = create_engine(url, connect_args=_make_connect_args(url))
    try:
        return inspect(engine).has_table(StudyModel.__tablename__)
    finally:
        engine.dispose()


def open_storage(url: str, create: bool = True) -> Any:
    """Open the storage; finished trials are read once, because Optuna keeps them in memory.

    `create`: make the tables where they are missing; without it nothing is written.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return get_storage(_connect(url, create))
        except Exception as error:
            if not _is_passing(error) or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _make_connect_args(url: str) -> dict[str, Any]:
    """Return how long SQLite itself waits; it does not wait where two connections wait for each other."""
    return {"timeout": LOCK_SECONDS} if url.startswith("sqlite") else {}


def _connect(url: str, create: bool) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        return RDBStorage(
            url,
            engine_kwargs={"connect_args": _make_connect_args(url)},
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
