"""What a sweep will take, by an earlier study of the same settings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from optuna.storages._rdb.models import TrialModel
from sqlalchemy import update

from pipeline.cli.sweep import expectation
from pipeline.cli.sweep.expectation import Pace
from pipeline.cli.sweep.plan import SweepPlan, make_plan
from pipeline.search.storage.our_studies import ABOUT
from pipeline.search.study_store import StudyStore
from tests.support.sweeps import Pool, Scene

PACE = Pace(study="s", begun=10, trials=10, wall=100.0, device=50.0, after_wall=40.0, after_device=20.0)
WORDS = ("search=smoke", "model.hidden=8,16,32,64", "device=cpu")


def expect(*words: str, resumed: Pace | None = None, pace: Pace = PACE) -> str:
    return expectation.describe_expectation(pace, make_plan([*WORDS, "search.confirm=2", *words]), resumed)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["search.trials=30"], "about 340 s, 40 s of them after the search, and 170 s of the device"),
        (["search.trials=30", "search.workers=4"], "about 85 s, 10 s of them after"),
        (["search.trials=30", "search.confirm=0"], "about 300 s, and 150 s of the device"),
        (["search.trials=30", "price.per_hour=36"], "170 s of the device (1.7 USD)"),
        (["search.budget=25s", "search.trials=null"], "about 90 s, 40 s"),  # half of what these ten spent
        (["search.trials=30", "search.timeout=20"], "about 60 s, 40 s"),
    ],
)
def test_the_pace_of_an_earlier_study_is_that_of_the_next(words: list[str], text: str) -> None:
    assert text in expect(*words)
    assert expect(*words).endswith(", by study s with its 10 trials so far")


def test_a_study_that_is_taken_up_has_less_to_do() -> None:
    text = expect("search.trials=30", resumed=PACE)
    assert text.startswith("expect: about 240 s, 40 s of them after the search")
    assert text.endswith(", by its 10 trials so far")
    assert expect("search.trials=10", resumed=PACE) == ""
    assert expect("search.budget=50s", "search.trials=null", resumed=PACE) == ""


@pytest.fixture
def swept(scene: Callable[..., Scene]) -> Callable[..., Scene]:
    """A sweep of three trials under that name, which says that it is one of the plan."""

    def make(plan: SweepPlan, study: str, device: str) -> Scene:
        made = scene("search.trials=3", pool=Pool(), study=study)
        made.store.write_attr(ABOUT, plan.describe_study(device))
        made.sweep.run()
        return made

    return make


def slow_rows(store: StudyStore, seconds: float) -> None:
    """Make each trial of a study have taken so long."""
    start = datetime(2026, 1, 1)
    columns: dict[str, Any] = {
        "datetime_start": start,
        "datetime_complete": start + timedelta(seconds=seconds),
    }
    with store._storage._backend.engine.begin() as connection:
        connection.execute(update(TrialModel).where(TrialModel.study_id == store._id).values(columns))


def test_studies_of_the_same_settings_and_device_are_found(swept: Callable[..., Scene], address: str) -> None:
    plan = make_plan([*WORDS, "search.trials=30"])
    assert expectation.find_expectation(address, plan, "a CPU", "next") == []
    made = swept(plan, "before", "a CPU")
    slow_rows(made.store, 10.0)
    (line,) = expectation.find_expectation(address, plan, "a CPU", "next")
    assert line.startswith("expect: about 300 s, and ")
    assert line.endswith(", by study before with its 3 trials so far")
    assert expectation.find_expectation(address, plan) == [line]  # before the device is known
    assert expectation.find_expectation(address, plan, "a GPU", "next") == []
    other = make_plan([*WORDS, "search.trials=30", "train.batch_size=64"])
    assert expectation.find_expectation(address, other, "a CPU", "next") == []
    (own,) = expectation.find_expectation(address, plan, "a CPU", "before")
    assert own.startswith("expect: about 270 s, and ")
    assert own.endswith(", by its 3 trials so far")
