"""Runs in MLflow: how one is opened, tagged, written into within MLflow's limits, searched for and ended.

Whatever is written is masked (no password reaches a run) and cut to what MLflow takes.
"""

import math
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from getpass import getuser
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline.errors import BadSetting
from pipeline.files import write_content
from pipeline.secrets import mask, mask_values
from pipeline.settings.command_line import CommandLine
from pipeline.settings.tracking import PARENT_TAG
from pipeline.tracking.mlflow_store import find_unanswered
from pipeline.tracking.runs.owner_tags import make_owner_tags
from pipeline.tracking.stores.artifact_place import to_folder

PARAM_LIMIT, TAG_LIMIT, BATCH_LIMIT = 6000, 8000, 1000
PAGE_SIZE = 1000


PRIVACY = "privacy"
"""Tag: what a private training has spent of the privacy of its rows, in a line."""
DATA = "data.sha256"
"""Tag: SHA-256 (hex) of the raw content of the data that a run was trained or scored on."""
NOTE = "mlflow.note.content"
RUN_NAME, PARENT, ENTRY_POINT = "mlflow.runName", PARENT_TAG, "mlflow.project.entryPoint"
SOURCE_NAME = "mlflow.source.name"
OUTPUT = "output.txt"
SOURCE = {"mlflow.source.type": "LOCAL", SOURCE_NAME: "python -m pipeline"}


# ---- opening and ending -------------------------------------------------------------------------------


def create_run(
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str], parent: str | None = None
) -> str:
    """Create a run that this process owns and return its id. `parent`: the id of the run to nest it in."""
    texts = cut_tags({**make_birth_tags(parent), **tags})
    return str(client.create_run(experiment_id, run_name=name, tags=texts).info.run_id)


def make_birth_tags(parent: str | None) -> dict[str, str]:
    """Make the tags of every run that this process opens now. `parent`: the id of the run to nest it in."""
    nested = {} if parent is None else {PARENT: parent}
    return {"mlflow.user": read_user_name(), **SOURCE, **make_owner_tags(), **nested}


def make_user_tags(command_line: CommandLine, nested: bool = False) -> dict[str, str]:
    """Return the tags that the user wants on each run; of a `nested` one without the parent of the outer one.

    Inside `with mlflow.start_run():` of a program, that run is the parent unless the tags name another.
    """
    active = mlflow.active_run()
    outer = {PARENT: active.info.run_id} if active is not None else {}
    tags = {**outer, **command_line.settings.tracking.tags}
    return {key: value for key, value in tags.items() if key != PARENT or not nested}


def check_user_tags(client: MlflowClient, command_line: CommandLine) -> None:
    """Check what only the store knows of the user's tags, before a run is opened.

    Raises:
        BadSetting: the parent is no run, or was deleted.
    """
    parent = command_line.settings.tracking.tags.get(PARENT)
    if parent is not None and is_deleted(client, parent):
        raise BadSetting(
            f"tracking.tags must name a run that exists as {PARENT}, got {parent}; take its id from the UI"
        )


def read_user_name() -> str:
    """Return the name of the user, or the number of one without a name, as in many containers."""
    try:
        return getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@contextmanager
