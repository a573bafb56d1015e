"""The models of a study: nothing of one that was begun is left, and what is whole is kept."""

import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

import mlflow
import pytest

from pipeline import signals
from pipeline.errors import Stopped
from pipeline.search.results import Results
from pipeline.search.sweep import Sweep
from pipeline.tracking import mlflow_runs
from pipeline.tracking.model_artifact import register_model
from pipeline.tracking.registry import names, study_models, study_versions
from pipeline.tracking.registry.names import MEMBER
from pipeline.tracking.runs.command_record import COMMAND
from pipeline.tracking.study_place import STUDY_ID
from pipeline.tracking.study_recorder import StudyRecorder
from tests.support.studies import study as make_study
from tests.support.studies import tried
from tests.tracking.registry.test_names import make_prompt

STUDY = "a study with models"


@pytest.fixture
def record(client: mlflow.MlflowClient, experiment: str) -> StudyRecorder:
    run_id = mlflow_runs.create_run(client, experiment, "r", {STUDY_ID: "1"})
    runs = SimpleNamespace(tags={STUDY_ID: "1"}, foreign=frozenset())
    made = SimpleNamespace(client=client, experiment_id=experiment, study=STUDY, run_id=run_id, runs=runs)
    return cast(StudyRecorder, made)


def log(record: StudyRecorder, name: str) -> str:
    tags = {MEMBER: name}
    model = record.client.create_logged_model(record.experiment_id, source_run_id=record.run_id, tags=tags)
    return str(model.model_id)


def list_logged(record: StudyRecorder) -> list[str]:
    return [model.model_id for model in record.client.search_logged_models([record.experiment_id])]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_model_that_was_begun_is_removed(is_new: bool, record: StudyRecorder) -> None:
    """Another tool may have made a registered model of this name, which has no version yet: it stays."""
    record.client.create_registered_model(STUDY)
    other, _ = log(record, "2 1"), log(record, "0 1")
    study_models._remove_half(record, record.run_id, "0 1", is_new)
    assert list_logged(record) == [other]
    assert names.is_taken(record.client, STUDY) is not is_new
    study_models._remove_half(record, record.run_id, "0 1", is_new)
    if not is_new:
        record.client.delete_registered_model(STUDY)


