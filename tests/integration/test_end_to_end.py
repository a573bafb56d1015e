"""The whole thing: a run, stages one by one, mistakes; slow ones: kills, `mlflow run`, serving."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
import requests
import yaml

from pipeline.cli.summary.costs import list_costs
from pipeline.measures import Cost, Latency
from pipeline.settings.command_line import format_command
from pipeline.tracking import mlflow_store
from pipeline.tracking.runs.orphans import DISCARDED
from tests.conftest import CHECKOUT, Run
from tests.support import tiny

SMOKE = "experiment=smoke"
MANAGERS = ["uv", "virtualenv"] if os.environ.get("FULCRUM_VIRTUALENV") else ["uv"]  # pip takes minutes
BIN = Path(sys.executable).parent


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


def newest(client: mlflow.MlflowClient) -> mlflow.entities.Run:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, order_by=["attributes.start_time DESC"], max_results=1)[0]


def count(client: mlflow.MlflowClient) -> int:
    """The runs in all experiments, but for those that the next command deletes (`mlflow_runs.DISCARDED`)."""
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return sum(DISCARDED not in run.data.tags for run in runs)


def mlflow_run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`mlflow run . WORDS`, with the environment's own mlflow and python first on the PATH."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **(env or {})}
    return subprocess.run(
        ["mlflow", "run", ".", *words],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


# ---- one run -----------------------------------------------------------------------------------------


@pytest.mark.slow(seconds=30)
def test_a_run_records_everything_and_its_command_gives_the_same_curve_elsewhere(
    fulcrum: Run, fulcrum_process: Run, client: mlflow.MlflowClient
) -> None:
    done = fulcrum_process("run", SMOKE, "model.hidden=24", "augment=shift")
    assert done.returncode == 0, done.stderr
    run = newest(client)
    assert run.info.status == "FINISHED"
    assert {
        "accuracy",
        "cpu_seconds",
        "train/loss",
        "train/validation_accuracy",
        "curve/validation_accuracy_at_device_ms",
        "evaluate/test_accuracy",
        "evaluate/test_loss",
        "evaluate/test_precision/3",
        "evaluate/test_recall/3",
        "evaluate/test_calibration_error",
        "evaluate/test_balanced_accuracy",
        "evaluate/test_f1",
        "evaluate/test_auc",
        "evaluate/gap_train_test",
        "evaluate/gap_train_validation",
        "profile/latency_p50_ms",
        "profile/latency_p95_ms",
        "profile/latency_p99_ms",
        "profile/throughput_by_batch",
        "profile/parameters",
        "profile/flops",
        "profile/peak_memory_bytes",
        "profile/model_bytes",
        "seconds/compile",
        "seconds/train",
        "seconds/evaluate",
    } <= set(run.data.metrics)
    assert "evaluate/validation_accuracy" not in run.data.metrics  # it is `accuracy`
    assert {"command", "device", "engine", "host", "pid", "data.sha256", "git.commit"} <= set(run.data.tags)
    found = {
        path.path
        for folder in ("", "pictures", "data")
        for path in client.list_artifacts(run.info.run_id, folder)
    }
    assert {
        "data/report.json",
        "evaluation.json",
        "profile.json",
        "pictures/samples.png",
        "pictures/confusion_matrix.png",
        "pictures/worst_mistakes.png",
    } <= found
    assert [item.dataset.name.split("-")[0] for item in run.inputs.dataset_inputs] == [
        "train",
        "validation",
        "test",
    ]
    for part in ("accuracy", "cpu_seconds", "not in it", "latency", run.info.run_id, "/#/experiments/"):
        assert part in done.stdout
    assert "Traceback" not in done.stderr
    assert fulcrum(*run.data.tags["command"].split()[3:]).returncode == 0
    again = newest(client)
    assert again.info.run_id != run.info.run_id
    curves = [client.get_metric_history(each.info.run_id, "train/validation_loss") for each in (run, again)]
    first, second = ([point.value for point in curve] for curve in curves)
    assert first == second
    assert len(first) == 2


@pytest.mark.slow(seconds=25)
def test_stages_one_by_one(
    fulcrum: Run,
    fulcrum_process: Run,
    client: mlflow.MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache"))
    assert "written to" in fulcrum("preprocess").stdout
    assert "found in" in fulcrum("preprocess").stdout
    trained = fulcrum("train", SMOKE, "model.hidden=12", "tracking.register=smoke")
    assert trained.returncode == 0, trained.stderr
    run_id = newest(client).info.run_id
    assert "evaluate/test_accuracy" not in newest(client).data.metrics
    before = count(client)
    evaluated = fulcrum_process("evaluate", f"trained={run_id}", "record=model")
    assert evaluated.returncode == 0, evaluated.stderr
    assert count(client) == before  # recorded into the model's own run
    run = client.get_run(run_id)
    assert run.data.metrics["evaluate/test_accuracy"] > 0
    assert (run.info.status, run.data.params["model.hidden"]) == ("FINISHED", "12")
    tiny.quick(monkeypatch)
    profiled = fulcrum("profile", "trained=models:/smoke/1", "precision=int8", "profile.repeats=20")
    assert profiled.returncode == 0, profiled.stderr
    assert re.search(r"litert_int8 +\d+\.\d\d% validation accuracy, [\d.]+ ms, [\d.]+ MB", profiled.stdout)
    assert re.search(r"the compiled model: \d+\.\d\d%, [\d.]+ ms \(", profiled.stdout)
    assert count(client) == before + 1  # a run of its own
    own = newest(client)
    assert own.data.tags["stage"] == "profile"
    assert own.data.params["model.hidden"] == "12"  # as the model's own run was told
    assert own.data.params["profile.runtime"] == "litert_int8"
    assert re.search(r"training step +[\d.]+ [mµ]s for \d+ samples, xla loop", profiled.stdout)
    assert re.search(
        r"roofline +[\d.e+-]+ GFLOP/s, \d+% of the peak in float32 products; \w+-bound", profiled.stdout
    )
    assert own.data.metrics["profile/step_flops"] > 0
    assert own.data.metrics["export/validation_accuracy"] == pytest.approx(
        own.data.metrics["export/compiled_validation_accuracy"], abs=0.1
    )
    assert (
        own.data.metrics["profile/compiled_latency_p50_ms"] > own.data.metrics["profile/latency_p50_ms"] > 0
    )
    assert own.data.metrics["profile/parameters"] == 64 * 12 + 12 + 12 * 10 + 10
    path = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/model", dst_path=str(tmp_path))
    assert fulcrum("evaluate", f"trained={path}", SMOKE).returncode == 0
    again = ["train", SMOKE, "model.hidden=12", "model.init=pretrained", f"model.pretrained={run_id}"]
    assert fulcrum(*again).returncode == 0
    history = client.get_metric_history(newest(client).info.run_id, "train/validation_loss")
    assert history[0].value < client.get_metric_history(run_id, "train/validation_loss")[-1].value


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "train.batch_size=100000"], ["train.batch_size must be <= 1347", "got 100000"]),
        (
            ["run", "data=arrays", "data.path=/nowhere.npz"],
            ["data.path must be an .npz, HDF5 or"],
        ),
        (["evaluate"], ["trained must be a run id"]),
        (["evaluate", "trained=" + 32 * "0"], ["a trained model must be a run id", "not found"]),
        (["evaluate", "trained=models:/none@best"], ["a trained model must be", "none"]),
        (["profile", "trained=/no/such/path"], ["no such path"]),
        (["run", "model.init=pretrained", "model.pretrained=/no/such"], ["no such path"]),
        (["run", "data=mnist", "data_dir=/nowhere"], ["data=digits, which needs no download"]),
    ],
)
def test_bad_input_is_one_line_exit_2_and_no_run(
    fulcrum: Run, client: mlflow.MlflowClient, words: list[str], parts: list[str]
) -> None:
    before = count(client)
    done = fulcrum(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    for part in parts:
        assert part in done.stderr
    assert count(client) == before


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (["run", SMOKE, "search.trials=50", "cluster=ray"], ["search.trials", "cluster"]),
        (["preprocess", "--pruning", "none"], ["pruning"]),
        (["run", SMOKE, "search.objectives=[accuracy,cost]", "ui.port=5001", "price=none"], []),
        (["run", SMOKE, "search.trials=50", "train.epochs=none"], []),  # a mistake is one line
    ],
)
def test_words_of_another_command_are_told(words: list[str], unread: list[str], fulcrum: Run) -> None:
    """`run search.trials=50` is one training, which somebody may take for a search of fifty."""
    done = fulcrum(*words)
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert done.returncode == (2 if "train.epochs=none" in words else 0)
    assert told == [f"warning: {key} is for sweep; {words[0]} does not read it" for key in unread]


def test_words_that_nothing_of_this_training_reads_are_told(fulcrum: Run) -> None:
    """Nothing is private by `privacy.clip_norm` alone."""
    of_none = {
        "privacy.clip_norm=2": "privacy=dp_sgd",
        "privacy.repeatable=false": "privacy=dp_sgd",
        "spectrogram.mels=20": "sounds",
        "vocabulary.size=500": "texts",
        "preprocess.pieces=4": "tables",
    }
    done = fulcrum("train", SMOKE, "privacy=none", *of_none)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: {word.partition('=')[0]} is for {reader}; train does not read it here"
        for word, reader in of_none.items()
    ]
    done = fulcrum("train", SMOKE, "privacy=dp_sgd", "privacy.clip_norm=2")
    assert (done.returncode, "warning" in done.stderr) == (0, False)


def test_a_gpu_that_is_not_there_is_refused(fulcrum: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = fulcrum("run", SMOKE, "device=gpu")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "device=gpu needs a GPU that TensorFlow sees, got none" in done.stderr


def test_divergence_fails_by_name(fulcrum: Run, client: mlflow.MlflowClient) -> None:
    done = fulcrum("run", SMOKE, "optimizer=sgd", "optimizer.learning_rate=100000", "model.layers=3")
    assert done.returncode == 1
    assert "loss must stay finite" in done.stderr
    assert "Traceback" not in done.stderr
    assert newest(client).info.status == "FAILED"


# ---- ends that nobody planned ------------------------------------------------------------------------


def started(words: list[str], client: mlflow.MlflowClient) -> subprocess.Popen[str]:
    """A long run that has been opened in the store and is at work."""
    before = count(client)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while count(client) == before or "pid" not in newest(client).data.tags:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return process


LONG = ["run", "train.epochs=100000"]


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_clean(client: mlflow.MlflowClient, sent: signal.Signals, code: int) -> None:
    process = started(LONG, client)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == code, errors
    assert errors.count("\n") == 1
    assert f"recorded as KILLED; begin it again with: {format_command(LONG[0], LONG[1:])}\n" in errors
    assert newest(client).info.status == "KILLED"


@pytest.mark.slow
def test_a_kill_leaves_nothing_running_after_the_next_start(
    fulcrum: Run, client: mlflow.MlflowClient
) -> None:
    process = started(LONG, client)
    killed = newest(client).info.run_id
    process.kill()
    process.wait()
    assert client.get_run(killed).info.status == "RUNNING"
    assert fulcrum("preprocess").returncode == 0
    assert client.get_run(killed).info.status == "KILLED"


# ---- mlflow run --------------------------------------------------------------------------------------


@pytest.mark.slow(seconds=25)
def test_mlflow_run_takes_any_setting_and_is_adopted(client: mlflow.MlflowClient) -> None:
    before = count(client)
    done = mlflow_run(
        "--env-manager", "local", "--experiment-name", "fulcrum", "-P", SMOKE,
        "-P", "optimizer=sgd", "-P", "optimizer.learning_rate=1e-2",
        "-P", "overrides=model.hidden=9 tracking.run_name='$(touch /tmp/never) `id`'",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert count(client) == before + 1
    run = newest(client)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.hidden"] == "9"
    assert run.data.params["optimizer.learning_rate"] == "1e-2"
    assert run.info.run_name == "$(touch /tmp/never) `id`"  # a text, not a command
    assert run.data.metrics["evaluate/test_accuracy"] > 0


@pytest.mark.slow
def test_a_failing_stage_leaves_the_run_of_mlflow_run_failed(client: mlflow.MlflowClient) -> None:
    before = count(client)
    done = mlflow_run("--env-manager", "local", "-P", "data=mnist", "-P", "data_dir=/nowhere")
    assert done.returncode != 0
    assert "which needs no download" in done.stderr
    assert "Traceback" not in done.stderr
    assert (count(client), newest(client).info.status) == (before + 1, "FAILED")


@pytest.mark.slow(seconds=20)
def test_an_entry_point_is_a_stage(client: mlflow.MlflowClient) -> None:
    done = mlflow_run("--env-manager", "local", "-e", "preprocess", "-P", SMOKE)
    assert done.returncode == 0, done.stderr
    run = newest(client)
    assert run.data.tags["stage"] == "preprocess"
    assert client.get_experiment(run.info.experiment_id).name == "fulcrum"  # not Default, as all other runs


def copy_of_the_checkout(folder: Path, python: str) -> Path:
    """The tracked files, with environment.yml naming the Python that is at hand."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, folder / name)
    environment = folder / "environment.yml"
    environment.write_text(environment.read_text().replace("python=3.11", f"python={python}"))
    return folder


