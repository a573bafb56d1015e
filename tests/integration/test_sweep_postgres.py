"""One study on several machines: a real PostgreSQL, a real tracking server, and one process killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial
from sqlalchemy import create_engine, make_url, text

from pipeline.errors import BadInput
from pipeline.search import trial_rows
from pipeline.search.optuna_storage import list_studies
from pipeline.search.outcomes import CONFIRM
from pipeline.search.storage.our_studies import OUTCOME, OWNER
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.trial_states import is_interrupted
from pipeline.search.study_store import StudyStore
from tests.conftest import CHECKOUT
from tests.support.mlflow_server import running_mlflow_server
from tests.support.postgres import PASSWORD, find_programs, running_postgres

STUDY, TRIALS = "shared", 10
WORDS = (
    "search=smoke",
    f"search.study={STUDY}",
    f"search.trials={TRIALS}",
    "search.confirm=1",
    "search.enqueue=['model.hidden=24']",
    "train.epochs=3",
    "device=cpu",
)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a fresh PostgreSQL, its password in it."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with running_postgres(programs) as address:
        yield address


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server on loopback, and what it said in `server.txt`."""
    with running_mlflow_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@contextmanager
def machine(folder: Path, name: str, tracking: str, words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A sweep with files of its own, as on another machine."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking,
        "FULCRUM_CACHE": str(folder / name / "cache" / "prepared"),
    }
    (folder / name).mkdir()
    with (folder / name / "output.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "sweep", *words],
            cwd=CHECKOUT,
            env=environment,
            stdout=said,
            stderr=said,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def running(store: StudyStore) -> dict[int, list[FrozenTrial]]:
    """Trials under way, by process."""
    found: dict[int, list[FrozenTrial]] = {}
    for row in store.trials():
        if not row.state.is_finished() and OWNER in row.user_attrs:
            found.setdefault(row.user_attrs[OWNER]["pid"], []).append(row)
    return found


def kill_at_work(store: StudyStore, process: subprocess.Popen[bytes], output: Path) -> None:
    """End it with SIGKILL while it trains, once the other has begun to train, too."""
    other: set[int] = set()
    while True:
        assert process.poll() is None, output.read_text()[-3000:]
        now = running(store)
        other |= set(now) - {process.pid}
        if other and process.pid in now:
            process.send_signal(signal.SIGSTOP)  # so that it cannot end its trial meanwhile
            if process.pid in running(store):
                process.kill()
                process.wait()
                return
            process.send_signal(signal.SIGCONT)
        time.sleep(0.02)


@pytest.mark.slow(seconds=60)
def test_two_machines_share_a_study_and_one_is_killed(
    database: str, tracking: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The other ends it. One test: as several, they are shared out, and each worker would sweep anew."""
    folder = tmp_path_factory.mktemp("machines")
    words = [*WORDS, f"search.storage={database}"]
    store = StudyStore(database, STUDY)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking)
        patch.setattr(mlflow, "get_tracking_uri", lambda: tracking)
        first, second = (
            stack.enter_context(machine(folder, name, tracking, words)) for name in ("first", "second")
        )
        kill_at_work(store, first, folder / "first" / "output.txt")
        second.wait(timeout=400)
        assert second.returncode == 0, (folder / "second" / "output.txt").read_text()[-3000:]
        check_that_it_ended_with_its_total(database)
        check_that_both_records_say_the_same(database, tracking)
        check_that_the_password_is_nowhere(folder, tracking)


def check_that_it_ended_with_its_total(database: str) -> None:
    store = StudyStore(database, STUDY)
    finished = [row for row in store.trials() if row.state.is_finished() and not is_interrupted(row)]
    assert len(finished) == store.count_begun() == TRIALS
    assert not [row for row in store._rows() if not row.state.is_finished()]
    assert not [row for row in store.task_queue()._rows() if not row.state.is_finished()]
    assert sum(is_interrupted(row) for row in store.trials()) >= 1
    commands = Counter(row.user_attrs[OUTCOME]["command"] for row in finished)
    assert set(commands.values()) == {1}
    assert sum("model.hidden=24" in command for command in commands) == 1  # the baseline, by one of them


def check_that_both_records_say_the_same(database: str, tracking: str) -> None:
    store, client = StudyStore(database, STUDY), mlflow.MlflowClient(tracking)
    (experiment,) = (each for each in client.search_experiments() if each.name != "Default")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    found = trial_rows.read_results(store, "digits")
    by_stage = Counter(run.data.tags.get("stage") for run in runs)
    members = found.frontier
    assert (by_stage["sweep"], by_stage["trial"], by_stage["confirm"]) == (1, TRIALS, len(members))
    (study,) = (run for run in runs if run.data.tags.get("stage") == "sweep")
    trials = {run.info.run_id: run for run in runs if run.data.tags.get("stage") == "trial"}
    assert set(trials) == {each.run_id for each in found.trials}
    for each in found.trials:
        run = trials[str(each.run_id)]
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
        assert run.data.tags["trial"] == str(each.number)
        assert run.data.tags["command"] == each.command
        assert run.data.metrics["accuracy"] == pytest.approx(each.curve[-1].accuracy)
    assert all(member.confirmation and len(member.confirmation.seeds) == 1 for member in members)
    confirmed = [row.user_attrs[CONFIRM] for row in store.task_queue().trials() if CONFIRM in row.user_attrs]
    assert len({tuple(each.values()) for each in confirmed}) == len(members)
    versions = client.search_model_versions(f"name = '{STUDY}'")
    assert len(versions) == len({version.tags["member"] for version in versions})


def check_that_the_password_is_nowhere(swept: Path, tracking: str) -> None:
    client = mlflow.MlflowClient(tracking)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, run_view_type=3, max_results=1000)  # deleted ones, too
    assert len(runs) > TRIALS
    for run in runs:
        assert PASSWORD not in repr(run.to_dictionary())
    assert any("***" in run.data.params.get("search.storage", "") for run in runs)
    for folder in (swept, next(swept.parent.glob("server*"))):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert len(files) >= 2
        assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_what_several_machines_begin_and_claim_at_once_is_begun_and_claimed_once(database: str) -> None:
    """Each proposes the same and sees the same queue; no command line is trained twice."""
    seen_from_elsewhere = [StudyStore(database, "raced") for _ in range(4)]
    for number in range(20):
        seen_from_elsewhere[0].queue(ProposedTrial({}, {}, {}), {}, once=f"baseline {number}")
    barrier = threading.Barrier(len(seen_from_elsewhere))

    def work(store: StudyStore) -> list[int]:
        mine = []
        for value in range(10):
            newest = max((row.number for row in store.trials()), default=-1)
            params = {row.params.get("x") for row in store.trials()}
            barrier.wait()  # all have looked before anybody writes
            proposal = ProposedTrial({"x": value}, {"x": IntDistribution(0, 9)}, {})
            if value not in params and (number := store.begin(proposal, 1000, newest)) is not None:
                mine.append(number)
            barrier.wait()
            if row := store.claim():
                mine.append(row.number)
        return mine

    with ThreadPoolExecutor(len(seen_from_elsewhere)) as pool:
        taken = [number for numbers in pool.map(work, seen_from_elsewhere) for number in numbers]
    rows = seen_from_elsewhere[0].trials()
    assert sorted(taken) == sorted(row.number for row in rows)
    assert Counter(row.params["x"] for row in rows if row.params) == dict.fromkeys(range(10), 1)
    assert len(rows) == 30


@pytest.mark.slow
def test_a_user_who_may_only_read_shows_the_frontier(database: str) -> None:
    """Also one who was never told of what follows a search: reading creates no row and no table."""
    StudyStore(database, "read only")
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN PASSWORD 'se/c@ret'"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    engine.dispose()
    url = make_url(database).set(username="reader", password="se/c@ret")
    address = url.render_as_string(hide_password=False)
    assert "read only" in list_studies(address)
    store = StudyStore.open_for_reading(address, "read only")
    assert trial_rows.read_results(store, "digits").trials == ()
    engine = create_engine(database)
    with engine.begin() as connection:
        names = connection.execute(text("SELECT study_name FROM studies")).scalars().all()
    engine.dispose()
    assert [name for name in names if name.startswith("read only")] == ["read only"]
    with pytest.raises(BadInput) as caught:
        StudyStore(address, "another")
    assert "c@ret" not in str(caught.value)
