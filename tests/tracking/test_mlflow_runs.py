"""Runs: opened with an owner, written within MLflow's limits, searched page by page, ended as orphans."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import psutil
import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting
from pipeline.processes import LEASE_SECONDS, ProcessOwner
from pipeline.settings.addresses import CHECKOUT
from pipeline.tracking import mlflow_runs, mlflow_store

ME = ProcessOwner.current()
PROJECT = {"mlflow.project.entryPoint": "main", "mlflow.source.type": "PROJECT"}


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


@pytest.fixture
def experiment(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> Iterator[str]:
    experiment_id = mlflow_store.find_or_create_experiment(client, request.node.name)
    yield experiment_id
    client.delete_experiment(experiment_id)


def tags_of(owner: ProcessOwner) -> dict[str, str]:
    fields = owner.to_dict()
    return {tag: str(fields[field]) for tag, field in mlflow_runs.OWNER_TAGS.items() if field in fields}


def running(client: mlflow.MlflowClient, experiment: str, tags: dict[str, str]) -> str:
    return str(client.create_run(experiment, tags=tags).info.run_id)


def status(client: mlflow.MlflowClient, run_id: str) -> str:
    return str(client.get_run(run_id).info.status)


# ---- owners -----------------------------------------------------------------------------------------------


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
            mlflow_runs.make_owner_tags(),
            {"host": host, "pid": str(os.getpid()), "pid_started": started},
            {"host": "another", "pid": str(dead.pid), "pid_started": "1"},
            {"host": host, "pid": str(dead.pid)},  # tags of somebody else's product
            {},
        )
    ]
    assert {*mlflow_runs.end_orphans(client)} & {*ended, *kept} == {*ended}
    assert [status(client, run) for run in ended] == ["KILLED"] * len(ended)
    assert [status(client, run) for run in kept] == ["RUNNING"] * len(kept)


@pytest.mark.skipif(ME.boot_id is None or ME.pid_namespace is None, reason="boots have no name here")
def test_a_container_with_this_host_name_keeps_its_runs(client: mlflow.MlflowClient, experiment: str) -> None:
    other = running(client, experiment, tags_of(replace(ME, pid=99999999, pid_namespace=1)))
    assert other not in mlflow_runs.end_orphans(client)
    assert status(client, other) == "RUNNING"


@pytest.mark.skipif(ME.boot_id is None or ME.pid_namespace is None, reason="boots have no name here")
def test_a_run_ends_that_was_killed_under_another_host_name(
    client: mlflow.MlflowClient, experiment: str
) -> None:
    """A laptop's name changes with its network."""
    killed = running(client, experiment, tags_of(replace(ME, pid=99999999, host="before")))
    assert killed in mlflow_runs.end_orphans(client)


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
    now, long = time.time(), LEASE_SECONDS + mlflow_runs.CLOCK_SECONDS
    ages = {"old": long + 5, "recent": long - 60, "of a clock that is fast": -3600}
    runs = {
        name: running(client, experiment, {**tags_of(owner), mlflow_runs.HEARTBEAT: f"{now - age:.0f}"})
        for name, age in ages.items()
    }
    of_0_1_0 = running(client, experiment, tags_of(owner))
    ended = mlflow_runs.end_orphans(client)
    assert [name for name, run in runs.items() if run in ended] == ["old"]
    assert status(client, runs["old"]) == "KILLED"
    assert status(client, of_0_1_0) == "RUNNING"  # nobody renews it, and nobody can tell


