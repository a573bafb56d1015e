"""A search space without Optuna: mixed, log, stepped, categorical and conditional parameters as numbers.

Two maps: a unit vector -> the values of a configuration (for quasi-random points and small moves), and a
configuration -> features in 0..1 (for a surrogate). A parameter that does not apply is 0.5 there: neutral.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Params = Mapping[str, Any]
Key = tuple[tuple[str, Any], ...]

NEUTRAL = 0.5
WIDE = 10.0
"""Numeric choices that span this ratio are features on a log scale, as 32, 128, 512."""


@dataclass(frozen=True, slots=True)
class Numeric:
    """`low` <= value <= `high`; `step`: None = continuous; `whole`: int."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def scaled(self, value: Any) -> float:
        """Position in 0..1; outside where the value is outside."""
        if self.high <= self.low:
            return NEUTRAL
        if self.log:
            return math.log(max(float(value), 1e-300) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def _ends(self) -> tuple[float, float]:
        """Half a step beyond both ends, so that every whole number and step gets its fair share."""
        half = 0.5 if self.whole and self.step is None else (self.step or 0.0) / 2
        return max(self.low - half, self.low / 2) if self.log else self.low - half, self.high + half

    def value(self, unit: float) -> float | int:
        """The value at `unit` in 0..1."""
        low, high = self._ends()
        found = low * (high / low) ** unit if self.log else low + unit * (high - low)
        if self.step or self.whole:
            step = self.step or 1.0
            found = self.low + step * round((found - self.low) / step)
        found = min(max(found, self.low), self.high)
        return round(found) if self.whole else float(found)

    def unit(self, value: float) -> float:
        """Where `value` comes from; 0.5 where there is but one."""
        low, high = self._ends()
        if high <= low:
            return NEUTRAL
        if self.log:
            return math.log(max(value, 1e-300) / low) / math.log(high / low)
        return (value - low) / (high - low)

    def count(self) -> float:
        """How many values there are."""
        if self.high <= self.low:
            return 1
        step = self.step or (1.0 if self.whole else 0.0)
        return math.floor((self.high - self.low) / step + 1e-9) + 1 if step else math.inf


@dataclass(frozen=True, slots=True)
class Choices:
    """One of `values`; ordered and scaled where all are numbers, else one feature a choice."""

    values: tuple[Any, ...]

    @property
    def ordinal(self) -> Numeric | None:
        """The range of the choices where all are numbers."""
        numbers = [value for value in self.values if isinstance(value, int | float)]
        if len(numbers) < len(self.values) or any(isinstance(value, bool) for value in numbers):
            return None
        low, high = min(numbers), max(numbers)
        return Numeric(low, high, log=low > 0 and high / low >= WIDE)

    def index(self, value: Any) -> int | None:
        return next((place for place, each in enumerate(self.values) if same(each, value)), None)

    def value(self, unit: float) -> Any:
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def count(self) -> float:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parent`, `among`: it applies only where the parameter `parent` has a value of `among`."""

    name: str
    domain: Numeric | Choices
    parent: str | None = None
    among: tuple[Any, ...] = ()

    def applies(self, params: Params) -> bool:
        if self.parent is None:
            return True
        return self.parent in params and any(same(params[self.parent], value) for value in self.among)

    @property
    def feature(self) -> str:
        """Twins such as `sgd.rate` (optimizer=sgd) and `adam.rate` (optimizer=adam) share a feature."""
        told = self.name
        for value in self.among:
            if str(value):
                told = re.sub(rf"(?<![A-Za-z0-9]){re.escape(str(value))}(?![A-Za-z0-9])", "*", told)
        return told


def same(left: Any, right: Any) -> bool:
    """Equal and of one kind: `True` is not `1`, NaN is NaN."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right) or (left != left and right != right)


def key_of(params: Params) -> Key:
    """What makes two configurations the same one; floats at 12 digits, as text and databases keep them."""
    return tuple(sorted((name, _plain(value)) for name, value in params.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return f"bool {bool(value)}"
    if isinstance(value, int | float | np.number):
        return f"number {float(value):.12g}"
    return f"{type(value).__name__} {value}"


class Space:
    """Parameters in order, parents before children. A name may come twice under conditions that exclude."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters: tuple[Parameter, ...] = tuple(_parents_first(list(parameters)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.parameters == other.parameters

    def __hash__(self) -> int:
        return hash(self.parameters)

    @property
    def dimensions(self) -> int:
        """Length of a unit vector."""
        return len(self.parameters)

    def active(self, params: Params) -> list[Parameter]:
        """The parameters that apply, given the values of their parents."""
        return [each for each in self.parameters if each.applies(params)]

    def decode(self, unit: Sequence[float] | Array) -> dict[str, Any]:
        """The configuration at a unit vector [dimensions]."""
        params: dict[str, Any] = {}
        for each, position in zip(self.parameters, unit, strict=True):
            if each.name not in params and each.applies(params):
                params[each.name] = each.domain.value(min(max(float(position), 0.0), 1.0))
        return params

    def encode(self, params: Params) -> Array:
        """A unit vector that decodes to `params`; 0.5 where a parameter does not apply."""
        unit = np.full(self.dimensions, NEUTRAL)
        for place, each in enumerate(self.parameters):
            if each.name in params and each.applies(params):
                unit[place] = _position(each.domain, params[each.name])
        clipped: Array = np.clip(unit, 0.0, 1.0)
        return clipped

    def pruned(self, params: Params) -> dict[str, Any]:
        """Only the values that apply."""
        found: dict[str, Any] = {}
        for each in self.parameters:
            if each.name in params and each.applies(found):
                found[each.name] = params[each.name]
        return found

    @cached_property
    def _marks(self) -> list[tuple[str, ...]]:
        """Names of the feature columns of each parameter."""
        return [_labels(each) for each in self.parameters]

    @cached_property
    def _columns(self) -> dict[str, int]:
        names: dict[str, int] = {}
        for marks in self._marks:
            for label in marks:
                names.setdefault(label, len(names))
        return names

    @property
    def width(self) -> int:
        """How many features a configuration has."""
        return len(self._columns)

    def features(self, configurations: Sequence[Params]) -> Array:
        """float64 [configurations, width], each in 0..1."""
        found = np.full((len(configurations), self.width), NEUTRAL)
        for row, params in enumerate(configurations):
            for each, marks in zip(self.parameters, self._marks, strict=True):
                if each.name in params and each.applies(params):
                    self._fill(found[row], each, marks, params[each.name])
        clipped: Array = np.clip(found, 0.0, 1.0)
        return clipped

    def _fill(self, row: Array, each: Parameter, labels: tuple[str, ...], value: Any) -> None:
        domain = each.domain
        if isinstance(domain, Choices) and domain.ordinal is None:
            index = domain.index(value)
            hot = [float(index == place) for place in range(len(domain.values))]
            for label, one in zip(labels, hot[-len(labels) :], strict=True):
                row[self._columns[label]] = one
            return
        scale = domain.ordinal if isinstance(domain, Choices) else domain
        assert scale is not None
        row[self._columns[labels[0]]] = scale.scaled(value)

    def size(self) -> float:
        """How many configurations there are: exact for choices and whole numbers, infinite for the rest."""
        return self._size({}, 0)

    def _size(self, params: dict[str, Any], start: int) -> float:
        for place in range(start, len(self.parameters)):
            each = self.parameters[place]
            if each.name in params or not each.applies(params):
                continue
            is_parent = any(other.parent == each.name for other in self.parameters)
            if is_parent and isinstance(each.domain, Choices):
                branches = ({**params, each.name: value} for value in each.domain.values)
                return sum(self._size(branch, place + 1) for branch in branches)
            return each.domain.count() * self._size({**params, each.name: None}, place + 1)
        return 1.0


def _labels(each: Parameter) -> tuple[str, ...]:
    """Names of the feature columns: one, or one a choice; two choices need only one."""
    domain = each.domain
    if isinstance(domain, Choices) and domain.ordinal is None and len(domain.values) > 1:
        hot = domain.values[1:] if len(domain.values) == 2 else domain.values
        return tuple(f"{each.feature}={value!r}" for value in hot)
    return (each.feature,)


def _position(domain: Numeric | Choices, value: Any) -> float:
    if isinstance(domain, Choices):
        index = domain.index(value)
        return NEUTRAL if index is None else (index + 0.5) / len(domain.values)
    return domain.unit(float(value))


def _parents_first(parameters: list[Parameter]) -> list[Parameter]:
    """A stable order in which a parent stands before its children.

    Raises:
        ValueError: parents that are missing or in a circle.
    """
    names = {each.name for each in parameters}
    placed: list[Parameter] = []
    while parameters:
        done = {each.name for each in placed}
        ready = [each for each in parameters if each.parent is None or each.parent in done]
        if not ready:
            child = parameters[0]
            why = "stands in a circle" if child.parent in names else "is not in the space"
            raise ValueError(
                f"when[{child.name!r}] must name a parameter above it, got {child.parent!r}, which {why}; "
                "name one of the space's parameters"
            )
        placed += ready
        parameters = [each for each in parameters if each not in ready]
    return placed
