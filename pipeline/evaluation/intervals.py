"""Figures with an interval: what other rows of the same kind would probably give."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the ends of its interval, of 95 % where nothing else is said."""

    value: float
    low: float
    high: float

    def describe(self, digits: int) -> str:
        """Return it as `0.61 (0.58 to 0.64)`."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def compute_share(value: float, rows: int, level: float = LEVEL) -> Figure:
    """Return a share 0..1 of `rows` rows with its interval.

    That of Wilson 1927 (doi 10.1080/01621459.1927.10502953).
    """
    square = _compute_quantile(level) ** 2
    middle = (value + square / (2 * rows)) / (1 + square / rows)
    spread = value * (1 - value) / rows + square / (4 * rows**2)
    half = math.sqrt(square * spread) / (1 + square / rows)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Figure(value, min(low, value), max(high, value))


def compute_mean(values: np.ndarray, level: float = LEVEL) -> Figure:
    """Return the mean of values [n] with a normal interval, which for one value is that value alone."""
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    half = _compute_quantile(level) * error
    return Figure(mean, mean - half, mean + half)


def _compute_quantile(level: float) -> float:
    """Return how many standard deviations a two-sided interval of this level reaches."""
    return NormalDist().inv_cdf(0.5 + level / 2)
