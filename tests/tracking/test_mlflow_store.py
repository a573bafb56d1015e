"""The store: created whole, runs adopted once, orphans ended."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from pipeline.errors import BadInput
from pipeline.tracking import mlflow_store


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


def running(client: mlflow.MlflowClient, tags: dict[str, str]) -> str:
    return str(client.create_run(mlflow_store.experiment_id(client, "orphans"), tags=tags).info.run_id)


def status(client: mlflow.MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


def test_the_default_store_lies_in_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    assert mlflow_store.uri() == f"sqlite:///{mlflow_store.CHECKOUT}/mlflow.db"


def test_artifacts_lie_beside_the_database(client: mlflow.MlflowClient, ground: dict[str, str]) -> None:
    folder = Path(ground["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent
    run = client.get_run(running(client, mlflow_store.owner_tags()))
    assert Path(run.info.artifact_uri).is_relative_to(folder / "mlartifacts" / "orphans")
    default = client.get_experiment_by_name("Default")
    assert Path(default.artifact_location).is_relative_to(folder / "mlartifacts")


def test_four_processes_create_one_database(tmp_path: Path) -> None:
    code = "from pipeline.tracking import mlflow_store; mlflow_store.open_store(); print('ok')"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/new/mlflow.db"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            cwd=mlflow_store.CHECKOUT,
        )
        for _ in range(4)
    ]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["ok\n"] * 4
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]


def test_a_store_that_does_not_answer_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:geheim@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(BadInput, match="MLFLOW_TRACKING_URI must name a store that answers") as caught:
        mlflow_store.open_store()
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_adopted_run_is_handed_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    assert mlflow_store.adopted_run() == "abc"
    assert mlflow_store.adopted_run() is None
    assert "MLFLOW_RUN_ID" not in os.environ


def test_a_deleted_experiment_comes_back(client: mlflow.MlflowClient) -> None:
    first = mlflow_store.experiment_id(client, "gone")
    client.delete_experiment(first)
    assert mlflow_store.experiment_id(client, "gone") == first


def test_runs_of_dead_processes_end_and_no_others(client: mlflow.MlflowClient) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    killed = running(client, {"host": host, "pid": str(dead.pid), "pid_started": "1"})
    reused_pid = running(client, {"host": host, "pid": str(os.getpid()), "pid_started": "1"})
    mine = running(client, mlflow_store.owner_tags())
    elsewhere = running(client, {"host": "another", "pid": str(dead.pid), "pid_started": "1"})
    foreign = running(client, {})
    assert set(mlflow_store.reap(client)) == {killed, reused_pid}
    assert [status(client, run) for run in (killed, reused_pid)] == ["KILLED", "KILLED"]
    assert [status(client, run) for run in (mine, elsewhere, foreign)] == ["RUNNING"] * 3


def test_a_run_that_mlflow_run_opened_and_left_ends(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = running(client, {"mlflow.project.entryPoint": "main"})
    monkeypatch.setattr(mlflow_store, "_mlflow_run_lives", lambda: True)
    assert left not in mlflow_store.reap(client)
    monkeypatch.setattr(mlflow_store, "_mlflow_run_lives", lambda: False)
    assert left in mlflow_store.reap(client)
