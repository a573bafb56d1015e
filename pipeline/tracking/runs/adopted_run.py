"""The run that `mlflow run` opened for this process, and the experiment that runs are recorded in."""

import os
import sys

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.name_utils import _GENERATOR_NOUNS, _GENERATOR_PREDICATES

from pipeline.errors import BadInput
from pipeline.secrets import mask, mask_values
from pipeline.settings.command_line import CommandLine
from pipeline.settings.rules import require_name
from pipeline.settings.tracking import EXPERIMENT_BARRED
from pipeline.tracking import mlflow_store
from pipeline.tracking.mlflow_runs import ENTRY_POINT, RUN_NAME, set_tags
from pipeline.tracking.mlflow_store import ADOPTED, take_adopted_run
from pipeline.tracking.runs import bulk_runs
from pipeline.tracking.runs.orphans import discard_run
from pipeline.tracking.runs.owner_tags import make_owner_tags, read_owner

EXPERIMENT, EXPERIMENT_NAME, EXPERIMENT_ID = (
    "tracking.experiment",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
)
DEFAULT_EXPERIMENT_ID = "0"
"""MLflow's experiment Default."""

COPIED_TAGS = ("mlflow.project.", "mlflow.source.", "mlflow.user", "mlflow.git")
"""Tags of `mlflow run` that a run which takes the place of its own gets, too."""


def adopt_run(client: MlflowClient, name: str, experiment_id: str) -> str | None:
    """Take the run that `mlflow run` opened for this process; None where there is none to take.

    It keeps the name that a person gave it by `--run-name`, else it is called `name`; what MLflow wrote into
    it is masked. Where it lies in another experiment, a run in this one takes its place: MLflow moves none.
    One that a person has opened there stays as it is.

    Raises:
        BadInput: MLFLOW_RUN_ID names no run, or a deleted one.
    """
    run = find_adopted_run(client)
    run_id = take_adopted_run()
    if run is None:
        if run_id:
            text = "has ended, or that another command holds; this one is recorded apart"
            print(f"{ADOPTED} names a run that {text} ({run_id})", file=sys.stderr)
        return None
    if str(run.info.experiment_id) != experiment_id:
        if ENTRY_POINT in run.data.tags:
            return _replace_run(client, run, experiment_id, name)
        text = "lies in another experiment; this one is recorded apart"
        print(f"{ADOPTED} names a run that {text} ({run_id})", file=sys.stderr)
        return None
    tags = {key: value for key, value in run.data.tags.items() if mask(value) != value}
    set_tags(client, str(run_id), {**tags, RUN_NAME: choose_name(run, name)})
    return run_id


def hide_secrets(client: MlflowClient) -> None:
    """Mask the params of the run that `mlflow run` opened, which it records as they were typed.

    Raises:
        BadInput: MLFLOW_RUN_ID names no run, or a deleted one.
    """
    run = find_adopted_run(client)
    if run is None:
        return
    masked = mask_values(run.data.params)
    secret = {key: value for key, value in masked.items() if value != run.data.params[key]}
    if secret and not bulk_runs.replace_params(client, run.info.run_id, secret):
        print(
            f"`mlflow run` has recorded {', '.join(secret)} with a secret in the run {run.info.run_id}, "
            "which a server lets nobody change; remove that run for good (mlflow gc) and change the secret",
            file=sys.stderr,
        )


def find_adopted_run(client: MlflowClient) -> Run | None:
    """Find the run that MLFLOW_RUN_ID names; None where it has ended or a process holds it already.

    Raises:
        BadInput: there is no such run, or it was deleted.
    """
    run_id = os.environ.get(ADOPTED)
    if not run_id:
        return None
    run = _get_run(client, run_id)
    return run if run.info.status == "RUNNING" and read_owner(run) is None else None


