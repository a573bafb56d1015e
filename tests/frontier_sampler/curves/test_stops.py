"""Where to stop next: what a look midway is worth, against sums by hand."""

import math

import numpy as np
import pytest

from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase
from pipeline.frontier_sampler.curves.stops import CurveBeliefs, list_stops, rate_stops

STAIRS = Staircase(np.array([[0.0, -1.0]]), ReferencePoint(4.0, 0.0))
"""Device-seconds of 1 buy a log error of -1, until e^4."""


def believe(deviation: float, correlation: float, mean: tuple[float, float] = (-1.0, -1.0)) -> CurveBeliefs:
    """A candidate with two rungs, at 1 and e device-seconds."""
    variance = deviation**2
    return CurveBeliefs(
        log_costs=np.array([[0.0, 1.0]]),
        mean=np.array([mean]),
        covariance=variance * np.array([[[1.0, correlation], [correlation, 1.0]]]),
        extra_seconds=np.array([[1.0, math.e]]),
        counts=np.array([[True, True]]),
        allowed=np.array([[True, True]]),
    )


def rate(beliefs: CurveBeliefs, trial_seconds: float = 0.0, *, goes_on: bool = True) -> list[float]:
    rates: list[float] = rate_stops(STAIRS, beliefs, trial_seconds, (0, 1), goes_on)[0].tolist()
    return rates


def test_what_is_sure_is_worth_its_area_for_its_price() -> None:
    """Log error -1.5 from the second rung on adds 0.5 x 3; nobody would stop before that."""
    rates = rate(believe(1e-6, 0.5, (-1.0, -1.5)), trial_seconds=0.5)
    assert rates == pytest.approx([1.5 / (math.e + 1.0), 1.5 / (math.e + 0.5)], rel=1e-4)


def test_a_look_that_tells_is_worth_more_than_going_on_in_any_case() -> None:
    """The first rung is itself too bad to add anything."""
    told, silent = (rate(believe(0.5, correlation, (1.0, -1.0))) for correlation in (0.99, 0.0))
    assert told[0] > told[1]
    assert told[0] > 1.1 * silent[0]


def test_where_no_trial_may_follow_a_stop_is_the_end() -> None:
    beliefs = believe(1e-6, 0.5, (-1.0, -1.5))
    first, last = rate(beliefs, goes_on=False)
    assert first == pytest.approx(0.0, abs=1e-5)
    assert last == pytest.approx(1.5 / math.e, rel=1e-4)


def test_what_is_no_target_has_no_rate() -> None:
    beliefs = believe(0.5, 0.5)
    beliefs.allowed[0, 0] = False
    assert rate(beliefs)[0] == 0.0


@pytest.mark.parametrize(
    ("rungs", "stops"),
    [((1, 2, 3, 4, 5, 7, 9, 12, 16, 20), (1, 2, 4, 9, 16, 20)), ((1,), (1,)), ((5, 7, 9, 12), (5, 9, 12))],
)
def test_stops_double_and_end_at_the_last(rungs: tuple[int, ...], stops: tuple[int, ...]) -> None:
    assert tuple(rungs[place] for place in list_stops(rungs)) == stops
