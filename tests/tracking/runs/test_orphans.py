"""Runs that nobody holds any more end, and no others."""

import os
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

import mlflow
import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from pipeline.processes.process_owner import LEASE_SECONDS, ProcessOwner
from pipeline.settings.addresses import CHECKOUT
from pipeline.tracking.runs import orphans, owner_tags

ME = ProcessOwner.current()


PROJECT = {"mlflow.project.entryPoint": "main", "mlflow.source.type": "PROJECT"}


def tags_of(owner: ProcessOwner) -> dict[str, str]:
    fields = owner.to_dict()
    return {tag: str(fields[field]) for tag, field in owner_tags.OWNER_TAGS.items() if field in fields}


def running(client: mlflow.MlflowClient, experiment: str, tags: dict[str, str]) -> str:
    return str(client.create_run(experiment, tags=tags).info.run_id)


def status(client: mlflow.MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


def test_runs_of_dead_processes_end_and_no_others(client: mlflow.MlflowClient, experiment: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    started = f"{psutil.Process().create_time():.0f}"
    by_0_1_0 = [
        {"host": host, "pid": str(dead.pid), "pid_started": "1"},
        {"host": host, "pid": str(os.getpid()), "pid_started": "1"},  # the id was used again
    ]
    ended = [running(client, experiment, tags) for tags in [*by_0_1_0, tags_of(replace(ME, pid=dead.pid))]]
    kept = [
        running(client, experiment, tags)
        for tags in (
            owner_tags.make_owner_tags(),
            {"host": host, "pid": str(os.getpid()), "pid_started": started},
            {"host": "another", "pid": str(dead.pid), "pid_started": "1"},
            {"host": host, "pid": str(dead.pid)},  # tags of somebody else's product
            {},
        )
    ]
    models = [client.create_logged_model(experiment, source_run_id=run) for run in (ended[0], kept[0])]
    assert {*orphans.end_orphans(client)} & {*ended, *kept} == {*ended}
    models = [client.get_logged_model(model.model_id) for model in models]
    assert [str(model.status) for model in models] == ["FAILED", "PENDING"]
    assert [status(client, run) for run in ended] == ["KILLED"] * len(ended)
    crashed = running(client, experiment, tags_of(replace(ME, pid=dead.pid)))
    orphans.end_crashed(client, dead.pid)
    assert status(client, crashed) == "FAILED"
    assert [status(client, run) for run in kept] == ["RUNNING"] * len(kept)


@pytest.mark.skipif(ME.boot_id is None or ME.pid_namespace is None, reason="boots have no name here")
def test_a_container_with_this_host_name_keeps_its_runs(client: mlflow.MlflowClient, experiment: str) -> None:
    other = running(client, experiment, tags_of(replace(ME, pid=99999999, pid_namespace=1)))
    assert other not in orphans.end_orphans(client)
    assert status(client, other) == "RUNNING"


@pytest.mark.skipif(ME.boot_id is None or ME.pid_namespace is None, reason="boots have no name here")
def test_a_run_ends_that_was_killed_under_another_host_name(
    client: mlflow.MlflowClient, experiment: str
) -> None:
    """A laptop's name changes with its network."""
    killed = running(client, experiment, tags_of(replace(ME, pid=99999999, host="before")))
    assert killed in orphans.end_orphans(client)


@pytest.mark.skipif(ME.boot_id is None or ME.pid_namespace is None, reason="boots have no name here")
@pytest.mark.parametrize(
    "owner",
    [
        replace(ME, boot_id=32 * "0"),  # before a reboot, or a machine of the same image
        replace(ME, host="3f2a1b", pid=1, pid_namespace=1),  # a container that is gone, or one that lives
        replace(ME, host="another", boot_id=32 * "1"),
    ],
)
def test_a_run_out_of_sight_ends_when_its_lease_is_over(
    client: mlflow.MlflowClient, experiment: str, owner: ProcessOwner
) -> None:
    now, long = time.time(), LEASE_SECONDS + orphans.CLOCK_SECONDS
    ages = {"old": long + 5, "recent": long - 60, "of a clock that is fast": -3600}
    runs = {
        name: running(client, experiment, {**tags_of(owner), owner_tags.HEARTBEAT: f"{now - age:.0f}"})
        for name, age in ages.items()
    }
    of_0_1_0 = running(client, experiment, tags_of(owner))
    ended = orphans.end_orphans(client)
    assert [name for name, run in runs.items() if run in ended] == ["old"]
    assert status(client, runs["old"]) == "KILLED"
    assert status(client, of_0_1_0) == "RUNNING"  # nobody renews it, and nobody can tell


@pytest.mark.parametrize(
    ("source", "ours"),
    [
        (str(CHECKOUT), True),
        (f"file://{CHECKOUT}", True),
        (f"file://{CHECKOUT.parent}#{CHECKOUT.name}", True),
        (f"{CHECKOUT}-other", False),
        ("file:///somewhere/else", False),
        ("https://example.org/other-team/project", False),
        ("", False),
    ],
)
def test_a_run_that_mlflow_run_opened_and_left_ends_if_it_is_of_this_project(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch, source: str, ours: bool
) -> None:
    left = running(client, experiment, PROJECT | {"mlflow.source.name": source})
    monkeypatch.setattr(orphans, "_is_mlflow_run_alive", lambda: True)
    assert left not in orphans.end_orphans(client)
    monkeypatch.setattr(orphans, "_is_mlflow_run_alive", lambda: False)
    assert (left in orphans.end_orphans(client)) is ours


def test_the_live_run_of_another_project_stays(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlflow.projects.run` of a script opens such a run, and no process is called `mlflow run`."""
    theirs = running(client, experiment, {"mlflow.project.entryPoint": "main"})
    monkeypatch.setattr(orphans, "_is_mlflow_run_alive", lambda: False)
    assert theirs not in orphans.end_orphans(client)
    assert status(client, theirs) == "RUNNING"


@pytest.mark.parametrize(
    ("text", "code"),
    [("ann may only read", "PERMISSION_DENIED"), ("API request to http://host failed", "INTERNAL_ERROR")],
)
def test_a_run_that_others_keep_by_their_rights_stops_no_command(
    text: str,
    code: str,
    client: mlflow.MlflowClient,
    experiment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a server with users; one that does not answer is told."""
    run_id = running(client, experiment, tags_of(replace(ME, pid=99999999)))

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException(text, error_code=ErrorCode.Value(code))

    with monkeypatch.context() as patch:
        patch.setattr(client, "set_terminated", refuse)
        lost = code == "INTERNAL_ERROR"
        with pytest.raises(MlflowException, match="API request") if lost else nullcontext():
            orphans.end_orphans(client)
    assert status(client, run_id) == "RUNNING"
    assert run_id in orphans.end_orphans(client)
