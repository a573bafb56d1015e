"""Runs that this process has open say so again and again, and a run that has ended no more."""

import threading
from dataclasses import replace

import mlflow
import pytest

from pipeline.processes.process_owner import ProcessOwner
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.runs import orphans, owner_tags, run_lease
from pipeline.tracking.runs.run_lease import RunLease


@pytest.fixture
def runs(client: mlflow.MlflowClient) -> list[str]:
    experiment = mlflow_store.find_or_create_experiment(client, "leases")
    return [mlflow_runs.create_run(client, experiment, name, {}) for name in ("one", "two")]


def set_old(client: mlflow.MlflowClient, run_id: str) -> None:
    client.set_tag(run_id, owner_tags.HEARTBEAT, "1")


def is_renewed(client: mlflow.MlflowClient, run_id: str) -> bool:
    return float(client.get_run(run_id).data.tags[owner_tags.HEARTBEAT]) > 1


def test_a_run_begins_with_a_lease(client: mlflow.MlflowClient, runs: list[str]) -> None:
    assert is_renewed(client, runs[0])


def test_what_is_held_is_renewed_and_what_was_dropped_or_deleted_is_not(
    client: mlflow.MlflowClient, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = client.get_run(runs[0]).info.experiment_id
    deleted = mlflow_runs.create_run(client, experiment, "deleted", {})
    client.delete_run(deleted)
    lease = RunLease(client, deleted, *runs)
    lease.drop(runs[1])
    for run_id in runs:
        set_old(client, run_id)
    lease.renew()
    assert [is_renewed(client, run_id) for run_id in runs] == [True, False]
    lease.hold(runs[1])
    lease.renew()
    assert not is_renewed(client, runs[1]), "its first lease has just begun"
    monkeypatch.setattr(run_lease, "HEARTBEAT_SECONDS", 0.0)
    lease.hold(runs[1])
    lease.renew()
    assert is_renewed(client, runs[1])


def test_who_renews_last_holds_a_run_that_several_share(client: mlflow.MlflowClient, runs: list[str]) -> None:
    """The process that opened the run of a study was killed; another one still works on the study."""
    gone = replace(ProcessOwner.current(), pid=99999999).to_dict()
    for tag, field in owner_tags.OWNER_TAGS.items():
        if field in gone:
            client.set_tag(runs[0], tag, str(gone[field]))
    RunLease(client, runs[0]).renew()
    assert runs[0] not in orphans.end_orphans(client)


def test_it_is_renewed_while_the_block_runs(
    client: mlflow.MlflowClient, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lease, "HEARTBEAT_SECONDS", 0.01)
    renewed, renew = threading.Event(), RunLease.renew

    def renew_and_tell(self: RunLease) -> None:
        renew(self)
        renewed.set()

    monkeypatch.setattr(RunLease, "renew", renew_and_tell)
    set_old(client, runs[0])
    with RunLease(client, runs[0]):
        assert renewed.wait(60)
    assert is_renewed(client, runs[0])
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]
