"""Which MLflow store is used, how it comes into being, and its experiments."""

import logging
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from pipeline import signals
from pipeline.errors import BadInput, RecordDeleted, find_cause
from pipeline.processes.environment import set_variable
from pipeline.secrets import mask
from pipeline.settings import sqlite_waiting
from pipeline.settings.addresses import (
    REGISTRY_URI,
    explain_unusable_store,
    is_database,
    read_sqlite_path,
    read_uri,
    require_lasting,
)
from pipeline.settings.stores.first_answer import (
    REQUEST_SECONDS,
    SERVERS,
    answer_server,
    check_database,
    check_server,
)
from pipeline.tracking.stores.artifact_place import check_artifacts
from pipeline.tracking.stores.new_database import ARTIFACTS, create_database, to_location

T = TypeVar("T")

ADOPTED, ACTIVE_MODEL = "MLFLOW_RUN_ID", "MLFLOW_ACTIVE_MODEL_ID"
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
BRIEFLY = {RETRIES: "2", REQUEST_SECONDS: "10"}
"""Variables of MLflow: two further tries within some 6 s, and seconds for each; those of a person count."""
NAMING_SECONDS = 60.0
_answered: set[str] = set()
"""Addresses that have answered this process."""


def is_local(uri: str) -> bool:
    """Return whether only processes of this machine write there."""
    return uri.startswith("sqlite")


def open_store() -> mlflow.MlflowClient:
    """Open the store, which is created where it is missing, and return a client of it.

    Raises:
        BadInput: the address is unusable or the server does not answer; one line, secrets masked.
    """
    _quieten()
    sqlite_waiting.install()
    uri = read_uri()
    mlflow.set_tracking_uri(uri)
    try:
        require_lasting(uri)
        path = read_sqlite_path(uri)
        if path and not (path.exists() and path.stat().st_size > 0):
            create_database(path)
        if is_database(uri):
            check_database(uri)
        client = mlflow.MlflowClient()
        _ask_briefly(uri, lambda: client.search_experiments(max_results=1))
    except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
        raise explain_unusable_store(uri, error) from None
    if registry := os.environ.get(REGISTRY_URI):
        _check_registry(client, registry)
    if model_id := os.environ.get(ACTIVE_MODEL):
        _check_active_model(client, model_id)
    return client


def _check_active_model(client: mlflow.MlflowClient, model_id: str) -> None:
    """Check the model that MLflow links all metrics with, before anything is trained.

    Raises:
        BadInput: there is no such model.
    """
    try:
        client.get_logged_model(model_id)
    except MlflowException:
        raise BadInput(
            f"{ACTIVE_MODEL} must be the id of a model, got {model_id}, which there is not; unset it"
        ) from None


def _check_registry(client: mlflow.MlflowClient, uri: str) -> None:
    """Ask the store of models, where it is another one than that of the runs: before anything is trained.

    Raises:
        BadInput: it does not answer.
    """
    try:
        _ask_briefly(uri, lambda: client.search_registered_models(max_results=1))
    except Exception as error:
        raise explain_unusable_store(uri, error, REGISTRY_URI) from None


def _ask_briefly(uri: str, ask: Callable[[], object]) -> None:
    """Give a server seconds to answer the first time, where MLflow tries for four minutes.

    Where nobody listens, none. One that has answered is waited for as long as MLflow does: it may be started
    anew in the middle of a search, whose workers ask for the first time then.
    """
    if uri in _answered or multiprocessing.parent_process() is not None:
        ask()
        return
    is_server = urlsplit(uri).scheme in SERVERS
    if is_server:
        check_server(uri)
    brief = {key: value for key, value in BRIEFLY.items() if key not in os.environ}
    os.environ.update(brief)
    try:
        if is_server and RETRIES in brief:
            answer_server(uri, ask)
        else:
            ask()
    finally:
        for key in brief:
            os.environ.pop(key, None)
    _answered.add(uri)


@contextmanager
def wait_no_more(error: BaseException | None) -> Iterator[None]:
    """Ask a server once for each thing in the block where it was waited for in vain: `error` says so."""
    is_lost = find_unanswered(error)
    before = os.environ.get(RETRIES)
    if is_lost:
        os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        if is_lost:
            set_variable(RETRIES, before)


