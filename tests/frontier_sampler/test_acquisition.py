"""Area that a curve adds to a frontier: against a sum over a fine grid, and rules that must hold."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.frontier_sampler.acquisition import (
    NODES,
    ReferencePoint,
    Staircase,
    compute_improvements,
    expect_improvement,
)

CORNER = ReferencePoint(2.0, -0.1)
points = st.lists(st.tuples(st.floats(-5, 2.5), st.floats(-4, 0.2)), min_size=0, max_size=12).map(
    lambda rows: np.array(rows, float).reshape(-1, 2)
)
curves = st.lists(st.tuples(st.floats(-5, 1.9), st.floats(-4, 0)), min_size=1, max_size=6).map(
    lambda rows: np.array(sorted(rows), float)
)


def by_hand(known: np.ndarray, curve: np.ndarray) -> float:
    """Area between both staircases, by exact integration over all their knots."""
    knots = np.unique(np.concatenate([known[:, 0], curve[:, 0], [CORNER.log_cost]]))
    knots = knots[knots <= CORNER.log_cost]

    def level(rows: np.ndarray, cost: float) -> float:
        return min([CORNER.log_error, *rows[rows[:, 0] <= cost, 1]])

    both = np.concatenate([known, curve])
    return sum((level(known, start) - level(both, start)) * (end - start) for start, end in pairwise(knots))


@given(points, curves)
def test_the_gain_of_every_prefix_is_the_area_between_the_staircases(
    known: np.ndarray, curve: np.ndarray
) -> None:
    stairs = Staircase(known, CORNER)
    gains = compute_improvements(
        stairs, curve[None, :, 0], curve[None, :, 1], np.ones((1, len(curve)), bool)
    )[0]
    for length, gain in enumerate(gains, 1):
        assert gain == pytest.approx(by_hand(known, curve[:length]), abs=1e-9)


@given(points)
def test_known_points_gain_nothing(known: np.ndarray) -> None:
    rows = known[np.argsort(known[:, 0])]
    if len(rows):
        counts = np.ones((1, len(rows)), bool)
        assert compute_improvements(Staircase(known, CORNER), rows[None, :, 0], rows[None, :, 1], counts) == (
            pytest.approx(0, abs=1e-9)
        )


@given(points, curves)
def test_more_epochs_never_gain_less(known: np.ndarray, curve: np.ndarray) -> None:
    counts = np.ones((1, len(curve)), bool)
    gains = compute_improvements(Staircase(known, CORNER), curve[None, :, 0], curve[None, :, 1], counts)[0]
    assert (np.diff(gains) >= -1e-9).all()


def test_epochs_already_paid_for_do_not_count() -> None:
    stairs = Staircase(np.empty((0, 2)), CORNER)
    costs, errors = np.array([[0.0, 1.0]]), np.array([[-3.0, -1.0]])
    fresh = compute_improvements(stairs, costs, errors, np.array([[True, True]]))
    later = compute_improvements(stairs, costs, errors, np.array([[False, True]]))
    assert fresh[0, 1] == pytest.approx(2.9 * 2)
    assert later[0] == pytest.approx([0, 0.9])


def test_where_only_the_end_counts_the_way_there_is_worth_nothing() -> None:
    stairs = Staircase(np.empty((0, 2)), CORNER)
    costs, mean = np.array([[0.0, 1.0]] * 2), np.array([[-3.0, -3.0]] * 2)
    found = expect_improvement(
        stairs, costs, mean, np.zeros((2, 2)), np.ones((2, 2), bool), np.array([True, False])
    )
    assert found[0] == pytest.approx([5.8, 5.8])
    assert found[1] == pytest.approx([5.8, 2.9])


def test_uncertainty_alone_can_be_worth_something() -> None:
    stairs = Staircase(np.array([[0.0, -3.0]]), CORNER)
    costs, mean = np.array([[1.0]]), np.array([[-2.9]])
    flags = np.ones((1, 1), bool)
    certain, unsure = (
        expect_improvement(stairs, costs, mean, np.full((1, 1), deviation), flags, flags[:, 0])
        for deviation in (0.0, 0.5)
    )
    assert certain == pytest.approx(0)
    assert unsure == pytest.approx((0.5 * NODES[2] - 0.1) / 3)
