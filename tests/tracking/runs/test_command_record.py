"""The command line of a run: as tags, or as files where it is longer than a tag may be."""

import json

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadModel
from pipeline.settings.command_line import Overrides
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.runs import command_record

LONG = ["data=digits", f"search.enqueue={[f'model.hidden={width}' for width in range(16, 600)]}"]
ODD = "data_dir=a b/é"
"""A folder with a space and a letter beyond ASCII."""


@pytest.fixture
def experiment(client: mlflow.MlflowClient) -> str:
    return mlflow_store.find_or_create_experiment(client, "commands")


def test_a_nested_run_says_how_to_repeat_it(client: mlflow.MlflowClient, experiment: str) -> None:
    command_line = compose(["data=digits", "train.epochs=3"])
    tags = command_record.make_command_tags(command_line, "run")
    parent = mlflow_runs.create_run(client, experiment, "parent", {})
    run = client.get_run(mlflow_runs.create_run(client, experiment, "child", tags, parent))
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert json.loads(run.data.tags["overrides"]) == ["data=digits", "train.epochs=3"]
    assert run.data.tags["command"].startswith("python -m pipeline run")
    assert run.data.tags["mlflow.source.name"] == "python -m pipeline"


@pytest.mark.parametrize("words", [["data=digits"], LONG, [ODD]], ids=["short", "long", "odd"])
def test_words_are_read_as_they_were_written(
    words: list[str], client: mlflow.MlflowClient, experiment: str
) -> None:
    command_line = compose(words)
    tags = command_record.make_command_tags(command_line, "run")
    run_id = mlflow_runs.create_run(client, experiment, "words", tags)
    command_record.log_long_command(client, run_id, command_line, "run")
    run = client.get_run(run_id)
    assert command_record.read_overrides(client, run) == command_line.overrides
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == ({"overrides.json", "command.txt"} if words is LONG else set())
    assert run.data.tags["mlflow.note.content"].count("`") == 2


def test_what_is_recorded_has_no_secret() -> None:
    command_line = compose(["search.storage=postgresql://ann:ge 'heim@h/db"])
    tags = command_record.make_command_tags(command_line, "sweep")
    assert json.loads(tags["overrides"]) == ["search.storage='postgresql://ann:***@h/db'"]
    assert "heim" not in "".join(tags.values())


def test_words_that_were_cut_off_are_told_in_one_line(client: mlflow.MlflowClient, experiment: str) -> None:
    run_id = mlflow_runs.create_run(client, experiment, "cut", {"overrides": '["data=digits", "train.ep'})
    with pytest.raises(BadModel, match="a run must have its whole command line, got"):
        command_record.read_overrides(client, client.get_run(run_id))


def test_a_run_without_words_has_none(client: mlflow.MlflowClient, experiment: str) -> None:
    run_id = mlflow_runs.create_run(client, experiment, "none", {})
    assert command_record.read_overrides(client, client.get_run(run_id)) == Overrides()
