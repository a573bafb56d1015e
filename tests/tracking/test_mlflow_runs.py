"""Runs: opened with an owner, written within MLflow's limits, searched page by page, ended as orphans."""

import os
from pathlib import Path

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.tracking import mlflow_runs

# ---- owners -----------------------------------------------------------------------------------------------


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


# ---- params and tags of a command line -------------------------------------------------------------------


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
    written = {"long": long, "address": secret, "db_password": "geheim", "known": 1}
    mlflow_runs.log_params(client, run_id, written, existing={"known"})
    tags, params = client.get_run(run_id).data.tags, client.get_run(run_id).data.params
    assert (len(tags["created"]), len(tags["long"])) == (mlflow_runs.TAG_LIMIT, mlflow_runs.TAG_LIMIT)
    assert len(params["long"]) == mlflow_runs.PARAM_LIMIT
    assert tags["address"] == params["address"] == "postgresql://ann:***@host/db"
    assert params["db_password"] == "***"
    assert "known" not in params


def test_what_a_run_printed_is_logged_without_secrets_whatever_letters_it_has(
    client: mlflow.MlflowClient, experiment: str, tmp_path: Path
) -> None:
    run_id = mlflow_runs.create_run(client, experiment, "failed", {})
    mlflow_runs.log_output(client, run_id, "no postgresql://ann:pw@host/db for a\udcffb")
    path = client.download_artifacts(run_id, mlflow_runs.OUTPUT, str(tmp_path))
    assert Path(path).read_text() == "no postgresql://ann:***@host/db for a\\udcffb"


def test_more_metrics_than_one_call_takes(
    client: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")  # a queue, which a kill would lose
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
