"""A sweep that is killed, again and again, at any instant, ends as if it had never been."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from mlflow.entities import Run
from optuna.trial import FrozenTrial

from pipeline.search import optuna_storage
from pipeline.search.optuna_storage import OUTCOME
from pipeline.search.study_store import REQUEUES, StudyStore, is_interrupted
from pipeline.search.workers.dispatcher import DIED_TWICE
from pipeline.settings import addresses
from pipeline.tracking import mlflow_runs, mlflow_store

KILLS, TRIALS = 20, 40
WORDS = ("search=smoke", f"search.trials={TRIALS}", "search.study=killed", "train.epochs=3")
WORDS += ("device=cpu", "search.workers=0")


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Processes that have everything imported: a kill then falls into the work, not into the start."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(
        [
            "pipeline.search.workers.job",
            "pipeline.tracking.publish_study",
            "pipeline.search.sweep",
            "pipeline.cli.sweep",
        ]
    )
    return made


def _sweep(words: Sequence[str], environment: dict[str, str], output: Path) -> None:
    os.environ.update(environment)
    with output.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from pipeline.cli import main

    os._exit(main(["sweep", *words]))


@contextmanager
def sweeping(
    context: ForkServerContext, words: Sequence[str], folder: Path
) -> Iterator[multiprocessing.process.BaseProcess]:
    environment = {
        key: os.environ[key] for key in ("MLFLOW_TRACKING_URI", "FULCRUM_CACHE", "MLFLOW_DISABLE_TELEMETRY")
    }
    process = context.Process(target=_sweep, args=(words, environment, folder / "output.txt"))
    process.start()
    try:
        yield process
    finally:
        process.join(300)
        process.close()


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    return tmp_path


def rows(name: str) -> list[FrozenTrial]:
    return StudyStore(addresses.make_study_address(), name).trials()


def trial_runs(name: str) -> list[Run]:
    """Runs of trials that were not deleted."""
    client = mlflow_store.open_store()
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(
        client.search_runs(experiments, f"tags.study = '{name}' AND tags.stage = 'trial'", max_results=1000)
    )


def is_dead(row: FrozenTrial) -> bool:
    """Return whether a trial has failed because two kills fell into it."""
    return bool(row.user_attrs[OUTCOME]["reason"] == DIED_TWICE)


def check_whole(name: str, trials: int) -> None:
    """As many trials as were asked for, each once in Optuna and once in MLflow, and nothing left running."""
    finished = [row for row in rows(name) if row.state.is_finished() and not is_interrupted(row)]
    assert len(finished) == trials
    assert sum(REQUEUES not in row.user_attrs for row in rows(name)) == trials
    assert not [row for row in rows(name) if not row.state.is_finished()]
    tried_again = Counter(row.user_attrs[REQUEUES] for row in rows(name) if REQUEUES in row.user_attrs)
    assert set(tried_again.values()) <= {1}
    assert set(tried_again) == {row.number for row in rows(name) if is_interrupted(row)}
    runs = trial_runs(name)
    dead = {row.user_attrs[OUTCOME]["run_id"] for row in finished if is_dead(row)}
    assert {run.info.status for run in runs if run.info.run_id not in dead} == {"FINISHED"}
    assert {run.info.status for run in runs if run.info.run_id in dead} <= {"FAILED"}
    by_number = {int(run.data.tags["trial"]): run for run in runs}
    assert len(runs) == len(by_number) == trials
    for row in finished:
        outcome = row.user_attrs[OUTCOME]
        run = by_number[row.number]
        assert run.info.run_id == outcome["run_id"]
        if is_dead(row):
            continue
        assert run.data.metrics["accuracy"] == pytest.approx(outcome["curve"][-1][2])
        assert run.data.metrics["cpu_seconds"] == pytest.approx(outcome["curve"][-1][1])


@pytest.mark.slow
def test_a_sweep_killed_twenty_times_ends_as_it_was_asked(
    context: ForkServerContext, own_store: Path
) -> None:
    draw = random.Random(0)
    for _ in range(KILLS):
        with sweeping(context, WORDS, own_store) as process:
            process.join(draw.uniform(0.5, 3.0))
            if process.is_alive():
                assert process.pid
                os.kill(process.pid, signal.SIGKILL)
    with sweeping(context, WORDS, own_store) as process:
        process.join(300)
        assert process.exitcode == 0, (own_store / "output.txt").read_text()[-3000:]
    check_whole("killed", TRIALS)
    client = mlflow_store.open_store()
    assert mlflow_runs.end_orphans(client) == []
    assert optuna_storage.list_studies(addresses.make_study_address()) == ["killed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_clean_and_it_can_be_taken_up(
    context: ForkServerContext, own_store: Path, number: int, code: int
) -> None:
    words = [word.replace("killed", "stopped") for word in WORDS]
    with sweeping(context, words, own_store) as process:
        while process.is_alive() and len(trial_runs("stopped")) < 4:
            time.sleep(0.1)
        assert process.pid
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == code
    output = (own_store / "output.txt").read_text()
    assert "Traceback" not in output
    assert not [run for run in trial_runs("stopped") if run.info.status == "RUNNING"]
    with sweeping(context, words, own_store) as process:
        process.join(300)
        assert process.exitcode == 0
    check_whole("stopped", TRIALS)
