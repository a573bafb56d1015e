"""`ui` before the server starts; tests/integration/test_browser.py looks at what it serves."""

import os
import signal
import socket
from pathlib import Path

import mlflow
import pytest

from pipeline.cli import main
from pipeline.tracking import mlflow_runs, mlflow_store


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of servers that would have been started."""
    commands: list[list[str]] = []

    def start(_: str, words: list[str]) -> None:
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # else Ctrl-C is a traceback
        commands.append(words)

    monkeypatch.setattr(os, "execv", start)
    return commands


def test_a_port_that_is_taken_is_one_line_with_another(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        assert main(["ui", f"ui.port={port}"]) == 2
    err = capsys.readouterr().err
    assert (
        err == f"error: ui.port must be free, got {port} (address already in use); use ui.port={port + 1}\n"
    )
    assert started == []


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_this_machine_is_one_line(
    host: str, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ui", f"ui.host={host}", "ui.port=54321"]) == 2
    assert capsys.readouterr().err.startswith(
        f"error: ui.host must be an address of this machine, got {host}"
    )
    assert started == []


def test_it_names_the_pages_and_the_runs_of_the_newest_studies(
    started: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    registry = tmp_path / "models.db"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{registry}")
    for name in ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"):
        monkeypatch.setenv(name, "")
    client: mlflow.MlflowClient = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "of studies")
    run_id = mlflow_runs.create_run(client, experiment, "digits-1", {"stage": "sweep"})
    client.set_terminated(run_id)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["ui", f"ui.port={port}"]) == 0
    first, pages, heading, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"MLflow UI: http://127.0.0.1:{port}   (Ctrl-C ends it)"
    assert pages == f"Pages of studies: http://127.0.0.1:{port}/studies"
    assert heading == "Newest studies in MLflow:"
    assert (
        second
        == f"  digits-1: http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"
    )
    (words,) = started
    assert words[words.index("--port") + 1] == str(port)
    assert words[2] == "pipeline.tracking.pages.server"
    # Whoever lists processes reads their words, and an address may have a password.
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == os.environ["MLFLOW_TRACKING_URI"]
    assert os.environ["MLFLOW_REGISTRY_STORE_URI"] == f"sqlite:///{registry}"
    assert "sqlite:" not in " ".join(words)
