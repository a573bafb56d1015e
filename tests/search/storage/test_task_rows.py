"""Tasks are attributes of their study: each is had once, none is lost, and Optuna lists one study."""

from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.storage.our_studies import ONCE, OUTCOME, OWNER, TASK_KEY
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.task_rows import BEAT, TaskRows
from pipeline.search.study_store import StudyStore

NOTHING = ProposedTrial({}, {}, {})
DONE = {"state": "complete", "curve": [[1, 0.5, 0.7]]}
ELSEWHERE = {"host": "another.example", "pid": 1, "started": 1.0}


@pytest.fixture
def url(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def open_queue(url: str) -> StudyStore:
    return StudyStore(url, "s", {"space": []}).task_queue()


def rows_of(queue: StudyStore) -> TaskRows:
    assert isinstance(queue._table, TaskRows)
    return queue._table


def test_what_follows_a_search_is_no_study_and_no_trial_of_optuna(url: str) -> None:
    queue, other = open_queue(url), open_queue(url)
    queue.queue(NOTHING, {"confirm": 1}, once="confirm 1")
    other.queue(NOTHING, {"confirm": 1}, once="confirm 1")
    row = other.claim()
    assert row is not None
    assert (queue.claim(), row.state, row.user_attrs["confirm"]) == (None, TrialState.RUNNING, 1)
    assert other.finish(row.number, DONE)
    queue.finish(row.number, {**DONE, "state": "failed"})  # the first end stands
    (ended,) = StudyStore.open_for_reading(url, "s").task_queue().trials()
    assert (ended.state, ended.user_attrs[OUTCOME]) == (TrialState.COMPLETE, DONE)
    assert ended.datetime_start is not None
    assert ended.datetime_complete is not None
    assert 0 <= (ended.datetime_complete - ended.datetime_start).total_seconds() < 600
    assert optuna.get_all_study_names(url) == ["s"]
    study = optuna.load_study(study_name="s", storage=url)
    assert (study.trials, study.user_attrs) == ([], {"about": {"space": []}})


@pytest.mark.parametrize(("silent", "free"), [("2000-01-01T00:00:00", [0]), ("2999-01-01T00:00:00", [])])
def test_a_task_of_another_machine_is_free_when_its_lease_is_over(
    url: str, silent: str, free: list[int]
) -> None:
    queue, other = open_queue(url), open_queue(url)
    queue.queue(NOTHING, {"confirm": 1}, once="confirm 1")
    assert queue.claim() is not None
    rows_of(queue).change(
        0, lambda row, _: {**row, "attrs": {**row["attrs"], OWNER: ELSEWHERE}, BEAT: silent}
    )
    orphans = other.find_orphans(None)
    assert [row.number for row in orphans] == free
    for row in orphans:
        other.requeue(row, died=True)
    again = other.claim()
    assert [again.number] == [1] if free and again else again is None
    assert not queue.finish(0, DONE) if free else queue.finish(0, DONE)


def test_a_heartbeat_keeps_what_another_process_writes_meanwhile(url: str) -> None:
    queue = open_queue(url)
    queue.queue(NOTHING, {}, once="confirm 1")
    assert queue.claim() is not None
    rows, before = rows_of(queue), rows_of(queue).get(0).system_attrs[BEAT]
    read, late = rows._read_text, [True]

    def read_late(number: int) -> str:
        """Read; the first time another thread ends the row before its reader goes on."""
        text = read(number)
        if late.pop() if late else False:
            assert queue.finish(0, DONE)
        return text

    rows._read_text = read_late  # type: ignore[method-assign]
    queue.note_spent(0, 1.5)
    queue.send_heartbeat()
    (row,) = queue.trials()
    assert (row.state, row.user_attrs[OUTCOME]) == (TrialState.COMPLETE, DONE)
    assert row.system_attrs[BEAT] == before


def test_who_comes_later_has_a_higher_number_though_turns_are_forgotten(url: str) -> None:
    """Two would go through one door where a number came twice."""
    store, other = (StudyStore(url, "s", {"space": []}) for _ in range(2))
    for each in (store, other, store):
        with each.exclusive("line"):
            rows = rows_of(each.task_queue()).list_all()
            assert [row.state for row in rows[-1:]] == [TrialState.RUNNING]
    assert [row.number for row in rows_of(store.task_queue()).list_all()] == [2]
    rows, late = rows_of(other.task_queue()), [True]
    read = rows.list_all

    def list_late() -> list[Any]:
        """List; the first time another process takes the next number before its reader goes on."""
        found = read()
        if late.pop() if late else False:
            store.task_queue().queue(NOTHING, {}, once="confirm 1")
        return found

    rows.list_all = list_late  # type: ignore[method-assign]
    with other.exclusive("line"):
        assert [row.number for row in read()] == [3, 4]


def test_tasks_go_where_their_study_goes(url: str) -> None:
    queue = open_queue(url)
    queue.queue(NOTHING, {}, once="confirm 1")
    optuna.copy_study(from_study_name="s", from_storage=url, to_storage=url, to_study_name="copy")
    optuna.delete_study(study_name="s", storage=url)
    with pytest.raises(KeyError):
        queue.queue(NOTHING, {}, once="confirm 2")
    with pytest.raises(KeyError):
        queue.finish(0, DONE)
    assert StudyStore(url, "copy", {"space": []}).task_queue().claim() is not None
    assert open_queue(url).trials() == []


def test_where_an_earlier_release_has_begun_a_study_for_them_they_stay_there(url: str) -> None:
    store = StudyStore(url, "s", {"space": []})
    directions = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    earlier = optuna.create_study(storage=url, study_name="s (afterwards)", directions=directions)
    earlier.add_trial(optuna.trial.create_trial(values=(0.8, 1.0), user_attrs={ONCE: "confirm 0"}))
    queue = store.task_queue()
    queue.queue(NOTHING, {}, once="confirm 1")
    row = queue.claim()
    assert row is not None
    assert queue.finish(row.number, DONE)
    before, old = optuna.load_study(study_name="s (afterwards)", storage=url).trials
    assert old.user_attrs[OUTCOME] == DONE
    assert not any(key.startswith(TASK_KEY) for key in store._storage.get_study_system_attrs(store._id))
    assert StudyStore.open_for_reading(url, "s").task_queue().trials() == [before, old]
    assert StudyStore(url, "s", {"space": []}).task_queue().claim() is None


def test_an_owner_that_is_this_process_keeps_its_task(url: str) -> None:
    queue = open_queue(url)
    queue.queue(NOTHING, {}, once="confirm 1")
    row = queue.claim()
    assert row is not None
    owner = ProcessOwner.from_dict(row.user_attrs[OWNER])
    assert owner
    assert owner.is_current()
    assert open_queue(url).find_orphans(None) == []
