"""Who does the work: this process, or warm ones of their own that may die."""

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

import keras
import psutil
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadModel
from pipeline.hardware.memory import Memory, read_tree_bytes
from pipeline.hardware.process_marks import MARKS, OWNER_PREFIX
from pipeline.measures import Point
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.workers import memory_guard
from pipeline.search.workers import network_job as job_module
from pipeline.search.workers.fork_server import start_fork_server
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.job_kinds import check_settings
from pipeline.search.workers.pool import Crash, End, Event, InProcessPool, Stoppage, WorkerLost, WorkerPool
from pipeline.search.workers.process_pool import ProcessPool, make_worker_pool
from pipeline.signals import STOPPING
from tests.support import tiny

WORDS = "data=digits model.hidden=4 train.batch_size=32 train.epochs=3 device=cpu pruning=none engine=graph"
LONG = f"{WORDS} train.epochs=100000"
MIB = 1024**2
UNBEATABLE = (Point(1.0, 1e-9),)


@pytest.fixture(scope="module")
def process_pool() -> Iterator[ProcessPool]:
    """Two workers for all tests here: they import TensorFlow once."""
    made = ProcessPool(2, tiny.BASE.device, tiny.CPU)
    yield made
    made.close()


@pytest.fixture(params=["in process", "processes"])
def anybody(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    if request.param == "processes":
        yield request.getfixturevalue("process_pool")
    else:
        made = make_worker_pool(tiny.told("search.workers=0"), tiny.CPU)
        assert isinstance(made, InProcessPool)
        yield made
        made.close()


def job(number: int, words: str = WORDS, place: Path | None = None) -> Job:
    return Job(number=number, settings=tiny.told(words), checkpoint=place)


def broken(number: int) -> Job:
    """Settings that no command line can say: a bug."""
    settings = tiny.told(WORDS)
    settings.model.hidden = "wide"  # type: ignore[attr-defined]
    return Job(number=number, settings=settings)


def heard(
    from_: WorkerPool, until: Callable[[list[Event]], bool], frontier: tuple[Point, ...] = ()
) -> list[Event]:
    events: list[Event] = []
    while not until(events):
        events += from_.events(frontier)
    return events


def ends(events: list[Event]) -> dict[int, End]:
    return {job.number: event for job, event in events if not isinstance(event, Progress)}


def ended(count: int) -> Callable[[list[Event]], bool]:
    return lambda events: len(ends(events)) >= count


def begun(number: int) -> Callable[[list[Event]], bool]:
    return lambda events: any(job.number == number for job, _ in events)


def test_a_job_is_told_epoch_by_epoch(anybody: WorkerPool) -> None:
    free = anybody.count_free()
    anybody.start(job(1))
    assert anybody.count_free() == free - 1
    events = heard(anybody, ended(1))
    assert [event.epoch.number for _, event in events if isinstance(event, Progress)] == [1, 2, 3]
    end = ends(events)[1]
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"
    assert anybody.count_free() == free


def test_nobody_waits_where_nothing_runs(anybody: WorkerPool) -> None:
    assert list(anybody.events(())) == []


def test_a_crash_comes_out_in_full_and_the_pool_goes_on(anybody: WorkerPool) -> None:
    anybody.start(broken(2))
    bug = ends(heard(anybody, ended(1)))[2]
    assert isinstance(bug, Crash)
    assert bug.text.startswith("Traceback")
    assert "job.py" in bug.text
    anybody.start(job(3))
    end = ends(heard(anybody, ended(1)))[3]
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"


def test_an_error_of_the_system_is_a_bug_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> Iterator[Progress]:
        raise OSError("the disk is on fire")
        yield

    monkeypatch.setattr(job_module, "run_job", work)
    made = InProcessPool()
    made.start(job(4))
    bug = ends(heard(made, ended(1)))[4]
    assert isinstance(bug, Crash)
    assert bug.text.strip().endswith("OSError: the disk is on fire")


def test_who_works_hears_of_the_frontier(anybody: WorkerPool) -> None:
    anybody.start(job(5, LONG.replace("pruning=none", "pruning=pause")))
    end = ends(heard(anybody, ended(1), UNBEATABLE))[5]
    assert isinstance(end, TrialOutcome)
    assert end.status == "paused"
    assert end.curve is not None
    assert len(end.curve.epochs) >= 3


def test_a_worker_that_is_killed_takes_its_trial_along_and_is_replaced(process_pool: ProcessPool) -> None:
    process_pool.start(job(6, LONG))
    heard(process_pool, begun(6))
    (worker,) = (worker for worker in process_pool._workers if worker.task)
    owner = ProcessOwner.of(worker.process.pid or 0)
    assert owner
    marks = {MARKS: f"{OWNER_PREFIX}{owner.to_file_name()}"}
    left = subprocess.Popen(["sleep", "60"], env=os.environ | marks, start_new_session=True)
    os.kill(owner.pid, signal.SIGKILL)
    end = ends(heard(process_pool, ended(1)))[6]
    assert left.wait(5) == -signal.SIGKILL
    assert isinstance(end, TrialOutcome)
    assert end.status == "failed"
    assert end.reason.startswith("its process was ended by SIGKILL, after epoch ")
    assert end.curve is not None
    assert end.paid_seconds >= end.curve.last.device_seconds > 0
    assert process_pool.count_free() == 2
    process_pool.start(job(7))
    process_pool.start(job(8))
    assert {
        each.status for each in ends(heard(process_pool, ended(2))).values() if isinstance(each, TrialOutcome)
    } == {"complete"}


def test_a_worker_that_died_idle_takes_no_trial_along(process_pool: ProcessPool) -> None:
    for worker in process_pool._workers:
        assert worker.process.pid
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
    process_pool.start(job(9))
    end = ends(heard(process_pool, ended(1)))[9]
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"


def test_two_work_at_once(process_pool: ProcessPool) -> None:
    process_pool.start(job(10, LONG))
    process_pool.start(job(11, LONG))
    heard(process_pool, lambda events: {each.number for each, _ in events} == {10, 11})
    pids = [worker.process.pid for worker in process_pool._workers if worker.task]
    assert len(set(pids)) == 2
    for pid in pids:
        assert pid
        os.kill(pid, signal.SIGTERM)
    told = ends(heard(process_pool, ended(2)))
    assert {type(each) for each in told.values()} == {Stoppage}  # they did nothing wrong
    assert {each.reason for each in told.values() if isinstance(each, Stoppage)} == {
        "its process was ended by SIGTERM"
    }


def test_closing_ends_all_also_those_at_work() -> None:
    made = ProcessPool(2, tiny.BASE.device, tiny.CPU)
    made.start(job(14))
    heard(made, ended(1))
    made.start(job(15, LONG))
    heard(made, begun(15))
    processes = [hand.process for hand in made._workers]
    pids = [process.pid for process in processes]
    made.close()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    made.close()


PARENT = """
import time
from pipeline.search.workers.process_pool import ProcessPool
from tests.support import tiny
from tests.search.workers.test_process_pool import LONG, heard, job
if __name__ == "__main__":
    process_pool = ProcessPool(2, tiny.BASE.device, tiny.CPU)
    process_pool.start(job(1, LONG))
    process_pool.start(job(2, LONG))
    heard(process_pool, lambda events: {each.number for each, _ in events} == {1, 2})
    print(*(worker.process.pid for worker in process_pool._workers), flush=True)
    time.sleep(1000)
"""


@pytest.mark.slow
def test_two_sit_on_two_cores_and_end_when_they_have_nobody_to_work_for(tmp_path: Path) -> None:
    """The parent is killed: nothing tells its workers, which look for themselves."""
    nobody_else = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # where the locks of the cores lie
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=nobody_else
    )
    try:
        assert parent.stdout
        found = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        if len(os.sched_getaffinity(0)) > 1:
            bound = [each.cpu_affinity() for each in found]
            assert [len(each) for each in bound] == [1, 1]
            assert bound[0] != bound[1]
    finally:
        parent.kill()
        parent.wait()
    gone, alive = psutil.wait_procs(found, timeout=60)
    assert (len(gone), alive) == (2, [])


