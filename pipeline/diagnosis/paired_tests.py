"""Whether a difference of paired measurements is more than noise. Pure.

Two series belong together pair by pair: same seed, same data order, measured side by side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True)
class Paired:
    """`mean` of the pairs' differences, its standard error, the confidence 0..1 that it is above `margin`."""

    mean: float
    error: float
    margin: float
    confidence: float


def above(differences: Sequence[float], margin: float) -> Paired:
    """One-sided paired t-test (Student 1908) of the mean difference being > `margin`.

    A single pair has no spread, so it is never certain: confidence 0. Pairs without any spread (accuracy
    counted in rows does that) leave no doubt either way; equal to the margin counts as above.
    """
    mean, count = fmean(differences), len(differences)
    if count < 2:
        return Paired(mean, math.inf, margin, 0.0)
    error = stdev(differences) / math.sqrt(count)
    if error <= 1e-12 * max(1.0, abs(mean)):
        return Paired(mean, 0.0, margin, 1.0 if mean >= margin - 1e-12 else 0.0)
    return Paired(mean, error, margin, float(student.cdf((mean - margin) / error, count - 1)))


def apart(before: Sequence[float], after: Sequence[float], margin: float) -> Paired:
    """The same for series that are no pairs: Welch 1947, with the smaller series' degrees of freedom."""
    mean = fmean(after) - fmean(before)
    error = math.sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    if error <= 1e-12:
        return Paired(mean, 0.0, margin, 1.0 if mean >= margin - 1e-12 else 0.0)
    freedom = min(len(before), len(after)) - 1
    return Paired(mean, error, margin, float(student.cdf((mean - margin) / error, freedom)))


def cheaper(before: Sequence[float], after: Sequence[float], least: float) -> Paired:
    """Whether the costs `after` are below those `before` by more than the share `least`, on a log scale.

    `mean` is the log of the factor saved: exp(mean) times cheaper.
    """
    logs = [math.log(one / two) for one, two in zip(before, after, strict=True)]
    return above(logs, -math.log1p(-least))


def as_accurate(before: Sequence[float], after: Sequence[float], tolerance: float) -> Paired:
    """Whether accuracies `after` fell by no more than `tolerance`."""
    rises = [two - one for one, two in zip(before, after, strict=True)]
    return above(rises, -tolerance)


def strict(confidence: float, looks: int) -> float:
    """The confidence that each of `looks` tests needs, so that all of them together keep it (Bonferroni).

    A walk tries many remedies; without this one of a dozen that do nothing would sooner or later pass.
    """
    return 1 - (1 - confidence) / looks
