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
    """Mean of the differences, its standard error, and the confidence 0..1 that it is above `margin`.

    `freedom`: degrees of freedom of the error.
    """

    mean: float
    error: float
    margin: float
    confidence: float
    freedom: float

    @classmethod
    def make(cls, mean: float, error: float, margin: float, freedom: float) -> "PairedTest":
        """Test a mean by its standard error, one-sided, with Student's distribution."""
        if freedom <= 0:
            return cls(mean, math.inf, margin, 0.0, 0.0)
        if error <= 1e-12 * max(1.0, abs(mean)):
            return cls(mean, 0.0, margin, 1.0 if mean >= margin - 1e-12 else 0.0, freedom)
        return cls(mean, error, margin, float(student.cdf((mean - margin) / error, freedom)), freedom)

    def compute_interval(self, confidence: float) -> tuple[float, float]:
        """Compute the interval of the mean whose lower end is above the margin just where that is so sure.

        `confidence`: one-sided, of each end.
        """
        if math.isinf(self.error):
            return -math.inf, math.inf
        half_width = float(student.ppf(confidence, self.freedom)) * self.error if self.error else 0.0
        return self.mean - half_width, self.mean + half_width

    def compute_factors(self, confidence: float) -> tuple[float, float]:
        """Compute the interval of a test of costs as factors saved, each within 1e-300 and 1e300."""
        low, high = (min(max(end, -690.0), 690.0) for end in self.compute_interval(confidence))
        return math.exp(low), math.exp(high)


def run_paired_test(differences: Sequence[float], margin: float) -> PairedTest:
    """Test whether the mean difference is > `margin`: one-sided paired t-test (Student 1908).

    A single pair has no spread, so it is never certain: confidence 0. Pairs without any spread (accuracy
    counted in rows does that) leave no doubt either way; equal to the margin counts as above.
    """
    mean, count = fmean(differences), len(differences)
    error = stdev(differences) / math.sqrt(count) if count > 1 else math.inf
    return PairedTest.make(mean, error, margin, count - 1)


def run_unpaired_test(before: Sequence[float], after: Sequence[float], margin: float) -> PairedTest:
    """Test whether `after` is above `before` by > `margin`, for series that are no pairs.

    It is the t-test of Welch 1947, with the degrees of freedom of the shorter series.
    """
    mean = fmean(after) - fmean(before)
    error = math.sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    return PairedTest.make(mean, error, margin, min(len(before), len(after)) - 1)


def chain_tests(tests: Sequence[PairedTest], mean: float, margin: float) -> PairedTest:
    """Test a mean that the means of independent tests add up to, but for what is known exactly.

    The variances add up; degrees of freedom: Welch 1947 and Satterthwaite 1946, doi 10.2307/3002019.
    """
    variances = [test.error**2 for test in tests]
    total = math.fsum(variances)
    shares = (variance**2 / test.freedom for variance, test in zip(variances, tests, strict=True))
    freedom = total**2 / math.fsum(shares) if total else 1.0
    return PairedTest.make(mean, math.sqrt(total), margin, freedom)


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


def correct_for_look(confidence: float, attempts: int, look: int) -> float:
    """Return the confidence that the `look`-th test (1, 2, ...) of one of so many attempts needs.

    Look k may err with a share 1 / (k (k + 1)) of what the attempt may: these add up to 1, so that the pairs
    may be doubled as often as one likes.
    """
    return correct_confidence(confidence, attempts * look * (look + 1))


def estimate_pairs(test: PairedTest, pairs: int, needed: Sequence[float]) -> int | None:
    """Estimate how many pairs in all decide a test, if mean and spread stay as they are; None: too many.

    `pairs`: those of the test; they are doubled again and again, and `needed` is the confidence that each
    further look needs.
    """
    spread = test.error * math.sqrt(pairs)
    for confidence in needed:
        pairs *= 2
        if float(student.ppf(confidence, pairs - 1)) * spread <= (test.mean - test.margin) * math.sqrt(pairs):
            return pairs
    return None
