"""A study read back from MLflow is the study that was written."""

import math
import time

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from pipeline.cli.compose import compose
from pipeline.errors import BadInput
from pipeline.measures import Curve, Epoch, Point
from pipeline.search.results import Results
from pipeline.search.workers.job import TrialOutcome
from pipeline.settings.searching.measures import ACCURACY_MEASURE
from pipeline.settings.searching.objectives import OBJECTIVES
from pipeline.tracking import mlflow_store, read_study, shared_views
from pipeline.tracking.metrics.curve import list_trial_metrics
from pipeline.tracking.mlflow_runs import make_metrics
from pipeline.tracking.study_runs import CONFIRMED_RUN
from pipeline.tracking.study_view import LOST
from tests.support.planted import METRIC, planted
from tests.support.studies import tried

RUN = "python -m pipeline run data=digits"
SGD = tried(0, (0.5, 1.0), (0.6, 2.0), command=f"{RUN} optimizer=sgd optimizer.momentum=0.9 train.epochs=2")
ADAM = tried(1, (0.7, 1.5), command=f"{RUN} optimizer=adam train.epochs=1", state="paused")
LATE = tried(2, (0.4, 3.0), command=f"{RUN} optimizer=adam", fair_midway=False)
BROKEN = tried(3, command=f"{RUN} optimizer=sgd", state="failed")
STUDY = Results(study="it's read", data="digits", trials=(SGD, ADAM, LATE, BROKEN))


@pytest.fixture(scope="session")  # one module may be left and come back to: what it plants stays
def experiment(ground: dict[str, str]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in ground.items():
            patch.setenv(key, value)
        client = mlflow_store.open_store()
        planted(client, Results(study="older", data="digits", trials=(ADAM,)), "recorded")
        planted(client, Results(study="patient", data="digits", trials=(SGD,)), "patient")
        confirm(client, "patient", seed=1, accuracy=0.58, state="complete", epochs=20)
        confirm(client, "patient", seed=3, accuracy=0.10, state="failed", epochs=20)
        planted(client, STUDY, "recorded")
        confirm(client, STUDY.study, seed=1, accuracy=0.58, state="complete")
        confirm(client, STUDY.study, seed=2, accuracy=0.20, state="complete")
        confirm(client, STUDY.study, seed=3, accuracy=0.10, state="failed")
        confirm(client, STUDY.study, seed=2, accuracy=0.60, state="complete", later=1000)  # once more
        confirm(client, STUDY.study, seed=4, accuracy=0.20, state="complete", run="of another trial 0")
        confirm(client, STUDY.study, seed=5, accuracy=0.20, state="failed", run="of another trial 0")
    return "recorded"


def confirm(
    client: MlflowClient,
    study: str,
    seed: int,
    accuracy: float,
    state: str,
    epochs: int = 2,
    run: str | None = None,
    later: int = 0,
) -> None:
    """Trial 0, epoch 2, trained again; `epochs`: of its command; `run`: of the trial that was confirmed;
    `later`: it began so many milliseconds from now.
    """
    tags = {"study": study, "trial": "0", "role": "confirm", "trial_state": state}
    tags |= {CONFIRMED_RUN: run} if run else {}
    where = mlflow_store.find_or_create_experiment(client, "patient" if study == "patient" else "recorded")
    run_id = client.create_run(where, int(time.time() * 1000) + later, tags=tags).info.run_id
    values = {"accuracy": accuracy, "evaluate/test_accuracy": accuracy - 0.01, METRIC: 2.1}
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, 0, 2) for key, value in values.items()],
        params=[Param("train.epochs", str(epochs)), Param("train.seed", str(seed))],
    )
    client.set_terminated(run_id)


