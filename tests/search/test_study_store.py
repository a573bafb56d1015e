"""The store: trials that are whole, each begun once, none lost; by real storages, without training."""

import multiprocessing
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import BadInput, BadSetting, RecordDeleted
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search import optuna_storage
from pipeline.search.storage import heartbeat, held_trials, study_rows
from pipeline.search.storage.our_studies import ONCE, OUTCOME, OWNER
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.task_rows import TaskRows
from pipeline.search.storage.trial_states import REQUEUES, SPENT, WORDS, is_interrupted
from pipeline.search.study_store import StudyStore

ABOUT = {"space": ["model.hidden=8,16"], "settings": ["train.epochs=3"], "device": "a CPU, 1 core"}
NOBODY = ProposedTrial({}, {}, {})
ELSEWHERE = {"host": "another.example", "pid": 1, "started": 1}
DONE = {"state": "complete", "curve": [[1, 0.5, 0.7], [2, 1.0, 0.8]]}
MANY = 1000


def proposal(number: int) -> ProposedTrial:
    return ProposedTrial({"x": number / 10}, {"x": FloatDistribution(0, 10)}, {"told": number})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def store(url: str) -> StudyStore:
    return StudyStore(url, "s", ABOUT)


def is_free(store: StudyStore) -> bool:
    return store.claim() is None


def disown(store: StudyStore, number: int, owner: dict[str, Any]) -> None:
    """As if another process held the trial."""
    if isinstance(store._table, TaskRows):
        store._table.change(number, lambda row, _: {**row, "attrs": {**row["attrs"], OWNER: owner}})
    else:
        store._storage.set_trial_user_attr(store._table.find_id(number), OWNER, owner)


def this_process() -> dict[str, Any]:
    return ProcessOwner.current().to_dict()


def is_of_this_process(row: FrozenTrial) -> bool:
    owner = held_trials.read_owner(row)
    return owner is not None and owner.is_current()


def dead() -> dict[str, Any]:
    """An owner on this host that is gone."""
    owner = ProcessOwner.current()
    return replace(owner, started=1.0, started_after_boot=1.0).to_dict()


# ---- rows -------------------------------------------------------------------------------------------------


def test_a_row_is_written_whole(store: StudyStore, url: str) -> None:
    assert store.begin(proposal(3), MANY) == 0
    (row,) = StudyStore(url, "s", ABOUT).trials()
    assert (row.state, row.params, row.system_attrs) == (TrialState.RUNNING, {"x": 0.3}, {"told": 3})
    assert is_of_this_process(row)


def test_many_trials_begin_and_end_at_once(url: str) -> None:
    store, other = (StudyStore(url, "many", ABOUT) for _ in range(2))
    assert store.begin_all([proposal(1), proposal(2)], 5, newest_seen=-1) == [0, 1]
    assert other.begin_all([proposal(2), proposal(3), proposal(4)], 5, newest_seen=-1) == [None, 3, 4]
    assert store.begin_all([proposal(5), proposal(6)], 5, newest_seen=4) == [5, None]
    assert store.count_begun() == 5
    assert store.finish_all({0: DONE, 1: DONE | {"state": "paused"}}) == {0, 1}
    assert store.give_up(5)
    assert store.finish_all({3: DONE, 5: DONE}) == {3}
    ended = {row.number: row for row in other.trials() if row.state.is_finished()}
    assert {number: row.state.name for number, row in ended.items()} == {
        0: "COMPLETE", 1: "PRUNED", 3: "COMPLETE", 5: "FAIL",
    }  # fmt: skip
    assert ended[3].values == ended[0].values
    assert ended[3].intermediate_values == ended[0].intermediate_values != ended[1].intermediate_values


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
    store: StudyStore, url: str, outcome: dict[str, Any], state: TrialState, values: list[float] | None
) -> None:
    number = store.begin(proposal(0), MANY)
    assert number is not None
    assert store.finish(number, outcome)
    (row,) = StudyStore(url, "s").trials()
    assert (row.state, row.values, row.user_attrs[OUTCOME]) == (state, values, outcome)
    assert not is_interrupted(row)


