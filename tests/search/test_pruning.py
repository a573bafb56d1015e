"""When a trial is paused: by hand, by property, and replayed on curves that were recorded.

curves/*.jsonl: random perceptrons (width, optimizer, batch, rate, momentum), one core of an AMD EPYC;
a trial a line: params and [epoch, device-seconds, validation accuracy]. digits: 1,347 rows, 20 epochs; mnist:
12,000 rows, 16 epochs, validated on 48,000.
"""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.frontier.dominance import select_frontier
from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point
from pipeline.search.pruning import PruningDecision, forecast_curve, judge_curve, select_rivals
from pipeline.settings.search import Pruning
from tests.support.studies import recorded

SETTINGS = Pruning(enabled=True, optimism=2.0, least_epochs=3)
ROWS = 1_000_000  # luck of 0.1 % at most
VALIDATION_ROWS = {"digits": 180, "mnist": 48_000}


def curve(*accuracies: float, each: float = 1.0) -> list[Point]:
    return [Point(accuracy, epoch * each) for epoch, accuracy in enumerate(accuracies, start=1)]


def power_law(error: float, rate: float, epochs: int, each: float = 1.0) -> list[Point]:
    return curve(*(1 - error * epoch**-rate for epoch in range(1, epochs + 1)), each=each)


FLAT = curve(0.700, 0.701, 0.701, 0.701)
STRONG = [Point(0.9, 1.0), Point(0.99, 10.0)]


# ---- by hand ------------------------------------------------------------------------------------------


def test_a_flat_curve_under_the_frontier_stops_and_says_why() -> None:
    verdict = judge_curve(FLAT, STRONG, 16, ROWS, SETTINGS)
    assert verdict.stop
    assert verdict.reason.startswith("at best 70.")
    assert verdict.reason.endswith(
        "for 20 device-seconds, where the frontier has 99.00% for 10 device-seconds"
    )


def test_it_can_be_switched_off() -> None:
    assert judge_curve(FLAT, STRONG, 16, ROWS, compose(["pruning=none"]).settings.pruning) == PruningDecision(
        False, "pruning is off"
    )


def test_a_young_curve_is_not_judged() -> None:
    assert judge_curve(FLAT[:2], STRONG, 18, ROWS, SETTINGS) == PruningDecision(
        False, "2 of at least 3 epochs"
    )
    assert judge_curve(FLAT[:3], STRONG, 17, ROWS, SETTINGS).stop


def test_the_middle_of_a_decay_tells_nothing() -> None:
    assert not judge_curve(FLAT, STRONG, 16, ROWS, SETTINGS, fair_midway=False).stop


def test_nothing_to_come_and_nothing_to_compare_with() -> None:
    assert not judge_curve(FLAT, STRONG, 0, ROWS, SETTINGS).stop
    assert not judge_curve(FLAT, [], 16, ROWS, SETTINGS).stop


def test_a_curve_that_still_climbs_goes_on() -> None:
    assert not judge_curve(curve(0.5, 0.7, 0.8, 0.86), STRONG, 96, ROWS, SETTINGS).stop


def test_equal_seconds_count_not_equal_epochs() -> None:
    """The same accuracies epoch by epoch: hopeless where an epoch costs a second, on time where 10 ms."""
    accuracies = (0.80, 0.84, 0.86, 0.87)
    early = [Point(0.9, 1.0), Point(0.98, 3.0)]
    assert judge_curve(curve(*accuracies), early, 6, ROWS, SETTINGS).stop
    verdict = judge_curve(curve(*accuracies, each=0.01), early, 6, ROWS, SETTINGS)
    assert not verdict.stop
    assert verdict.reason.startswith("may reach 92.5")


def test_a_gap_between_two_steps_of_the_frontier_is_a_hope() -> None:
    climbing = curve(0.80, 0.85, 0.87, 0.885)
    wide = [Point(0.89, 3.0), Point(0.999, 60.0)]
    narrow = [Point(0.89, 3.0), Point(0.999, 5.0)]
    assert not judge_curve(climbing, wide, 100, ROWS, SETTINGS).stop
    assert judge_curve(climbing, narrow, 100, ROWS, SETTINGS).stop


def test_a_few_rows_leave_room_for_luck() -> None:
    near = curve(0.89, 0.89, 0.89, 0.89)
    frontier = [Point(0.90, 1.0)]
    assert judge_curve(near, frontier, 10, ROWS, SETTINGS).stop
    assert not judge_curve(near, frontier, 10, 200, SETTINGS).stop


def test_a_perfect_frontier_leaves_no_hope() -> None:
    assert judge_curve(curve(0.9, 1.0, 1.0), [Point(1.0, 2.0)], 10, ROWS, SETTINGS).stop


def test_a_curve_that_got_worse_is_judged_by_its_best() -> None:
    risen_and_fallen = curve(0.5, 0.7, 0.94, 0.93)
    assert forecast_curve(risen_and_fallen, ROWS, SETTINGS).error == pytest.approx(0.06, abs=0.001)
    assert not judge_curve(risen_and_fallen, [Point(0.95, 1.0)], 10, ROWS, SETTINGS).stop


