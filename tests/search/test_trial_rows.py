"""What a study has come to, read again and again, is what a first reading finds."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.measures import LEAST_SECONDS, Curve, Epoch
from pipeline.reports.study_html import render_frontier
from pipeline.search.outcomes import CONFIRM, make_outcome
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_store import StudyStore
from pipeline.search.study_trial import StudyTrial
from pipeline.search.trial_rows import VALIDATION, ResultsReader, read_results
from pipeline.search.workers.job import TrialOutcome

NOBODY = ProposedTrial({}, {}, {})


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", "s", {"objective": "accuracy"})


def make_row(accuracy: float, seconds: float, ended: float, **more: Any) -> dict[str, Any]:
    row = {
        "state": "complete",
        "reason": "",
        "run_id": None,
        "command": "python -m pipeline run",
        "params": {},
        "curve": [[1, seconds, accuracy]],
        "fair_midway": True,
        "paid_seconds": seconds,
        "device": "a CPU, 1 core",
        "ended": ended,
        "test_accuracy": None,
    }
    return {**row, **more}


def end_trial(store: StudyStore, outcome: dict[str, Any], **about: Any) -> None:
    number = store.begin(NOBODY, 1000)
    assert number is not None
    for key, value in about.items():
        store._storage.set_trial_user_attr(store._table.find_id(number), key, value)
    store.finish(number, outcome)


def end_task(store: StudyStore, outcome: dict[str, Any], **about: Any) -> None:
    queue = store.task_queue()
    queue.queue(NOBODY, about, once="one")
    row = queue.claim()
    assert row is not None
    queue.finish(row.number, outcome)


def assert_same(reader: ResultsReader, store: StudyStore) -> None:
    again, first = reader.read(), read_results(store, "digits")
    assert again == first
    assert again.frontier == first.frontier
    assert again.knee == first.knee


ENDS = [
    make_row(0.90, 2.0, 10.0),
    make_row(0.90, 2.0, 5.0),  # as good, and earlier by the clock of another machine: it is shown instead
    make_row(0.80, 1.0, 11.0),
    make_row(0.99, 9.0, 12.0, state="failed"),
    make_row(0.95, 3.0, 13.0),
    make_row(0.10, 0.1, 14.0),  # at chance
    make_row(0.95, 1.5, 15.0),  # beats two
    make_row(0.97, 4.0, 16.0, state="paused", fair_midway=False),
]


def test_each_reading_is_as_a_first_one(store: StudyStore) -> None:
    store.write_attr(VALIDATION, {"rows": 400, "majority_share": 0.1})
    reader = ResultsReader(store, "digits")
    assert reader.read().trials == ()
    for outcome in ENDS:
        end_trial(store, outcome)
        assert_same(reader, store)
    assert [member.trial.number for member in reader.read().frontier] == [2, 6]
    assert [trial.number for trial in reader.read().trials][:2] == [1, 0]
    end_task(
        store,
        make_row(0.94, 1.6, 20.0, test_accuracy=0.93),
        **{CONFIRM: {"trial": 6, "epoch": 1, "seed": 1}},
    )
    assert_same(reader, store)
    assert reader.read().is_confirmed


def test_a_chance_level_that_is_told_later_counts(store: StudyStore) -> None:
    reader = ResultsReader(store, "digits")
    end_trial(store, ENDS[5])
    end_trial(store, ENDS[2])
    assert [member.trial.number for member in reader.read().frontier] == [0, 1]
    store.write_attr(VALIDATION, {"rows": 400, "majority_share": 0.1})
    assert [member.trial.number for member in reader.read().frontier] == [1]


def test_a_frontier_is_sought_among_those_that_were_on_it_and_new_ones(
    store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ResultsReader(store, "digits")
    for outcome in ENDS:
        end_trial(store, outcome)
    assert [member.trial.number for member in reader.read().frontier] == [5, 2, 6]
    end_trial(store, make_row(0.96, 5.0, 30.0))
    looked_at = list[int]()
    states = StudyTrial.fair_states.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(
        StudyTrial, "fair_states", property(lambda trial: looked_at.append(trial.number) or states(trial))
    )
    assert reader.read().frontier[-1].trial.number == 8
    assert sorted(looked_at) == [2, 5, 6, 8]


def test_a_cost_that_the_clock_told_as_nothing_is_shown_and_drawn_as_the_least_there_is(
    store: StudyStore,
) -> None:
    """Where a whole loop stands in `not_counted()`, say: costs are compared by their logarithms."""
    for number, accuracy in enumerate((0.90, 0.95)):
        end_trial(store, make_row(accuracy, 0.0, 10.0 + number))
    end_trial(store, make_row(0.99, 2.0, 12.0))
    end_task(store, make_row(0.94, 0.0, 20.0), **{CONFIRM: {"trial": 1, "epoch": 1, "seed": 1}})
    results = read_results(store, "digits")
    assert [member.trial.number for member in results.frontier] == [1, 2]
    assert [member.point.device_seconds for member in results.frontier] == [LEAST_SECONDS, 2.0]
    assert results.estimate_probabilities() == {(1, 1): 1.0}
    assert 0 < results.compute_progress()[-1][1] <= 1
    assert "<html" in render_frontier(results)


def test_the_command_of_a_point_has_every_key_that_its_run_had(store: StudyStore) -> None:
    words = ["model=cnn", "device=cpu", "device.threads=1", "precision=float64", "train.epochs=3"]
    epochs = (
        Epoch(number=1, device_seconds=1.0, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.9),
        Epoch(number=2, device_seconds=2.0, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.95),
    )
    ended = TrialOutcome(status="paused", curve=Curve("a CPU", True, epochs), engine="graph")
    end_trial(store, make_outcome(compose(words), "run", ended, ["precision"]))
    first, last = read_results(store, "digits").frontier
    for epoch, member in ((1, first), (2, last)):
        shared = words[:-1]
        assert shlex.split(member.command)[4:] == [*shared, "engine=graph", f"train.epochs={epoch}"]