def test_what_was_queued_is_claimed_once_and_in_order(store: StudyStore, url: str) -> None:
    for number in range(3):
        store.queue(NOBODY, {WORDS: [f"train.seed={number}"]}, once=f"baseline {number}")
    other = StudyStore(url, "s", ABOUT)
    claimed = [each.claim() for each in (store, other, store)]
    assert [row.user_attrs[WORDS] for row in claimed if row] == [[f"train.seed={n}"] for n in range(3)]
    assert is_free(store)
    assert is_free(other)
    assert [is_of_this_process(row) for row in store.trials()] == [True] * 3


def test_only_what_is_wanted_is_claimed(store: StudyStore) -> None:
    store.queue(NOBODY, {"for": "you"}, once="a")
    store.queue(NOBODY, {"for": "me"}, once="b")
    row = store.claim(lambda waiting: waiting.user_attrs["for"] == "me")
    assert row is not None
    assert row.user_attrs[ONCE] == "b"


def test_what_is_queued_once_is_there_once(store: StudyStore, url: str) -> None:
    for each in (store, store, StudyStore(url, "s", ABOUT)):
        each.queue(NOBODY, {}, once="baseline experiment=article")
    assert store.count_begun() == 1
    row = store.claim()
    assert row is not None
    store.finish(row.number, DONE)
    store.queue(NOBODY, {}, once="baseline experiment=article")
    assert store.count_begun() == 1


def test_optuna_finds_the_accuracy_after_each_epoch_of_what_is_complete(store: StudyStore, url: str) -> None:
    for number, state in enumerate(("complete", "paused", "failed")):
        store.begin(proposal(number), MANY)
        store.finish(number, DONE | {"state": state})
    study = optuna.load_study(storage=url, study_name="s")
    assert [row.intermediate_values for row in study.trials] == [{1: 0.7, 2: 0.8}, {}, {}]
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=0, seed=0)
    study.ask(proposal(0).distributions)  # which raises where what paused has values of its way


def test_two_that_queue_in_the_same_moment_leave_one(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either wrote."""
    store.queue(NOBODY, {}, once="baseline")
    rows = StudyStore._rows
    looks = iter([[]])
    monkeypatch.setattr(StudyStore, "_rows", lambda self: next(looks, None) or rows(self))
    store.queue(NOBODY, {}, once="baseline")
    monkeypatch.undo()
    assert [row.number for row in store.trials()] == [0]
    assert store.count_begun() == 1


def test_two_that_claim_in_the_same_moment_are_one(
    store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see the row waiting; the other machine, whose process cannot be seen here, is faster."""
    store.queue(NOBODY, {}, once="baseline")
    theirs = {"host": "another", "pid": 1, "started": 1.0}

    def be_faster(storage: Any, trial_id: int, owner: ProcessOwner) -> bool:
        other = ProcessOwner.from_dict(theirs)
        assert other is not None
        assert held_trials.claim_waiting(StudyStore(url, "s")._storage, trial_id, other)
        return held_trials.claim_waiting(storage, trial_id, owner)

    monkeypatch.setattr(study_rows, "claim_waiting", be_faster)
    assert is_free(store)
    monkeypatch.undo()
    (row,) = store.trials()
    assert (row.state, row.user_attrs[OWNER]["host"]) == (TrialState.RUNNING, "another")
    assert take_back(store) == []


def test_what_is_done_afterwards_is_no_trial(store: StudyStore, url: str) -> None:
    store.begin(proposal(0), MANY)
    store.task_queue().queue(NOBODY, {}, once="confirm")
    assert store.count_begun() == len(store.trials()) == 1
    assert is_free(store)
    assert optuna_storage.list_studies(url) == ["s"]
    assert StudyStore(url, "s").task_queue().claim() is not None


# ---- the total --------------------------------------------------------------------------------------------


def test_beyond_the_total_nobody_begins(store: StudyStore, url: str) -> None:
    other = StudyStore(url, "s", ABOUT)
    assert [each.begin(proposal(n), 3) for n, each in enumerate([store, other, store, other, store])] == [
        0,
        1,
        2,
        None,
        None,
    ]
    assert [row.number for row in other.trials()] == [0, 1, 2]
    assert store.count_begun() == 3
    assert store.begin(proposal(9), 4) == 5  # topped up; left-over rows count for nothing


def test_of_two_that_propose_the_same_at_once_one_begins(store: StudyStore, url: str) -> None:
    """Two processes that have seen the same trials ask samplers of one seed."""
    other = StudyStore(url, "s", ABOUT)
    assert store.begin(proposal(1), MANY, newest_seen=-1) == 0
    assert other.begin(proposal(1), MANY, newest_seen=-1) is None
    assert other.begin(proposal(2), MANY, newest_seen=-1) == 2
    assert store.count_begun() == 2
    # Who knows of the first may go on with it, as with a paused trial.
    assert other.begin(proposal(1), MANY, newest_seen=2) == 3
    assert [row.params["x"] for row in store.trials()] == [0.1, 0.2, 0.1]


def _begin_until_done(url: str, line: Connection) -> None:
    store = StudyStore(url, "s", ABOUT)
    line.recv()
    begun = []
    while len(begun) < 60 and (number := store.begin(proposal(len(begun)), 24)) is not None:
        begun.append(number)
        store.finish(number, DONE)
    while row := store.claim():
        begun.append(row.number)
        store.finish(row.number, DONE)
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
    store: StudyStore, two_processes: list[Connection]
) -> None:
    for number in range(8):
        store.queue(NOBODY, {}, once=f"baseline {number}")
    for line in two_processes:
        line.send("go")
    begun = [number for line in two_processes for number in line.recv()]
    assert len(begun) == len(set(begun)) == store.count_begun() == 24
    assert {row.state for row in store.trials()} == {TrialState.COMPLETE}


