"""The ledger: trials that are whole, each begun once, none lost; by real storages, without training."""

import multiprocessing
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from pipeline.errors import BadInput, BadSetting
from pipeline.search import optuna_storage, study_store
from pipeline.search.optuna_storage import OWNER
from pipeline.search.study_store import ONCE, OUTCOME, REQUEUES, WORDS, Ledger, Proposal, is_interrupted

ABOUT = {"space": ["model.hidden=8,16"], "settings": ["train.epochs=3"], "device": "a CPU, 1 core"}
NOBODY = Proposal({}, {}, {})
ELSEWHERE = {"host": "another.example", "pid": 1, "started": 1}
DONE = {"state": "complete", "curve": [[1, 0.5, 0.7], [2, 1.0, 0.8]]}
MANY = 1000


def proposal(number: int) -> Proposal:
    return Proposal({"x": number / 10}, {"x": FloatDistribution(0, 10)}, {"told": number})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url, "s", ABOUT)


def is_free(ledger: Ledger) -> bool:
    return ledger.claim() is None


def disown(ledger: Ledger, number: int, owner: dict[str, Any]) -> None:
    """As if another process held the trial."""
    ledger._storage.set_trial_user_attr(ledger._of(number), OWNER, owner)


def dead() -> dict[str, Any]:
    """An owner on this host that is gone."""
    return optuna_storage.owner() | {"started": optuna_storage.owner()["started"] - 1000}


# ---- rows -------------------------------------------------------------------------------------------------


def test_a_row_is_written_whole(ledger: Ledger, url: str) -> None:
    assert ledger.begin(proposal(3), MANY) == 0
    (row,) = Ledger(url, "s", ABOUT).trials()
    assert (row.state, row.params, row.system_attrs) == (TrialState.RUNNING, {"x": 0.3}, {"told": 3})
    assert row.user_attrs[OWNER] == optuna_storage.owner()


@pytest.mark.parametrize(
    ("outcome", "state", "values"),
    [
        (DONE, TrialState.COMPLETE, [0.8, 1.0]),
        ({**DONE, "state": "paused"}, TrialState.PRUNED, None),
        ({**DONE, "state": "failed"}, TrialState.FAIL, None),
        ({"state": "complete", "curve": []}, TrialState.FAIL, None),
    ],
)
def test_a_trial_ends_as_what_it_was(
    ledger: Ledger, url: str, outcome: dict[str, Any], state: TrialState, values: list[float] | None
) -> None:
    number = ledger.begin(proposal(0), MANY)
    assert number is not None
    assert ledger.finish(number, outcome)
    (row,) = Ledger(url, "s").trials()
    assert (row.state, row.values, row.user_attrs[OUTCOME]) == (state, values, outcome)
    assert not is_interrupted(row)


def test_what_was_queued_is_claimed_once_and_in_order(ledger: Ledger, url: str) -> None:
    for number in range(3):
        ledger.queue(NOBODY, {WORDS: [f"train.seed={number}"]}, once=f"baseline {number}")
    other = Ledger(url, "s", ABOUT)
    claimed = [each.claim() for each in (ledger, other, ledger)]
    assert [row.user_attrs[WORDS] for row in claimed if row] == [[f"train.seed={n}"] for n in range(3)]
    assert is_free(ledger)
    assert is_free(other)
    assert [row.user_attrs[OWNER] for row in ledger.trials()] == 3 * [optuna_storage.owner()]


def test_only_what_is_wanted_is_claimed(ledger: Ledger) -> None:
    ledger.queue(NOBODY, {"for": "you"}, once="a")
    ledger.queue(NOBODY, {"for": "me"}, once="b")
    row = ledger.claim(lambda waiting: waiting.user_attrs["for"] == "me")
    assert row is not None
    assert row.user_attrs[ONCE] == "b"


def test_what_is_queued_once_is_there_once(ledger: Ledger, url: str) -> None:
    for each in (ledger, ledger, Ledger(url, "s", ABOUT)):
        each.queue(NOBODY, {}, once="baseline experiment=article")
    assert ledger.begun() == 1
    row = ledger.claim()
    assert row is not None
    ledger.finish(row.number, DONE)
    ledger.queue(NOBODY, {}, once="baseline experiment=article")
    assert ledger.begun() == 1


