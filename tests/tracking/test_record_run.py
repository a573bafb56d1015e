"""A run is opened, adopted or added to, and ends as what happened."""

import json
import os
import signal
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

import mlflow
import pytest
from mlflow.tracking import fluent

from pipeline import signals
from pipeline.cli.compose import compose
from pipeline.errors import Stopped
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Epoch
from pipeline.tracking import mlflow_runs, mlflow_store, run_recorder
from pipeline.tracking.record_run import record_run

HELD = ClaimedDevice("cpu", "some CPU, 1 core", 1, "/CPU:0")


def test_settings_command_and_owner_are_recorded(client: mlflow.MlflowClient) -> None:
    told = compose(["optimizer=sgd", "model.hidden=7"])
    with record_run(told, "run", HELD) as record:
        during = client.get_run(record.run_id)
    run = client.get_run(record.run_id)
    assert (during.info.status, run.info.status) == ("RUNNING", "FINISHED")
    assert run.info.run_name == "digits mlp 7 sgd float32"
    assert run.data.params["optimizer"] == "sgd"
    assert run.data.params["optimizer.learning_rate"] == "0.05"
    assert run.data.params["model.hidden"] == "7"
    assert run.data.tags["command"] == "python -m pipeline run optimizer=sgd model.hidden=7"
    assert json.loads(run.data.tags["overrides"]) == ["optimizer=sgd", "model.hidden=7"]
    assert run.data.tags["device"] == "some CPU, 1 core"
    assert {"host", "pid", "pid_started", "stage"} <= set(run.data.tags)


@pytest.mark.parametrize(
    ("raised", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (Stopped, "KILLED")]
)
def test_a_run_ends_as_what_happened(
    client: mlflow.MlflowClient, raised: type[BaseException], status: str
) -> None:
    with suppress(raised), record_run(compose([]), "run", HELD) as record:
        record.record_epoch(
            Epoch(number=1, device_seconds=0.5, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5)
        )
        raise raised
    run = client.get_run(record.run_id)
    assert run.info.status == status
    assert run.data.metrics["train/validation_accuracy"] == 0.5  # nothing lost