# ---- networks that take their process along ---------------------------------------------------------------

BROKEN = f"{WORDS} model=custom engine=auto model.build=tests.support.broken_models:"


OUT_OF_MEMORY = (
    "model.build must name a function of (shape, classes, settings) that returns a Keras model, got "
    "tests.support.broken_models:{}, which ran out of memory (MemoryError: ); make it smaller"
)


def end_of(pool: ProcessPool, words: str) -> End:
    pool.start(job(20, words.replace("model.hidden=4", "")))
    (end,) = ends(heard(pool, ended(1))).values()
    return end


@pytest.mark.parametrize(
    ("build", "status", "reason"),
    [
        ("changes_the_defaults", "complete", ""),
        ("stops_the_clock", "failed", "it changed time.perf_counter, by which its cost is measured"),
    ],
)
def test_a_process_that_a_network_has_changed_takes_no_further_trial(
    process_pool: ProcessPool, build: str, status: str, reason: str
) -> None:
    before = process_pool.call(os.getpid)
    end = end_of(process_pool, BROKEN + build)
    assert isinstance(end, TrialOutcome)
    assert (end.status, end.reason) == (status, reason)
    assert process_pool.call(os.getpid) != before
    assert process_pool.call(keras.config.floatx) == "float32"
    plain = process_pool.call(os.getpid)
    assert getattr(end_of(process_pool, WORDS), "status", "") == "complete"
    assert process_pool.call(os.getpid) == plain  # as long as nothing was changed


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            "segfaults",
            "its process was ended by SIGSEGV (it used memory that is not its own), before",
        ),
        ("is_killed", "its process was ended by SIGKILL, before its first epoch"),
        (
            "aborts",
            "its process was ended by SIGABRT (a library gave up); its last words were 'no",
        ),
        ("leaves", "its process ended with exit code 3, before its first epoch"),
        ("closes_files", "it closed files that are not its own, before its first epoch"),
        (
            "exits",
            "model.build must name a function of (shape, classes, settings) that returns a Keras model, got "
            "tests.support.broken_models:exits, which failed (SystemExit: that is all",
        ),
        ("interrupts", "model.build=tests.support.broken_models:interrupts raised KeyboardInterrupt"),
        ("runs_out", OUT_OF_MEMORY.format("runs_out")),
        ("runs_out_by_its_limit", OUT_OF_MEMORY.format("runs_out_by_its_limit")),
        ("recurses", "model.build must name a function of (shape, classes, settings) that returns a Keras"),
        (
            "raises_what_cannot_be_copied",
            "model.build=tests.support.broken_models:raises_what_cannot_be_copied",
        ),
        ("talks", "model.build must name a function of (shape, classes, settings) that returns a Keras"),
    ],
)
def test_whatever_a_network_does_is_the_failure_of_its_trial(
    process_pool: ProcessPool, build: str, reason: str
) -> None:
    end = end_of(process_pool, BROKEN + build)
    assert isinstance(end, TrialOutcome)
    assert end.status == "failed"
    assert end.reason.startswith(reason)
    assert len(end.reason.splitlines()) == 1
    assert len(end.output) <= 2 * 64 * 1024
    if build == "talks":
        assert end.output.endswith("the end\n")


