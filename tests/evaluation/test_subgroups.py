"""Groups by hand; that the worst of many groups is worse by chance is no finding."""

import numpy as np
import pytest

from pipeline.evaluation.subgroups import score_group_errors, score_groups


def test_the_worst_group_is_one_with_enough_rows() -> None:
    groups = np.array(["x"] * 40 + ["y"] * 40 + ["tiny"] * 2, object)
    right = np.array([True] * 38 + [False] * 2 + [True] * 20 + [False] * 20 + [False] * 2)
    found = score_groups("site", groups, right)
    assert [(group.name, group.rows, group.score.value) for group in found.groups] == [
        ("tiny", 2, 0.0),
        ("y", 40, 0.5),
        ("x", 40, 0.95),
    ]
    assert found.overall == pytest.approx(58 / 82)
    assert found.worst.name == "y"
    assert found.describe_worst() == "the worst of 2 groups (1 of fewer rows left aside)"
    assert found.worst.is_worse
    assert not found.groups[2].is_worse
    few = score_groups("site", groups[36:46], right[36:46])  # 4 of x, 6 of y
    assert (few.worst.name, few.describe_worst()) == (
        "y",
        "the worst of 1 group (1 of fewer rows left aside)",
    )
    one = score_groups("site", np.array([*"aaaabbbbc"], object), np.array([1, 1, 1, 0, 1, 1, 1, 1, 0], bool))
    assert (one.groups[0].name, one.worst.name) == ("c", "a")


def test_of_quantities_the_worst_group_has_the_largest_error() -> None:
    groups = np.array(["x"] * 20 + ["y"] * 20, object)
    errors = np.concatenate([np.tile([1.0, -1.0], 10), np.tile([3.0, -5.0], 10)])
    found = score_group_errors("site", groups, errors)
    assert (found.worst.name, found.worst.score.value, found.overall) == ("y", 4.0, 2.5)
    assert found.worst.score.low < 4 < found.worst.score.high
    assert found.worst.is_worse


def test_the_worst_of_many_groups_is_far_off_by_chance() -> None:
    right = np.random.default_rng(0).random(4000) < 0.9
    found = score_groups("site", np.repeat([f"g{number}" for number in range(100)], 40), right)
    assert found.worst.score.high < found.overall  # by itself it seems worse
    assert not any(group.is_worse for group in found.groups)


def test_the_interval_of_few_errors_is_wide_and_no_error_is_below_nothing() -> None:
    groups = np.array([*"aabbbbb"], object)
    found = score_group_errors("site", groups, np.array([1.0, 2.0, 1.0, 1.5, 1.2, 1.1, 1.4]))
    first = next(group for group in found.groups if group.name == "a")
    assert (first.score.low, round(first.score.high, 2)) == (0.0, 7.85)  # 1.5 + 12.71 / 2, Student's of one
