"""The values that one parameter may have, and their places in 0..1. Pure."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

NEUTRAL = 0.5
WIDE = 10.0
"""Numeric choices that span this ratio are features on a log scale, as 32, 128, 512."""


@dataclass(frozen=True)
class Numeric:
    """`low` <= value <= `high`; `step`: None = continuous; `integer`: values are int.

    It has no slots, since it caches.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def scale(self, value: Any) -> float:
        """Return the position in 0..1; outside of that where the value is outside of the range."""
        if self.high <= self.low:
            return NEUTRAL
        if self.log:
            return _log_ratio(float(value), self.low) / self._log_span
        return _find_share(float(value), self.low, self.high)

    @cached_property
    def _log_span(self) -> float:
        return _log_ratio(self.high, self.low)

    @cached_property
    def _padded_range(self) -> tuple[float, float]:
        """Return the range with half a step beyond both ends, so that every step gets its fair share."""
        half = 0.5 if self.integer and self.step is None else (self.step or 0.0) / 2
        return max(self.low - half, self.low / 2) if self.log else self.low - half, self.high + half

    def decode(self, unit: float) -> float | int:
        """Return the value at `unit` in 0..1."""
        low, high = self._padded_range
        if self.log:
            ratio = high / low
            wide = ratio == math.inf
            value = math.exp(_mix(math.log(low), math.log(high), unit)) if wide else low * ratio**unit
        else:
            value = low + unit * (high - low) if high - low < math.inf else _mix(low, high, unit)
        if self.step or self.integer:
            step = self.step or 1.0
            value = self.low + step * round((value - self.low) / step)
        value = min(max(value, self.low), self.high)
        return round(value) if self.integer else float(value)

    def encode(self, value: float) -> float:
        """Return the unit position that decodes to `value`; 0.5 where there is only one value."""
        low, high = self._padded_range
        if high <= low:
            return NEUTRAL
        if self.log:
            return _log_ratio(value, low) / _log_ratio(high, low)
        return _find_share(value, low, high)

    def count(self) -> float:
        """Return how many values there are."""
        if self.high <= self.low:
            return 1
        step = self.step or (1.0 if self.integer else 0.0)
        return math.floor((self.high - self.low) / step + 1e-9) + 1 if step else math.inf


@dataclass(frozen=True)
class Choices:
    """One of `values`; ordered and scaled where all are numbers, else one feature a choice.

    It has no slots, since it caches.
    """

    values: tuple[Any, ...]

    @property
    def ordinal(self) -> Numeric | None:
        """Return the range of the choices where all are numbers, else None."""
        numbers = [value for value in self.values if isinstance(value, int | float)]
        if len(numbers) < len(self.values) or any(isinstance(value, bool) for value in numbers):
            return None
        low, high = min(numbers), max(numbers)
        return Numeric(low, high, log=low > 0 and high / low >= WIDE)

    def index(self, value: Any) -> int | None:
        """Return the place of a value among the choices; None where it is none of them."""
        if isinstance(value, str):  # texts are the same as no other kind of value
            return self._texts.get(value)
        return next((index for index, choice in enumerate(self.values) if is_same(choice, value)), None)

    @cached_property
    def _texts(self) -> dict[str, int]:
        """Return the places of the texts among the choices, of equal ones the first."""
        places = [(choice, index) for index, choice in enumerate(self.values) if isinstance(choice, str)]
        return dict(reversed(places))

    def decode(self, unit: float) -> Any:
        """Return the choice that stands at a unit number in 0..1."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def count(self) -> float:
        """Return how many choices there are."""
        return len(self.values)


def _mix(low: float, high: float, share: float) -> float:
    return (1 - share) * low + share * high


def _log_ratio(value: float, low: float) -> float:
    """Return the log of a ratio, which may be larger than any float."""
    value = max(value, 1e-300)
    ratio = value / low
    return math.log(ratio) if ratio < math.inf else math.log(value) - math.log(low)


def _find_share(value: float, low: float, high: float) -> float:
    """Find where a value stands between two others, of which the difference may be larger than any float."""
    span = high - low
    return (value - low) / span if span < math.inf else (value / 2 - low / 2) / (high / 2 - low / 2)


def is_same(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of one type: `True` is not `1`, NaN is NaN."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right) or (left != left and right != right)