def test_a_signal_just_after_mlflow_opened_the_run_ends_it_as_killed(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow ends what is open when Python exits, as FINISHED: nothing may be left to it."""
    signals.listen()  # tests/conftest.py gives the handlers back
    start, opened = mlflow.start_run, []

    def start_and_be_stopped(run_id: str, **named: Any) -> mlflow.ActiveRun:
        opened.append(run_id)
        run = start(run_id, **named)
        os.kill(os.getpid(), signal.SIGTERM)
        return run

    with mlflow.start_run() as outer:
        monkeypatch.setattr(mlflow, "start_run", start_and_be_stopped)
        with pytest.raises(Stopped), record_run(compose([]), "run", HELD):
            pass
        assert mlflow.active_run() is outer
    assert client.get_run(opened[0]).info.status == "KILLED"
    assert client.get_run(outer.info.run_id).info.status == "FINISHED"


def test_a_signal_just_as_the_end_begins_takes_nothing_from_the_run(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals.listen()
    end = mlflow_store.wait_no_more

    def be_stopped(error: BaseException | None) -> AbstractContextManager[None]:
        signal.raise_signal(signal.SIGTERM)
        return end(error)

    monkeypatch.setattr(mlflow_store, "wait_no_more", be_stopped)
    with pytest.raises(Stopped), record_run(compose([]), "run", HELD) as record:
        record.add_metrics({"waiting": 1.0})
    run = client.get_run(record.run_id)
    assert (run.info.status, run.data.metrics["waiting"]) == ("FINISHED", 1.0)


@pytest.mark.parametrize("opens", [True, False])
def test_the_end_of_a_run_is_written_once(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    """By MLflow where it has opened the run, else by us."""
    ends, end = list[str](), mlflow.MlflowClient.set_terminated

    def note(self: mlflow.MlflowClient, run_id: str, *values: Any, **named: Any) -> None:
        ends.append(run_id)
        end(self, run_id, *values, **named)

    def fail(**_: Any) -> None:
        raise KeyError

    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", note)
    if not opens:
        monkeypatch.setattr(mlflow, "start_run", fail)
    with suppress(KeyError), record_run(compose([]), "run", HELD):
        pass
    (ended,) = ends
    assert client.get_run(ended).info.status == ("FINISHED" if opens else "FAILED")


@pytest.mark.parametrize(("raised", "status"), [(None, "PENDING"), (Stopped, "FAILED")])
def test_a_model_that_was_being_logged_as_the_run_was_stopped_is_pending_no_more(
    client: mlflow.MlflowClient, raised: type[BaseException] | None, status: str
) -> None:
    with suppress(Stopped), record_run(compose([]), "run", HELD) as record:
        model = client.create_logged_model(record.experiment_id, source_run_id=record.run_id)
        if raised is not None:
            raise raised
    assert str(client.get_logged_model(model.model_id).status) == status


def test_the_run_of_mlflow_run_is_adopted_not_doubled(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = mlflow_store.find_or_create_experiment(client, "adopting")
    tags = {"mlflow.source.git.repoURL": "https://secret@host/repo"}
    opened = client.create_run(experiment, tags=tags).info.run_id
    client.log_param(opened, "optimizer.learning_rate", "1e-3")  # as typed after -P
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    with record_run(compose(["optimizer.learning_rate=1e-3"]), "run", HELD) as record:
        pass
    assert record.run_id == opened
    assert len(client.search_runs([experiment])) == 1
    run = client.get_run(opened)
    assert run.data.params["optimizer.learning_rate"] == "1e-3"
    assert run.data.params["train.epochs"] == "10"
    assert "secret" not in run.data.tags["mlflow.source.git.repoURL"]


def test_a_finished_run_can_be_added_to(client: mlflow.MlflowClient) -> None:
    with record_run(compose([]), "run", HELD) as first:
        pass
    mlflow_runs.set_tags(client, first.run_id, {"pid": "1", "heartbeat": "1"})  # another process
    before = client.get_run(first.run_id)
    other = replace(HELD, name="another CPU, 1 core", cores=(7,))
    with record_run(compose(["train.epochs=3"]), "evaluate", other, run_id=first.run_id) as second:
        second.record_epoch(
            Epoch(number=1, device_seconds=0.5, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5)
        )
        # A kill, at any moment, leaves it as the finished run that it is.
        assert client.get_run(first.run_id).info.status == "FINISHED"
    run = client.get_run(first.run_id)
    assert run.data.metrics["train/validation_accuracy"] == 0.5
    assert (run.info, run.data.tags, run.data.params) == (before.info, before.data.tags, before.data.params)


def test_a_run_that_trains_still_is_left_to_its_process(client: mlflow.MlflowClient) -> None:
    with record_run(compose([]), "run", HELD) as first:
        before = client.get_run(first.run_id).data.tags
        with record_run(compose([]), "serve-bench", HELD, run_id=first.run_id) as second:
            second.add_metrics({"a": 1.0})
        run = client.get_run(first.run_id)
        assert (run.info.status, run.data.tags) == ("RUNNING", before)


def test_a_finished_run_stays_finished_where_adding_to_it_fails(client: mlflow.MlflowClient) -> None:
    with record_run(compose([]), "run", HELD) as first:
        pass
    with suppress(ValueError), record_run(compose([]), "evaluate", HELD, run_id=first.run_id):
        raise ValueError
    assert client.get_run(first.run_id).info.status == "FINISHED"


def test_a_run_has_its_owner_from_its_first_moment(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill right after the run was created must leave something that the next start can find."""

    def killed(*_: object) -> None:
        raise SystemError

    monkeypatch.setattr(run_recorder.RunRecorder, "__init__", killed)
    experiment = mlflow_store.find_or_create_experiment(client, "fulcrum")
    before = {run.info.run_id for run in client.search_runs([experiment])}
    with suppress(SystemError), record_run(compose([]), "run", HELD):
        pytest.fail("never opened")
    (left,) = [run for run in client.search_runs([experiment]) if run.info.run_id not in before]
    assert left.info.status == "RUNNING"
    assert {"host", "pid", "pid_started"} <= set(left.data.tags)


def test_a_password_in_a_path_is_recorded_nowhere(client: mlflow.MlflowClient) -> None:
    told = compose(["data=arrays", "data.path=https://ann:geheim@host/data.npz"])
    with record_run(told, "run", HELD) as record:
        pass
    run = client.get_run(record.run_id)
    assert "geheim" not in str(run.to_dictionary())
    assert run.data.params["data.path"] == "https://ann:***@host/data.npz"


def test_a_program_may_have_set_another_experiment(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = mlflow_store.find_or_create_experiment(client, "of the program")
    monkeypatch.setattr(fluent, "_active_experiment_id", other)  # as `mlflow.set_experiment` does
    command_line = compose(["tracking.experiment=of the word"])
    with record_run(command_line, "run", HELD) as recorder:
        active = mlflow.active_run()
        assert active is not None
        assert (active.info.run_id, active.info.experiment_id) == (recorder.run_id, recorder.experiment_id)
    assert client.get_experiment(recorder.experiment_id).name == "of the word"
    assert fluent._active_experiment_id == other
