"""Tests whether a difference of paired measurements is more than noise. Pure.

Two series belong together pair by pair: same seed, same data order, measured side by side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Mean of the differences, its standard error, and the confidence 0..1 that it is above `margin`."""

    mean: float
    error: float
    margin: float
    confidence: float


def run_paired_test(differences: Sequence[float], margin: float) -> PairedTest:
    """Test whether the mean difference is > `margin`: one-sided paired t-test (Student 1908).

    A single pair has no spread, so it is never certain: confidence 0. Pairs without any spread (accuracy
    counted in rows does that) leave no doubt either way; equal to the margin counts as above.
    """
    mean, count = fmean(differences), len(differences)
    if count < 2:
        return PairedTest(mean, math.inf, margin, 0.0)
    error = stdev(differences) / math.sqrt(count)
    if error <= 1e-12 * max(1.0, abs(mean)):
        return PairedTest(mean, 0.0, margin, 1.0 if mean >= margin - 1e-12 else 0.0)
    return PairedTest(mean, error, margin, float(student.cdf((mean - margin) / error, count - 1)))


def run_unpaired_test(before: Sequence[float], after: Sequence[float], margin: float) -> PairedTest:
    """Test whether `after` is above `before` by > `margin`, for series that are no pairs.

    It is the t-test of Welch 1947, with the degrees of freedom of the shorter series.
    """
    mean = fmean(after) - fmean(before)
    error = math.sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    if error <= 1e-12:
        return PairedTest(mean, 0.0, margin, 1.0 if mean >= margin - 1e-12 else 0.0)
    freedom = min(len(before), len(after)) - 1
    return PairedTest(mean, error, margin, float(student.cdf((mean - margin) / error, freedom)))


def compare_costs(before: Sequence[float], after: Sequence[float], min_saving: float) -> PairedTest:
    """Test whether costs `after` are below those `before` by more than `min_saving`, on a log scale.

    `min_saving` is a share 0..1. `mean` of the result is the log of the factor saved: exp(mean) times
    cheaper.
    """
    logs = [math.log(old / new) for old, new in zip(before, after, strict=True)]
    return run_paired_test(logs, -math.log1p(-min_saving))


def compare_accuracies(before: Sequence[float], after: Sequence[float], tolerance: float) -> PairedTest:
    """Test whether accuracies `after` fell by no more than `tolerance`."""
    rises = [new - old for old, new in zip(before, after, strict=True)]
    return run_paired_test(rises, -tolerance)


def correct_confidence(confidence: float, looks: int) -> float:
    """Return the confidence that each of `looks` tests needs, so that all together keep it (Bonferroni).

    A diagnosis tries many remedies; without this, one of a dozen that do nothing would sooner or later pass.
    """
    return 1 - (1 - confidence) / looks
