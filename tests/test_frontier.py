"""Dominance, frontier, area, knee and prices: by hand, by property, and against pymoo."""

import math
from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume as _optuna_hypervolume
from pymoo.indicators.hv import Hypervolume
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from pipeline.errors import BadInput
from pipeline.frontier.choosing import compute_prices, find_best_within, find_cheapest_with, find_knee
from pipeline.frontier.dominance import (
    dominates,
    find_dominator,
    find_frontier,
    require_one_device,
    select_frontier,
)
from pipeline.frontier.hypervolume import (
    Bounds,
    compute_error_floor,
    compute_hypervolume,
    compute_log_hypervolume,
)
from pipeline.measures import Point

# Few distinct values, so that ties and duplicates are common.
COARSE = st.builds(Point, st.integers(0, 10).map(lambda n: n / 10), st.integers(1, 10).map(float))
FINE = st.builds(Point, st.floats(0, 1), st.floats(1e-4, 1e6))
POINTS = st.lists(COARSE, max_size=30) | st.lists(FINE, max_size=60)
SOME = st.lists(COARSE, min_size=1, max_size=30) | st.lists(FINE, min_size=1, max_size=60)

# Beside the plane: one further cost, or two.
COARSE_COSTS, FINE_COSTS = st.integers(1, 6).map(float), st.floats(1e-3, 1e3)


def make_solid(accuracy: float, seconds: float, *further: float) -> Point:
    return Point(accuracy, seconds, further)


def draw_solids(count: int, most: int) -> st.SearchStrategy[list[Point]]:
    """Points with `count` further costs."""
    coarse = st.builds(make_solid, st.integers(0, 6).map(lambda n: n / 6), *[COARSE_COSTS] * (count + 1))
    fine = st.builds(make_solid, st.floats(0, 1), *[FINE_COSTS] * (count + 1))
    return st.lists(coarse, min_size=1, max_size=most) | st.lists(fine, min_size=1, max_size=most)


SOLIDS = draw_solids(1, 30) | draw_solids(2, 12)

# Accuracy upwards, cost to the right; capitals are the frontier. r is as dear as D, s as good as D.
PLANE = """
    . . . . . . F .
    . . . . . . . .
    . . . D . s . t
    . . . r . . . .
    . C . . q . . .
    . . . . . . u .
    A . . . . . . v
    w . . . . . . .
"""
BEATEN_BY = {"q": "C", "r": "D", "s": "D", "t": "D", "u": "C", "v": "A", "w": "A"}


def drawn(plane: str) -> dict[str, Point]:
    """Letters of a plane as points: cost 1.. to the right, accuracy 0.1.. upwards."""
    lines = [line.split() for line in plane.strip().splitlines()]
    return {
        letter: Point((len(lines) - row) / 10, float(column + 1))
        for row, line in enumerate(lines)
        for column, letter in enumerate(line)
        if letter != "."
    }


def worse_errors(points: list[Point]) -> np.ndarray:
    """Points as pymoo and Optuna want them: columns to be minimised."""
    return np.array([[point.device_seconds, 1 - point.accuracy, *point.further] for point in points])


# ---- by hand ------------------------------------------------------------------------------------------


def test_the_plane_of_who_beats_whom() -> None:
    plane = drawn(PLANE)
    letters, points = list(plane), list(plane.values())
    assert [letters[index] for index in find_frontier(points)] == list("ACDF")
    for letter, point in plane.items():
        by = find_dominator(point, points)
        assert (None if by is None else letters[by]) == BEATEN_BY.get(letter), letter


def test_dominance_needs_one_to_be_better() -> None:
    point = Point(0.5, 2.0)
    assert not dominates(point, Point(0.5, 2.0))
    assert dominates(Point(0.5, 1.0), point)
    assert dominates(Point(0.6, 2.0), point)
    assert not dominates(Point(0.6, 3.0), point)


