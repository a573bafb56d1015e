"""The store: created whole, its experiments found again, a run adopted once."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from pipeline import signals
from pipeline.errors import BadInput
from pipeline.settings import addresses
from pipeline.tracking import mlflow_runs, mlflow_store
from tests.conftest import CHECKOUT

FOUR = """
import os
from pipeline.tracking import mlflow_store

def open_in_a_child():
    if child := os.fork():
        return child
    try:
        mlflow_store.open_store()
        os._exit(0)
    finally:
        os._exit(1)

children = [open_in_a_child() for _ in range(4)]
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
"""Imports once, then four processes begin at the same moment."""


def running(client: mlflow.MlflowClient, tags: dict[str, str]) -> str:
    return str(
        client.create_run(mlflow_store.find_or_create_experiment(client, "orphans"), tags=tags).info.run_id
    )


def test_the_default_store_lies_in_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    assert addresses.read_uri() == f"sqlite:///{addresses.CHECKOUT}/mlflow.db"


def test_artifacts_lie_beside_the_database(client: mlflow.MlflowClient, ground: dict[str, str]) -> None:
    folder = Path(ground["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent
    run = client.get_run(running(client, {}))
    assert Path(run.info.artifact_uri).is_relative_to(folder / "mlartifacts" / "orphans")
    default = client.get_experiment_by_name("Default")
    assert Path(default.artifact_location).is_relative_to(folder / "mlartifacts")


@pytest.mark.usefixtures("client")
def test_mlflow_says_nothing_of_a_user_without_a_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", dict[int, object]().__getitem__)
    resolve_tags()
    assert not caplog.records


@pytest.mark.slow
def test_four_processes_create_one_database(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOUR],
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/new/mlflow.db"},
        cwd=addresses.CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "[0, 0, 0, 0]\n", done.stderr
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]


def test_a_store_that_does_not_answer_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:geheim@127.0.0.1:9")
    monkeypatch.setattr(mlflow_store, "_answered", set())
    line = "MLFLOW_TRACKING_URI must name a store that answers, .* [(]127.0.0.1:9: Connection refused[)]"
    with pytest.raises(BadInput, match=line) as caught:
        mlflow_store.open_store()
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_registry_apart_is_asked_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    with pytest.raises(BadInput, match=r"^MLFLOW_REGISTRY_URI must name a store that answers.*; unset it to"):
        mlflow_store.open_store()


def test_an_active_model_that_there_is_not_is_told_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_ACTIVE_MODEL_ID", "m-abc")
    with pytest.raises(BadInput, match=r"^MLFLOW_ACTIVE_MODEL_ID must be the id of a model, got m-abc"):
        mlflow_store.open_store()


def test_a_server_is_asked_briefly_until_it_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")  # of a person's own
    monkeypatch.delenv(retries, raising=False)
    monkeypatch.setattr(mlflow_store, "_answered", set())
    monkeypatch.setattr(mlflow_store, "check_server", lambda _: None)
    for expected in ("2", None):

        def ask(expected: str | None = expected) -> None:
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
            assert os.environ.get(retries) == expected

        mlflow_store._ask_briefly("http://a-server", ask)
        assert retries not in os.environ


@pytest.fixture
def lost_server(monkeypatch: pytest.MonkeyPatch) -> str:
    """A server that has answered, and does not any more."""
    address = "http://ann:geheim@127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setattr(mlflow_store, "_answered", {address})
    mlflow_store._quieten()
    mlflow_store._waiting.named_at = -math.inf
    return address


def test_a_server_that_is_waited_for_is_named_once(
    lost_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mlflow.MlflowClient(lost_server)
    for _ in range(2):
        with pytest.raises(MlflowException):
            client.get_run("r")
    assert capsys.readouterr().err == (
        "http://ann:***@127.0.0.1:9 does not answer; it is waited for, some minutes\n"
    )


def test_who_has_asked_to_stop_waits_for_no_server(lost_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")  # four minutes
    monkeypatch.setattr(signals, "read_requested", lambda: signal.SIGINT)
    with pytest.raises(MlflowException) as caught:
        mlflow.MlflowClient(lost_server).get_run("r")
    assert mlflow_store.find_unanswered(caught.value)


def test_a_server_that_has_gone_is_asked_nothing_more(
    lost_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further question would be waited for as long."""
    client, asked = mlflow.MlflowClient(lost_server), list[str]()

    def ask() -> None:
        asked.append("write")
        client.get_run("r")

    monkeypatch.setattr(client, "get_experiment", lambda _: asked.append("experiment"))
    monkeypatch.setattr(mlflow_runs, "is_deleted", lambda *_: asked.append("run"))
    with pytest.raises(MlflowException):
        mlflow_store.write_restoring(client, "1", ask)
    assert asked == ["write"]
    with pytest.raises(MlflowException) as caught, mlflow_runs.unless_deleted(client, "r"):
        ask()
    assert asked == ["write", "write"]
    assert mlflow_store.find_unanswered(caught.value)


def test_an_adopted_run_is_handed_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    assert mlflow_store.take_adopted_run() == "abc"
    assert mlflow_store.take_adopted_run() is None
    assert "MLFLOW_RUN_ID" not in os.environ


def test_a_deleted_experiment_comes_back_with_a_word(
    client: mlflow.MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    first = mlflow_store.find_or_create_experiment(client, "gone")
    client.delete_experiment(first)
    for _ in range(2):
        assert mlflow_store.find_or_create_experiment(client, "gone") == first
    assert capsys.readouterr().err == "the experiment gone was deleted; it is restored, with its runs\n"


WITHOUT_SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from pipeline.tracking import mlflow_store
import mlflow
assert "fastapi" not in sys.modules
assert mlflow.gateway.get_gateway_uri
assert "fastapi" in sys.modules
"""


@pytest.mark.slow
def test_parts_of_mlflow_that_are_not_used_are_not_imported() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_SERVER, str(CHECKOUT)], check=True)