def test_a_signal_while_a_model_is_registered_comes_before_or_after(
    record: StudyRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = mlflow.MlflowClient.create_registered_model

    def create_and_be_stopped(client: mlflow.MlflowClient, name: str) -> object:
        made = create(client, name)
        signal.raise_signal(signal.SIGTERM)
        return made

    signals.listen()
    monkeypatch.setattr(mlflow.MlflowClient, "create_registered_model", create_and_be_stopped)
    with pytest.raises(Stopped):
        register_model(log(record, "0 1"), STUDY, {MEMBER: "0 1"})
    assert study_versions.read_registered(record) == {(record.run_id, "0 1"): "1"}
    record.client.delete_registered_model(STUDY)


def test_a_model_whose_version_is_there_is_kept(record: StudyRecorder, tmp_path: Path) -> None:
    record.client.create_registered_model(STUDY)
    model_id = log(record, "0 1")
    record.client.create_model_version(STUDY, f"models:/{model_id}", record.run_id, tags={MEMBER: "0 1"})
    study_models._remove_half(record, record.run_id, "0 1", is_new=True)
    assert list_logged(record) == [model_id]
    assert study_versions.read_registered(record) == {(record.run_id, "0 1"): "1"}
    assert not study_versions.is_foreign_alias(record, "best")
    record.client.set_registered_model_alias(STUDY, "best", "1")
    assert not study_versions.is_foreign_alias(record, "best")
    record.runs.tags[STUDY_ID] = "2"  # a study of this name in another storage
    assert study_versions.read_registered(record) == {}
    assert study_versions.is_foreign_alias(record, "best")
    study_versions.delete_alias(record, "best")
    record.client.set_model_version_tag(STUDY, "1", STUDY_ID, "2")
    assert study_versions.read_registered(record) == {(record.run_id, "0 1"): "1"}
    assert not study_versions.has_model(record, "1")
    (tmp_path / "MLmodel").touch()
    record.client.log_model_artifact(model_id, str(tmp_path / "MLmodel"))
    assert study_versions.has_model(record, "1")
    record.client.delete_logged_model(model_id)
    assert not study_versions.has_model(record, "1")
    record.client.delete_registered_model(STUDY)


def give_alias(client: mlflow.MlflowClient) -> None:
    client.set_registered_model_alias(STUDY, "production", "1")


def give_tag(client: mlflow.MlflowClient) -> None:
    client.set_model_version_tag(STUDY, "1", "approved", "ann")


def describe(client: mlflow.MlflowClient) -> None:
    text = client.get_model_version(STUDY, "1").description
    client.update_model_version(STUDY, "1", f"{text}, and it serves the shop")


def give_stage(client: mlflow.MlflowClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow wants aliases instead; studies of old have stages
        client.transition_model_version_stage(STUDY, "1", "Production")


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (give_alias, "alias production"),
        (give_tag, "tag approved"),
        (describe, "description"),
        (give_stage, "stage Production"),
        (None, ""),
    ],
)
def test_a_version_that_left_the_frontier_stays_where_a_person_has_marked_it(
    mark: Callable[[mlflow.MlflowClient], None] | None,
    text: str,
    record: StudyRecorder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its alias still leads to it: `models:/STUDY@production` answers as before."""
    client, command = record.client, "python -m pipeline run model.hidden=16 train.epochs=1"
    client.create_registered_model(STUDY)
    about = f"81.97% validation (one seed, not confirmed) for 0.01 device-seconds: {command}"
    client.create_model_version(
        STUDY, f"models:/{log(record, '0 1')}", tags={MEMBER: "0 1"}, description=about
    )
    client.set_registered_model_alias(STUDY, "best", "1")
    if mark is not None:
        mark(client)
    study_versions.unregister(record, "1", [command], ("cheapest", "knee", "best"))
    versions = study_versions.search_versions(record)
    assert [version.version for version in versions] == ([] if mark is None else [1])
    line = f"version 1 of model {STUDY} left the frontier; it stays for its {text}\n"
    assert capsys.readouterr().err == (line if mark else "")
    client.delete_registered_model(STUDY)


def test_the_commands_of_a_point_that_left_the_frontier(record: StudyRecorder) -> None:
    def write(name: str) -> list[str]:
        return study_models._write_commands(record, results, run_id, name)

    run_id = mlflow_runs.create_run(record.client, record.experiment_id, "t", {COMMAND: "run a=1"})
    results = make_study()
    whole, paused = results.trials[0], replace(results.trials[0], number=1, state="paused")
    results = replace(results, trials=(whole, paused))
    last = len(whole.curve)
    assert write(f"0 {last}")[0] == whole.command
    assert write("1 2")[0].endswith(" train.epochs=2")
    assert write("7 1") == ["run a=1", "run a=1 train.epochs=1"]  # the study has no such trial any more
    for name in ("0", "", "0 x"):
        assert write(name) == []
    run_id = "removed for good"
    assert write("7 1") == []


def test_a_trial_whose_number_another_one_had_before_gets_a_model_of_its_own(
    record: StudyRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`studies.db` of yesterday was put back: `best` was a network of other settings with the new figures."""
    client, file = record.client, tmp_path / "MLmodel"
    file.touch()
    before, now = (
        mlflow_runs.create_run(client, record.experiment_id, "t", {STUDY_ID: "1", COMMAND: f"run a={value}"})
        for value in (1, 2)
    )

    def register(run_id: str, description: str | None = None) -> str:
        tags = {MEMBER: "0 1"}
        model = client.create_logged_model(record.experiment_id, source_run_id=run_id, tags=tags)
        client.log_model_artifact(model.model_id, str(file))
        source = f"models:/{model.model_id}"
        made = client.create_model_version(STUDY, source, run_id, tags=tags, description=description)
        return str(made.version)

    monkeypatch.setattr(study_models, "_log_member", lambda *arguments: register(arguments[-1]))
    client.create_registered_model(STUDY)
    client.set_registered_model_alias(STUDY, "best", register(before, "99% validation: run a=1"))
    trial = tried(0, (0.9, 1.0), run_id=now, command="run a=2")
    results = Results(study=STUDY, data="digits", trials=(trial,))
    task = cast(Sweep, SimpleNamespace(results=results, observer=Mock()))
    for version in (2, 3):
        study_models.register_models(task, record)
        assert capsys.readouterr().err == ""
        (kept,) = study_versions.search_versions(record)
        assert (kept.version, kept.run_id) == (version, now)
        assert kept.description.endswith(": run a=2")
        named = client.get_model_version_by_alias(STUDY, "best")
        assert named.version == version
        client.delete_logged_model(str(kept.source).removeprefix("models:/"))  # by a person: made anew
    client.delete_registered_model(STUDY)


def test_a_prompt_that_came_later_gets_no_version(
    record: StudyRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    record.study = "a prompt of a later time"
    make_prompt(record.client, record.study)
    study_models.register_models(cast(Sweep, None), record)
    assert capsys.readouterr().err == (
        f"no model of the frontier is kept: {record.study} is a prompt in MLflow's registry, where models "
        "and prompts share their names\n"
    )


@pytest.mark.parametrize("version", [None, "1"])
def test_the_study_has_the_model_of_a_deleted_run_only_where_there_is_a_model(
    version: str | None,
    record: StudyRecorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A loop of the user's own may report none."""
    deleted = mlflow_runs.create_run(record.client, record.experiment_id, "t", {})
    record.client.delete_run(deleted)
    member = make_study().frontier[0]
    member = replace(member, trial=replace(member.trial, run_id=deleted))
    monkeypatch.setattr(study_models, "_log_member", lambda *_: version)
    assert study_models._register(cast(Sweep, None), record, member) == version
    told = f"the MLflow run of trial {member.trial.number} was deleted: the study's run has its model\n"
    assert capsys.readouterr().err == (told if version else "")