def test_of_equal_points_the_first_stands() -> None:
    points = [Point(0.4, 1.0), Point(0.9, 2.0), Point(0.9, 2.0), Point(0.4, 1.0)]
    assert find_frontier(points) == [0, 1]
    assert find_dominator(points[2], points) is None


def test_nothing_has_no_frontier() -> None:
    assert find_frontier([]) == []
    assert compute_hypervolume([], Point(0, 1)) == 0
    assert find_dominator(Point(0.5, 1), []) is None
    assert compute_prices([]) == []
    assert find_cheapest_with([], 0.1) is None
    assert find_best_within([], 1.0) is None


def test_area_of_two_rectangles() -> None:
    points = [Point(0.5, 1.0), Point(0.8, 3.0), Point(0.7, 3.5)]
    assert compute_hypervolume(points, Point(0.1, 4.0)) == pytest.approx(2 * 0.4 + 1 * 0.7)


def test_points_outside_the_reference_add_nothing() -> None:
    inside = [Point(0.5, 1.0)]
    outside = [Point(0.9, 4.0), Point(0.1, 0.5), Point(0.05, 9.0)]
    assert compute_hypervolume([*inside, *outside], Point(0.1, 4.0)) == compute_hypervolume(
        inside, Point(0.1, 4.0)
    )


BOUNDS = Bounds(min_seconds=1.0, max_seconds=100.0, min_error=0.01, max_error=1.0)


def test_log_area_weighs_every_factor_alike() -> None:
    assert compute_log_hypervolume([Point(0.9, 10.0)], BOUNDS) == pytest.approx(0.25)
    assert compute_log_hypervolume([Point(0.9, 1.0)], BOUNDS) == pytest.approx(0.5)
    assert compute_log_hypervolume([Point(0.99, 10.0)], BOUNDS) == pytest.approx(0.5)
    assert compute_log_hypervolume([Point(0.9, 1.0), Point(0.99, 10.0)], BOUNDS) == pytest.approx(0.75)


def test_no_error_and_no_cost_are_not_infinite() -> None:
    assert compute_log_hypervolume([Point(1.0, 1e-9)], BOUNDS) == 1.0
    assert compute_log_hypervolume([Point(0.999, 1.0)], BOUNDS) == 1.0
    assert compute_log_hypervolume([Point(0.0, 1.0)], BOUNDS) == 0.0
    assert compute_log_hypervolume([Point(1.0, 100.0)], BOUNDS) == 0.0


def test_in_the_window_around_a_frontier_every_point_counts() -> None:
    points = [Point(0.1, 1.0), Point(0.5, 2.0), Point(0.9, 4.0), Point(0.95, 100.0)]
    bounds = Bounds.enclose(points)
    area = compute_log_hypervolume(points, bounds)
    for point in points:
        assert (
            compute_log_hypervolume([other for other in points if other != point], bounds) < area - 0.005
        ), point