@pytest.mark.slow(seconds=45)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("manager", MANAGERS)
def test_mlflow_builds_the_environment_itself(
    manager: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    tool = {"uv": "uv", "virtualenv": "pyenv"}[manager]
    path = f"{BIN}:{os.environ['PATH']}:{sys.base_prefix}/bin"  # where uv looks for a Python
    if not shutil.which(tool, path=path):
        pytest.skip(f"mlflow's environment manager {manager} needs {tool}, which is not on the PATH")
    if os.environ.get("FULCRUM_QUICK"):
        pytest.skip("FULCRUM_QUICK leaves out what builds environments")
    python = ".".join(map(str, sys.version_info[:3]))
    checkout = copy_of_the_checkout(tmp_path / "checkout", python)
    environment = {"MLFLOW_ENV_ROOT": str(tmp_path / "envs"), "PATH": path}
    done = subprocess.run(
        ["mlflow", "run", ".", "--env-manager", manager, "-P", SMOKE],
        cwd=checkout,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert newest(client).info.status == "FINISHED"


def test_the_conda_form_is_complete() -> None:
    """Without conda: the file is what conda reads, names its Python, and leaves the pins to one place."""
    project = yaml.safe_load((CHECKOUT / "MLproject").read_text())
    assert project["conda_env"] == "environment.yml"
    stages = {"main", "preprocess", "train", "evaluate", "predict", "profile"}
    assert set(project["entry_points"]) == {*stages, "sweep", "frontier", "diagnose", "ui"}
    environment = yaml.safe_load((CHECKOUT / "environment.yml").read_text())
    assert environment["dependencies"][0].startswith("python=3.1")
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}


# ---- serving -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_model_is_served_and_answers_to_raw_samples(fulcrum: Run, client: mlflow.MlflowClient) -> None:
    assert fulcrum("train", "train.epochs=5").returncode == 0
    uri = f"runs:/{newest(client).info.run_id}/model"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port)],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        from sklearn.datasets import load_digits

        digits = load_digits()
        body = json.dumps({"inputs": digits.images[:20].tolist()})
        answers = asked(f"http://127.0.0.1:{port}/invocations", body)
        predictions = [row["prediction"] for row in answers]
        right = sum(name == str(label) for name, label in zip(predictions, digits.target, strict=False))
        assert right >= 17
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def asked(address: str, body: str) -> list[dict[str, str]]:
    deadline = time.monotonic() + 300
    while True:
        try:
            answer = requests.post(
                address, data=body, headers={"Content-Type": "application/json"}, timeout=30
            )
            answer.raise_for_status()
            return list(answer.json()["predictions"])
        except (requests.ConnectionError, requests.Timeout):
            assert time.monotonic() < deadline, "the server never came up"
            time.sleep(0.5)