def test_a_run_of_a_user_without_a_name_bears_the_number(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `docker run --user 12345`, which /etc/passwd does not know."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(mlflow_runs, "getuser", nameless)
    run_id = mlflow_runs.create_run(client, experiment, "a run", {})
    assert client.get_run(run_id).data.tags["mlflow.user"] == str(os.getuid())


# ---- runs that `mlflow run` opened ------------------------------------------------------------------------


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
    monkeypatch.setattr(mlflow_runs, "_is_mlflow_run_alive", lambda: True)
    assert left not in mlflow_runs.end_orphans(client)
    monkeypatch.setattr(mlflow_runs, "_is_mlflow_run_alive", lambda: False)
    assert (left in mlflow_runs.end_orphans(client)) is ours


def test_the_live_run_of_another_project_stays(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlflow.projects.run` of a script opens such a run, and no process is called `mlflow run`."""
    theirs = running(client, experiment, {"mlflow.project.entryPoint": "main"})
    monkeypatch.setattr(mlflow_runs, "_is_mlflow_run_alive", lambda: False)
    assert theirs not in mlflow_runs.end_orphans(client)
    assert status(client, theirs) == "RUNNING"


# ---- params and tags of a command line -------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("data=fsdd", "model=cnn", "optimizer=sgd", "augment=none"),
        ("data=csv", "data.path=x.csv", "data.label=y"),
        ("data=rt_polarity", "model=text"),
        ("data=image_folder", "data.path=x", "augment=shift", "schedule=cosine", "precision=mixed_float16"),
        ("data=audio_folder", "data.path=x", "model=cnn", "optimizer=sgd", "loss.label_smoothing=0.1"),
    ],
)
def test_a_run_has_the_params_that_can_matter(words: tuple[str, ...]) -> None:
    params = mlflow_runs.make_params(compose(words))
    assert len(params) <= 40
    always = {"data", "model", "optimizer", "optimizer.learning_rate", "train.epochs", "train.seed"}
    assert always <= params.keys()
    sounds = {"data=fsdd", "data=audio_folder"} & set(words)
    of_data = {"spectrogram": bool(sounds), "vocabulary": "model=text" in words}
    for group, wanted in of_data.items():
        assert any(key.startswith(f"{group}.") for key in params) == wanted
    assert not [key for key in params if key.startswith(("search", "tracking", "diagnose", "ui"))]


def test_what_was_typed_is_a_param_in_any_case() -> None:
    typed = ("device.pin=false", "augment.shift=0.0", "predict.output=a.csv", "evaluate.worst=3")
    assert set(mlflow_runs.make_params(compose(typed))) >= {word.partition("=")[0] for word in typed}


def test_a_study_has_how_it_searches_and_what_was_typed() -> None:
    plan = make_plan(["search=quick", "model.hidden=8,16", "optimizer=adam", "train.epochs=3"])
    params = mlflow_runs.make_study_params(plan.command_line)
    assert (params["model.hidden"], params["optimizer"], params["train.epochs"]) == ("8,16", "adam", "3")
    assert params["search.sampler"] == "frontier"
    assert "model.layers" not in params
    assert len(params) <= 40


def test_the_users_tags_and_the_parent_of_a_run(client: mlflow.MlflowClient, experiment: str) -> None:
    outer = mlflow_runs.create_run(client, experiment, "outer", {})
    typed = compose([f"tracking.tags={{team: vision, mlflow.parentRunId: {outer}}}"])
    mlflow_runs.check_user_tags(client, typed)
    assert mlflow_runs.make_user_tags(typed) == {"team": "vision", "mlflow.parentRunId": outer}
    assert mlflow_runs.make_user_tags(typed, nested=True) == {"team": "vision"}
    with mlflow.start_run(run_id=outer):
        assert mlflow_runs.make_user_tags(compose([])) == {"mlflow.parentRunId": outer}
    client.delete_run(outer)
    for gone in (outer, "no-such-run"):
        with pytest.raises(BadSetting, match=r"must name a run that exists as mlflow\.parentRunId"):
            mlflow_runs.check_user_tags(client, compose([f"tracking.tags={{mlflow.parentRunId: {gone}}}"]))


# ---- limits and pages -------------------------------------------------------------------------------------


def test_what_is_too_long_is_cut_and_what_is_secret_masked(
    client: mlflow.MlflowClient, experiment: str
) -> None:
    long, secret = "x" * 20_000, "postgresql://ann:pw@host/db"
    run_id = mlflow_runs.create_run(client, experiment, "long", {"created": long})
    mlflow_runs.set_tags(client, run_id, {"long": long, "address": secret})
    mlflow_runs.log_params(client, run_id, {"long": long, "address": secret, "known": 1}, existing={"known"})
    tags, params = client.get_run(run_id).data.tags, client.get_run(run_id).data.params
    assert (len(tags["created"]), len(tags["long"])) == (mlflow_runs.TAG_LIMIT, mlflow_runs.TAG_LIMIT)
    assert len(params["long"]) == mlflow_runs.PARAM_LIMIT
    assert tags["address"] == params["address"] == "postgresql://ann:***@host/db"
    assert "known" not in params


def test_more_metrics_than_one_call_takes(client: mlflow.MlflowClient, experiment: str) -> None:
    run_id = mlflow_runs.create_run(client, experiment, "many", {})
    count = mlflow_runs.BATCH_LIMIT + 1
    metrics = [
        metric for step in range(count) for metric in mlflow_runs.make_metrics({"m": step, "n": None}, step)
    ]
    mlflow_runs.log_metrics(client, run_id, metrics)
    assert len(client.get_metric_history(run_id, "m")) == count
    assert "n" not in client.get_run(run_id).data.metrics


def test_all_pages_are_read(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {mlflow_runs.create_run(client, experiment, str(i), {"k": "it's"}) for i in range(5)}
    mlflow_runs.create_run(client, experiment, "another", {"k": "its"})
    monkeypatch.setattr(mlflow_runs, "PAGE_SIZE", 2)
    found = mlflow_runs.search_runs(client, [experiment], "tags.k = " + mlflow_runs.quote("it's"))
    assert {run.info.run_id for run in found} == runs
    assert list(mlflow_runs.search_runs(client, [], "")) == []


def test_files_lie_at_their_paths(client: mlflow.MlflowClient, experiment: str) -> None:
    run_id = mlflow_runs.create_run(client, experiment, "files", {})
    mlflow_runs.log_files(client, run_id, {"a/b.txt": b"1", "c.txt": b"2"})
    folder = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    assert ((folder / "a/b.txt").read_bytes(), (folder / "c.txt").read_bytes()) == (b"1", b"2")


def test_each_class_has_a_metric_of_its_own() -> None:
    classes = ["a?", "a!", "..", ".", "", "x" * 300, "x" * 301, "Yes", "yes", "plain", "a/b", "a|b"]
    parts = mlflow_runs.make_metric_names(classes)
    assert len({part.casefold() for part in parts}) == len(classes)
    assert parts[9] == "plain"
    assert all(0 < len(part) < 130 and "/" not in part and part.strip(".") for part in parts)
