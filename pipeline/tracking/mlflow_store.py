"""Which MLflow store serves, and the order kept in it: creation, experiments, adopted and orphaned runs."""

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.errors import BadInput
from pipeline.secrets import masked

CHECKOUT = Path(__file__).resolve().parents[2]
DATABASE = f"sqlite:///{CHECKOUT / 'mlflow.db'}"
ARTIFACTS = "mlartifacts"  # beside the database
ADOPTED = "MLFLOW_RUN_ID"


def uri() -> str:
    """MLFLOW_TRACKING_URI, or the checkout's own database whatever the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DATABASE


def studies() -> str:
    """Where studies lie by default: studies.db beside a local mlflow.db, else in the checkout."""
    store = uri()
    folder = CHECKOUT
    if store.startswith("sqlite:///"):
        folder = Path(store.removeprefix("sqlite:///")).resolve().parent
    return f"sqlite:///{folder / 'studies.db'}"


def is_local(store: str) -> bool:
    """Whether only processes of this machine write there."""
    return store.startswith("sqlite:")


def open_store() -> mlflow.MlflowClient:
    """A client of the store, which exists afterwards.

    Raises:
        BadInput: the address is unusable or the server does not answer; one line, secrets masked.
    """
    _quieten()
    store = uri()
    mlflow.set_tracking_uri(store)
    try:
        if store.startswith("sqlite:///"):
            _create_database(store)
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
        reason = masked(str(error)).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(
            f"MLFLOW_TRACKING_URI must name a store that answers, got {masked(store)} ({reason[:200]}); "
            "unset it to use mlflow.db in the checkout"
        ) from None
    return client


def _quieten() -> None:
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _create_database(store: str) -> None:
    """Built aside and linked into place whole: a kill leaves no half, and of two processes one wins."""
    path = Path(store.removeprefix("sqlite:///")).resolve()
    if path.exists() and path.stat().st_size > 0:
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".creating-") as aside:
        fresh = Path(aside) / path.name
        SqlAlchemyStore(f"sqlite:///{fresh}", str(path.parent / ARTIFACTS)).engine.dispose()
        with suppress(FileExistsError):
            path.hardlink_to(fresh)


def experiment_id(client: mlflow.MlflowClient, name: str) -> str:
    """The experiment of that name, created (and brought back if deleted) where it is needed."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(
                client.create_experiment(name, artifact_location=_artifacts(client.tracking_uri, name))
            )
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifacts(store: str, experiment: str) -> str | None:
    """Beside a local database, absolute; a server knows its own place."""
    if not is_local(store):
        return None
    return str(Path(store.removeprefix("sqlite:///")).resolve().parent / ARTIFACTS / experiment)


def adopted_run() -> str | None:
    """The run that `mlflow run` opened for this process; handed out once, children do not inherit it."""
    return os.environ.pop(ADOPTED, None)


def owner_tags() -> dict[str, str]:
    """Who holds a run: enough to tell, later and on the same host, whether that process still lives."""
    me = psutil.Process()
    return {"host": socket.gethostname(), "pid": str(me.pid), "pid_started": f"{me.create_time():.0f}"}


def reap(client: mlflow.MlflowClient) -> list[str]:
    """End the runs that killed processes of this host left RUNNING; their ids."""
    orphans = [run for run in _running(client) if _is_orphan(run, is_local(client.tracking_uri))]
    for run in orphans:
        client.set_terminated(run.info.run_id, status="KILLED")
    return [run.info.run_id for run in orphans]


def _running(client: mlflow.MlflowClient) -> Iterator[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token: str | None = None
    while True:
        page = client.search_runs(experiments, "attributes.status = 'RUNNING'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _is_orphan(run: Run, local_store: bool) -> bool:
    tags = run.data.tags
    if "pid" in tags:
        return tags.get("host") == socket.gethostname() and not _lives(tags["pid"], tags.get("pid_started"))
    # Opened by `mlflow run` and never adopted, for instance because conda is missing. Such a run carries
    # no owner, so it is ours to end only where nobody else writes and no `mlflow run` is at work.
    return local_store and "mlflow.project.entryPoint" in tags and not _mlflow_run_lives()


def _lives(pid: str, started: str | None) -> bool:
    try:
        process = psutil.Process(int(pid))
        return started is None or f"{process.create_time():.0f}" == started
    except (psutil.Error, ValueError):
        return False


def _mlflow_run_lives() -> bool:
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any("run" in line and any(Path(word).name == "mlflow" for word in line[:3]) for line in lines)
