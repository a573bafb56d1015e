"""Rows are up to date at any time, in order, and those that have ended are looked at once."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.search.optuna_storage import open_storage
from pipeline.search.storage.study_rows import MISSING, StudyRows


@pytest.fixture
def url(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(storage=address, study_name="s")
    return address


def add(storage: Any, state: TrialState = TrialState.RUNNING, **attrs: object) -> int:
    return int(storage.create_new_trial(1, create_trial(state=state, user_attrs=attrs)))


def numbers(rows: list[FrozenTrial]) -> list[int]:
    return [row.number for row in rows]


def test_what_another_process_adds_and_ends_is_seen(url: str) -> None:
    mine, other = open_storage(url), open_storage(url)
    rows = StudyRows(mine, 1, lambda row: "wanted" in row.user_attrs)
    assert rows.list_all() == []
    first = add(other, wanted=True)
    add(mine)
    assert numbers(rows.list_all()) == [0, 1], "this process' own row was known before the other's"
    assert (numbers(rows.list_wanted()), numbers(rows.list_open())) == ([0], [0, 1])
    other.set_trial_state_values(first, TrialState.FAIL)
    assert [row.state.name for row in rows.list_all()] == ["FAIL", "RUNNING"]
    assert numbers(rows.list_open()) == [1]


def test_a_row_may_become_wanted_or_unwanted_until_it_ends(url: str) -> None:
    storage = open_storage(url)
    rows = StudyRows(storage, 1, lambda row: not row.user_attrs.get("left over"))
    trial_id = add(storage)
    assert numbers(rows.list_wanted()) == [0]
    storage.set_trial_user_attr(trial_id, "left over", True)
    storage.set_trial_state_values(trial_id, TrialState.FAIL)
    assert (rows.list_wanted(), rows.list_open(), numbers(rows.list_all())) == ([], [], [0])


def test_rows_that_have_ended_are_judged_once(url: str) -> None:
    storage, judged = open_storage(url), list[int]()
    rows = StudyRows(storage, 1, lambda row: judged.append(row.number) is None)
    for _ in range(3):
        add(storage, TrialState.FAIL)
    add(storage)
    for _ in range(4):
        assert numbers(rows.list_wanted()) == [0, 1, 2, 3]
    assert sorted(judged) == [0, 1, 2, 3], "one that is open is judged again when it has changed"


def test_a_study_that_is_not_there_has_no_rows(url: str) -> None:
    rows = StudyRows(open_storage(url), MISSING, lambda _: True)
    assert rows.list_all() == rows.list_wanted() == rows.list_open() == []
