"""Runs that are written many at once: the same rows as by MLflow's client, and what is left to that."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text

from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.runs import bulk_runs
from pipeline.tracking.runs.bulk_runs import NewRun, RunChange

TAGS = {"mlflow.runName": "a run", "mlflow.user": "ann", "stage": "trial", "note": "a\nb"}
PARAMS = {"model.hidden": "64", "optimizer": "adam"}
METRICS = [
    Metric("train/loss", 0.5, 1, 1),
    Metric("train/loss", 0.25, 1, 2),
    Metric("train/loss", 0.25, 1, 2),
    Metric("accuracy", 0.9, 2, 0),
    Metric("accuracy", 0.8, 2, 0),
    Metric("cost", math.inf, 1, 0),
]
END = {"trial_state": "complete", "stage": "ended"}
TABLES = {"runs": "name", "tags": "key", "params": "key", "metrics": "key, step", "latest_metrics": "key"}
OWN = ("run_uuid", "artifact_uri", "start_time", "end_time")


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


@pytest.fixture
def experiment(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> str:
    return mlflow_store.find_or_create_experiment(client, request.node.name)


def read_rows(client: mlflow.MlflowClient, run_id: str) -> Iterator[dict[str, Any]]:
    """All that the database has of a run, but for its id and moments."""
    engine = create_engine(client.tracking_uri)
    with engine.connect() as connection:
        for table, order in TABLES.items():
            query = text(f"SELECT * FROM {table} WHERE run_uuid = :run ORDER BY {order}, 1, 2")
            for row in connection.execute(query, {"run": run_id}).mappings():
                yield {key: value for key, value in row.items() if key not in OWN}
    engine.dispose()


def insert(client: mlflow.MlflowClient, experiment: str, count: int = 1) -> list[str]:
    run_ids = bulk_runs.insert_runs(client, experiment, [NewRun("a run", TAGS, PARAMS)] * count)
    assert run_ids is not None
    return run_ids


def test_a_tag_of_many_runs_is_read_as_by_the_client(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ids = [*insert(client, experiment, 2), "gone"]
    client.set_tag(run_ids[1], "mlflow.runColor", "#123456")
    at_once = bulk_runs.read_tag(client, run_ids, "mlflow.runColor")
    monkeypatch.setattr(bulk_runs, "_find_database", lambda _: None)
    assert bulk_runs.read_tag(client, run_ids, "mlflow.runColor") == at_once == {run_ids[1]: "#123456"}


def test_the_rows_are_those_of_the_client(client: mlflow.MlflowClient, experiment: str) -> None:
    theirs = client.create_run(experiment, run_name="a run", tags=TAGS).info.run_id
    mlflow_runs.log_params(client, theirs, PARAMS)
    run_ids = insert(client, experiment, 2)
    assert list(read_rows(client, run_ids[0])) == list(read_rows(client, theirs))
    mlflow_runs.log_metrics(client, theirs, METRICS, END)
    client.set_terminated(theirs, status="FAILED")
    assert bulk_runs.change_runs(client, [RunChange(each, END, METRICS, "FAILED") for each in run_ids])
    expected = list(read_rows(client, theirs))
    assert [list(read_rows(client, each)) for each in run_ids] == [expected] * 2
    ours, read = (client.get_run(each) for each in (run_ids[1], theirs))
    assert (ours.data.metrics, ours.data.tags) == (read.data.metrics, read.data.tags)
    assert ours.info.end_time >= ours.info.start_time >= read.info.start_time
    places = [Path(each.info.artifact_uri).parts for each in (ours, read)]
    assert [(*place[:-2], place[-1]) for place in places] == [(*places[0][:-2], "artifacts")] * 2


def test_what_was_deleted_or_written_before_is_left_to_the_client(
    client: mlflow.MlflowClient, experiment: str
) -> None:
    kept, deleted = insert(client, experiment, 2)
    client.delete_run(deleted)
    assert not bulk_runs.change_runs(client, [RunChange(kept, END), RunChange(deleted, END)])
    assert "trial_state" not in client.get_run(kept).data.tags
    assert bulk_runs.change_runs(client, [RunChange(kept, END, METRICS[:1])])
    assert not bulk_runs.change_runs(client, [RunChange(kept, {}, METRICS[:2])])
    client.delete_experiment(experiment)
    assert bulk_runs.insert_runs(client, experiment, [NewRun("a run", TAGS)]) is None
    assert bulk_runs.insert_runs(client, "987654", [NewRun("a run", TAGS)]) is None


def test_params_get_other_values(client: mlflow.MlflowClient, experiment: str) -> None:
    first, second = insert(client, experiment, 2)
    assert bulk_runs.replace_params(client, first, {"optimizer": "***"})
    assert client.get_run(first).data.params == PARAMS | {"optimizer": "***"}
    assert client.get_run(second).data.params == PARAMS


def test_a_name_that_mlflow_refuses_is_left_to_it(client: mlflow.MlflowClient, experiment: str) -> None:
    (run_id,) = insert(client, experiment)
    bad = [Metric("a?", 1.0, 1, 1)]
    assert not bulk_runs.change_runs(client, [RunChange(run_id, {}, bad)])
    with pytest.raises(MlflowException, match="Names may only contain"):
        client.log_batch(run_id, metrics=bad)
    assert bulk_runs.insert_runs(client, experiment, [NewRun("a run", {}, {"k" * 251: ""})]) is None


def test_a_server_is_asked_through_the_client() -> None:
    client = mlflow.MlflowClient("http://127.0.0.1:1")
    assert bulk_runs.insert_runs(client, "0", [NewRun("a run", {})]) is None
    assert not bulk_runs.change_runs(client, [RunChange("0" * 32, {})])