def find_unanswered(error: BaseException | None) -> bool:
    """Return whether a server of MLflow has not answered."""
    found = find_cause(error, MlflowException)
    return found is not None and str(found).startswith("API request to")


class _Waiting(logging.Handler):
    """Says now and then that a server is waited for, which MLflow does for minutes without a word.

    Once somebody has asked to stop, none is waited for: what is written then would take minutes each.
    """

    named_at = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        uri, now = read_uri(), time.monotonic()
        if not str(record.msg).startswith("Retrying") or "/mlflow" not in record.getMessage():
            return
        if signals.read_requested():
            raise ConnectionError("it does not answer, and somebody has asked to stop")
        if uri in _answered and now - self.named_at > NAMING_SECONDS:
            self.named_at = now
            print(f"{mask(uri)} does not answer; it is waited for, some minutes", file=sys.stderr)


_waiting = _Waiting(logging.WARNING)


def _quieten() -> None:
    logging.getLogger("urllib3.connectionpool").addHandler(_waiting)  # once, however often it is added
    waiting = "mlflow.store.model_registry.abstract_store"  # says at each model that it waits for a server
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking", waiting):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What the first one warns of is raised, too; the second misses pip, which uv installs nowhere; the third
    # misses the name of a container's user.
    silent = ("mlflow.exceptions", "mlflow.utils.environment", "mlflow.tracking.context.registry")
    for name in silent:
        logging.getLogger(name).setLevel(logging.ERROR)


def find_or_create_experiment(client: mlflow.MlflowClient, name: str) -> str:
    """Return the id of the experiment of that name, created, or restored if it was deleted.

    Raises:
        BadInput: its artifacts cannot be written where MLflow looks for them.
    """
    experiment = client.get_experiment_by_name(name) or _create_experiment(client, name)
    check_artifacts(client.tracking_uri, name, experiment.artifact_location)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
        print(f"the experiment {name} was deleted; it is restored, with its runs", file=sys.stderr)
    return str(experiment.experiment_id)


def restore_deleted(client: mlflow.MlflowClient, experiment_id: str) -> bool:
    """Restore an experiment, with its runs, that somebody has deleted while it is in use, and say so.

    Returns whether it had been deleted.

    Raises:
        RecordDeleted: it was removed for good.
    """
    try:
        experiment = client.get_experiment(experiment_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise RecordDeleted(
            f"the experiment {experiment_id} was removed from the MLflow store; "
            "start anew with search.study=NAME"
        ) from None
    if experiment.lifecycle_stage != "deleted":
        return False
    client.restore_experiment(experiment_id)
    print(f"the experiment {experiment.name} was deleted while in use; it is restored", file=sys.stderr)
    return True


def write_restoring(client: mlflow.MlflowClient, experiment_id: str, write: Callable[[], T]) -> T:
    """Return what `write` returns; where it fails because the experiment was deleted, that is restored first.

    Raises:
        RecordDeleted: the experiment was removed for good.
        MlflowException: it fails for another reason.
    """
    try:
        return write()
    except MlflowException as error:
        if find_unanswered(error) or not restore_deleted(client, experiment_id):
            raise
        return write()


def _create_experiment(client: mlflow.MlflowClient, name: str) -> Experiment:
    location = _locate_artifacts(client.tracking_uri, name)
    check_artifacts(client.tracking_uri, name, location)  # before: what is refused leaves no experiment
    try:
        return client.get_experiment(client.create_experiment(name, artifact_location=location))
    except MlflowException:  # another process was faster
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return experiment


def _locate_artifacts(uri: str, experiment: str) -> str | None:
    """Return a folder beside a local database, absolute; None for a server, which knows its own place."""
    database = read_sqlite_path(uri)
    return to_location(database.parent / ARTIFACTS / experiment) if database else None


def take_adopted_run() -> str | None:
    """Return the id of the run that `mlflow run` opened for this process, once: children do not get it."""
    return os.environ.pop(ADOPTED, None)
