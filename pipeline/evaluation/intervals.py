"""Figures with an interval: what other rows of the same kind would probably give."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
HALVINGS = 50
"""Of what may be an end of an interval, down to the last digit."""


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


def average_shares(shares: Sequence[Figure]) -> Figure:
    """Return the mean of shares of different rows with its interval, from theirs.

    That of Zou and Donner 2008 (doi 10.1002/sim.3095).
    """
    value = sum(share.value for share in shares) / len(shares)
    below = math.hypot(*(share.value - share.low for share in shares)) / len(shares)
    above = math.hypot(*(share.high - share.value for share in shares)) / len(shares)
    return Figure(value, max(0.0, value - below), min(1.0, value + above))


def compute_area(value: float, first: int, second: int) -> Figure:
    """Return an area under the ROC curve of `first` rows against `second` others with its interval.

    That of Newcombe 2006 (method 5, doi 10.1002/sim.2324): the areas from which this one is no farther than
    two of the standard errors of Hanley and McNeil that they would have. It is an interval at 0 and 1, too.
    """
    others, quantile = (first + second) / 2 - 1, _compute_quantile(LEVEL)

    def is_near(area: float) -> bool:
        spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        error = math.sqrt(area * (1 - area) * spread / (first * second))
        return abs(area - value) <= quantile * error

    return Figure(value, _find_end(value, 0.0, is_near), _find_end(value, 1.0, is_near))


def _find_end(near: float, far: float, is_near: Callable[[float], bool]) -> float:
    """Return the end of what is near, between a number that is and another one that is not, by halves."""
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if is_near(middle) else (near, middle)
    return near


def compute_mean(values: np.ndarray, level: float = LEVEL) -> Figure:
    """Return the mean of values [n] with Student's interval, which for one value is that value alone."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    mean = float(values.mean())
    if len(values) < 2:
        return Figure(mean, mean, mean)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.5 + level / 2)) * error
    return Figure(mean, mean - half, mean + half)


def _compute_quantile(level: float) -> float:
    """Return how many standard deviations a two-sided interval of this level reaches."""
    return NormalDist().inv_cdf(0.5 + level / 2)
