"""Which MLflow store is used, how it comes into being, and its experiments."""

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow.exceptions import MlflowException

from pipeline.errors import BadInput
from pipeline.secrets import mask

CHECKOUT = Path(__file__).resolve().parents[2]
DATABASE = f"sqlite:///{CHECKOUT / 'mlflow.db'}"
ARTIFACTS = "mlartifacts"  # beside the database
ADOPTED = "MLFLOW_RUN_ID"


def read_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the checkout's own database whatever the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DATABASE


def make_study_address() -> str:
    """Return where studies lie by default: studies.db beside a local mlflow.db, else in the checkout."""
    uri = read_uri()
    folder = CHECKOUT
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).resolve().parent
    return f"sqlite:///{folder / 'studies.db'}"


def is_local(uri: str) -> bool:
    """Return whether only processes of this machine write there."""
    return uri.startswith("sqlite:")


def open_store() -> mlflow.MlflowClient:
    """Open the store, which is created where it is missing, and return a client of it.

    Raises:
        BadInput: the address is unusable or the server does not answer; one line, secrets masked.
    """
    _quieten()
    uri = read_uri()
    mlflow.set_tracking_uri(uri)
    try:
        if uri.startswith("sqlite:///"):
            _create_database(uri)
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
        reason = mask(str(error)).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(
            f"MLFLOW_TRACKING_URI must name a store that answers, got {mask(uri)} ({reason[:200]}); "
            "unset it to use mlflow.db in the checkout"
        ) from None
    return client


def _quieten() -> None:
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _create_database(uri: str) -> None:
    """Create the database in a folder of its own and link it into place: a kill leaves no half of it."""
    path = Path(uri.removeprefix("sqlite:///")).resolve()
    if path.exists() and path.stat().st_size > 0:
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".creating-") as folder:
        fresh = Path(folder) / path.name
        SqlAlchemyStore(f"sqlite:///{fresh}", str(path.parent / ARTIFACTS)).engine.dispose()
        with suppress(FileExistsError):
            path.hardlink_to(fresh)


def find_or_create_experiment(client: mlflow.MlflowClient, name: str) -> str:
    """Return the id of the experiment of that name, created, or restored if it was deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(
                client.create_experiment(name, artifact_location=_locate_artifacts(client.tracking_uri, name))
            )
        except MlflowException:  # another process was faster
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _locate_artifacts(uri: str, experiment: str) -> str | None:
    """Return a folder beside a local database, absolute; None for a server, which knows its own place."""
    if not is_local(uri):
        return None
    return str(Path(uri.removeprefix("sqlite:///")).resolve().parent / ARTIFACTS / experiment)


def take_adopted_run() -> str | None:
    """Return the id of the run that `mlflow run` opened for this process, once: children do not get it."""
    return os.environ.pop(ADOPTED, None)