# ---- interrupted ------------------------------------------------------------------------------------------


def take_back(store: StudyStore, most: int | None = MANY) -> list[int]:
    orphans = store.find_orphans(most)
    for row in orphans:
        store.requeue(row)
    return [row.number for row in orphans]


def test_the_living_keep_their_trials(store: StudyStore) -> None:
    store.begin(proposal(0), MANY)
    disown(store, 0, this_process() | {"started": this_process()["started"] + 1})  # a clock was set
    store.begin(proposal(1), MANY)
    disown(store, 1, ELSEWHERE)
    if (me := ProcessOwner.current()).pid_namespace is not None:  # a container of the same host name
        store.begin(proposal(2), MANY)
        disown(store, 2, replace(me, pid=99999999, pid_namespace=1).to_dict())
    assert take_back(store) == []


def make_leases_old(folder: Path) -> None:
    """As if nobody had renewed one for years."""
    with sqlite3.connect(folder / "studies.db") as database:
        database.execute("update trial_heartbeats set heartbeat = '2020-01-01 00:00:00'")


def test_a_reboot_frees_the_trials_of_this_host_when_the_lease_is_over(
    store: StudyStore, tmp_path: Path
) -> None:
    """Another boot may be that of a living twin: two machines of one image have one name."""
    if (me := ProcessOwner.current()).boot_id is None:
        pytest.skip("this system does not name its boots")
    store.begin(proposal(0), MANY)
    disown(store, 0, replace(me, boot_id=32 * "0").to_dict())
    assert take_back(store) == []
    make_leases_old(tmp_path)
    assert take_back(store) == [0]


def test_a_living_process_keeps_its_trials_however_silent_it_was(store: StudyStore, tmp_path: Path) -> None:
    """A laptop that slept for an hour: its own search would give up what it trains, and train it twice."""
    store.begin(proposal(0), MANY)
    make_leases_old(tmp_path)
    assert take_back(store) == []
    assert store.finish(0, DONE)


def test_a_trial_without_a_first_heartbeat_gets_its_lease_here(store: StudyStore, tmp_path: Path) -> None:
    """Another machine was switched off between two writes: nobody waits for it for ever."""
    store.begin(proposal(0), MANY)
    disown(store, 0, ELSEWHERE)
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("delete from trial_heartbeats")
    assert take_back(store) == []
    make_leases_old(tmp_path)
    assert take_back(store) == [0]


def test_the_trial_of_a_dead_process_is_tried_again_once(store: StudyStore, url: str) -> None:
    store.begin(proposal(7), MANY)
    disown(store, 0, dead())
    assert take_back(store) == [0]
    assert take_back(store) == take_back(StudyStore(url, "s", ABOUT)) == []
    row = store.claim()
    assert row is not None
    assert (row.params, row.system_attrs) == ({"x": 0.7}, {"told": 7})
    assert row.user_attrs[REQUEUES] == 0
    assert is_of_this_process(row)
    assert store.count_begun() == 1
    assert [is_interrupted(each) for each in store.trials()] == [True, False]


