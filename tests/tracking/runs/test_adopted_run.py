"""The run of `mlflow run`: taken once, with the name that a person gave it, in one experiment with all."""

from collections.abc import Iterator

import mlflow
import pytest

from pipeline.cli import main
from pipeline.cli.compose import compose
from pipeline.errors import BadInput
from pipeline.processes.process_owner import ProcessOwner
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.runs import adopted_run, bulk_runs, orphans, owner_tags
from pipeline.tracking.runs.adopted_run import DEFAULT_EXPERIMENT_ID

PROJECT = {"mlflow.project.entryPoint": "main"}


@pytest.fixture
def experiment(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> Iterator[str]:
    experiment_id = mlflow_store.find_or_create_experiment(client, request.node.name)
    yield experiment_id
    client.delete_experiment(experiment_id)


def opened(
    client: mlflow.MlflowClient, patch: pytest.MonkeyPatch, experiment: str, name: str | None = None
) -> str:
    """A run as `mlflow run` opens it for a command."""
    run_id = str(client.create_run(experiment, run_name=name, tags=PROJECT).info.run_id)
    patch.setenv("MLFLOW_RUN_ID", run_id)
    patch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    return run_id


def test_it_is_taken_once_and_keeps_no_secret(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = opened(client, monkeypatch, experiment)
    client.set_tag(run_id, "mlflow.source.git.repoURL", "https://secret@host/repo")
    assert adopted_run.adopt_run(client, "named", experiment) == run_id
    assert adopted_run.adopt_run(client, "named", experiment) is None
    assert "secret" not in client.get_run(run_id).data.tags["mlflow.source.git.repoURL"]


@pytest.mark.parametrize("command", ["sweep", "frontier"])
def test_what_mlflow_run_has_recorded_as_typed_keeps_no_secret(
    command: str,
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where the command is refused."""
    run_id = opened(client, monkeypatch, experiment)
    address = "postgresql://ann:geheim@127.0.0.1:1/db"
    params = {"search.storage": address, "db_password": "geheim", "train.epochs": "2"}
    for key, value in params.items():
        client.log_param(run_id, key, value)
    assert main([command, "--search.storage", address]) == 2
    masked = {"search.storage": "postgresql://ann:***@127.0.0.1:1/db", "db_password": "***"}
    assert client.get_run(run_id).data.params == params | masked
    (line,) = capsys.readouterr().err.splitlines()
    assert "geheim" not in line


def test_a_secret_that_a_server_keeps_is_told(
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = opened(client, monkeypatch, experiment)
    client.log_param(run_id, "db_password", "geheim")
    monkeypatch.setattr(bulk_runs, "_find_database", lambda _client: None)
    adopted_run.hide_secrets(client)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"`mlflow run` has recorded db_password with a secret in the run {run_id}, which")


@pytest.mark.parametrize(("given", "name"), [(None, "ours"), ("mine", "mine"), ("my-own-3", "my-own-3")])
def test_a_name_that_a_person_gave_stays(
    given: str | None,
    name: str,
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without `--run-name` MLflow makes one of its random names."""
    run_id = opened(client, monkeypatch, experiment, given)
    adopted_run.adopt_run(client, "ours", experiment)
    assert client.get_run(run_id).info.run_name == name


def test_the_default_experiment_gives_way(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(client, monkeypatch, DEFAULT_EXPERIMENT_ID, "mine")
    chosen = adopted_run.choose_experiment(client, compose([]))
    assert client.get_experiment(chosen).name == "fulcrum"
    run_id = adopted_run.adopt_run(client, "ours", chosen)
    assert run_id is not None
    run = client.get_run(run_id)
    assert (run.info.experiment_id, run.info.run_name) == (chosen, "mine")
    assert run.data.tags["mlflow.project.entryPoint"] == "main"
    assert owner_tags.read_owner(run) == ProcessOwner.from_dict(ProcessOwner.current().to_dict())
    client.set_terminated(before)  # by `mlflow run`, which a deleted run would refuse
    orphans.end_orphans(client)
    assert client.get_run(before).info.lifecycle_stage == "deleted"


def test_a_run_that_a_person_opened_in_another_experiment_stays_as_it_is(
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A study that is taken up stays in its own experiment, whatever run its environment names."""
    own = str(client.create_run(DEFAULT_EXPERIMENT_ID, run_name="by hand").info.run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", own)
    assert adopted_run.adopt_run(client, "ours", experiment) is None
    assert capsys.readouterr().err == (
        f"MLFLOW_RUN_ID names a run that lies in another experiment; this one is recorded apart ({own})\n"
    )
    before = client.get_run(own)
    assert (before.info.status, before.info.run_name) == ("RUNNING", "by hand")
    client.set_terminated(own)
    orphans.end_orphans(client)
    assert client.get_run(own).info.lifecycle_stage == "active"


def test_its_experiment_wins_and_a_word_that_differs_is_told(
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened(client, monkeypatch, experiment)
    assert adopted_run.choose_experiment(client, compose([])) == experiment
    assert capsys.readouterr().err == ""
    assert adopted_run.choose_experiment(client, compose(["tracking.experiment=other"])) == experiment
    assert "so tracking.experiment=other is not used" in capsys.readouterr().err


def test_the_variables_of_mlflow_count_unless_a_word_says_otherwise(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    assert adopted_run.choose_experiment(client, compose([])) == experiment
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    words: list[list[str]] = [[], ["tracking.experiment=typed"]]
    names = [
        client.get_experiment(adopted_run.choose_experiment(client, compose(each))).name for each in words
    ]
    assert names == ["from the environment", "typed"]


@pytest.mark.parametrize("name", ["..", "/etc", "a/b", " a", "a\nb", "x" * 600])
def test_a_variable_that_cannot_name_an_experiment_is_told_in_one_line(
    name: str, client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    with pytest.raises(BadInput, match=r"^MLFLOW_EXPERIMENT_NAME must be a name .* unset, .*; unset it, or"):
        adopted_run.choose_experiment(client, compose([]))


def test_an_experiment_that_is_not_there_is_told(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "987654")
    with pytest.raises(BadInput, match="MLFLOW_EXPERIMENT_ID must be the id of an experiment, got 987654"):
        adopted_run.choose_experiment(client, compose([]))


@pytest.mark.parametrize("state", ["ended", "held"])
def test_a_run_that_is_not_free_is_not_written_into(
    state: str,
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = opened(client, monkeypatch, experiment, "first")
    if state == "ended":
        client.set_terminated(run_id)
    else:
        mlflow_runs.set_tags(client, run_id, owner_tags.make_owner_tags())
    assert adopted_run.adopt_run(client, "second", experiment) is None
    assert capsys.readouterr().err.count("\n") == 1
    assert client.get_run(run_id).info.run_name == "first"
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    adopted_run.discard_adopted_run(client)
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_a_run_that_is_gone_is_told(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.delete_run(opened(client, monkeypatch, experiment))
    with pytest.raises(BadInput, match="which was deleted; unset MLFLOW_RUN_ID"):
        adopted_run.adopt_run(client, "ours", experiment)
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(BadInput, match="which there is not; unset MLFLOW_RUN_ID"):
        adopted_run.choose_experiment(client, compose([]))


def test_a_command_that_records_nothing_leaves_no_run(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = opened(client, monkeypatch, experiment)
    adopted_run.discard_adopted_run(client)
    hers = client.create_run(experiment, tags={"discarded": "true"}).info.run_id
    for ended in (run_id, hers):  # ours by `mlflow run`, which a deleted run would refuse
        client.set_terminated(ended)
    orphans.end_orphans(client)
    assert [run.info.run_id for run in client.search_runs([experiment])] == [hers]
