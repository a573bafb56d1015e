"""Where studies lie: Optuna's storages, and whether the process that holds a trial is still alive."""

import time
import warnings
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage, get_storage
from optuna.storages._rdb.models import TrialModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import BadInput
from pipeline.processes import ProcessOwner
from pipeline.secrets import mask

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 90
LOCK_SECONDS, RETRY_SECONDS = 60, 0.2
PASSING_REASONS = ("locked", "busy", "disk i/o error", "already exists", "unique constraint", "duplicate key")
"""What databases say of a table or row that another process makes, and SQLite of a journal left by a kill."""

OWNER = "owner"
TASK_QUEUE_SUFFIX = " (afterwards)"
"""Ends the name of the study that holds what is done once a search is over: confirming, the last pictures."""


def read_owner(row: FrozenTrial) -> ProcessOwner | None:
    """Return the process that holds or held a trial, None where none is written down."""
    return ProcessOwner.from_dict(row.user_attrs.get(OWNER) or {})


def is_orphan(row: FrozenTrial) -> bool:
    """Return whether the process that holds the trial has certainly ended; else its heartbeat decides."""
    owner = read_owner(row)
    return owner is not None and owner.is_gone()


def list_studies(url: str) -> list[str]:
    """List the studies of a storage, the newest last.

    Raises:
        BadInput: the storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        studies = [study.study_name for study in open_storage(url).get_all_studies()]
    except Exception as error:
        raise explain_unusable(url, error) from None
    return [name for name in studies if not name.endswith(TASK_QUEUE_SUFFIX)]


def open_storage(url: str) -> Any:
    """Open the storage; finished trials are read once, because Optuna keeps them in memory."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return get_storage(_connect(url))
        except Exception as error:
            if not _is_passing(error) or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _connect(url: str) -> RDBStorage:
    # How long SQLite itself waits; it does not wait where two connections would wait for each other.
    options = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        return RDBStorage(
            url, engine_kwargs=options, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS
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
    lines = mask(str(error)).strip().splitlines() or [type(error).__name__]
    return BadInput(
        f"search.storage must be an Optuna URL that answers, got {mask(url)} ({lines[0][:200]}); "
        "leave it out to use studies.db beside mlflow.db"
    )