def test_a_next_try_may_die_too(store: StudyStore) -> None:
    store.begin(proposal(7), MANY)
    disown(store, 0, dead())
    for number in range(3):
        assert take_back(store) == [number]
        row = store.claim()
        assert row is not None
        disown(store, row.number, dead())
    assert store.count_begun() == 1


def test_a_kill_before_it_was_queued_again_loses_nothing(store: StudyStore) -> None:
    store.begin(proposal(0), MANY)
    disown(store, 0, dead())
    assert [row.number for row in store.find_orphans(MANY)] == [0]  # and died before `requeue`
    assert take_back(store) == [0]
    assert store.count_begun() == 1


def test_a_kill_before_the_last_stroke_keeps_the_outcome(store: StudyStore) -> None:
    store.begin(proposal(0), MANY)
    store._storage.set_trial_user_attr(store._table.find_id(0), OUTCOME, DONE)
    disown(store, 0, dead())
    assert take_back(store) == []
    (row,) = store.trials()
    assert (row.state, row.values) == (TrialState.COMPLETE, [0.8, 1.0])


def test_a_kill_of_one_beyond_the_total_adds_none(store: StudyStore) -> None:
    store.begin(proposal(0), MANY)
    store.begin(proposal(1), MANY)  # as with a total of 1, before it was marked as left over
    disown(store, 1, dead())
    assert take_back(store, most=1) == []
    assert store.count_begun() == 1
    assert is_free(store)


def test_what_follows_a_search_is_tried_again_however_much_of_it_there_is(store: StudyStore) -> None:
    """Three seeds for each of five points, in a search of two trials: the limit is that of trials."""
    queue = store.task_queue()
    for number in range(3):
        queue.queue(NOBODY, {}, once=f"confirm {number}")
        row = queue.claim()
        assert row is not None
    disown(queue, 2, dead())
    assert take_back(queue, most=None) == [2]
    again = queue.claim()
    assert again is not None
    assert queue.finish(again.number, DONE)


