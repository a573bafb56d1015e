"""Where studies lie: Optuna's storages, how they are opened, and which cannot be used."""

import sqlite3
import time
import warnings
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import optuna
from optuna.storages import get_storage
from optuna.storages._rdb.models import (
    StudyModel,
)
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DBAPIError

from pipeline.errors import BadInput, FulcrumError, StoreLocked, find_cause
from pipeline.processes.process_owner import HEARTBEAT_SECONDS, LEASE_SECONDS
from pipeline.search.storage import server_waiting
from pipeline.search.storage.bulk_reading import BulkReadingStorage
from pipeline.search.storage.our_studies import explain_foreign
from pipeline.search.storage.study_table import find_foreign
from pipeline.settings import sqlite_waiting
from pipeline.settings.addresses import (
    explain_failure,
    make_study_address,
    read_sqlite_path,
    require_lasting,
)
from pipeline.settings.search import TASK_QUEUE_SUFFIX
from pipeline.settings.stores.first_answer import check_reachable, require_own_tables

OPEN_SECONDS, RETRY_SECONDS = 60, 0.2
MADE_MEANWHILE = ("already exists", "unique constraint", "duplicate key")
"""What databases say of a table or row that another process makes at the same moment."""
SQLITE_REASONS = ("locked", "busy")
_checked: set[str] = set()
"""Storages whose tables this process has compared with those that its Optuna wants."""


def list_studies(url: str) -> list[str]:
    """List our studies of a storage, the newest last; nothing is written, not even an empty storage.

    Studies of other programs are left out.

    Raises:
        BadInput: the storage does not answer.
    """
    try:
        storage = _open_made(url)
        return [
            study.study_name
            for study in ([] if storage is None else storage.get_all_studies())
            if not study.study_name.endswith(TASK_QUEUE_SUFFIX)
            and explain_foreign(storage, study._study_id) is None
        ]
    except Exception as error:
        raise explain_unusable(url, error) from None


def _open_made(url: str) -> Any | None:
    """Open a storage in which Optuna has made its tables; None where it has not."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return open_storage(url, create=False) if _has_tables(url) else None


def _has_tables(url: str) -> bool:
    """Return whether Optuna has made its tables there."""
    path = read_sqlite_path(url)
    if path is not None and not path.exists() and path.parent.exists():
        return False
    sqlite_waiting.install()
    check_reachable(url)
    engine = create_engine(url)
    try:
        names = inspect(engine).get_table_names()
        require_own_tables(names, StudyModel.__tablename__)
        return StudyModel.__tablename__ in names
    finally:
        engine.dispose()


def open_storage(url: str, create: bool = True) -> Any:
    """Open the storage; finished trials are read once, because Optuna keeps them in memory.

    `create`: make the tables where they are missing; without it nothing is written.
    """
    sqlite_waiting.install()
    server_waiting.install()
    check_reachable(url)
    deadline = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            storage = get_storage(_connect(url, create))
            _checked.add(url)
            return storage
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
            skip_compatibility_check=url in _checked,
        )


def _is_passing(error: BaseException | None) -> bool:
    """Return whether the reason is a process that opens or writes the storage, or was killed while it did.

    A server that refuses to be connected to may use the same words of a database or user of such a name.
    """
    while error is not None:
        if isinstance(error, DBAPIError):
            text, is_sqlite = str(error.orig).lower(), isinstance(error.orig, sqlite3.Error)
            reasons = (*MADE_MEANWHILE, *SQLITE_REASONS) if is_sqlite else MADE_MEANWHILE
            if (is_sqlite or error.statement is not None) and any(reason in text for reason in reasons):
                return True
        error = error.__cause__ or error.__context__
    return False


def check_storage(url: str, study: str | None = None) -> None:
    """Check that studies can be written there, and this one is none of another program's: nothing is created.

    Raises:
        BadInput: the storage does not answer, or takes nothing.
        BadSetting: another program has made the study.
    """
    foreign, path = None, read_sqlite_path(url)
    if path is not None and url == make_study_address() and not path.parent.exists():
        return  # it is made for the database of runs, which lies beside
    try:
        require_lasting(url)
        storage = _open_made(url)
        if path is not None:
            _require_writable(url, path)
        if storage is not None and study is not None:
            foreign = find_foreign(storage, study)
    except Exception as error:
        raise explain_unusable(url, error) from None
    if foreign is not None:
        raise foreign


def _require_writable(url: str, path: Path) -> None:
    """Raise where a file, or its journal beside it, cannot be written; nothing is left of what is tried."""
    if not path.exists():
        with TemporaryFile(dir=path.parent):
            return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.exec_driver_sql("CREATE TABLE tried (number INTEGER)")
            connection.rollback()
    finally:
        engine.dispose()


def explain_unusable(url: str, error: Exception) -> FulcrumError:
    """Return the error for a storage that does not answer; secrets are masked."""
    if locked := find_cause(error, StoreLocked):
        return locked
    is_default = url == make_study_address()
    remedy = (
        "mend that, or name another storage with search.storage=sqlite:////FOLDER/studies.db"
        if is_default
        else "leave it out to use studies.db beside mlflow.db"
    )
    return BadInput(
        f"search.storage must be an Optuna URL that answers, {explain_failure(url, error, remedy)}"
    )