def test_the_rate_of_a_power_law_is_found() -> None:
    found = forecast_curve(power_law(0.5, 0.7, 8, each=0.25), ROWS, SETTINGS)
    assert found.rate == pytest.approx(2.0 * 0.7)
    assert (found.device_seconds, found.seconds_per_epoch) == pytest.approx((2.0, 0.25))


def test_rules_of_the_settings() -> None:
    with pytest.raises(BadSetting, match=r"pruning\.optimism must be >= 1"):
        compose(["pruning.optimism=0.5"])
    with pytest.raises(BadSetting, match=r"pruning\.least_epochs must be >= 1"):
        compose(["pruning.least_epochs=0"])


# ---- by property --------------------------------------------------------------------------------------

ACCURACY = st.floats(0.05, 0.999)
CURVES = st.builds(
    lambda accuracies, each: curve(*accuracies, each=each),
    st.lists(ACCURACY, min_size=3, max_size=12),
    st.floats(0.01, 10),
)
FRONTIERS = st.lists(st.builds(Point, ACCURACY, st.floats(0.01, 500)), min_size=1, max_size=12)


@given(CURVES, FRONTIERS, st.integers(1, 60), st.sampled_from([100, 10_000]))
def test_it_stops_exactly_when_no_epoch_to_come_could_land(
    states: list[Point], frontier: list[Point], to_come: int, rows: int
) -> None:
    ahead = forecast_curve(states, rows, SETTINGS)
    lands = any(
        all(
            other.accuracy < point.accuracy or other.device_seconds > point.device_seconds
            for other in frontier
        )
        for point in map(ahead.predict_after, range(1, to_come + 1))
    )
    assert judge_curve(states, frontier, to_come, rows, SETTINGS).stop == (not lands)


@given(CURVES, FRONTIERS, st.integers(1, 60), st.floats(1, 5))
def test_more_optimism_never_stops_more(
    states: list[Point], frontier: list[Point], to_come: int, more: float
) -> None:
    if not judge_curve(states, frontier, to_come, 1000, SETTINGS).stop:
        hopeful = Pruning(True, SETTINGS.optimism * more, SETTINGS.least_epochs)
        assert not judge_curve(states, frontier, to_come, 1000, hopeful).stop


@given(st.floats(0.2, 0.9), st.floats(0.05, 1.5), st.integers(3, 20), FRONTIERS)
def test_a_true_power_law_that_will_land_is_never_stopped(
    error: float, rate: float, seen: int, frontier: list[Point]
) -> None:
    whole = power_law(error, rate, 60)
    lands = any(
        all(
            other.accuracy < point.accuracy or other.device_seconds > point.device_seconds
            for other in frontier
        )
        for point in whole[seen:]
    )
    if lands:
        assert not judge_curve(whole[:seen], frontier, 60 - seen, 10_000, SETTINGS).stop


# ---- replayed -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replayed:
    """Share of the area, and of the device-seconds, that are left when trials are paused."""

    area: float
    spent: float


def replay(data: str, settings: Pruning, seed: int) -> Replayed:
    """All trials one after the other in random order, each paused for good where `judge` says so."""
    order, rows = [states for _, states in recorded(data)], VALIDATION_ROWS[data]
    random.Random(seed).shuffle(order)
    steps: list[Point] = []
    spent = 0.0
    for states in order:
        reached = next(
            (
                epoch
                for epoch in range(1, len(states))
                if judge_curve(states[:epoch], steps, len(states) - epoch, rows, settings).stop
            ),
            len(states),
        )
        steps = select_frontier([*steps, *states[:reached]])
        spent += states[reached - 1].device_seconds
    everything = [point for states in order for point in states]
    bounds = Bounds.enclose(everything, 0.5 / rows)
    whole = sum(states[-1].device_seconds for states in order)
    return Replayed(
        compute_log_hypervolume(steps, bounds) / compute_log_hypervolume(everything, bounds), spent / whole
    )


@pytest.mark.parametrize("data", VALIDATION_ROWS)
def test_recorded_curves_keep_their_frontier_for_fewer_device_seconds(data: str) -> None:
    settings = compose([]).settings.pruning
    found = [replay(data, settings, seed) for seed in range(10)]
    assert min(each.area for each in found) > 0.999
    assert sum(each.spent for each in found) / len(found) < 0.75


@pytest.mark.parametrize("data", VALIDATION_ROWS)
def test_switched_off_nothing_is_spared_and_nothing_lost(data: str) -> None:
    off = replay(data, compose(["pruning=none"]).settings.pruning, seed=0)
    assert (off.area, off.spent) == pytest.approx((1.0, 1.0))


def test_only_what_is_as_good_in_all_that_is_known_stands_in_the_way() -> None:
    fast, slow = Point(0.99, 1.0, (0.2, 5.0)), Point(0.99, 1.0, (0.4, 5.0))
    hungry = Point(0.99, 1.0, (0.2, 50.0))
    flat = Point(0.99, 1.0)
    assert select_rivals([fast, slow, hungry], (0.2, 10.0)) == [flat]
    assert select_rivals([fast, slow, hungry], (0.4, 60.0)) == [flat, flat, flat]
    assert select_rivals([fast], (0.1, 10.0)) == [], "it answers faster than all that is there"
    assert select_rivals([fast], (0.2, 0.0)) == [], "of what it will have drawn nothing is known"
    assert select_rivals([flat], ()) == [flat]
