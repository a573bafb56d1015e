"""The command `serve-bench`: its options, what it shows, and a real server that ends with it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest

from pipeline.cli.serve_bench import command
from pipeline.cli.serve_bench.command import make_body, parse
from pipeline.cli.serve_bench.result import LoadRequest, LoadResult, show_result, to_json
from pipeline.errors import BadInput, BadSetting
from pipeline.measures import Latency
from pipeline.profiling.load.first_answers import FirstAnswers
from pipeline.profiling.load.open_loop import LoadLevel
from pipeline.profiling.load.requests import LATE, HttpRequest
from tests.conftest import CHECKOUT, Run
from tests.support import saved

ASKED = LoadRequest(bound_ms=50.0, seconds=5.0, rows=1, workers=1, file=None, as_json=False)


def level(rate: float, p99: float, errors: dict[str, int] | None = None) -> LoadLevel:
    times = {"p50_ms": p99 / 4, "p90_ms": p99 / 2, "p99_ms": p99, "longest_ms": 2 * p99}
    counts = {"offered": rate, "answered": rate, "requests": 500, "under_way": 1.2, "late_ms": 0.1}
    return LoadLevel(**counts, **times, errors=errors or {})


FOUND = LoadResult(
    asked=ASKED,
    load_seconds=6.0,
    first=FirstAnswers(812.0, Latency(4.0, 5.0, 9.0, 250)),
    levels=(level(30.0, 10.0), level(120.0, 40.0), level(240.0, float("nan"), {"no answer in time": 500})),
)


def test_options_are_read() -> None:
    words = ("--p99", "0.2s", "trained=x", "--rows", "8", "--workers", "2", "--request", "a.json", "--json")
    asked, rest = parse(words)
    assert asked == LoadRequest(
        bound_ms=200.0, seconds=5.0, rows=8, workers=2, file=Path("a.json"), as_json=True
    )
    assert rest == ["trained=x"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--p99", "fast"], "--p99 must be a time > 0, such as 50ms, got fast"),
        (["--seconds", "0"], "--seconds must be > 0"),
        (["--rows", "0"], "--rows must be a whole number >= 1"),
        (["--workers", "two"], "--workers must be a whole number >= 1"),
        (["--p95", "5ms"], "unknown option --p95"),
        (["--p99"], "expected one argument"),
        (["--p99", "50", "ms"], "--p99 must be followed by one word, got 50 ms; write --p99 50ms"),
    ],
)
def test_an_option_that_is_wrong_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(BadSetting) as caught:
        parse(words)
    assert says in str(caught.value)


def test_a_model_or_a_request_that_is_not_there_is_refused_in_a_line(fulcrum: Run, tmp_path: Path) -> None:
    done = fulcrum("serve-bench")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "trained must be a run id" in done.stderr
    done = fulcrum("serve-bench", f"trained={tmp_path}")
    assert done.returncode == 2
    assert "which has no MLmodel" in done.stderr
    done = fulcrum("serve-bench", "trial=command")
    assert done.returncode == 2
    assert "serve-bench needs trial=network" in done.stderr


def test_the_body_is_the_example_or_the_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="named, since the model has no example"):
        make_body(tmp_path, ASKED)
    (tmp_path / "serving_input_example.json").write_text('{"inputs": [[1, 2], [3, 4]]}')
    assert json.loads(make_body(tmp_path, ASKED)) == {"inputs": [[1, 2]]}
    for text, says in (("{", "must be a file of JSON"), ("[1]", "must have samples under inputs")):
        file = tmp_path / "own.json"
        file.write_text(text)
        own = LoadRequest(bound_ms=50.0, seconds=5.0, rows=1, workers=1, file=file, as_json=False)
        with pytest.raises(BadInput, match=says):
            make_body(tmp_path, own)


def test_what_was_found_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(FOUND, "runs:/x/model", "0" * 32)
    out = capsys.readouterr().out
    assert "120 requests a second with p99 40.0 <= 50 ms" in out
    assert "812.0 ms for the first answer" in out
    assert "500 no answer in time" in out
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("30", "120", "240"))]
    assert [(row[0], row[-1]) for row in rows] == [("30", "kept"), ("120", "kept"), ("240", "500")]
    found = to_json(FOUND)
    assert found["requests_per_second"] == 120.0
    assert [each["keeps"] for each in found["levels"]] == [True, True, False]
    assert found["levels"][2]["p99_ms"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("levels", "end", "says"),
    [
        (
            (level(30.0, 10.0), level(60.0, 20.0)),
            "its process was ended by SIGKILL",
            "at 60 requests a second: its",
        ),
        ((level(30.0, 10.0, {"HTTP 500: no": 5, LATE: 9}),), "", "got HTTP 500: no for 5 of 500 requests"),
        ((level(30.0, 10.0), level(60.0, 20.0, {"HTTP 500: no": 5})), "", ""),
        ((level(30.0, 900.0, {LATE: 9}),), "", ""),
    ],
)
def test_a_server_that_fails_is_told_from_one_that_is_slow(
    capsys: pytest.CaptureFixture[str], levels: tuple[LoadLevel, ...], end: str, says: str
) -> None:
    result = replace(FOUND, levels=levels, end=end)
    assert (says in result.failure) if says else not result.failure
    show_result(result, "runs:/x/model", "0" * 32)
    assert ("no rate that was offered" in capsys.readouterr().out) is (not says and result.best is None)
    assert to_json(result)["failure"] == (result.failure or None)


class Ended:
    """A server whose process ends, or that hangs, when it was asked for its second rate."""

    def __init__(self, code: int | None) -> None:
        self.asked, self.code, self.process = 0, code, self

    def poll(self) -> int | None:
        return self.code if self.asked > 1 else None

    def answers(self, _patience: float) -> bool:
        return False


@pytest.mark.parametrize(("code", "says"), [(-9, "SIGKILL"), (3, "exit code 3"), (None, "no sign of life")])
def test_the_load_ends_with_the_server(monkeypatch: pytest.MonkeyPatch, code: int | None, says: str) -> None:
    server: Any = Ended(code)

    def offer(_request: HttpRequest, rate: float, _seconds: float, seed: int, bound_ms: float) -> LoadLevel:
        server.asked += 1
        assert bound_ms == ASKED.bound_ms
        return level(rate, 10.0) if seed == 1 else replace(level(rate, float("nan"), {LATE: 9}), answered=0.0)

    monkeypatch.setattr(command, "offer", offer)
    levels, end = command._offer_rates(server, HttpRequest("", 0, b""), ASKED, FOUND.first)
    assert len(levels) == server.asked == 2
    assert says in end


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved.save_model(tmp_path_factory.mktemp("table"), "table").folder


@pytest.mark.slow(seconds=12)
def test_a_server_is_loaded_recorded_and_gone(fulcrum: Run, model: Path) -> None:
    done = fulcrum("serve-bench", f"trained={model}", "--seconds", "0.2", "--p99", "2s", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["load_seconds"] > 0
    assert found["cold_ms"] > 0
    assert found["requests_per_second"] > 0
    assert found["levels"][0]["keeps"]
    run = mlflow.MlflowClient().get_run(found["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["stage"] == "serve-bench"
    assert run.data.metrics["serve/requests_per_second"] == found["requests_per_second"]
    assert not find_servers(model)


@pytest.mark.slow(seconds=12)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_with_the_command(model: Path, number: signal.Signals) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "serve-bench", f"trained={model}", "--seconds", "30"],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (servers := find_servers(model)):
        assert bench.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # As long as `mlflow models serve` gives an answer, a first one on a busy machine, too.
    assert {server.environ()["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"] for server in servers} == {"60"}
    # TensorFlow leaves files behind there: they go with the command's.
    assert all("/fulcrum-tmp-" in server.environ()["TMPDIR"] for server in servers)
    os.kill(bench.pid, number)
    assert bench.wait(60) == (130 if number is signal.SIGINT else -signal.SIGKILL)
    _, alive = psutil.wait_procs(servers, timeout=60)
    assert not alive


def find_servers(model: Path) -> list[psutil.Process]:
    """Processes of MLflow's server that serve this model."""
    found = []
    for process in psutil.process_iter():
        try:
            if "mlflow.pyfunc.scoring_server.app:app" in process.cmdline() and any(
                str(model) in value for value in process.environ().values()
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found
