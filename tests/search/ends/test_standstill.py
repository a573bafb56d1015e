"""When the frontier of a search has stood still."""

import pytest

from pipeline.measures import Point
from pipeline.search.ends import standstill
from pipeline.search.ends.standstill import MIN_GAIN, compute_recent_gain, describe_standstill
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial


def make_results(*points: tuple[float, float], split: ValidationSplit | None = None) -> Results:
    trials = tuple(
        StudyTrial(
            number=number,
            run_id=None,
            command="",
            params={},
            curve=(Point(accuracy, seconds),),
            fair_midway=True,
            state="complete",
            reason="",
            paid_seconds=seconds,
            device="CPU",
        )
        for number, (accuracy, seconds) in enumerate(points)
    )
    return Results(study="s", data="digits", trials=trials, split=split)


FOUND = [(0.5, 1.0), (0.9, 10.0)]
USELESS = [(0.4, 2.0), (0.8, 12.0), (0.89, 11.0)]


def test_trials_that_add_nothing_are_a_standstill_once_there_are_enough_of_them() -> None:
    results = make_results(*FOUND, *USELESS)
    assert compute_recent_gain(results, 2) == pytest.approx(0.0, abs=1e-12)
    text = describe_standstill(results, 3, None)
    assert text is not None
    assert text.startswith("the last 3 trials (25 device-seconds) have added 0.00 % to the hypervolume")
    assert describe_standstill(results, 4, None) is None  # the best came within them
    assert describe_standstill(results, 5, None) is None  # there was nothing before them
    assert describe_standstill(make_results(*USELESS), 5, None) is None


@pytest.mark.parametrize(("gain", "told"), [(0.004996, "0.4996 %"), (-1e-16, "0.00 %"), (0.00123, "0.12 %")])
def test_a_gain_is_not_told_as_what_it_is_less_than(
    gain: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "compute_recent_gain", lambda *_: gain)
    text = describe_standstill(make_results(*FOUND, *USELESS), 3, None)
    assert f"have added {told} to the hypervolume of the frontier, less than 0.5 %" in str(text)


def test_a_window_in_device_seconds_is_filled_by_what_trials_paid() -> None:
    results = make_results(*FOUND, *USELESS)
    assert describe_standstill(results, None, 20.0) is not None  # 12 + 11 of the last two
    assert "the last 2 trials (23 device-seconds)" in str(describe_standstill(results, None, 20.0))
    assert describe_standstill(results, None, 26.0) is None  # the best is among them
    assert describe_standstill(results, None, 500.0) is None


@pytest.mark.parametrize(("accuracy", "stands_still"), [(0.9003, True), (0.95, False)])
def test_a_small_gain_is_none_and_a_large_one_is(accuracy: float, stands_still: bool) -> None:
    results = make_results(*FOUND, *USELESS, (accuracy, 10.0))
    gain = compute_recent_gain(results, 2)
    assert gain is not None
    assert gain > 0
    assert (gain < MIN_GAIN) == stands_still
    assert (describe_standstill(results, 4, None) is not None) == stands_still


def test_points_at_chance_are_no_frontier_that_could_stand_still() -> None:
    split = ValidationSplit(1000, 0.5)
    assert describe_standstill(make_results(*[(0.5, 1.0)] * 9, split=split), 3, None) is None
    assert describe_standstill(make_results(*[(0.5, 1.0)] * 5, (0.9, 2.0), split=split), 1, None) is None
    assert describe_standstill(make_results((0.9, 2.0), *[(0.5, 1.0)] * 5, split=split), 3, None)
