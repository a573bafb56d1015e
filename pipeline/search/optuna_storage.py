"""Where studies lie: Optuna's storages, and whether the process that holds a trial still lives."""

import socket
import warnings
from datetime import datetime
from typing import Any

import optuna
import psutil
from optuna.storages import RDBStorage, get_storage
from optuna.storages._rdb.models import TrialModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import update

from pipeline.errors import BadInput
from pipeline.secrets import masked

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 90
SAME_START_SECONDS = 3
OWNER = "owner"
AFTERWARDS = " (afterwards)"
"""Ends the name of the study that holds what is done once a search is over: confirming, the last pictures."""


def owner() -> dict[str, Any]:
    """Enough to tell, later and on the same host, whether this process still lives."""
    me = psutil.Process()
    return {"host": socket.gethostname(), "pid": me.pid, "started": round(me.create_time())}


def is_orphan(row: FrozenTrial) -> bool:
    """Whether the process of this host that holds the trial is gone; False for those of other hosts."""
    told = row.user_attrs.get(OWNER)
    if told is None or told["host"] != socket.gethostname():
        return False
    try:
        # A clock that is set moves the time at which a process is said to have started.
        apart = abs(psutil.Process(told["pid"]).create_time() - float(told["started"]))
    except psutil.Error:
        return True
    return apart > SAME_START_SECONDS


def names(url: str) -> list[str]:
    """The studies of a storage, the newest last.

    Raises:
        BadInput: the storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        found = [study.study_name for study in opened(url).get_all_studies()]
    except Exception as error:
        raise unusable(url, error) from None
    return [name for name in found if not name.endswith(AFTERWARDS)]


def opened(url: str) -> Any:
    """The storage; finished trials are read once: Optuna keeps them in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        storage = RDBStorage(url, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS)
    return get_storage(storage)


def take(storage: Any, trial_id: int) -> bool:
    """Set a waiting trial running; False where another process was faster.

    Optuna reads and then writes, and SQLite locks no row in between: two processes would both have it.
    """
    waiting = (TrialModel.trial_id == trial_id) & (TrialModel.state == TrialState.WAITING)
    running = {"state": TrialState.RUNNING, "datetime_start": datetime.now()}
    with storage._backend.engine.begin() as connection:
        return bool(connection.execute(update(TrialModel).where(waiting).values(running)).rowcount)


def unusable(url: str, error: Exception) -> BadInput:
    """What to say of a storage that does not answer; secrets masked."""
    lines = masked(str(error)).strip().splitlines() or [type(error).__name__]
    return BadInput(
        f"search.storage must be an Optuna URL that answers, got {masked(url)} ({lines[0][:200]}); "
        "leave it out to use studies.db beside mlflow.db"
    )
