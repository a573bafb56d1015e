"""A sweep that is killed, again and again, at any instant, ends as if it had never been."""

import os
import random
import re
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from pipeline.search import optuna_storage
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store
from pipeline.tracking.registry.names import MEMBER
from tests.support.killed_sweeps import EndedStudy, KilledSweep, make_context

KILLS, TRIALS = 6, 8
WORDS = ("search=smoke", f"search.trials={TRIALS}", "train.epochs=3", "device=cpu", "search.confirm=0")
WORDS += ("search.workers=0",)
STRIDE = 83
"""One in so many writes is one that a sweep is killed at; `tools.kills` draws any."""


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return make_context()


@contextmanager
def sweeping(
    context: ForkServerContext,
    folder: Path,
    *words: str,
    at_write: int | None = None,
    at_call: tuple[str, int, signal.Signals] | None = None,
    output: Path | None = None,
) -> Iterator[ForkServerProcess]:
    sweep = KilledSweep(
        words=(*WORDS, *words),
        environment=dict(os.environ),
        output=output or folder / "output.txt",
        at_write=at_write,
        at_call=at_call,
    )
    process = sweep.start(context)
    try:
        yield process
    finally:
        process.join(300)
        process.close()


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def assert_whole(name: str, trials: int, folder: Path) -> None:
    """As many trials as were asked for, each once in both records, and nothing left over."""
    storage = addresses.make_study_address()
    assert EndedStudy(name=name, trials=trials, storage=storage, folder=folder).find_faults() == []
    assert optuna_storage.list_studies(storage) == [name]


def finish(context: ForkServerContext, folder: Path, *words: str) -> None:
    with sweeping(context, folder, *words) as process:
        process.join(300)
        assert process.exitcode == 0, (folder / "output.txt").read_text()[-3000:]


@pytest.mark.slow(seconds=30)
def test_a_sweep_killed_again_and_again_ends_whole(context: ForkServerContext, own_store: Path) -> None:
    draw = random.Random(0)
    for _ in range(KILLS):
        with sweeping(context, own_store, "search.study=killed") as process:
            process.join(draw.uniform(0.5, 1.8))
            if process.is_alive():
                assert process.pid
                os.kill(process.pid, signal.SIGKILL)
    finish(context, own_store, "search.study=killed")
    assert_whole("killed", TRIALS, own_store)


@pytest.mark.slow(seconds=30)
def test_a_sweep_killed_between_any_two_writes_ends_as_it_was_asked(
    context: ForkServerContext, own_store: Path
) -> None:
    """At the first write, at the fifty-fourth and so on, until one start gets through with its models."""
    words, number = ("search.study=torn", "search.trials=3", "search.confirm=1"), 1
    while True:
        with sweeping(context, own_store, *words, at_write=number) as process:
            process.join(300)
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL, (own_store / "output.txt").read_text()[-3000:]
        number += STRIDE
    assert number > 3 * STRIDE
    assert_whole("torn", 3, own_store)


@pytest.mark.slow(seconds=30)
def test_a_signal_ends_it_clean_and_it_can_be_taken_up(context: ForkServerContext, own_store: Path) -> None:
    """By one signal, and then by the other what was taken up."""
    client = mlflow_store.open_store()

    def count_trials() -> int:
        experiments = [each.experiment_id for each in client.search_experiments()]
        return len(client.search_runs(experiments, "tags.stage = 'trial'"))

    # More than it can train before the signal comes; the later number of trials counts.
    words = ("search.study=stopped", "search.trials=40")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before, output = count_trials(), own_store / f"{code}.txt"
        with sweeping(context, own_store, *words, output=output) as process:
            while process.is_alive() and count_trials() < before + 2:
                time.sleep(0.1)
            assert process.pid
            os.kill(process.pid, number)
            process.join(60)
            assert process.exitcode == code
        said = output.read_text()
        assert "Traceback" not in said
        at = said.index("stopped: ")
        assert re.search(r"\(\d+ \w+", said[at:])
        (on,) = re.findall("stopped before its end; go on with: (.*)", said)
        assert shlex.split(on)[3:] == ["sweep", *(word for word in WORDS if "trials" not in word), *words]
        assert re.search(r"http://127.0.0.1:5000/#/experiments/\d+/runs\?viewStateShareKey=", said[at:])
        experiments = [each.experiment_id for each in client.search_experiments()]
        assert not client.search_runs(experiments, "attributes.status = 'RUNNING'")
    finish(context, own_store, *words)
    assert_whole("stopped", 40, own_store)


PHASES: list[tuple[str, int, signal.Signals, str]] = [
    ("pipeline.search.confirmation._launch", 1, signal.SIGINT, "confirming the frontier with new seeds"),
    ("pipeline.tracking.serving.flavor.save_model", 1, signal.SIGTERM, "keeping the models of the frontier"),
    ("pipeline.tracking.registry.study_versions.set_alias", 2, signal.SIGKILL, ""),
    ("pipeline.reports.study_plots.draw_frontier", 1, signal.SIGHUP, "drawing pictures and the page"),
]


@pytest.mark.slow(seconds=30)
def test_what_comes_after_the_search_may_be_stopped_at_any_moment(
    context: ForkServerContext, own_store: Path
) -> None:
    """Whatever is stopped goes on by the same command; a model is registered whole, and once."""
    client, words = mlflow_store.open_store(), ("search.study=ended", "search.trials=2", "search.confirm=1")
    for address, number, what, phase in PHASES:
        with sweeping(context, own_store, *words, at_call=(address, number, what)) as process:
            process.join(300)
            said = (own_store / "output.txt").read_text()
            assert process.exitcode == (-what if what == signal.SIGKILL else 128 + what), said[-3000:]
        assert "Traceback" not in said
        experiments = [each.experiment_id for each in client.search_experiments()]
        if what != signal.SIGKILL:
            assert f"\nstopped while {phase}, its trials are all there; go on with: python" in said
            assert not client.search_runs(experiments, "attributes.status = 'RUNNING'")
        versions = {model.tags[MEMBER] for model in client.search_model_versions("name = 'ended'")}
        logged = [model.tags[MEMBER] for model in client.search_logged_models(experiments)]
        assert sorted(logged) == sorted(versions)
        assert bool(client.search_registered_models("name = 'ended'")) == bool(versions)
    finish(context, own_store, *words)
    assert_whole("ended", 2, own_store)