@pytest.mark.parametrize(
    "edges", [(0, 1, 0.1, 1), (1, 1, 0.1, 1), (1, 2, 0, 1), (1, 2, 0.5, 0.5), (2, 1, 0.1, 1)]
)
def test_bounds_must_grow(edges: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be positive and grow"):
        Bounds(*edges)


def test_the_knee_is_where_the_curve_bends() -> None:
    bend = [Point(0.1, 1.0), Point(0.5, 2.0), Point(0.9, 4.0), Point(0.93, 30.0), Point(0.95, 100.0)]
    assert find_knee(bend) == 2
    assert find_knee(bend[::-1]) == 2
    assert find_knee([*bend, Point(0.2, 90.0)]) == 2


def test_the_knee_is_not_the_first_step_away_from_guessing() -> None:
    """Nine tenths of all accuracy comes with the first step; three quarters of all halvings do not."""
    assert find_knee([Point(0.1, 1.0), Point(0.8, 1.8), Point(0.98, 3.0), Point(0.985, 30.0)]) == 2


def test_an_accuracy_of_one_is_no_infinite_height() -> None:
    assert compute_error_floor([Point(1.0, 1.0), Point(0.98, 1.0)]) == pytest.approx(0.01)
    assert find_knee([Point(0.1, 1.0), Point(0.96, 2.0), Point(1.0, 100.0)]) == 1


@pytest.mark.parametrize(
    "points",
    [
        [],
        [Point(0.5, 1.0)],
        [Point(0.5, 1.0), Point(0.9, 10.0)],
        [Point(0.5, 1.0), Point(0.4, 2.0), Point(0.9, 10.0)],  # the one in the middle is not on the frontier
        [Point(0.0, 1.0), Point(0.9, 10.0), Point(0.99, 100.0)],  # straight
        [Point(0.1, 1.0), Point(0.11, 10.0), Point(0.9, 100.0)],  # hollow
    ],
)
def test_what_does_not_bend_has_no_knee(points: list[Point]) -> None:
    assert find_knee(points) is None


def test_choosing_by_accuracy_and_by_budget() -> None:
    points = [Point(0.8, 5.0), Point(0.95, 2.0), Point(0.9, 1.0), Point(0.95, 2.5)]
    assert find_cheapest_with(points, 0.8) == 2
    assert find_cheapest_with(points, 0.901) == 1
    assert find_cheapest_with(points, 0.951) is None
    assert find_best_within(points, 10.0) == 1
    assert find_best_within(points, 1.5) == 2
    assert find_best_within(points, 0.5) is None


def test_prices_walk_the_staircase() -> None:
    points = [Point(0.90, 1.0), Point(0.903, 1.5), Point(0.905, 2.0), Point(0.925, 10.0), Point(0.926, 20.0)]
    found = compute_prices(points, 0.005)
    assert [(step.start, step.end) for step in found] == [(0, 2), (2, 3), (3, 4)]
    assert [step.extra_device_seconds for step in found] == pytest.approx([1.0, 8.0, 10.0])
    assert [step.device_seconds_per_size for step in found] == pytest.approx([1.0, 2.0, 50.0])
    with pytest.raises(FrozenInstanceError):
        found[0].start = 3  # type: ignore[misc]


def test_devices_are_not_mixed() -> None:
    assert require_one_device(["an H100", "an H100"]) == "an H100"
    with pytest.raises(BadInput, match="exactly one device, got an AMD EPYC and an H100; start another"):
        require_one_device(["an H100", "an AMD EPYC", "an H100"])
    with pytest.raises(BadInput, match="got none"):
        require_one_device([])


# ---- by property --------------------------------------------------------------------------------------


@given(POINTS)
def test_the_frontier_is_what_nobody_beats(points: list[Point]) -> None:
    unbeaten = {point for point in points if not any(dominates(other, point) for other in points)}
    found = find_frontier(points)
    assert {points[index] for index in found} == unbeaten
    assert len(found) == len(unbeaten)
    assert all(points.index(points[index]) == index for index in found), "of equal points the first"


@given(POINTS)
def test_the_staircase_climbs(points: list[Point]) -> None:
    steps = select_frontier(points)
    for one, next_one in pairwise(steps):
        assert one.device_seconds < next_one.device_seconds
        assert one.accuracy < next_one.accuracy


@given(SOME, st.data())
def test_the_dominator_is_the_cheapest_that_beats(points: list[Point], data: st.DataObject) -> None:
    point = data.draw(st.sampled_from(points) | COARSE)
    by = find_dominator(point, points)
    beating = [other for other in points if dominates(other, point)]
    if by is None:
        assert not beating
    else:
        assert dominates(points[by], point)
        assert points[by].device_seconds == min(other.device_seconds for other in beating)
        assert by in find_frontier(points)


@given(POINTS, COARSE)
def test_area_grows_with_points_and_only_frontier_points_count(points: list[Point], more: Point) -> None:
    reference = Point(-0.1, 11.0)
    area = compute_hypervolume(points, reference)
    assert compute_hypervolume(select_frontier(points), reference) == pytest.approx(area, rel=1e-12)
    grown = compute_hypervolume([*points, more], reference)
    assert grown >= area
    equal_or_beaten = more in points or find_dominator(more, points) is not None
    assert (grown == area) == equal_or_beaten or math.isclose(grown, area, rel_tol=1e-9)


@given(SOME)
def test_the_window_around_points_holds_them(points: list[Point]) -> None:
    bounds = Bounds.enclose(points)
    assert 0 < compute_log_hypervolume(points, bounds) <= 1 + 1e-12
    for point in points:
        placed = bounds.normalise(point)
        assert -1e-12 <= placed.accuracy <= 1 + 1e-12
        assert 0 <= placed.device_seconds <= 1 + 1e-12


@given(SOME)
def test_the_knee_stands_on_the_frontier_whatever_the_order(points: list[Point]) -> None:
    index, mirrored = find_knee(points), find_knee(points[::-1])
    assert index is None or index in find_frontier(points)[1:-1]
    assert (points[index] if index is not None else None) == (
        points[::-1][mirrored] if mirrored is not None else None
    )


@given(SOME, st.floats(0.01, 100.0))
def test_the_knee_does_not_depend_on_the_unit_of_cost(points: list[Point], factor: float) -> None:
    steps = select_frontier(points)
    other = [Point(step.accuracy, step.device_seconds * factor) for step in steps]
    if len(select_frontier(other)) == len(steps):  # rounding may merge neighbours
        first, second = find_knee(steps), find_knee(other)
        heights = [0.0 if index is None else _heights(steps)[index] for index in (first, second)]
        assert first == second or heights[0] == pytest.approx(heights[1], abs=1e-6)


def _heights(steps: list[Point]) -> list[float]:
    """Above the chord, as `knee` measures it."""
    floor = compute_error_floor(steps)
    across = np.log([step.device_seconds for step in steps])
    up = -np.log([max(1 - step.accuracy, floor) for step in steps])
    if len(steps) == 1:
        return [0.0]
    return list((up - up[0]) / (up[-1] - up[0]) - (across - across[0]) / (across[-1] - across[0]))


@given(SOME, st.floats(0.001, 0.3))
def test_prices_cover_the_frontier_once(points: list[Point], size: float) -> None:
    steps, walked = select_frontier(points), compute_prices(points, size)
    assert sum(step.extra_device_seconds for step in walked) == pytest.approx(
        steps[-1].device_seconds - steps[0].device_seconds, abs=1e-6
    )
    assert sum(step.gain for step in walked) == pytest.approx(steps[-1].accuracy - steps[0].accuracy)
    assert all(step.gain >= size - 1e-8 for step in walked[:-1])
    assert all(step.end == following.start for step, following in pairwise(walked))


@given(SOME, st.floats(0, 1), st.floats(1e-4, 1e6))
def test_the_choice_is_on_the_frontier_and_keeps_its_promise(
    points: list[Point], accuracy: float, budget: float
) -> None:
    on = find_frontier(points)
    enough, affordable = find_cheapest_with(points, accuracy), find_best_within(points, budget)
    if enough is None:
        assert all(point.accuracy < accuracy for point in points)
    else:
        assert enough in on
        assert points[enough].accuracy >= accuracy - 1e-8
    if affordable is None:
        assert all(point.device_seconds > budget for point in points)
    else:
        assert affordable in on
        assert points[affordable].device_seconds <= budget


# ---- against pymoo ------------------------------------------------------------------------------------


@given(SOME)
def test_pymoo_finds_the_same_frontier(points: list[Point]) -> None:
    first = NonDominatedSorting().do(worse_errors(points), only_non_dominated_front=True)
    theirs = {(point.device_seconds, 1 - point.accuracy) for point in (points[at] for at in first)}
    ours = {(points[at].device_seconds, 1 - points[at].accuracy) for at in find_frontier(points)}
    # 1 - accuracy rounds two close accuracies to one error, which only pymoo then sees as a tie
    assert theirs <= ours
    assert theirs == ours or len({error for _, error in ours}) < len(ours)


@given(SOME)
def test_pymoo_finds_the_same_area(points: list[Point]) -> None:
    reference = Point(-0.1, 2e6)
    theirs = Hypervolume(ref_point=np.array([2e6, 1.1]))(worse_errors(points))
    assert compute_hypervolume(points, reference) == pytest.approx(theirs, rel=1e-9)


@given(SOME)
def test_pymoo_finds_the_same_log_area(points: list[Point]) -> None:
    bounds = Bounds.enclose(points)
    placed = [bounds.normalise(point) for point in points]
    table = np.array([[point.device_seconds, 1 - point.accuracy] for point in placed])
    theirs = Hypervolume(ref_point=np.array([1.0, 1.0]))(table)
    assert compute_log_hypervolume(points, bounds) == pytest.approx(theirs, abs=1e-9)


# ---- beyond the plane ---------------------------------------------------------------------------------


def test_a_box_by_hand() -> None:
    """Two boxes of 0.5 x 2 x 4 and 0.7 x 1 x 1, which share 0.5 x 1 x 1."""
    points = [Point(0.5, 1.0, (1.0,)), Point(0.7, 2.0, (4.0,)), Point(0.4, 2.0, (2.0,))]
    assert find_frontier(points) == [0, 1]
    assert compute_hypervolume(points, Point(0.0, 3.0, (5.0,))) == pytest.approx(4.0 + 0.7 - 0.5)
    assert compute_hypervolume(points, Point(0.6, 3.0, (5.0,))) == pytest.approx(0.1)
    assert compute_hypervolume([], Point(0.6, 3.0, (5.0,))) == 0.0


def test_a_point_that_only_answers_faster_is_on_the_frontier() -> None:
    plane = [
        Point(0.9, 1.0, (4.0,)),
        Point(0.8, 2.0, (3.0,)),
        Point(0.8, 2.0, (3.0,)),
        Point(0.8, 2.0, (4.0,)),
    ]
    assert find_frontier(plane) == [0, 1]
    assert dominates(plane[0], plane[3])
    assert not dominates(plane[0], plane[1])
    assert not dominates(plane[1], plane[2])


@given(SOLIDS)
def test_the_frontier_beyond_the_plane_is_what_nobody_beats(points: list[Point]) -> None:
    on = find_frontier(points)
    for index, point in enumerate(points):
        beaten = any(dominates(rival, point) for rival in points)
        assert (index in on) == (not beaten and points.index(point) == index)
    assert [points[index].device_seconds for index in on] == sorted(
        points[index].device_seconds for index in on
    )


@given(SOLIDS)
def test_optuna_and_pymoo_find_the_same_volume(points: list[Point]) -> None:
    further = len(points[0].further)
    reference = Point(0.0, 500.0, (200.0, 5.5)[:further])
    corner = np.array([500.0, 1.0, 200.0, 5.5][: 2 + further])
    inside = np.array([row for row in worse_errors(points) if (row < corner).all()])
    theirs = _optuna_hypervolume(inside, corner) if len(inside) else 0.0
    ours = compute_hypervolume(points, reference)
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    if len(inside):
        assert ours == pytest.approx(Hypervolume(ref_point=corner)(inside), rel=1e-9, abs=1e-9)


@given(SOLIDS)
def test_the_window_beyond_the_plane_holds_all_points(points: list[Point]) -> None:
    bounds = Bounds.enclose(points)
    for point in points:
        placed = bounds.normalise(point)
        assert 0 <= placed.accuracy <= 1 + 1e-9
        assert all(0 <= cost < 1 for cost in (placed.device_seconds, *placed.further))
    corner = np.ones(2 + len(bounds.further))
    table = worse_errors([bounds.normalise(point) for point in points])
    theirs = _optuna_hypervolume(table, corner) if (table < corner).all(1).any() else 0.0
    assert compute_log_hypervolume(points, bounds) == pytest.approx(theirs, abs=1e-9)


def test_the_knee_over_three_is_good_in_all_of_them() -> None:
    """The same two bends in the plane; of both the one that also answers fast is the knee."""
    ends = [Point(0.5, 1.0, (1.0,)), Point(0.99, 100.0, (64.0,))]
    slow, fast = Point(0.95, 4.0, (64.0,)), Point(0.94, 4.5, (2.0,))
    assert find_knee([*ends, slow]) is None, "nothing is left of the bend: it answers as slowly as the last"
    assert find_knee([*ends, slow, fast]) == 3
    plane = [*ends, slow, fast]
    assert find_knee([Point(point.accuracy, point.device_seconds) for point in plane]) == 2


SMALLEST = Point(0.2, 1.0, (1.0,))
"""The smallest network after one epoch: the cheapest, and the fastest to answer."""
HARDLY = Point(0.347, 1.1, (1.0,))
MIDDLE = Point(0.96, 8.0, (4.0,))
BEST = Point(0.99, 100.0, (64.0,))


def test_two_costs_that_fall_together_do_not_outvote_the_error() -> None:
    """By hand: scaled logs (cost, error, latency) are HARDLY (0.021, 0.954, 0), MIDDLE (0.452, 0.316, 0.333).

    Extremes (0, 1, 0) twice and (1, 0, 1): the least weights are (1/2, 1, 1/2), and sums 0.96 and 0.71; with
    a weight of 1 each they were 0.97 and 1.10, so that 34.7 % was the knee.
    """
    assert find_knee([SMALLEST, HARDLY, MIDDLE, BEST]) == 2
    assert find_knee([SMALLEST, HARDLY, BEST]) == 1
    assert find_knee([SMALLEST, HARDLY, BEST], least_accuracy=0.5) is None


def test_an_objective_that_moves_with_the_accuracy_shares_its_weight() -> None:
    """As accuracy under attack does: the best in both is one point, so cost counts as much as both."""
    points = [Point(0.2, 1.0, (0.9,)), Point(0.96, 4.0, (0.2,)), Point(0.99, 64.0, (0.1,))]
    assert find_knee(points) == 1
    # By hand: (0.333, 0.684, 0.631) has 0.99 = 0.333 + (0.684 + 0.631) / 2, just below the chord of 1.
    points[1] = Point(0.8, 4.0, (0.4,))
    assert find_knee(points) == 1
    points[1] = Point(0.75, 4.0, (0.45,))
    assert find_knee(points) is None


def test_the_knee_of_three_that_pull_apart_is_nearest_to_the_best_of_each() -> None:
    """Extremes (0, 1, 1), (1, 0, 1), (1, 1, 0): equal weights, the plane of Das."""
    corners = [Point(0.9, 1.0, (100.0,)), Point(0.99, 100.0, (100.0,)), Point(0.9, 100.0, (1.0,))]
    good, fair = Point(0.96, 10.0, (10.0,)), Point(0.93, 10.0, (9.0,))
    assert find_knee([*corners, fair, good]) == 4
    assert find_knee(corners) is None


@given(SOLIDS)
def test_a_further_cost_that_is_always_the_same_changes_nothing(points: list[Point]) -> None:
    flat = [Point(point.accuracy, point.device_seconds) for point in points]
    same = [Point(point.accuracy, point.device_seconds, (7.0,)) for point in points]
    assert find_frontier(flat) == find_frontier(same)
    assert find_knee(flat) == find_knee(same)


def test_prices_are_those_of_the_plane() -> None:
    points = [Point(0.9, 1.0, (5.0,)), Point(0.8, 2.0, (1.0,)), Point(0.95, 3.0, (5.0,))]
    assert [(step.start, step.end) for step in compute_prices(points, 0.01)] == [(0, 2)]


def test_a_hundred_thousand_points_are_sorted_not_compared() -> None:
    """Comparing every pair would take hours."""
    draw = np.random.default_rng(0)
    points = [Point(*pair) for pair in zip(draw.random(100_000), draw.random(100_000) + 1, strict=True)]
    assert 2 <= len(find_frontier(points)) < 100