def unless_deleted(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Leave out what a run that was deleted would get; any other failure is raised."""
    try:
        yield
    except MlflowException as error:
        if find_unanswered(error) or not is_deleted(client, run_id):
            raise


def is_deleted(client: MlflowClient, run_id: str) -> bool:
    """Return whether somebody has deleted the run, which then takes no more."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "deleted")
    except MlflowException as error:
        return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


def fail_models(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """End as failed the models that a run had begun to log; MLflow leaves pending what was stopped."""
    for model in client.search_logged_models([experiment_id], f"source_run_id = {quote(run_id)}"):
        if model.status is LoggedModelStatus.PENDING:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)


def end_deleted(client: MlflowClient, run_id: str, status: str) -> None:
    """End a run that was deleted, for which it comes back for a moment; do nothing where it is gone."""
    with suppress(MlflowException):
        client.restore_run(run_id)
        try:
            client.set_terminated(run_id, status=status)
        finally:
            client.delete_run(run_id)


# ---- writing ------------------------------------------------------------------------------------------


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set the tags of a run, masked and cut to MLflow's limit."""
    _log_batch(client, run_id, tags=[RunTag(*tag) for tag in cut_tags(tags).items()])


def log_params(
    client: MlflowClient, run_id: str, params: Mapping[str, object], existing: Collection[str] = ()
) -> None:
    """Log params, masked and cut. `existing`: those that the run has, which MLflow lets nobody change."""
    texts = cut_params({key: value for key, value in params.items() if key not in existing})
    _log_batch(client, run_id, params=[Param(*param) for param in texts.items()])


def make_metrics(values: Mapping[str, float | None], step: int = 0) -> list[Metric]:
    """Return the values as metrics of one step and of now; what nobody knows is left out: None and NaN."""
    now = int(time.time() * 1000)
    return [
        Metric(key, float(value), now, step)
        for key, value in values.items()
        if value is not None and not math.isnan(value)
    ]


def log_metrics(
    client: MlflowClient, run_id: str, metrics: Sequence[Metric], tags: Mapping[str, str] | None = None
) -> None:
    """Log metrics, and tags with the last of them, in as few calls as MLflow's limits allow."""
    texts = [RunTag(*tag) for tag in cut_tags(tags or {}).items()]
    in_full, rest = divmod(len(metrics), BATCH_LIMIT)
    if rest + len(texts) > BATCH_LIMIT:
        in_full, rest = in_full + 1, 0
    for start in range(0, in_full * BATCH_LIMIT, BATCH_LIMIT):
        _log_batch(client, run_id, metrics=metrics[start : start + BATCH_LIMIT])
    if rest or texts:
        _log_batch(client, run_id, metrics=metrics[len(metrics) - rest :] if rest else (), tags=texts)


def _log_batch(client: MlflowClient, run_id: str, **entities: Sequence[Metric | Param | RunTag]) -> None:
    """Log at once, whatever MLFLOW_ENABLE_ASYNC_LOGGING says: what waits in a queue is lost by a kill."""
    client.log_batch(run_id, synchronous=True, **entities)


def locate_artifacts(run: Run) -> Path | None:
    """Return the folder of a run's artifacts; None where they lie on a server."""
    return to_folder(run.info.artifact_uri)


def find_artifact_folder(client: MlflowClient, run_id: str) -> Path | None:
    """Return the folder of the artifacts of a run by its id; see `locate_artifacts`."""
    return locate_artifacts(client.get_run(run_id))


def log_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """Log artifacts by their path in the run; in a folder of this machine a reader finds each whole."""
    if place := find_artifact_folder(client, run_id):
        for name, content in files.items():
            write_content(place / name, content)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, folder)


def log_output(client: MlflowClient, run_id: str, output: str, words: Sequence[str] = ()) -> None:
    """Log what a run that failed has printed last, and its traceback; it may hold secrets and any letters.

    `words`: of its command line, whose secrets are masked wherever they stand.
    """
    log_files(client, run_id, {OUTPUT: mask(output, *words).encode(errors="backslashreplace")})


def cut_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags masked and cut to MLflow's limit."""
    return _cut_all(tags, TAG_LIMIT)


def cut_params(params: Mapping[str, object]) -> dict[str, str]:
    """Return params as texts, masked and cut to MLflow's limit."""
    return _cut_all({key: str(value) for key, value in params.items()}, PARAM_LIMIT)


def _cut_all(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    """Return the texts masked, as UTF-8 can hold them, and cut."""
    encoded = {key: text.encode(errors="backslashreplace").decode() for key, text in texts.items()}
    return {key: text[:limit] for key, text in mask_values(encoded).items()}


# ---- searching ------------------------------------------------------------------------------------------


def search_runs(client: MlflowClient, experiment_ids: Sequence[str], condition: str) -> Iterator[Run]:
    """Yield the runs of the experiments that meet a condition in MLflow's filter language, page by page."""
    token: str | None = None
    while experiment_ids:
        page = client.search_runs([*experiment_ids], condition, max_results=PAGE_SIZE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def quote(text: str) -> str:
    """Return the text as a string of MLflow's filter language, which has no way to escape a quote."""
    return f'"{text}"' if "'" in text else f"'{text}'"
