"""Estimates over all seeds against values of tables."""

import math

import numpy as np
import pytest

from pipeline.measures import Point
from pipeline.search.estimation.estimates import RepeatedPoint, Spread, estimate_points
from pipeline.search.estimation.validation_split import ValidationSplit
from tests.support.studies import repeat_costs

# ---- the mean over all seeds --------------------------------------------------------------------------


def repeat(*accuracies: float, seconds: float = 1.0) -> RepeatedPoint:
    searched, *repeats = (Point(accuracy, seconds) for accuracy in accuracies)
    return RepeatedPoint(searched, tuple(repeats))


def test_an_estimate_is_the_mean_of_all_seeds_with_students_interval() -> None:
    (found,) = estimate_points([repeat(0.95, 0.94, 0.93)], None)
    assert (found.accuracy, found.seeds) == (pytest.approx(0.94), 3)
    assert found.half_width == pytest.approx(4.30265 * 0.01 / 3**0.5, rel=1e-5)  # t of 2 degrees, 97.5 %
    assert (found.low, found.high) == (
        pytest.approx(0.94 - found.half_width),
        pytest.approx(0.94 + found.half_width),
    )
    assert found.format() == "94.00% ±2.48"


def test_the_spread_is_one_for_all_points_as_counts_of_right_answers_spread() -> None:
    """Scaled by sqrt(p (1 - p)): 0.5 and 0.3 at the means 0.5 and 0.9."""
    wide, narrow = estimate_points([repeat(0.6, 0.4), repeat(0.91, 0.89)], None)
    spread = ((0.02 / 0.25 + 0.0002 / 0.09) / 2) ** 0.5
    assert wide.half_width == pytest.approx(4.30265 * spread * 0.5 / 2**0.5, rel=1e-5)
    assert narrow.half_width == pytest.approx(4.30265 * spread * 0.3 / 2**0.5, rel=1e-5)


def test_seeds_that_reached_the_same_have_that_very_mean_and_no_interval() -> None:
    """A loop that draws nothing reaches the same with each seed; the sum of three, divided, may not."""
    accuracies = [0.956250, 0.823456, 0.1, 0.7, 0.914250]
    found = estimate_points([repeat(*[accuracy] * 3) for accuracy in accuracies], None)
    assert [estimate.accuracy for estimate in found] == accuracies
    assert [estimate.format() for estimate in found][1] == "82.35% ±0"
    assert {estimate.half_width for estimate in found} == {0.0}
    costs = estimate_points([repeat_costs((0.1,), (0.1,), (0.1,))], None)
    assert [estimate.device_seconds for estimate in costs] == [0.1]


def test_rows_of_the_split_are_a_sample_too() -> None:
    split = ValidationSplit(400, 0.1)
    (found,) = estimate_points([repeat(0.9, 0.9, 0.9)], split)
    assert found.half_width == pytest.approx(1.959964 * 0.3 / 20, rel=1e-5)
    (perfect,) = estimate_points([repeat(1.0, 1.0)], split)
    assert perfect.half_width == pytest.approx(1.959964 / 400, rel=1e-2)
    assert perfect.high == 1.0


def test_one_seed_has_no_interval_beside_others_or_alone() -> None:
    for others in ([], [repeat(0.9, 0.91)]):
        found = estimate_points([repeat(0.95), *others], ValidationSplit(400, 0.1))[0]
        assert (found.accuracy, found.seeds, found.half_width, found.low, found.high) == (
            0.95,
            1,
            None,
            None,
            None,
        )
    assert estimate_points([], None) == []


def test_the_mean_over_all_seeds_is_less_optimistic_than_the_search_and_the_interval_holds() -> None:
    """The luckiest of 20 equal points: its search says 2 points too much, all seeds a third of that."""
    draw = np.random.default_rng(3)
    searched, means, inside = [], [], 0
    for _ in range(400):
        best = float(np.max(0.9 + 0.01 * draw.standard_normal(20)))
        chosen = repeat(best, *(0.9 + 0.01 * draw.standard_normal(2)))
        others = [repeat(*(0.9 + 0.01 * draw.standard_normal(3))) for _ in range(5)]
        estimate, *rest = estimate_points([chosen, *others], None)
        searched.append(best)
        means.append(estimate.accuracy)
        inside += sum(abs(other.accuracy - 0.9) <= (other.half_width or 0) for other in rest)
    assert np.mean(searched) - 0.9 == pytest.approx(0.0187, abs=0.001)
    assert np.mean(means) - 0.9 == pytest.approx(0.0187 / 3, abs=0.001)
    assert inside / 2000 == pytest.approx(0.955, abs=0.02)


# ---- chance ---------------------------------------------------------------------------------------------


# ---- costs --------------------------------------------------------------------------------------------


def test_the_interval_of_a_cost_is_students_on_the_logs() -> None:
    (found,) = estimate_points([repeat_costs((1.0,), (1.1,), (1.21,))], None)
    step = math.log(1.1)
    assert found.device_seconds == pytest.approx((1 + 1.1 + 1.21) / 3)
    assert found.seconds_spread.factor == pytest.approx(math.exp(4.30265 * step / 3**0.5), rel=1e-5)
    low, high = found.seconds_spread.bound(found.device_seconds) or (0.0, 0.0)
    assert low * high == pytest.approx(found.device_seconds**2)
    assert found.seconds_spread.format() == " ±27%"


def test_the_spread_of_costs_is_one_for_all_points() -> None:
    steady, noisy, once = estimate_points(
        [repeat_costs((1.0,), (1.0,), (1.0,)), repeat_costs((5.0,), (6.0,)), repeat_costs((9.0,))], None
    )
    assert steady.seconds_spread.factor is not None
    assert noisy.seconds_spread.factor is not None
    ratio = math.log(noisy.seconds_spread.factor) / math.log(steady.seconds_spread.factor)
    assert ratio == pytest.approx((3 / 2) ** 0.5)
    assert (once.seconds_spread.factor, once.seconds_spread.format()) == (None, "")


def test_seeds_that_cost_the_same_show_no_interval() -> None:
    (found,) = estimate_points([repeat_costs((0.3,), (0.3,), (0.3,))], None)
    assert found.seconds_spread.factor == 1.0
    assert found.seconds_spread.format() == ""


def test_a_wide_interval_is_a_factor() -> None:
    assert Spread(3.321).format() == " ×÷3.3"


def test_further_costs_have_means_and_intervals_of_their_own() -> None:
    (found,) = estimate_points([repeat_costs((1.0, 0.2, 50.0), (1.0, 0.3, 50.0))], None)
    assert found.further == (pytest.approx(0.25), 50.0)
    latency, parameters = found.further_spreads
    assert latency.factor is not None
    assert latency.factor > 1
    assert parameters.factor == 1.0
    assert found.point == Point(0.9, 1.0, found.further)
