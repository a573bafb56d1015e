"""Shifts that were planted are named with their measure; what is drawn alike is not."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from pipeline.data.quality.column_spread import fit_spread, fit_spreads
from pipeline.data.quality.drift import (
    ColumnDrift,
    DriftCounter,
    compare_counts,
    compute_chance_outside,
    correct_for_many,
    describe_drift,
)


def judge(training: dict[str, np.ndarray], *portions: dict[str, np.ndarray]) -> dict[str, ColumnDrift]:
    counter = DriftCounter(fit_spreads(training))
    for portion in portions:
        counter.add(portion)
    return {drift.name: drift for drift in counter.judge()}


def words(*pairs: tuple[str, int]) -> np.ndarray:
    return np.array([word for word, count in pairs for _ in range(count)], object)


def test_the_index_and_the_test_are_those_of_the_books() -> None:
    training, new = np.array([400, 300, 300]), np.array([20, 30, 50])
    psi, p_value = compare_counts(training, new)
    before, after = training / 1000, new / 100
    assert psi == pytest.approx(
        ((after - before) * np.log(after / before)).sum(), rel=0.03
    )  # half a row more
    assert p_value == pytest.approx(chi2_contingency(np.stack([training, new]), correction=False).pvalue)
    assert compare_counts(training, training) == (0.0, 1.0)
    assert compare_counts(training, np.zeros(3, int)) == (0.0, 1.0)


def test_bins_that_expect_too_few_rows_are_taken_together() -> None:
    # One row of a word that one in a thousand has would be a proof of drift to the bare formula.
    psi, p_value = compare_counts(np.array([600, 399, 1]), np.array([18, 11, 1]))
    assert p_value > 0.5
    assert psi < 0.1


def test_few_clean_rows_are_unlike_as_seldom_as_many() -> None:
    draw, unlike = np.random.default_rng(0), 0
    for _ in range(500):
        counter = DriftCounter(fit_spreads({"x": draw.normal(size=60)}))
        counter.add({"x": draw.normal(size=20)})
        unlike += counter.judge()[0].is_unlike
    assert unlike <= 10  # 5 are expected at a level of 1 %


def test_p_values_are_corrected_as_by_holm() -> None:
    # The example of Holm 1979 in most books: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02.
    assert correct_for_many([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_for_many([]) == []


def test_planted_shifts_are_found_and_nothing_else() -> None:
    draw = np.random.default_rng(0)
    columns = {f"x{number}": draw.normal(size=4000) for number in range(30)}
    colour = draw.choice(np.array(["red", "green", "blue"], object), 4000)
    later = {name: draw.normal(size=500) for name in columns} | {"colour": words(("red", 400), ("blue", 100))}
    later["x3"] = later["x3"] + 0.8  # moved
    later["x5"] = later["x5"] * 3  # wider
    later["x7"] = np.where(np.arange(500) < 150, np.nan, later["x7"])  # empty cells
    found = judge(columns | {"colour": colour}, later)
    assert {name for name, drift in found.items() if drift.is_unlike} == {"x3", "x5", "x7", "colour"}
    assert found["x3"].psi == pytest.approx(
        0.64, abs=0.15
    )  # of two normal densities: the square of the shift
    assert found["x5"].outside > 3
    assert next(iter(found)) in {"x7", "colour"}  # the farthest is the first
    parts = slice(250), slice(250, 500)
    halves = [{name: values[part] for name, values in later.items()} for part in parts]
    assert judge(columns | {"colour": colour}, *halves) == found  # portions give what the whole gives


def test_one_strange_row_of_many_is_no_drift() -> None:
    random = np.random.default_rng(0)
    spreads = fit_spreads({"x": random.normal(size=400)})
    for strange, is_unlike in ((1, False), (2, True)):
        counter = DriftCounter(spreads)
        counter.add({"x": np.append(random.normal(size=50 - strange), [99.0] * strange)})
        (found,) = counter.judge()
        assert (found.outside, found.is_unlike) == (strange, is_unlike)


@pytest.mark.parametrize(("rows", "new_rows"), [(210, 45), (42, 9)])
def test_long_tails_and_rare_words_are_no_drift(rows: int, new_rows: int) -> None:
    unlike = 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        tails = {f"pay{at}": np.exp(1.5 * draw.normal(size=rows + new_rows)) for at in range(5)}
        names = {f"town{at}": draw.zipf(2.0, rows + new_rows).astype(str).astype(object) for at in range(5)}
        columns = tails | names
        found = judge(
            {name: cells[:rows] for name, cells in columns.items()},
            {name: cells[rows:] for name, cells in columns.items()},
        )
        unlike += any(drift.is_unlike for drift in found.values())
    assert unlike <= 4


def test_the_chance_of_rows_outside_is_a_bound_for_any_numbers() -> None:
    draw, held = np.random.default_rng(0), np.zeros(4)
    for _ in range(2000):
        ranks = draw.permutation(30)
        outside = ((ranks[20:] < ranks[:20].min()) | (ranks[20:] > ranks[:20].max())).sum()
        held += outside >= np.arange(1, 5)
    spread = fit_spread("x", np.arange(20.0))
    assert spread is not None
    counts = spread.count(np.full(10, 99.0))[0]
    bounds = np.array([compute_chance_outside(spread, counts, outside) for outside in range(1, 5)])
    assert (held / 2000 <= bounds + 0.01).all()
    assert bounds[-1] < 0.05


def test_few_rows_are_asked_whether_they_lie_outside() -> None:
    training = {
        "age": np.arange(100.0),
        "colour": words(("red", 50), ("blue", 50)),
        "same": np.full(100, 7.0),
    }
    like = judge(training, {"age": np.array([50.0]), "colour": words(("red", 1)), "same": np.array([7.0])})
    assert not any(drift.is_unlike for drift in like.values())
    assert like["age"].psi is None
    far = judge(training, {"age": np.array([500.0]), "colour": words(("grey", 1)), "same": np.array([8.0])})
    assert all(drift.is_unlike and drift.outside == 1 for drift in far.values())
    text = describe_drift(far.values())
    assert text.startswith("3 of 3 columns: ")
    assert "age (1 of 1 outside of 0 .. 99, here 500)" in text
    assert "colour (1 of 1 outside of blue, red)" in text
    assert describe_drift(like.values()) == ""


def test_columns_without_a_value_or_with_odd_ones_are_no_trouble() -> None:
    assert fit_spread("empty", np.full(5, np.nan)) is None
    assert fit_spread("blank", np.array(["", ""], object)) is None
    found = judge({"x": np.array([1.0, 2.0, np.inf, np.nan] * 20)}, {"x": np.array([np.nan, np.inf, 1.5])})
    assert found["x"].outside == 1
    many = fit_spread("word", np.array([f"w{number}" for number in range(400)], object))
    assert many is not None
    assert len(many.words or ()) == 50
    assert many.count(words(("new", 3)))[1] == 0  # not all words were kept, so nobody knows whether it is new
    assert judge({"x": np.arange(9.0)}, {"y": np.arange(9.0)})["x"].rows == 0


def test_few_numbers_in_another_unit_are_told_where_they_lie_within_what_training_had() -> None:
    training = {"share": np.linspace(0, 100, 400), "other": np.linspace(0, 1, 400)}
    few = {"share": np.array([0.31, 0.52, 0.48, 0.77]), "other": np.array([0.1, 0.5, 0.7, 0.9])}
    found = judge(training, few)
    assert [name for name, drift in found.items() if drift.is_unlike] == ["share"]
    assert str(found["share"]) == "share (4 of 4 at most 10, as 10% in training)"
    assert found["share"].p_value == pytest.approx(
        2 * 3 * 0.1**4, rel=0.1
    )  # two ends and empty cells, two columns
    high = judge(training, {**few, "share": np.full(4, 97.0)})["share"]
    assert str(high) == "share (4 of 4 above 90, as 10% in training)"
    assert not any(drift.is_unlike for drift in judge(training, {**few, "share": np.full(2, 0.3)}).values())
    empty = judge(training, {**few, "share": np.full(4, np.nan)})["share"]
    assert str(empty) == "share (4 of 4 empty, as 0% in training)"
    assert not judge({"same": np.ones(50)}, {"same": np.ones(5)})["same"].is_unlike


def test_numbers_outside_are_told_with_those_of_training() -> None:
    found = judge({"size": np.linspace(20, 80, 400)}, {"size": np.linspace(20_000, 80_000, 30)})["size"]
    assert str(found).endswith("30 of 30 outside of 20 .. 80, here 20000 .. 80000)")


def test_dates_are_told_as_dates() -> None:
    day = 86400.0
    counter = DriftCounter(fit_spreads({"when": np.arange(100) * day}), dates=["when"])
    counter.add({"when": np.array([9000.0, 9100.5]) * day})
    (found,) = counter.judge()
    assert (
        str(found)
        == "when (2 of 2 outside of 1970-01-01 .. 1970-04-10, here 1994-08-23 .. 1994-12-01T12:00:00)"
    )
