"""The page of a study follows its search, takes a bounded share of the time, and is served beside MLflow."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from starlette.requests import Request

from pipeline.reports import study_html
from pipeline.search.results import Results
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.pages import server, study_routes
from pipeline.tracking.pages.live_page import LivePage
from tests.support.odd_studies import EMPTY
from tests.support.studies import tried

RESULTS = Results(
    study="a study",
    data="digits",
    trials=(tried(0, (0.9, 1.0), (0.95, 2.0)), tried(1, (0.97, 5.0)), tried(2, (0.98, 30.0))),
)


class Clock:
    """Stands still but for what a write takes."""

    def __init__(self) -> None:
        self.now, self.write_takes = 100.0, 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Each text that is rendered takes `write_takes` seconds."""
    clock = Clock()
    for name in ("render_frontier", "render_feed"):
        render = getattr(study_html, name)

        def slow(*args: object, render: object = render, **more: object) -> str:
            clock.now += clock.write_takes
            return str(render(*args, **more))  # type: ignore[operator]

        monkeypatch.setattr(study_html, name, slow)
    return clock


@pytest.fixture
def page(clock: Clock) -> Iterator[LivePage]:
    """The page of a study in the tests' store."""
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "with pages")
    run_id = mlflow_runs.create_run(client, experiment, "a study", {"stage": "sweep"})
    yield LivePage(client, run_id, "http://here/#/experiments/1/runs/", lambda: clock.now)
    client.set_terminated(run_id)


def files(page: LivePage) -> dict[str, float]:
    """Return what lies beside the page, with the time at which it was written."""
    assert page.path is not None
    return {path.name: path.stat().st_mtime_ns for path in page.path.parent.glob("*")}


def read_feed(page: LivePage) -> dict[str, object]:
    assert page.path is not None
    text = page.path.with_name("frontier.js").read_text()
    return dict(json.loads(text.removeprefix("receiveStudy(").removesuffix(");\n")))


def test_it_is_there_from_the_start_and_follows_at_most_every_few_seconds(
    page: LivePage, clock: Clock
) -> None:
    page.update(EMPTY)
    first = files(page)
    assert set(first) == {"frontier.html", "frontier.js"}
    clock.now += 4.9
    page.update(RESULTS)
    assert files(page) == first
    clock.now += 0.2
    page.update(RESULTS)
    second = files(page)
    assert second["frontier.html"] == first["frontier.html"]
    assert [point["trial"] for point in read_feed(page)["points"]] == [0, 0, 1, 2]  # type: ignore[attr-defined]
    clock.now += 60
    page.update(RESULTS)
    third = files(page)
    assert third["frontier.html"] > second["frontier.html"]
    page.update(RESULTS, is_forced=True)
    assert files(page)["frontier.html"] > third["frontier.html"]


def test_where_writing_is_slow_it_is_done_more_seldom(page: LivePage, clock: Clock) -> None:
    clock.write_takes = 2.0
    written = 0.0
    began = clock.now
    for _ in range(4000):
        before = clock.now
        page.update(RESULTS)
        written += clock.now - before
        clock.now += 1
    assert 0 < written <= 0.02 * (clock.now - began) + 4.0  # the first one comes at once


def test_the_last_page_looks_for_no_news_and_says_so_to_open_ones(page: LivePage) -> None:
    page.update(RESULTS)
    assert read_feed(page)["feed"] == "frontier.js"
    last = page.make_last_files(RESULTS)
    assert b'"feed":""' in last["frontier.html"]
    assert b'"feed":""' in last["frontier.js"]


def test_the_page_of_a_search_that_is_stopped_is_live_no_longer(page: LivePage) -> None:
    page.update(RESULTS, is_forced=True)
    page.end(RESULTS)
    assert read_feed(page)["feed"] == ""
    assert '"feed":""' in page.path.read_text()  # type: ignore[union-attr]


def test_a_disk_that_is_full_is_told_once_and_ends_nothing(
    page: LivePage, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow_runs, "log_files", refuse)
    for _ in range(3):
        page.update(RESULTS)
        clock.now += 100
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "the page of the study was not written ([Errno 28] No space left on device)" in told


