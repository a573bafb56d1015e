"""Who does the work: this process, or warm ones of their own that may die."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.measures import Epoch, Point
from pipeline.search import job as job_module
from pipeline.search import worker_pool
from pipeline.search.job import Ended, Job
from pipeline.search.worker_pool import Alone, Bug, Company, Crew, Event, crew
from tests.support import tiny

WORDS = "data=digits model.hidden=4 train.batch_size=32 train.epochs=3 device=cpu pruning=none engine=graph"
LONG = f"{WORDS} train.epochs=100000"
UNBEATABLE = (Point(1.0, 1e-9),)


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    """Two workers for all tests here: they import TensorFlow once."""
    made = Company(2, tiny.BASE.device)
    yield made
    made.close()


@pytest.fixture(params=["alone", "company"])
def anybody(request: pytest.FixtureRequest) -> Iterator[Crew]:
    if request.param == "company":
        yield request.getfixturevalue("company")
    else:
        made = crew(1, tiny.BASE.device)
        assert isinstance(made, Alone)
        yield made
        made.close()


def job(number: int, words: str = WORDS, place: Path | None = None) -> Job:
    return Job(number, tiny.told(words), place)


def broken(number: int) -> Job:
    """Settings that no command line can say: a bug."""
    settings = tiny.told(WORDS)
    settings.model.hidden = "wide"  # type: ignore[attr-defined]
    return Job(number, settings)


def heard(from_: Crew, until: Callable[[list[Event]], bool], frontier: tuple[Point, ...] = ()) -> list[Event]:
    events: list[Event] = []
    while not until(events):
        events += from_.events(frontier)
    return events


def ends(events: list[Event]) -> dict[int, Ended | Bug]:
    return {job.number: event for job, event in events if not isinstance(event, Epoch)}


def ended(count: int) -> Callable[[list[Event]], bool]:
    return lambda events: len(ends(events)) >= count


def begun(number: int) -> Callable[[list[Event]], bool]:
    return lambda events: any(job.number == number for job, _ in events)


def test_a_job_is_told_epoch_by_epoch(anybody: Crew) -> None:
    free = anybody.free()
    anybody.start(job(1))
    assert anybody.free() == free - 1
    events = heard(anybody, ended(1))
    assert [event.number for _, event in events if isinstance(event, Epoch)] == [1, 2, 3]
    end = ends(events)[1]
    assert isinstance(end, Ended)
    assert end.state == "complete"
    assert anybody.free() == free


def test_nobody_waits_where_nothing_runs(anybody: Crew) -> None:
    assert list(anybody.events(())) == []


def test_a_bug_comes_out_in_full_and_the_crew_goes_on(anybody: Crew) -> None:
    anybody.start(broken(2))
    bug = ends(heard(anybody, ended(1)))[2]
    assert isinstance(bug, Bug)
    assert bug.text.startswith("Traceback")
    assert "job.py" in bug.text
    anybody.start(job(3))
    end = ends(heard(anybody, ended(1)))[3]
    assert isinstance(end, Ended)
    assert end.state == "complete"


def test_an_error_of_the_system_is_a_bug_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> Iterator[Epoch]:
        raise OSError("the disk is on fire")
        yield

    monkeypatch.setattr(job_module, "work", work)
    made = Alone()
    made.start(job(4))
    bug = ends(heard(made, ended(1)))[4]
    assert isinstance(bug, Bug)
    assert bug.text.strip().endswith("OSError: the disk is on fire")


def test_who_works_hears_of_the_frontier(anybody: Crew) -> None:
    anybody.start(job(5, LONG.replace("pruning=none", "pruning=pause")))
    end = ends(heard(anybody, ended(1), UNBEATABLE))[5]
    assert isinstance(end, Ended)
    assert end.state == "paused"
    assert end.curve is not None
    assert len(end.curve.epochs) >= 3


def test_a_worker_that_is_killed_takes_its_trial_along_and_is_replaced(company: Company) -> None:
    company.start(job(6, LONG))
    heard(company, begun(6))
    (hand,) = (hand for hand in company._hands if hand.job)
    assert hand.process.pid
    os.kill(hand.process.pid, signal.SIGKILL)
    end = ends(heard(company, ended(1)))[6]
    assert end == Ended("failed", "its worker was ended by SIGKILL (out of memory?)")
    assert company.free() == 2
    company.start(job(7))
    company.start(job(8))
    assert {each.state for each in ends(heard(company, ended(2))).values() if isinstance(each, Ended)} == {
        "complete"
    }


def test_a_worker_that_died_idle_takes_no_trial_along(company: Company) -> None:
    for hand in company._hands:
        assert hand.process.pid
        os.kill(hand.process.pid, signal.SIGKILL)
        hand.process.join()
    company.start(job(9))
    end = ends(heard(company, ended(1)))[9]
    assert isinstance(end, Ended)
    assert end.state == "complete"


def test_two_work_at_once(company: Company) -> None:
    company.start(job(10, LONG))
    company.start(job(11, LONG))
    heard(company, lambda events: {each.number for each, _ in events} == {10, 11})
    pids = [hand.process.pid for hand in company._hands if hand.job]
    assert len(set(pids)) == 2
    for pid in pids:
        assert pid
        os.kill(pid, signal.SIGTERM)
    told = ends(heard(company, ended(2)))
    assert {each.reason for each in told.values() if isinstance(each, Ended)} == {
        "its worker was ended by SIGTERM"
    }


def test_closing_ends_all_also_those_at_work() -> None:
    made = Company(2, tiny.BASE.device)
    made.start(job(14))
    heard(made, ended(1))
    made.start(job(15, LONG))
    heard(made, begun(15))
    processes = [hand.process for hand in made._hands]
    pids = [process.pid for process in processes]
    made.close()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    made.close()


PARENT = """
import time
from pipeline.search.worker_pool import Company
from tests.support import tiny
from tests.search.test_worker_pool import LONG, heard, job
if __name__ == "__main__":
    company = Company(2, tiny.BASE.device)
    company.start(job(1, LONG))
    company.start(job(2, LONG))
    heard(company, lambda events: {each.number for each, _ in events} == {1, 2})
    print(*(hand.process.pid for hand in company._hands), flush=True)
    time.sleep(1000)
"""


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


def test_the_epitaph_of_one_that_left_by_itself() -> None:
    class Left:
        exitcode = 3

        def join(self, _seconds: float) -> None: ...

    assert worker_pool._epitaph(Left()) == "its worker ended with exit code 3"  # type: ignore[arg-type]
