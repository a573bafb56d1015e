"""Studies, runs, checkpoints and prepared data of an earlier release stay readable: see tests/fixtures."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.hardware.device import claim_device
from pipeline.search import optuna_storage
from pipeline.search.study_store import StudyStore
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store, read_study
from pipeline.training import checkpoints
from pipeline.training.train import train
from tests.conftest import Run
from tests.support import recorded, tiny

RELEASES = sorted(path.stem for path in recorded.FIXTURES.glob("*.zip"))
SWEEP = ("sweep", "search=smoke", "search.study=recorded", "train.epochs=4", "device=cpu", "search.workers=0")
FRONTIER = {0: 0.6833, 3: 0.7722, 1: 0.8167}
"""Accuracy by number of the trial, the cheapest first."""


@pytest.fixture(params=RELEASES)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a release wrote, as if it had been written here."""
    recorded.unpack(request.param, tmp_path, claim_device(tiny.BASE.device).name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    return tmp_path


def find_run(condition: str) -> mlflow.entities.Run:
    client = mlflow_store.open_store()
    experiment = client.get_experiment_by_name("fulcrum").experiment_id
    return client.search_runs([experiment], condition, order_by=["attributes.start_time DESC"])[0]


def count_runs() -> int:
    client = mlflow_store.open_store()
    return len(client.search_runs([client.get_experiment_by_name("fulcrum").experiment_id]))


@pytest.mark.usefixtures("folder")
def test_the_frontier_of_a_study_is_read(fulcrum: Run) -> None:
    assert optuna_storage.list_studies(addresses.make_study_address()) == ["recorded"]
    done = fulcrum("frontier", "--study", "recorded", "--json")
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)["frontier"]
    assert {point["trial"]: pytest.approx(point["accuracy"], abs=1e-4) for point in points} == FRONTIER


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_study_is_taken_up_by_the_same_command(fulcrum: Run) -> None:
    before = count_runs()
    done = fulcrum(*SWEEP, "search.confirm=1")
    assert done.returncode == 0, done.stderr
    assert "recorded: 4 trials (4 complete)" in done.stdout
    assert count_runs() == before - 1  # nothing left to do; by all seeds it has no knee, whose dot went
    bound = StudyStore(addresses.make_study_address(), "recorded").read_attrs()
    assert bound["data"] == {"data=digits": preprocess(compose(["data=digits"]).settings).source_sha256}
    done = fulcrum(*SWEEP, "search.trials=6", "search.confirm=0")
    assert done.returncode == 0, done.stderr
    assert "recorded: 6 trials" in done.stdout
    assert {line.split()[1] for line in done.stdout.splitlines() if line.startswith("trial ")} == {"4", "5"}
    run = find_run("tags.stage = 'trial'")
    assert run.data.tags["trial"] == "5"
    assert run.data.tags["mlflow.parentRunId"] == find_run("tags.stage = 'sweep'").info.run_id


@pytest.mark.usefixtures("folder")
def test_a_study_is_read_from_its_runs() -> None:
    client = mlflow_store.open_store()
    assert read_study.list_studies(client, "fulcrum") == ["recorded"]
    results = read_study.read_results(client, "fulcrum")
    accuracies = {point.trial.number: point.point.accuracy for point in results.frontier}
    assert accuracies == pytest.approx(FRONTIER, abs=1e-4)
    assert all(point.confirmation for point in results.frontier)


@pytest.mark.usefixtures("folder")
def test_a_model_is_evaluated_profiled_and_found_in_the_registry(
    fulcrum: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.quick(monkeypatch)
    run = find_run("tags.stage = 'train'")
    before = count_runs()
    done = fulcrum("evaluate", f"trained={run.info.run_id}", "record=model")
    assert done.returncode == 0, done.stderr
    assert count_runs() == before
    metrics = mlflow_store.open_store().get_run(run.info.run_id).data.metrics
    assert metrics["evaluate/test_accuracy"] == pytest.approx(run.data.metrics["accuracy"], abs=0.05)
    done = fulcrum("profile", "trained=models:/recorded@knee", "profile.repeats=10", "profile.warmup=1")
    assert done.returncode == 0, done.stderr
    assert (
        find_run("tags.stage = 'profile'").data.metrics["profile/parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    )


def test_a_model_answers_for_new_data(fulcrum: Run, folder: Path) -> None:
    digits = load_digits()
    np.savez(folder / "new.npz", features=digits.images[:200], labels=digits.target[:200])
    run = find_run("tags.stage = 'train'")
    words = ["data=arrays", f"data.path={folder / 'new.npz'}", f"predict.output={folder / 'out.jsonl'}"]
    done = fulcrum("predict", f"trained={run.info.run_id}", *words)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    right = sum(row["prediction"] == row["label"] for row in rows)
    assert f"accuracy    {right / 200:.2%} of 200 with a label" in done.stdout
    assert right / 200 == pytest.approx(run.data.metrics["accuracy"], abs=0.12)
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    outputs = served.predict(digits.images[:200].astype(np.float32))  # the type that its signature states
    assert [str(row.argmax()) for row in outputs] == [row["prediction"] for row in rows]


@pytest.mark.usefixtures("folder")
def test_training_goes_on_from_a_run(fulcrum: Run) -> None:
    first = find_run("tags.stage = 'train'")
    words = ["experiment=smoke", "train.epochs=2", "optimizer.learning_rate=0.01", "device=cpu"]
    done = fulcrum("train", *words, f"train.from={first.info.run_id}")
    assert done.returncode == 0, done.stderr
    second = find_run("tags.stage = 'train'")
    assert second.data.tags["continued_from"] == first.info.run_id
    assert second.data.tags["continued_optimizer"] == "true"  # of state.npz
    assert second.data.tags["continued_fresh"] == ""
    assert second.data.metrics["accuracy"] > first.data.metrics["accuracy"]
    assert second.data.metrics["train/device_seconds_before"] == first.data.metrics["cpu_seconds"]


def test_prepared_data_is_found_again(folder: Path) -> None:
    entries = {path.name for path in (folder / "cache" / "prepared").iterdir() if path.is_dir()}
    prepared = preprocess(compose(["data=digits"]).settings)
    assert prepared.reused
    assert prepared.directory.name in entries
    assert len(prepared.train) == 1347
    assert prepared.key == prepared.directory.name


def test_a_checkpoint_goes_on_as_if_it_had_never_stopped(folder: Path) -> None:
    """Of trial 2, which had two epochs: two more give the curve of four without a stop."""
    command = find_run("tags.stage = 'trial' AND tags.trial = '2'").data.tags["command"]
    words = [*command.split()[4:-1], "train.epochs=4"]
    settings = compose(words).settings
    prepared = preprocess(settings)
    loaded = [checkpoints.load(path) for path in (folder / "cache" / "checkpoints" / "recorded").iterdir()]
    assert None not in loaded
    checkpoint = next(each for each in loaded if each and len(each.curve.epochs) == 2)
    resumed = list(train(prepared, settings, checkpoint=checkpoint))[-1]
    whole = list(train(prepared, settings))[-1]
    losses = [[epoch.validation_loss for epoch in one.curve.epochs] for one in (resumed, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert resumed.curve.epochs[:2] == checkpoint.curve.epochs
