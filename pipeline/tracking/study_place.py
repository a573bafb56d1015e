"""Where in MLflow a study is recorded: its experiment, and its tracking store, which is one and the same."""

import sys
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from pipeline.errors import BadInput
from pipeline.search.study_identity import find_copied
from pipeline.settings.command_line import CommandLine
from pipeline.tracking import mlflow_runs
from pipeline.tracking.registry import names
from pipeline.tracking.runs import adopted_run
from pipeline.tracking.runs.owner_tags import read_owner
from pipeline.tracking.stores.artifact_place import check_artifacts

if TYPE_CHECKING:
    from pipeline.search.study_store import StudyStore

PLACE = "tracking"
"""Attribute of a study: `experiment_id` and `created` (ms since 1970) of its experiment in MLflow.

The name of an experiment may change; another store has an experiment of this id that is of another time.
"""
STUDY, STUDY_ID = "study", "study_id"
"""Tags of all runs of a study: its name, and its identity, which no study of another storage has."""
LOOKED_UP = 20
"""So many runs of a study of version 0.1.0, which has no such attribute, are looked for in the store."""


def choose_place(client: MlflowClient, store: "StudyStore", command_line: CommandLine) -> str:
    """Choose the experiment of a study: the one that it is recorded in, or for a new study that of a new run.

    A copy of a study is recorded beside it.

    Raises:
        BadInput: it is recorded in another MLflow store, or something else has the name of a new one.
    """
    experiment_id = find_place(client, store, command_line)
    is_new = experiment_id is None or find_copied(store.name, store.read_attrs()) is not None
    if experiment_id is None:
        experiment_id = adopted_run.choose_experiment(client, command_line)
    if is_new:
        check_name(client, experiment_id, store.name)
        names.check_study(client, store.name)
    return experiment_id


def find_place(client: MlflowClient, store: "StudyStore", command_line: CommandLine) -> str | None:
    """Find the experiment that the study is recorded in; None for a new study.

    Raises:
        BadInput: it is recorded in another MLflow store.
    """
    place, run_ids = store.read_attrs().get(PLACE), store.list_run_ids()
    if place is None and not run_ids:
        return None
    experiment = _find_recorded(client, place) if place else _find_by_runs(client, run_ids[-LOOKED_UP:])
    if experiment is None:
        raise BadInput(
            f"search.study={store.name} is recorded in another MLflow store than MLFLOW_TRACKING_URI names, "
            "or its experiment was removed for good; set that store, or start anew with search.study=NAME"
        )
    check_artifacts(client.tracking_uri, experiment.name, experiment.artifact_location)
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
        print(f"the experiment {experiment.name} of the study was deleted; it is restored", file=sys.stderr)
    word = command_line.overrides.find(adopted_run.EXPERIMENT)
    adopted_run.warn_if_elsewhere(client, experiment.experiment_id, word, f"study {store.name}")
    return str(experiment.experiment_id)


def _find_recorded(client: MlflowClient, place: dict[str, Any]) -> Experiment | None:
    try:
        experiment = client.get_experiment(place["experiment_id"])
    except MlflowException:
        return None
    return experiment if experiment.creation_time == place["created"] else None


def _find_by_runs(client: MlflowClient, run_ids: list[str]) -> Experiment | None:
    for run_id in reversed(run_ids):
        try:
            return client.get_experiment(client.get_run(run_id).info.experiment_id)
        except MlflowException:
            continue
    return None


def check_name(client: MlflowClient, experiment_id: str, study: str) -> None:
    """Raise where runs of a study of another storage have the name that a new one is to get.

    Raises:
        BadInput: the name is taken.
    """
    condition = f"tags.{STUDY} = {mlflow_runs.quote(study)}"
    for run in mlflow_runs.search_runs(client, [experiment_id], condition):
        if read_study_id(run) is None:
            continue  # a person's own run, which happens to have such a tag
        experiment = client.get_experiment(experiment_id).name
        raise BadInput(
            f"search.study={study} is taken in the experiment {experiment} by a study of another "
            f"search.storage (run {run.info.run_id}); choose another name, or set search.storage to that one"
        )


def read_study_id(run: Run, unknown: str = "") -> str | None:
    """Return the identity of the study that a run belongs to; None for a run that this product did not make.

    `unknown`: of the runs of version 0.1.0, which have none: their experiment and name tell them.
    """
    return run.data.tags.get(STUDY_ID, unknown) if read_owner(run) else None


def write_place(client: MlflowClient, store: "StudyStore", experiment_id: str) -> None:
    """Write down in the study where it is recorded, once."""
    if PLACE not in store.read_attrs():
        created = client.get_experiment(experiment_id).creation_time
        store.write_attr(PLACE, {"experiment_id": experiment_id, "created": created})
