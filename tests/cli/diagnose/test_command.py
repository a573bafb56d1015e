"""`python -m pipeline diagnose`, whole: what it prints, records and saves."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest

from pipeline import signals
from pipeline.cli import save_experiment
from pipeline.cli.compose import compose
from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.improve import Conclusion
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.errors import Stopped
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, Point
from pipeline.settings.addresses import CONF
from pipeline.settings.diagnosis import Aim
from pipeline.settings.settings import flatten
from pipeline.tracking import diagnosis_recorder
from pipeline.tracking.diagnosis_recorder import DiagnosisRecorder
from pipeline.tracking.record_run import record_run
from tests.conftest import Run

HELD = ClaimedDevice("cpu", "some CPU, 1 core", 1, "/CPU:0")
SMALL = [
    "model.hidden=32",
    "train.batch_size=16",
    "train.epochs=3",
    "diagnose.steps=2",
    "diagnose.seeds=2",
    "diagnose.minutes=1",
]


@pytest.fixture
def saved(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file of its own for every test: the tests run side by side in one checkout."""
    path = CONF / "experiment" / f"saved_by_{request.node.name}.yaml"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.slow(seconds=20)
def test_a_command_line_is_walked_recorded_and_saved(fulcrum: Run, saved: Path) -> None:
    done = fulcrum("diagnose", *SMALL, "diagnose.tolerance=0.1", f"diagnose.save={saved.stem}")
    assert done.returncode == 0, done.stderr
    assert "The single point:" in done.stdout
    assert "/#/experiments/" in done.stdout
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("fulcrum")
    assert experiment is not None
    parent = client.search_runs([experiment.experiment_id], "tags.stage = 'diagnose'")[0]
    nested = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    assert parent.info.status == "FINISHED"
    assert {"accuracy", "cpu_seconds", "times_cheaper", "share/overhead"} <= set(parent.data.metrics)
    drawn = client.get_metric_history(parent.info.run_id, "accuracy_at_cpu_us")
    assert len(drawn) >= 1 + (parent.data.metrics["attempts_kept"] > 0)
    shown = client.search_runs([experiment.experiment_id], f"tags.walk = '{parent.info.run_id}'")
    assert {run.info.run_id for run in shown} == {parent.info.run_id, *(run.info.run_id for run in nested)}
    key = done.stdout.partition("viewStateShareKey=")[2].partition("&")[0]
    assert f"mlflow.sharedViewState.{key}" in client.get_experiment(experiment.experiment_id).tags
    assert parent.data.tags["single_point.sentence"]
    assert "0 baseline" in {run.info.run_name for run in nested}
    assert len(nested) == 1 + parent.data.metrics["attempts"]
    for run in nested:
        assert run.data.tags["kept"] in ("true", "false")
        assert run.info.status in ("FINISHED", "FAILED")
        if run.info.status == "FINISHED":
            assert {"accuracy", "cpu_seconds"} <= set(run.data.metrics)
    final = json.loads(parent.data.tags["overrides"])
    assert not any(word.startswith("diagnose") for word in final)
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id, "pictures")}
    assert {f"pictures/{name}.png" for name in ("walk", "breakdown", "roofline")} <= artifacts
    assert saved.read_text().startswith("# @package _global_\n# Found by diagnose: ")
    assert trial(compose([f"experiment={saved.stem}"]).settings) == trial(compose(final).settings)
    around = [f"search.from_diagnosis={parent.info.run_id}", "search=smoke", "search.trials=1"]
    around += ["search.workers=0"]
    done = fulcrum("sweep", *around)
    assert done.returncode == 0, done.stderr
    study = client.search_runs([experiment.experiment_id], "tags.stage = 'trial'")
    words = json.loads(study[0].data.tags["overrides"])
    assert trial(compose(words).settings) == trial(compose(final).settings)