def make_epochs(*accuracies: float) -> tuple[Epoch, ...]:
    return tuple(
        Epoch(
            number=number,
            device_seconds=float(number),
            train_loss=0.1,
            validation_loss=0.1,
            validation_accuracy=accuracy,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    )


def record(client: MlflowClient, experiment: str, ended: TrialOutcome) -> str:
    """Log the metrics of a trial in a run of its own."""
    unit, price = shared_views.MILLISECONDS, compose([]).settings.price
    run_id = str(client.create_run(mlflow_store.find_or_create_experiment(client, experiment)).info.run_id)
    for step, values in list_trial_metrics(ended, "cpu_seconds", ACCURACY_MEASURE, unit, price):
        client.log_batch(run_id, metrics=make_metrics(values, step))
    return run_id


def test_a_study_comes_back_as_it_was(experiment: str) -> None:
    found = read_study.read_results(mlflow_store.open_store(), experiment, STUDY.study)
    assert (found.study, found.data, found.device) == (STUDY.study, "digits", STUDY.device)
    assert [each.number for each in found.trials] == [0, 1, 2, 3]
    for read, written in zip(found.trials, STUDY.trials, strict=True):
        assert read.points == written.points
        assert (read.state, read.fair_midway, read.command) == (
            written.state,
            written.fair_midway,
            written.command,
        )
    assert [(member.trial.number, member.epoch) for member in found.frontier] == [
        (member.trial.number, member.epoch) for member in STUDY.frontier
    ]


def test_params_are_what_differs(experiment: str) -> None:
    found = read_study.read_results(mlflow_store.open_store(), experiment, STUDY.study)
    assert found.trials[0].params == {"optimizer": "sgd", "optimizer.momentum": 0.9}
    assert found.trials[1].params == {"optimizer": "adam"}


def test_confirmations_come_back(experiment: str) -> None:
    found = read_study.read_results(mlflow_store.open_store(), experiment, STUDY.study)
    (epoch, new), *others = found.trials[0].confirmations.items()
    assert not others
    assert (epoch, new.seeds, new.accuracies) == (2, (1, 2), (0.58, 0.60))
    assert math.isclose(new.test_accuracy, 0.58)
    assert found.trials[0].failed_seeds == {2: (3,)}


@pytest.mark.usefixtures("experiment")
def test_confirmations_of_a_trial_that_ran_out_of_patience_are_of_its_end() -> None:
    (trial,) = read_study.read_results(mlflow_store.open_store(), "patient").trials
    assert {epoch: new.seeds for epoch, new in trial.confirmations.items()} == {2: (1,)}
    assert trial.failed_seeds == {2: (3,)}


def test_a_state_comes_back_with_the_accuracy_of_the_weights_that_are_kept(experiment: str) -> None:
    epochs = make_epochs(0.8, 0.7)
    states = Point(0.8, 1.0), Point(0.8, 2.0)
    ended = TrialOutcome(
        status="complete", curve=Curve("a CPU", True, epochs), chosen_epoch=epochs[0], states=states
    )
    client = mlflow_store.open_store()
    run_id = record(client, experiment, ended)
    run = client.get_run(run_id)
    assert read_study.read_curve(client, run, (), ACCURACY_MEASURE) == states == ended.points
    raw = client.get_metric_history(run_id, "train/validation_accuracy")
    assert [each.value for each in raw] == [0.8, 0.7]
    client.delete_run(run_id)


def test_what_a_loop_reports_after_each_epoch_comes_back_at_its_epoch(experiment: str) -> None:
    epochs = make_epochs(0.8, 0.8)
    further = {"size_mb": (0.5, 0.75), "parameters": (30.0, 40.0)}
    ended = TrialOutcome(
        status="complete", curve=Curve("a CPU", True, epochs), chosen_epoch=epochs[1], further=further
    )
    client = mlflow_store.open_store()
    run_id = record(client, experiment, ended)
    kinds = [OBJECTIVES[name] for name in further]
    points = read_study.read_curve(client, client.get_run(run_id), kinds, ACCURACY_MEASURE)
    assert [point.further for point in points] == [(0.5, 30.0), (0.75, 40.0)]
    assert [each.step for each in client.get_metric_history(run_id, "profile/model_bytes")] == [1, 2]
    client.delete_run(run_id)


def test_a_trial_that_its_study_has_no_more_is_none(experiment: str) -> None:
    """Another has its number since `studies.db` was put back."""
    client = mlflow_store.open_store()
    tags = {"study": STUDY.study, "trial": "0", "trial_state": "complete", **LOST}
    run_id = client.create_run(
        mlflow_store.find_or_create_experiment(client, experiment), tags=tags
    ).info.run_id
    found = read_study.read_results(client, experiment, STUDY.study)
    assert [each.number for each in found.trials] == [0, 1, 2, 3]
    client.delete_run(run_id)


def test_the_newest_study_is_taken(experiment: str) -> None:
    client = mlflow_store.open_store()
    assert read_study.list_studies(client, experiment) == ["older", STUDY.study]
    assert read_study.read_results(client, experiment).study == STUDY.study


def test_no_study_is_told_in_one_line(experiment: str) -> None:
    client = mlflow_store.open_store()
    with pytest.raises(BadInput, match=r"in the experiment nowhere \(none\), got nothing; begin one with"):
        read_study.read_results(client, "nowhere")
    with pytest.raises(BadInput, match=r"\(older, it's read\), got lost"):
        read_study.read_results(client, experiment, "lost")