def test_who_is_asked_to_stop_did_nothing_wrong(process_pool: ProcessPool) -> None:
    assert isinstance(end_of(process_pool, BROKEN + "is_asked_to_stop"), Stoppage)


def test_after_a_failure_the_next_trial_goes_on(process_pool: ProcessPool) -> None:
    end_of(process_pool, BROKEN + "segfaults")
    end = end_of(process_pool, BROKEN + "moves_away")
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"
    end = end_of(process_pool, WORDS + " preprocess.validation=0.3")  # its folders are those of the parent
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"


def test_a_trial_that_takes_more_memory_than_there_is_ends_alone(
    process_pool: ProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is a small one here, with 128 MiB more than a worker that has trained once."""
    end_of(process_pool, WORDS)
    before = {worker.process.pid for worker in process_pool._workers}
    room = max(map(read_tree_bytes, filter(None, before))) + 128 * MIB

    def read_small_memory() -> Memory:
        return Memory(room, max(0, room - sum(map(read_tree_bytes, process_pool._list_busy_pids()))))

    monkeypatch.setattr(memory_guard, "SHORT_BYTES", 16 * MIB)
    monkeypatch.setattr(memory_guard, "read_memory", read_small_memory)
    end = end_of(process_pool, BROKEN + "eats_memory")
    monkeypatch.undo()
    assert isinstance(end, TrialOutcome)
    assert end.status == "failed"
    assert re.fullmatch(
        r"out of memory: its process held \d\.\d of \d\.\d GiB, 0\.\d\d were left, before its first epoch",
        end.reason,
    )
    end = end_of(process_pool, WORDS)
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_when_its_time_is_up() -> None:
    pool = ProcessPool(1, tiny.BASE.device, tiny.CPU, timeout=0.5)
    end = end_of(pool, BROKEN + "hangs")
    assert isinstance(end, TrialOutcome)
    assert end.reason == "it had not ended after 0.5 seconds (search.trial_timeout), before its first epoch"
    assert end.paid_seconds >= 0.5
    with pytest.raises(WorkerLost, match="it had not ended after"):
        pool.call(check_settings, tiny.told(BROKEN + "hangs"), False)
    pool.close()


@pytest.mark.slow
def test_what_a_trial_has_started_ends_with_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_FILE", str(tmp_path / "child"))
    pool = ProcessPool(1, tiny.BASE.device, tiny.CPU)
    end = end_of(pool, BROKEN + "leaves_threads_and_processes")
    assert isinstance(end, TrialOutcome)
    assert end.status == "complete"
    (worker,) = pool._workers
    child = int((tmp_path / "child").read_text())
    pool.close()
    assert worker.process.exitcode in (0, -signal.SIGKILL)  # for its thread it may have ended by itself
    with suppress(psutil.NoSuchProcess):  # as a rule it has ended with its trial
        psutil.Process(child).wait(60)
    assert not psutil.pid_exists(child)


def test_a_call_returns_raises_or_says_how_its_process_ended(process_pool: ProcessPool) -> None:
    assert process_pool.call(max, 3, 5) == 5
    assert process_pool.call(os.fork) > 0  # the copy that it makes of the worker answers nothing
    assert process_pool.call(gc.get_freeze_count) > 100_000  # what the fork server imported
    with pytest.raises(BadModel, match="nobody:build"):
        process_pool.call(check_settings, tiny.told("model=custom model.build=nobody:build"), False)
    with pytest.raises(WorkerLost, match="ZeroDivisionError: "):
        process_pool.call(divmod, 1, 0)
    with pytest.raises(WorkerLost, match="SIGSEGV"):
        process_pool.call(check_settings, tiny.told(BROKEN + "segfaults"), False)
    assert process_pool.count_free() == 2


def test_what_a_terminal_sends_to_all_does_not_reach_the_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits what is held back while it is started."""
    held: list[set[int]] = []
    block_nothing = signal.SIG_BLOCK, ()
    monkeypatch.setattr(
        forkserver, "ensure_running", lambda: held.append(set(signal.pthread_sigmask(*block_nothing)))
    )
    start_fork_server()
    assert held[0] >= set(STOPPING)
    assert not set(signal.pthread_sigmask(*block_nothing)) & set(STOPPING)


def test_a_process_forked_from_one_with_a_fork_server_starts_its_own() -> None:
    start_fork_server(for_loops=True)
    if (child := os.fork()) == 0:
        worker = start_fork_server(for_loops=True).Process(target=os.getpid)
        worker.start()
        worker.join()
        os._exit(worker.exitcode or 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_network_of_the_script_itself_trains_in_its_process() -> None:
    settings = tiny.told("search.workers=2 model=custom model.build=__main__:build")
    assert isinstance(make_worker_pool(settings, tiny.CPU), InProcessPool)


def test_a_loop_of_a_users_starts_processes_as_it_would_anywhere_else() -> None:
    call = "trial.call=tests.support.my_loops:starting"
    settings = compose(["trial=function", call, "device.pin=false", "epochs=1"]).settings
    pool = ProcessPool(1, settings.device, tiny.CPU, for_loops=True)
    pool.start(Job(number=0, settings=settings))
    try:
        outcome = ends(heard(pool, ended(1)))[0]
    finally:
        pool.close()
    assert isinstance(outcome, TrialOutcome)
    assert (outcome.status, outcome.points[0].accuracy) == ("complete", 1), outcome.reason
    expected = multiprocessing.get_context().get_start_method() == "fork"
    assert outcome.metrics["forks"] == ((1, expected),)