def test_who_gives_up_a_trial_that_ends_in_this_moment_leaves_it_as_it_ended(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner lives, and writes the outcome after the other has looked: the record of its run counts."""
    store.begin(proposal(0), MANY)
    disown(store, 0, dead())
    fail = StudyStore._fail

    def end_first(self: StudyStore, row: FrozenTrial, **more: Any) -> bool:
        assert store.finish(row.number, DONE)
        return fail(self, row, **more)

    monkeypatch.setattr(StudyStore, "_fail", end_first)
    assert take_back(store) == []
    assert store.give_up(0) is None
    (row,) = store.trials()
    assert (row.state, row.values, row.user_attrs[OUTCOME]) == (TrialState.COMPLETE, [0.8, 1.0], DONE)


def test_an_outcome_is_written_whole_or_not_at_all(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails between two statements."""
    store.begin(proposal(0), MANY)
    write = held_trials.replace_attrs

    def fail(*arguments: Any) -> None:
        write(*arguments)
        raise ConnectionResetError

    monkeypatch.setattr(held_trials, "replace_attrs", fail)
    with pytest.raises(ConnectionResetError):
        store.finish(0, DONE)
    monkeypatch.undo()
    (row,) = store.trials()
    assert (row.state, OUTCOME in row.user_attrs) == (TrialState.RUNNING, False)
    assert store.finish(0, DONE)
    assert store.finish(0, DONE)  # the answer to the commit was lost: the trial counts


def test_what_is_given_back_is_tried_again(store: StudyStore) -> None:
    store.queue(NOBODY, {WORDS: ["train.seed=3"]}, once="baseline")
    row = store.claim()
    assert row is not None
    store.release(row.number)
    again = store.claim()
    assert again is not None
    assert again.user_attrs[WORDS] == ["train.seed=3"]
    assert store.count_begun() == 1


def test_another_host_is_given_up_when_its_heart_is_silent(store: StudyStore, tmp_path: Path) -> None:
    store.begin(proposal(0), MANY)
    store.queue(NOBODY, {}, once="claimed")
    store.claim()
    for number in (0, 1):
        disown(store, number, ELSEWHERE)
    assert take_back(store) == []
    make_leases_old(tmp_path)
    assert take_back(store) == [0, 1]


def test_the_heart_beats_while_an_epoch_takes_long(
    store: StudyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.05)
    store.begin(proposal(0), MANY)
    store.begin(proposal(1), MANY)
    disown(store, 1, ELSEWHERE)
    make_leases_old(tmp_path)
    stale = [0, 1]
    with store.heartbeat():
        while 0 in stale:
            time.sleep(0.05)
            stale = [id_ - store._table.find_id(0) for id_ in store._storage._get_stale_trial_ids(store._id)]
    assert stale == [1]


def test_what_a_trial_has_spent_is_written_long_before_the_next_heartbeat(
    store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill would take it from the budget."""
    monkeypatch.setattr(heartbeat, "NOTE_SECONDS", 0.02)
    store.begin(proposal(0), MANY)
    store.note_spent(0, 0.01)
    assert not store._heartbeat.is_due()
    store.note_spent(0, 0.05)
    with store.heartbeat():
        while store._heartbeat.is_due():
            time.sleep(0.01)
    (row,) = StudyStore(url, "s", ABOUT).trials()
    assert row.user_attrs[SPENT] == 0.05


def test_what_could_not_be_given_back_does_not_bar_a_later_search_of_the_same_process(
    store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a notebook, after a disk was full."""
    other = StudyStore(url, "s", ABOUT)
    store.begin(proposal(0), MANY)
    monkeypatch.setattr(store.task_queue(), "_end", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), store.exclusive("line"):
        pass
    with other.exclusive("line"):
        assert take_back(other) == []
    store.close()
    assert take_back(other) == [0]


def test_ctrl_c_just_as_a_turn_is_taken_leaves_it_to_the_next(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever asks next waits for this very process, as a notebook's second cell would."""
    create = StudyStore._create_row

    def create_and_be_stopped(*arguments: Any) -> None:
        create(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(StudyStore, "_create_row", create_and_be_stopped)
    with pytest.raises(KeyboardInterrupt), store.exclusive("line"):
        pass
    monkeypatch.setattr(StudyStore, "_create_row", create)
    monkeypatch.setattr("time.sleep", lambda _seconds: pytest.fail("waits"))
    with store.exclusive("line"):
        pass


def test_who_was_given_up_while_it_slept_does_not_count(store: StudyStore) -> None:
    store.begin(proposal(0), MANY)
    disown(store, 0, dead())
    take_back(store)
    assert not store.finish(0, DONE)
    assert is_interrupted(store.trials()[0])


def _hold(url: str, line: Connection) -> None:
    number = StudyStore(url, "s", ABOUT).begin(proposal(0), MANY)
    line.send(number)
    signal.pause()


def test_a_process_that_was_killed_is_noticed(store: StudyStore, url: str) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(url, theirs))
    process.start()
    assert ours.recv() == 0
    assert take_back(store) == []
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert take_back(store) == [0]


# ---- taking turns -----------------------------------------------------------------------------------------


def test_who_comes_second_waits_for_the_first(
    store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, steps = StudyStore(url, "s"), list[str]()

    class Waited(Exception):
        pass

    def sleep(_seconds: float) -> None:
        steps.append("waits")
        raise Waited

    monkeypatch.setattr("time.sleep", sleep)
    with store.exclusive("line"):
        with pytest.raises(Waited), other.exclusive("line"):
            steps.append("never")
        with other.exclusive("run"):
            steps.append("another door")
    with other.exclusive("line"):
        steps.append("goes")
    assert steps == ["waits", "another door", "goes"]
    assert store.trials() == store.task_queue().trials() == []


def test_nobody_waits_for_the_dead(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: pytest.fail("waits"))
    with store.exclusive("line"):
        disown(store.task_queue(), 0, dead())
        with store.exclusive("line"):
            pass
    assert store.task_queue().find_orphans(MANY) == []


# ---- what must stay the same ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [("space", ["model.hidden=8,32"]), ("settings", ["train.epochs=4"]), ("device", "another CPU, 1 core")],
)
def test_a_study_that_changed_is_refused_with_what_differs(
    store: StudyStore, url: str, key: str, value: object
) -> None:
    store.begin(proposal(0), MANY)
    with pytest.raises(BadSetting) as caught:
        StudyStore(url, "s", {**ABOUT, key: value})
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"search.study=s was begun with {key} {ABOUT[key]}, got {value}; start anew with")
    assert len(StudyStore(url, "s", ABOUT).trials()) == 1


def test_a_study_of_other_objectives_is_refused_in_both_directions(url: str) -> None:
    three = {**ABOUT, "objectives": ["accuracy", "cost", "latency_ms"]}
    two = StudyStore(url, "of two", ABOUT)
    with pytest.raises(BadSetting) as caught:
        StudyStore(url, "of two", three)
    begun = "search.study=of two was begun with objectives ['accuracy', 'cost'], "
    assert str(caught.value).startswith(f"{begun}got ['accuracy', 'cost', 'latency_ms']")
    assert two.trials() == []
    store = StudyStore(url, "of three", three)
    with pytest.raises(BadSetting, match=r"was begun with objectives .*latency_ms"):
        StudyStore(url, "of three", ABOUT)
    with pytest.raises(BadSetting, match=r"got .*'parameters'"):
        StudyStore(url, "of three", {**ABOUT, "objectives": ["accuracy", "cost", "parameters"]})
    number = StudyStore(url, "of three", three).begin(proposal(0), MANY)
    assert number is not None
    store.finish(number, {**DONE, "further": {"latency_ms": [0.2]}})
    assert [row.values for row in store.trials()] == [[0.8, 1.0, 0.2]]


def test_a_study_that_was_opened_without_a_demand_is_bound_by_the_first_one(url: str) -> None:
    StudyStore(url, "new")
    with pytest.raises(BadSetting, match="was begun with objectives 2 of them"):
        StudyStore(url, "new", {**ABOUT, "objectives": ["accuracy", "cost", "latency_ms"]})
    assert StudyStore(url, "new", ABOUT).read_attrs()["about"] == ABOUT
    assert Counter(optuna_storage.list_studies(url)) == {"new": 1}


def test_a_study_with_a_secret_that_an_earlier_release_wrote_down_goes_on(url: str) -> None:
    word = "db=postgresql://ann:{}@host/db"
    StudyStore(url, "with a secret", {**ABOUT, "settings": [word.format("geheim")]})
    store = StudyStore(url, "with a secret", {**ABOUT, "settings": [word.format("***")]})
    assert "geheim" in str(store.read_attrs())
    with pytest.raises(BadSetting, match="was begun with settings"):
        StudyStore(url, "with a secret", ABOUT)


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
    for use in (lambda: StudyStore(address, "s", ABOUT), lambda: optuna_storage.list_studies(address)):
        with pytest.raises(BadInput) as caught:
            use()
        text = str(caught.value)
        assert text.startswith("search.storage must be an Optuna URL that answers, got ")
        assert "\n" not in text
        assert "secret-word" not in text


# ---- reading writes nothing -------------------------------------------------------------------------------


def test_a_user_who_may_only_read_reads_a_study(tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path / 'studies.db'}", tmp_path / "studies.db"
    store = StudyStore(url, "s", ABOUT)
    number = store.begin(proposal(1), MANY)
    before = path.read_bytes()
    reading = StudyStore.open_for_reading(f"sqlite:///file:{path}?mode=ro&uri=true", "s")
    assert [row.number for row in reading.trials()] == [number]
    assert reading.task_queue().trials() == []
    assert optuna_storage.list_studies(f"sqlite:///file:{path}?mode=ro&uri=true") == ["s"]
    assert path.read_bytes() == before


def test_studies_that_nobody_has_begun_are_none_and_stay_so(tmp_path: Path) -> None:
    assert optuna_storage.list_studies(f"sqlite:///{tmp_path / 'studies.db'}") == []
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_deleted_while_it_is_searched_is_told_in_one_line(
    store: StudyStore, url: str
) -> None:
    number = store.begin(NOBODY, 1)
    assert number is not None
    with pytest.raises(KeyError, match="ours"), store.explain_deleted():
        raise KeyError("ours")
    optuna.delete_study(storage=url, study_name="s")
    deleted = "study s was deleted from search.storage while it was searched"
    with pytest.raises(RecordDeleted, match=deleted), store.explain_deleted():
        store.finish(number, DONE)