def test_two_that_queue_in_the_same_moment_leave_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked before either wrote."""
    ledger.queue(NOBODY, {}, once="baseline")
    rows = Ledger._rows
    looks = iter([[]])
    monkeypatch.setattr(Ledger, "_rows", lambda self: next(looks, None) or rows(self))
    ledger.queue(NOBODY, {}, once="baseline")
    monkeypatch.undo()
    assert [row.number for row in ledger.trials()] == [0]
    assert ledger.begun() == 1


def test_what_is_done_afterwards_is_no_trial(ledger: Ledger, url: str) -> None:
    ledger.begin(proposal(0), MANY)
    ledger.afterwards().queue(NOBODY, {}, once="confirm")
    assert ledger.begun() == len(ledger.trials()) == 1
    assert is_free(ledger)
    assert optuna_storage.names(url) == ["s"]
    assert Ledger(url, "s").afterwards().claim() is not None


# ---- the total --------------------------------------------------------------------------------------------


def test_beyond_the_total_nobody_begins(ledger: Ledger, url: str) -> None:
    other = Ledger(url, "s", ABOUT)
    assert [each.begin(proposal(n), 3) for n, each in enumerate([ledger, other, ledger, other, ledger])] == [
        0,
        1,
        2,
        None,
        None,
    ]
    assert [row.number for row in other.trials()] == [0, 1, 2]
    assert ledger.begun() == 3
    assert ledger.begin(proposal(9), 4) == 5  # topped up; left-over rows count for nothing


def _begin_until_done(url: str, line: Connection) -> None:
    ledger = Ledger(url, "s", ABOUT)
    line.recv()
    begun = []
    while len(begun) < 60 and (number := ledger.begin(proposal(len(begun)), 24)) is not None:
        begun.append(number)
        ledger.finish(number, DONE)
    while row := ledger.claim():
        begun.append(row.number)
        ledger.finish(row.number, DONE)
    line.send(begun)


@pytest.fixture
def two_processes(url: str) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    lines, processes = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        process = context.Process(target=_begin_until_done, args=(url, theirs))
        process.start()
        theirs.close()
        lines.append(ours)
        processes.append(process)
    yield lines
    for process in processes:
        process.join(60)
        process.kill()


def test_two_processes_share_the_trials_and_the_queue(
    ledger: Ledger, two_processes: list[Connection]
) -> None:
    for number in range(8):
        ledger.queue(NOBODY, {}, once=f"baseline {number}")
    for line in two_processes:
        line.send("go")
    begun = [number for line in two_processes for number in line.recv()]
    assert len(begun) == len(set(begun)) == ledger.begun() == 24
    assert {row.state for row in ledger.trials()} == {TrialState.COMPLETE}


# ---- interrupted ------------------------------------------------------------------------------------------


def take_back(ledger: Ledger, most: int = MANY) -> list[int]:
    orphans = ledger.orphans(most)
    for row in orphans:
        ledger.requeue(row)
    return [row.number for row in orphans]


def test_the_living_keep_their_trials(ledger: Ledger) -> None:
    ledger.begin(proposal(0), MANY)
    disown(
        ledger, 0, optuna_storage.owner() | {"started": optuna_storage.owner()["started"] + 1}
    )  # a clock was set
    ledger.begin(proposal(1), MANY)
    disown(ledger, 1, ELSEWHERE)
    assert take_back(ledger) == []


def test_the_trial_of_a_dead_process_is_tried_again_once(ledger: Ledger, url: str) -> None:
    ledger.begin(proposal(7), MANY)
    disown(ledger, 0, dead())
    assert take_back(ledger) == [0]
    assert take_back(ledger) == take_back(Ledger(url, "s", ABOUT)) == []
    row = ledger.claim()
    assert row is not None
    assert (row.params, row.system_attrs) == ({"x": 0.7}, {"told": 7})
    assert row.user_attrs[REQUEUES] == 0
    assert row.user_attrs[OWNER] == optuna_storage.owner()
    assert ledger.begun() == 1
    assert [is_interrupted(each) for each in ledger.trials()] == [True, False]


def test_a_next_try_may_die_too(ledger: Ledger) -> None:
    ledger.begin(proposal(7), MANY)
    disown(ledger, 0, dead())
    for number in range(3):
        assert take_back(ledger) == [number]
        row = ledger.claim()
        assert row is not None
        disown(ledger, row.number, dead())
    assert ledger.begun() == 1


def test_a_kill_before_it_was_queued_again_loses_nothing(ledger: Ledger) -> None:
    ledger.begin(proposal(0), MANY)
    disown(ledger, 0, dead())
    assert [row.number for row in ledger.orphans(MANY)] == [0]  # and died before `requeue`
    assert take_back(ledger) == [0]
    assert ledger.begun() == 1


def test_a_kill_before_the_last_stroke_keeps_the_outcome(ledger: Ledger) -> None:
    ledger.begin(proposal(0), MANY)
    ledger._storage.set_trial_user_attr(ledger._of(0), OUTCOME, DONE)
    disown(ledger, 0, dead())
    assert take_back(ledger) == []
    (row,) = ledger.trials()
    assert (row.state, row.values) == (TrialState.COMPLETE, [0.8, 1.0])


def test_a_kill_of_one_beyond_the_total_adds_none(ledger: Ledger) -> None:
    ledger.begin(proposal(0), MANY)
    ledger.begin(proposal(1), MANY)  # as with a total of 1, before it was marked as left over
    disown(ledger, 1, dead())
    assert take_back(ledger, most=1) == []
    assert ledger.begun() == 1
    assert is_free(ledger)


def test_what_is_given_back_is_tried_again(ledger: Ledger) -> None:
    ledger.queue(NOBODY, {WORDS: ["train.seed=3"]}, once="baseline")
    row = ledger.claim()
    assert row is not None
    ledger.drop(row.number)
    again = ledger.claim()
    assert again is not None
    assert again.user_attrs[WORDS] == ["train.seed=3"]
    assert ledger.begun() == 1


def test_another_host_is_given_up_when_its_heart_is_silent(ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin(proposal(0), MANY)
    ledger.queue(NOBODY, {}, once="claimed")
    ledger.claim()
    for number in (0, 1):
        disown(ledger, number, ELSEWHERE)
    assert take_back(ledger) == []
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("update trial_heartbeats set heartbeat = '2020-01-01 00:00:00'")
    assert take_back(ledger) == [0, 1]


def test_the_heart_beats_while_an_epoch_takes_long(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_store, "HEARTBEAT_SECONDS", 0.05)
    ledger.begin(proposal(0), MANY)
    ledger.begin(proposal(1), MANY)
    disown(ledger, 1, ELSEWHERE)
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("update trial_heartbeats set heartbeat = '2020-01-01 00:00:00'")
    stale = [0, 1]
    with ledger.beating():
        while 0 in stale:
            time.sleep(0.05)
            stale = [id_ - ledger._of(0) for id_ in ledger._storage._get_stale_trial_ids(ledger._id)]
    assert stale == [1]


def test_who_was_given_up_while_it_slept_does_not_count(ledger: Ledger) -> None:
    ledger.begin(proposal(0), MANY)
    disown(ledger, 0, dead())
    take_back(ledger)
    assert not ledger.finish(0, DONE)
    assert is_interrupted(ledger.trials()[0])


def _hold(url: str, line: Connection) -> None:
    number = Ledger(url, "s", ABOUT).begin(proposal(0), MANY)
    line.send(number)
    signal.pause()


def test_a_process_that_was_killed_is_noticed(ledger: Ledger, url: str) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(url, theirs))
    process.start()
    assert ours.recv() == 0
    assert take_back(ledger) == []
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert take_back(ledger) == [0]


# ---- taking turns -----------------------------------------------------------------------------------------


def test_who_comes_second_waits_for_the_first(
    ledger: Ledger, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, steps = Ledger(url, "s"), list[str]()

    class Waited(Exception):
        pass

    def sleep(_seconds: float) -> None:
        steps.append("waits")
        raise Waited

    monkeypatch.setattr("time.sleep", sleep)
    with ledger.alone("line"):
        with pytest.raises(Waited), other.alone("line"):
            steps.append("never")
        with other.alone("run"):
            steps.append("another door")
    with other.alone("line"):
        steps.append("goes")
    assert steps == ["waits", "another door", "goes"]
    assert ledger.trials() == ledger.afterwards().trials() == []


def test_nobody_waits_for_the_dead(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: pytest.fail("waits"))
    with ledger.alone("line"):
        disown(ledger.afterwards(), 0, dead())
        with ledger.alone("line"):
            pass
    assert ledger.afterwards().orphans(MANY) == []


# ---- what must stay the same ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [("space", ["model.hidden=8,32"]), ("settings", ["train.epochs=4"]), ("device", "another CPU, 1 core")],
)
def test_a_study_that_changed_is_refused_with_what_differs(
    ledger: Ledger, url: str, key: str, value: object
) -> None:
    ledger.begin(proposal(0), MANY)
    with pytest.raises(BadSetting) as caught:
        Ledger(url, "s", {**ABOUT, key: value})
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"search.study=s was begun with {key} {ABOUT[key]}, got {value}; start anew with")
    assert len(Ledger(url, "s", ABOUT).trials()) == 1


def test_reading_demands_nothing_and_decides_nothing(url: str) -> None:
    Ledger(url, "new")
    assert Ledger(url, "new", ABOUT).attrs()["about"] == ABOUT
    assert Counter(optuna_storage.names(url)) == {"new": 1}


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:secret-word@127.0.0.1:1/studies",
        "sqlite:////no/such/folder/studies.db?password=secret-word",
        "nosuchdialect://ann:secret-word@host/x",
        "no address, but secret",
    ],
)
def test_a_storage_that_does_not_answer_is_told_without_its_password(address: str) -> None:
    for use in (lambda: Ledger(address, "s", ABOUT), lambda: optuna_storage.names(address)):
        with pytest.raises(BadInput) as caught:
            use()
        text = str(caught.value)
        assert text.startswith("search.storage must be an Optuna URL that answers, got ")
        assert "\n" not in text
        assert "secret-word" not in text