@pytest.mark.slow
def test_of_a_quantity_r2_is_kept(fulcrum: Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    sizes = draw.normal(size=(200, 2))
    lines = [f"{a:.3f},{b:.3f},{3 * a - b + draw.normal() / 9:.3f}" for a, b in sizes]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *lines]))
    table = ["data=csv", f"data.path={tmp_path / 't.csv'}", "data.label=y", "data.task=regression"]
    done = fulcrum("diagnose", *SMALL, *table, "diagnose.steps=1", "diagnose.tolerance=0.1")
    assert done.returncode == 0, done.stderr
    assert "device-seconds to the same R2" in done.stdout
    assert "The single point:" in done.stdout
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("fulcrum")
    assert experiment is not None
    newest = ["attributes.start_time DESC"]
    parent, *_ = client.search_runs([experiment.experiment_id], "tags.stage = 'diagnose'", order_by=newest)
    assert {"r2", "cpu_seconds", "baseline/r2"} <= set(parent.data.metrics)
    assert "accuracy" not in parent.data.metrics


def test_a_signal_while_a_nested_run_is_recorded_leaves_none_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def be_stopped(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    signals.listen()  # tests/conftest.py gives the handlers back
    monkeypatch.setattr(diagnosis_recorder, "fmean", be_stopped)  # while the curve is logged
    epoch = Epoch(number=1, device_seconds=1.0, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5)
    curve = Curve(HELD.name, fair_midway=True, epochs=(epoch,))
    command_line = compose([])
    measured = MeasuredCommand(command_line.overrides, curves=(curve,), epoch=1, costs=(1.0,))
    with pytest.raises(Stopped), record_run(command_line, "diagnose", HELD) as record:
        DiagnosisRecorder(record, Aim.train, compose, HELD.name).record_baseline(measured)
    nested = record.client.search_runs(
        [record.experiment_id], f"tags.`mlflow.parentRunId` = '{record.run_id}'"
    )
    assert [run.info.status for run in nested] == ["KILLED"]


def trial(settings: object) -> dict[str, object]:
    """What is trained, without what is around it."""
    return {
        key: value
        for key, value in flatten(settings)
        if key.partition(".")[0] not in save_experiment.NOT_SAVED
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diagnose.seeds=1"], "diagnose.seeds must be >= 2"),
        (["diagnose.save=article"], "diagnose.save must be a new name, got article"),
        (["diagnose.save=a/b"], "diagnose.save must be letters"),
        (["diagnose.aim=speed"], "diagnose.aim must be one of train, latency"),
        (["diagnose.tolerance=2"], "diagnose.tolerance must be"),
        (["device=gpu", "device.count=2"], "device.count must be 1 for diagnose"),
    ],
)
def test_a_mistake_is_one_line_and_records_nothing(fulcrum: Run, words: list[str], message: str) -> None:
    done = fulcrum("diagnose", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_attempt_that_did_not_hold_on_fresh_seeds_counts_as_kept_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What MLflow has is what the terminal says: `2, 1 kept`."""
    baseline = MeasuredCommand(("train.epochs=2",), (), 1, (2.0,))
    better = MeasuredCommand(("train.epochs=1",), (), 1, (1.0,))
    monkeypatch.setattr(MeasuredCommand, "point", property(lambda self: Point(0.9, self.costs[0])))
    proposal: Any = SimpleNamespace(remedy="fewer epochs", words=better.words)
    attempt = Attempt(number=1, proposal=proposal, words=(), before=baseline, after=better, kept=True)
    conclusion = Conclusion(
        result=better, fresh_accuracies=(), lengthened=False, rejected=(better,), reason="the end"
    )
    logged: dict[str, float] = {}
    record: Any = SimpleNamespace(cost_metric="cpu_seconds", run_id="r", client=None, set_tags=lambda _: None)
    recorder = DiagnosisRecorder(record, Aim.train, lambda words: compose([*words]), "a CPU")
    monkeypatch.setattr(recorder, "_log_metrics", lambda _, metrics: logged.update(metrics))
    monkeypatch.setattr(recorder, "_log_at_cost", lambda *_: None)
    monkeypatch.setattr(diagnosis_recorder, "log_long_overrides", lambda *_: None)
    recorder.record_result(baseline, conclusion, [attempt, replace(attempt, number=2)])
    assert (logged["attempts"], logged["attempts_kept"]) == (2, 1)