def _get_run(client: MlflowClient, run_id: str) -> Run:
    remedy = f"; unset {ADOPTED} to open a run of its own"
    try:
        run = client.get_run(run_id)
    except MlflowException:
        raise BadInput(
            f"{ADOPTED} must be the id of a run, got {run_id}, which there is not{remedy}"
        ) from None
    if run.info.lifecycle_stage == "deleted":
        raise BadInput(f"{ADOPTED} must be the id of a run, got {run_id}, which was deleted{remedy}")
    return run


def _replace_run(client: MlflowClient, run: Run, experiment_id: str, name: str) -> str:
    """Open a run in another experiment in the place of one that is discarded."""
    tags = {key: mask(value) for key, value in run.data.tags.items() if key.startswith(COPIED_TAGS)}
    replacement = client.create_run(
        experiment_id, run_name=choose_name(run, name), tags={**tags, **make_owner_tags()}
    )
    discard_run(client, run.info.run_id)
    return str(replacement.info.run_id)


def choose_name(run: Run, name: str) -> str:
    """Choose between the name that a run has and a better one than MLflow's random `loud-bug-864`."""
    current = str(run.info.run_name or "")
    predicate, _, rest = current.partition("-")
    noun, _, number = rest.rpartition("-")
    is_random = predicate in _GENERATOR_PREDICATES and noun in _GENERATOR_NOUNS and number.isdigit()
    return name if is_random or not current else current


def discard_adopted_run(client: MlflowClient) -> None:
    """Discard the run that `mlflow run` opened for a command that records nothing; no other run."""
    run = find_adopted_run(client)
    take_adopted_run()
    if run is not None:
        discard_run(client, run.info.run_id)


def choose_experiment(client: MlflowClient, command_line: CommandLine) -> str:
    """Return the id of the experiment for a new run, created or restored where needed.

    The first of: that of the run that `mlflow run` opened, the word `tracking.experiment=...`,
    MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID, the default. MLflow's own experiment Default, where
    `mlflow run` puts its run unless it is told otherwise, counts as nothing said.

    Raises:
        BadInput: MLFLOW_RUN_ID or MLFLOW_EXPERIMENT_ID names nothing, or MLFLOW_EXPERIMENT_NAME what cannot
            be the name of a new experiment.
    """
    adopted, word = find_adopted_run(client), command_line.overrides.find(EXPERIMENT)
    if adopted is not None:
        experiment_id = str(adopted.info.experiment_id)
        if experiment_id != DEFAULT_EXPERIMENT_ID or ENTRY_POINT not in adopted.data.tags:
            warn_if_elsewhere(client, experiment_id, word, "the run of `mlflow run`")
            return experiment_id
    if word is None:
        if name := os.environ.get(EXPERIMENT_NAME):
            if client.get_experiment_by_name(name) is None:
                require_name(EXPERIMENT_NAME, name, EXPERIMENT_BARRED)
            return mlflow_store.find_or_create_experiment(client, name)
        experiment_id = os.environ.get(EXPERIMENT_ID) or DEFAULT_EXPERIMENT_ID
        if experiment_id != DEFAULT_EXPERIMENT_ID:
            return _restore_experiment(client, experiment_id)
    return mlflow_store.find_or_create_experiment(client, command_line.settings.tracking.experiment)


def _restore_experiment(client: MlflowClient, experiment_id: str) -> str:
    try:
        experiment = client.get_experiment(experiment_id)
    except MlflowException:
        raise BadInput(
            f"{EXPERIMENT_ID} must be the id of an experiment, got {experiment_id}, which there is not; "
            f"unset it, or set {EXPERIMENT_NAME}"
        ) from None
    return mlflow_store.find_or_create_experiment(client, experiment.name)


def warn_if_elsewhere(client: MlflowClient, experiment_id: str, word: str | None, what: str) -> None:
    """Say that a run or study stays in its experiment although a word names another one."""
    name, wanted = client.get_experiment(experiment_id).name, (word or "").partition("=")[2]
    if word is not None and name != wanted:
        print(f"{what} is in the experiment {name}, so {EXPERIMENT}={wanted} is not used", file=sys.stderr)
