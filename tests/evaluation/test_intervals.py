"""Intervals are those of scipy."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from pipeline.evaluation.intervals import compute_mean, compute_share


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (7, 10), (99, 100), (0, 30), (50, 100)])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_of_a_share_it_is_wilsons(right: int, rows: int, level: float) -> None:
    theirs = binomtest(right, rows).proportion_ci(level, method="wilson")
    found = compute_share(right / rows, rows, level)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_of_a_mean_it_is_normal() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    half = norm.ppf(0.975) * values.std(ddof=1) / 2
    found = compute_mean(values)
    assert (found.value, found.low, found.high) == pytest.approx((3.5, 3.5 - half, 3.5 + half))
    assert compute_mean(values[:1]).high == 1.0