def test_where_artifacts_lie_on_a_server_the_page_alone_is_sent(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[set[str]] = []
    monkeypatch.setattr(mlflow_runs, "find_artifact_folder", lambda *_: None)
    monkeypatch.setattr(mlflow_runs, "log_files", lambda _client, _run, files: sent.append(set(files)))
    page = LivePage(mlflow_store.open_store(), "r", "http://far/#/experiments/1/runs/", lambda: clock.now)
    for seconds in (0, 10, 10, 60):
        clock.now += seconds
        page.update(RESULTS)
    assert sent == [{"frontier.html"}, {"frontier.html"}]
    assert (
        page.link == "http://far/#/experiments/1/runs/r/artifacts/frontier.html?workflowType=machine_learning"
    )
    assert page.path is None


# ---- the server -----------------------------------------------------------------------------------------


def ask(**words: str) -> Request:
    return Request({"type": "http", "path_params": words, "headers": []})


def test_it_sends_page_and_feed_of_a_run_and_no_other_file(page: LivePage) -> None:
    page.update(RESULTS)
    assert page.path is not None
    run_id = page.link.rpartition("/")[2]
    assert page.link == f"http://here/studies/{run_id}"
    assert (
        study_routes.open_page(ask(run_id=run_id)).headers["location"] == f"/studies/{run_id}/frontier.html"
    )
    for name, kind in (("frontier.html", "text/html"), ("frontier.js", "text/javascript")):
        sent = study_routes.send_file(ask(run_id=run_id, name=name))
        assert sent.status_code == 200
        assert sent.headers["content-type"].startswith(kind)
        assert sent.headers["content-security-policy"].startswith("sandbox allow-scripts")
        assert "allow-same-origin" not in sent.headers["content-security-policy"]
    (page.path.parent / "secret.txt").write_text("no")
    for bad in (
        {"run_id": run_id, "name": "secret.txt"},
        {"run_id": run_id, "name": "../mlflow.db"},
        {"run_id": "0" * 32, "name": "frontier.html"},
        {"run_id": "../..", "name": "frontier.html"},
    ):
        refused = study_routes.send_file(ask(**bad))
        assert refused.status_code == 404
        assert b"python -m pipeline frontier" in bytes(refused.body)


def test_the_list_has_the_page_of_a_study_and_its_run(page: LivePage) -> None:
    before = bytes(study_routes.list_studies(ask()).body).decode()
    run_id = page.link.rpartition("/")[2]
    assert f'href="/studies/{run_id}"' not in before  # not written yet
    assert f"/runs/{run_id}" in before
    page.update(RESULTS)
    assert f'<a href="/studies/{run_id}">a study</a>' in bytes(study_routes.list_studies(ask()).body).decode()


def test_the_one_word_of_the_command_that_names_the_application_is_exchanged() -> None:
    command = ["python", "-m", "uvicorn", "--port", "5000", server.MLFLOW_APP]
    ours = server.add_pages(command, "pipeline.tracking.pages.server")
    assert ours == [*command[:-1], "--factory", "pipeline.tracking.pages.server:create_app"]

    def execute(words: list[str], **_: object) -> bool:
        assert words == ours
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    start = server.defer_interrupt_of_server(execute, "pipeline.tracking.pages.server")
    assert start(command, synchronous=False)  # it begins deaf to Ctrl-C, which is a traceback else
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("/home/me/mlartifacts/1/2/artifacts", Path("/home/me/mlartifacts/1/2/artifacts")),
        ("file:///home/m%20e/a", Path("/home/m e/a")),
        ("s3://bucket/1/2", None),
        ("mlflow-artifacts:/1/2", None),
        ("", None),
    ],
)
def test_artifacts_lie_in_a_folder_or_on_a_server(address: str, folder: Path | None) -> None:
    run = SimpleNamespace(info=SimpleNamespace(artifact_uri=address))
    assert mlflow_runs.locate_artifacts(cast("Run", run)) == folder


def test_a_run_that_is_gone_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    class Store:
        """A store without runs."""

        def get_run(self, _: str) -> None:
            raise MlflowException("gone")

    monkeypatch.setattr(mlflow_store, "open_store", Store)
    assert study_routes.send_file(ask(run_id="a" * 32, name="frontier.html")).status_code == 404


def test_files_of_a_run_are_whole_for_whoever_reads_them(page: LivePage) -> None:
    """A name that is read has the old bytes or the new ones: no draft stays behind."""
    page.update(replace(RESULTS, study="first"))
    page.update(replace(RESULTS, study="second"), is_forced=True)
    assert page.path is not None
    assert not list(page.path.parent.glob(".writing-*"))
    assert "<h1>second</h1>" in page.path.read_text()


def test_the_server_says_nothing_of_flags_that_ui_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    echo = server.silence_advice(print)
    echo("[MLflow] Security middleware enabled with default settings (localhost-only).")
    echo("[MLflow] WARNING: Security middleware is DISABLED.")
    assert capsys.readouterr().out == "[MLflow] WARNING: Security middleware is DISABLED.\n"