# ---- real data ---------------------------------------------------------------------------------------


@pytest.mark.slow(seconds=20)
def test_mnist_reaches_97_5_percent_in_5_epochs(
    fulcrum: Run, client: mlflow.MlflowClient, data_dir: str
) -> None:
    done = fulcrum("run", "data=mnist", "train.epochs=5", f"data_dir={data_dir}")
    assert done.returncode == 0, done.stderr
    metrics = newest(client).data.metrics
    assert min(metrics["accuracy"], metrics["evaluate/test_accuracy"]) >= 0.975


def test_a_run_goes_on_from_another_and_pays_for_both(fulcrum: Run) -> None:
    client = mlflow_store.open_store()
    words = [
        "experiment=smoke",
        "train.epochs=2",
        "tracking.experiment=onward",
        "optimizer.learning_rate=0.01",
    ]
    assert fulcrum("train", *words).returncode == 0
    experiment = client.get_experiment_by_name("onward").experiment_id
    first = client.search_runs([experiment])[0]
    done = fulcrum("train", *words, f"train.from={first.info.run_id}", "data.fraction=0.5")
    assert done.returncode == 0, done.stderr
    second = client.search_runs([experiment])[0]
    assert second.data.tags["continued_from"] == first.info.run_id
    assert second.data.tags["continued_optimizer"] == "true"
    assert second.data.metrics["cpu_seconds"] > first.data.metrics["cpu_seconds"]
    assert second.data.metrics["train/device_seconds_before"] == first.data.metrics["cpu_seconds"]
    (energy,) = {"train/energy_joules", "train/estimated_joules"} & first.data.metrics.keys()
    assert second.data.metrics[energy] > first.data.metrics[energy]
    assert second.data.metrics["accuracy"] > first.data.metrics["accuracy"]


def test_what_is_fast_small_or_slow_has_its_digits() -> None:
    """A latency of 2.59 microseconds was 0.003 ms, and 96 times as fast as 0.25 ms beside it."""
    latency = Latency(p50_ms=0.00259, p95_ms=0.0051, p99_ms=1234.5, repeats=10)
    cost = Cost(latency=latency, cold_ms=1234.5, throughput={1: 0.31}, parameters=3, model_bytes=4200)
    told = " ".join(text for _, text in list_costs(cost))
    for text in ("0.00259 ms median", "p99 1,234", "1,234 ms cold", "0.31 samples/s", "0.0042 MB"):
        assert text in told
