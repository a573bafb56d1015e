"""Intervals are those of scipy."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, ttest_1samp

from pipeline.evaluation.intervals import Figure, average_shares, compute_area, compute_mean, compute_share


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (7, 10), (99, 100), (0, 30), (50, 100)])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_of_a_share_it_is_wilsons(right: int, rows: int, level: float) -> None:
    theirs = binomtest(right, rows).proportion_ci(level, method="wilson")
    found = compute_share(right / rows, rows, level)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_of_a_mean_it_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    low, high = ttest_1samp(values, 0).confidence_interval()
    found = compute_mean(values)
    assert (found.value, found.low, found.high) == pytest.approx((3.5, low, high))
    assert compute_mean(values[:1]).high == 1.0


@pytest.mark.parametrize(
    ("value", "first", "second"),
    [(0.5, 300, 200), (0.9, 25, 40), (0.6, 10, 10), (0.99995, 100_000, 100_000), (1e-7, 10**6, 3000)],
)
def test_of_an_area_the_ends_are_those_from_which_it_is_two_of_their_own_errors(
    value: float, first: int, second: int
) -> None:
    found = compute_area(value, first, second)
    for end in (found.low, found.high):  # Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747
        above, below = end / (2 - end), 2 * end**2 / (1 + end)
        mean = (first + second) / 2 - 1  # Newcombe's: either count may be that of the rarer class
        variance = end * (1 - end) + mean * ((above - end**2) + (below - end**2))
        assert abs(end - value) == pytest.approx(
            norm.ppf(0.975) * np.sqrt(variance / first / second), rel=1e-6
        )


def test_an_area_of_rows_that_are_all_told_apart_is_not_certain() -> None:
    few, many = compute_area(1.0, 2, 2), compute_area(1.0, 1000, 1000)
    assert few.high == many.high == 1
    assert few.low < 0.5 < 0.99 < many.low
    assert compute_area(0.0, 2, 2).high == pytest.approx(1 - few.low)


def test_of_a_mean_of_shares_it_covers_what_it_should() -> None:
    draw = np.random.default_rng(0)
    rows, truth = np.array([3, 300, 40]), np.array([0.6, 0.97, 0.8])
    held = 0
    for _ in range(1000):
        right = draw.binomial(rows, truth)
        found = average_shares([compute_share(n / m, m) for n, m in zip(right, rows, strict=True)])
        held += found.low <= truth.mean() <= found.high
    assert 0.92 < held / 1000 < 0.99
    assert average_shares([Figure(0.5, 0.2, 0.9)]) == Figure(0.5, 0.2, 0.9)
