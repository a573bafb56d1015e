"""Every command of docs/how-to works as it stands there: in a folder of one's own, with a real server."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from tests.conftest import CHECKOUT, Run

BIN = Path(sys.executable).parent
FULCRUM, SERVER = "python -m pipeline ", "mlflow models serve"


def list_commands(page: str) -> list[str]:
    text = (CHECKOUT / "docs" / "how-to" / page).read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def run(command: str, folder: Path) -> str:
    """Run a command in a shell and return what it prints."""
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def start_server(command: str, folder: Path, port: str) -> "subprocess.Popen[bytes]":
    """Start a server without this package in reach, and wait until it answers."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        command.split(),
        cwd=folder,
        env={**environment, "PATH": f"{BIN}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 400
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/ping", timeout=30).raise_for_status()
            return server
        except (requests.ConnectionError, requests.Timeout):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never came up"
            time.sleep(0.3)


@pytest.mark.slow(seconds=50)
def test_private_training_as_the_page_says(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("COLUMNS", "200")
    said, run_id = [], ""
    for line in list_commands("privacy.md"):
        done = fulcrum(*shlex.split(line.removeprefix(FULCRUM).replace("RUN_ID", run_id)))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said.append(done.stdout)
        run_id = run_id or next(iter(re.findall(r"\b[0-9a-f]{32}\b", done.stdout)))
    asked, told, attacked, _, frontier = said
    assert re.search(r"privacy +epsilon (7\.9\d|8) for delta 1e-05: 200 steps", asked)
    assert re.search(r"privacy +epsilon \d+\.\d+ for delta 1e-05", told)
    assert "threshold attack: AUC 0." in attacked
    assert "lira attack: AUC 0." in attacked
    assert "privacy" in attacked
    assert "epsilon" in frontier
    client = MlflowClient()
    run = client.get_run(run_id)
    history = [metric.value for metric in client.get_metric_history(run_id, "epsilon")]
    assert len(history) == 20
    assert history == sorted(history)
    assert run.data.tags["privacy"].startswith("epsilon ")
    assert json.loads(Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/privacy.json")).read_text())[
        "epsilon"
    ] == pytest.approx(history[-1])


@pytest.mark.slow
def test_a_model_is_used_as_the_page_says(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run_id, server, answers = "", None, []
    try:
        for line in list_commands("use-a-model.md"):
            command = line.replace("RUN_ID", run_id).replace("5001", port)
            if line.startswith(SERVER):
                server = start_server(command, tmp_path, port)
                continue
            if line.startswith(FULCRUM):
                done = fulcrum(*shlex.split(command.removeprefix(FULCRUM)))
                assert done.returncode == 0, f"{command}\n{done.stderr}"
                out = done.stdout
            else:
                out = run(command, tmp_path)
            run_id = run_id or next(iter(re.findall(r"\b[0-9a-f]{32}\b", out)), "")
            if line.startswith("curl"):
                answers.append(json.loads(out)["predictions"])
        assert (tmp_path / "predictions.csv").read_text().count("\n") == 4
        assert (tmp_path / "answers.parquet").stat().st_size > 0
        assert [len(answer) for answer in answers] == [2, 1, 3]
        assert {answer[0]["prediction"] for answer in answers} == {"large"}
        wrong = requests.post(
            f"http://127.0.0.1:{port}/invocations",
            data='{"inputs": {"size": [1]}}',
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        assert wrong.status_code == 400
        assert "colour" in wrong.json()["message"]
        assert "\n" not in wrong.json()["message"]
    finally:
        if server is not None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


@pytest.mark.slow(seconds=50)
def test_energy_and_latency_are_measured_as_the_page_says(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_id, told = "", dict[str, str]()
    for line in list_commands("energy-and-latency.md"):
        done = fulcrum(*shlex.split(line.replace("RUN_ID", run_id).removeprefix(FULCRUM)))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if " train " in line:
            run_id = next(iter(re.findall(r"\b[0-9a-f]{32}\b", done.stdout)))
        told[line.removeprefix(FULCRUM)] = done.stdout
    run_out, _, frontier, _, profile, _, load, as_json = told.values()
    assert "g CO2 at 480 g a kWh" in run_out
    assert "energy" in frontier
    assert "cold, the first answer" in profile
    assert "\nanswer    " in load
    found = json.loads(as_json)
    assert (found["rows"], found["p99_bound_ms"]) == (8, 100.0)


@pytest.mark.slow
def test_the_page_of_a_sweep(fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    told = []
    for command in list_commands("a-sweep.md"):
        done = fulcrum(*shlex.split(command.removeprefix(FULCRUM)))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        told.append(done.stdout)
    plan, composed, swept = told
    assert plan.splitlines()[1] == "until: 4 trials or no better frontier for 20trials, whichever is first"
    assert "search:" in composed
    assert "ended: all 4 trials are done" in swept


@pytest.mark.slow(seconds=35)
def test_robustness_is_measured_as_the_page_says(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    run_id, outs = "", []
    for line in list_commands("robustness.md"):
        done = fulcrum(*shlex.split(line.removeprefix(FULCRUM).replace("RUN_ID", run_id)))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        run_id = run_id or next(iter(re.findall(r"\b[0-9a-f]{32}\b", done.stdout)), "")
        outs.append(done.stdout)
    attacked = [
        float(re.findall(r"under attack +[\d.]+% validation, ([\d.]+)% test", out)[0]) for out in outs[:3]
    ]
    plain, nearer, trained_against = attacked
    assert plain < nearer < 100
    assert plain + 10 < trained_against
    assert "accuracy under attack" in outs[4]
    assert list(tmp_path.rglob("saliency.png"))


@pytest.mark.slow(seconds=30)
def test_data_are_checked_as_the_page_says(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_id, said = "", []
    for line in list_commands("check-your-data.md"):
        if not line.startswith(FULCRUM):
            run(line.replace("python", sys.executable, 1), tmp_path)
            continue
        done = fulcrum(*shlex.split(line.removeprefix(FULCRUM).replace("RUN_ID", run_id)))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        run_id = next(iter(re.findall(r"\b[0-9a-f]{32}\b", done.stdout)), run_id)
        said.append(done.stdout)
    prepared, trained, predicted = said
    assert "quality" not in prepared  # these data are clean
    assert re.search(r"by clinic +the worst of 3 groups is (north|south|west): \d+\.\d\d% test", trained)
    assert "unlike      training in 1 of 30 columns: mean area (PSI " in predicted
    drifts = {each["name"]: each for each in json.loads((tmp_path / "predictions.drift.json").read_text())}
    assert drifts["mean area"]["is_unlike"]
    client = mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    found = client.get_run(run_id)
    assert found.data.metrics["evaluate/test_worst_group_accuracy"] > 0.8
    assert any(name.startswith("evaluate/importance/") for name in found.data.metrics)
    names = {
        file.path for folder in ("", "pictures", "data") for file in client.list_artifacts(run_id, folder)
    }
    assert names >= {
        "model_card.md",
        "data/quality.json",
        "pictures/subgroups.png",
        "pictures/column_importance.png",
    }
    card = Path(client.download_artifacts(run_id, "model_card.md", str(tmp_path))).read_text()
    assert "By clinic, the worst of 3 groups is" in card
    assert found.data.tags["command"] in card
    assert found.data.tags["data.sha256"] in card
    beside = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/model"))
    assert (beside / "model_card.md").read_text() == card
    # A column that is not there is told before anything is recorded, and evaluating again renews the card.
    wrong = fulcrum("evaluate", f"trained={run_id}", "evaluate.groups=clinik")
    assert wrong.returncode == 2
    assert "evaluate.groups must be a column of" in wrong.stderr
    assert "did you mean clinic?" in wrong.stderr
    again = fulcrum("evaluate", f"trained={run_id}", "record=model", "evaluate.groups='mean radius'")
    assert again.returncode == 0, again.stderr
    card = Path(client.download_artifacts(run_id, "model_card.md", str(tmp_path))).read_text()
    assert "By mean radius, the worst of 4 groups is" in card
