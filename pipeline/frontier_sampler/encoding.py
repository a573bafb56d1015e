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
    """`low` <= value <= `high`; `step`: None = continuous; `integer`: values are int."""

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
            return math.log(max(float(value), 1e-300) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def _padded_range(self) -> tuple[float, float]:
        """Return the range with half a step beyond both ends, so that every step gets its fair share."""
        half = 0.5 if self.integer and self.step is None else (self.step or 0.0) / 2
        return max(self.low - half, self.low / 2) if self.log else self.low - half, self.high + half

    def decode(self, unit: float) -> float | int:
        """Return the value at `unit` in 0..1."""
        low, high = self._padded_range()
        value = low * (high / low) ** unit if self.log else low + unit * (high - low)
        if self.step or self.integer:
            step = self.step or 1.0
            value = self.low + step * round((value - self.low) / step)
        value = min(max(value, self.low), self.high)
        return round(value) if self.integer else float(value)

    def encode(self, value: float) -> float:
        """Return the unit position that decodes to `value`; 0.5 where there is only one value."""
        low, high = self._padded_range()
        if high <= low:
            return NEUTRAL
        if self.log:
            return math.log(max(value, 1e-300) / low) / math.log(high / low)
        return (value - low) / (high - low)

    def count(self) -> float:
        """Return how many values there are."""
        if self.high <= self.low:
            return 1
        step = self.step or (1.0 if self.integer else 0.0)
        return math.floor((self.high - self.low) / step + 1e-9) + 1 if step else math.inf


@dataclass(frozen=True, slots=True)
class Choices:
    """One of `values`; ordered and scaled where all are numbers, else one feature a choice."""

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
        return next((index for index, choice in enumerate(self.values) if is_same(choice, value)), None)

    def decode(self, unit: float) -> Any:
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def count(self) -> float:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that applies only where the parameter `parent` has a value of `among`, if it names one."""

    name: str
    domain: Numeric | Choices
    parent: str | None = None
    among: tuple[Any, ...] = ()

    def applies_to(self, params: Params) -> bool:
        if self.parent is None:
            return True
        return self.parent in params and any(is_same(params[self.parent], value) for value in self.among)

    @property
    def feature(self) -> str:
        """Return the name of its feature.

        Twins such as `sgd.rate` (optimizer=sgd) and `adam.rate` (optimizer=adam) share one.
        """
        label = self.name
        for value in self.among:
            if str(value):
                label = re.sub(rf"(?<![A-Za-z0-9]){re.escape(str(value))}(?![A-Za-z0-9])", "*", label)
        return label


def is_same(left: Any, right: Any) -> bool:
    """Return whether two values are equal and of one type: `True` is not `1`, NaN is NaN."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right) or (left != left and right != right)


def make_key(params: Params) -> Key:
    """Return what makes two configurations equal; floats at 12 digits, as text and databases store them."""
    return tuple(sorted((name, _format_value(value)) for name, value in params.items()))


def _format_value(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return f"bool {bool(value)}"
    if isinstance(value, int | float | np.number):
        return f"number {float(value):.12g}"
    return f"{type(value).__name__} {value}"


class EncodedSpace:
    """Parameters in order, parents before children. A name may come twice under conditions that exclude."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters: tuple[Parameter, ...] = tuple(_sort_parents_first(list(parameters)))

    def __eq__(self, other_space: object) -> bool:
        return isinstance(other_space, EncodedSpace) and self.parameters == other_space.parameters

    def __hash__(self) -> int:
        return hash(self.parameters)

    @property
    def dimensions(self) -> int:
        """Return the length of a unit vector."""
        return len(self.parameters)

    def active(self, params: Params) -> list[Parameter]:
        """List the parameters that apply, given the values of their parents."""
        return [parameter for parameter in self.parameters if parameter.applies_to(params)]

    def decode(self, unit: Sequence[float] | Array) -> dict[str, Any]:
        """Return the configuration at a unit vector [dimensions]."""
        params: dict[str, Any] = {}
        for parameter, position in zip(self.parameters, unit, strict=True):
            if parameter.name not in params and parameter.applies_to(params):
                params[parameter.name] = parameter.domain.decode(min(max(float(position), 0.0), 1.0))
        return params

    def encode(self, params: Params) -> Array:
        """Return a unit vector that decodes to `params`; 0.5 where a parameter does not apply."""
        unit = np.full(self.dimensions, NEUTRAL)
        for index, parameter in enumerate(self.parameters):
            if parameter.name in params and parameter.applies_to(params):
                unit[index] = _encode_value(parameter.domain, params[parameter.name])
        clipped: Array = np.clip(unit, 0.0, 1.0)
        return clipped

    def prune(self, params: Params) -> dict[str, Any]:
        """Keep only the values that apply."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name in params and parameter.applies_to(values):
                values[parameter.name] = params[parameter.name]
        return values

    @cached_property
    def _label_columns(self) -> list[tuple[str, ...]]:
        """Return the names of the feature columns of each parameter."""
        return [_labels(parameter) for parameter in self.parameters]

    @cached_property
    def _columns(self) -> dict[str, int]:
        names: dict[str, int] = {}
        for labels in self._label_columns:
            for label in labels:
                names.setdefault(label, len(names))
        return names

    @property
    def width(self) -> int:
        """Return how many features a configuration has."""
        return len(self._columns)

    def encode_features(self, configurations: Sequence[Params]) -> Array:
        """Return float64 [configurations, width], each in 0..1."""
        features = np.full((len(configurations), self.width), NEUTRAL)
        for row, params in enumerate(configurations):
            for parameter, labels in zip(self.parameters, self._label_columns, strict=True):
                if parameter.name in params and parameter.applies_to(params):
                    self._fill_row(features[row], parameter, labels, params[parameter.name])
        clipped: Array = np.clip(features, 0.0, 1.0)
        return clipped

    def _fill_row(self, row: Array, parameter: Parameter, labels: tuple[str, ...], value: Any) -> None:
        domain = parameter.domain
        if isinstance(domain, Choices) and domain.ordinal is None:
            index = domain.index(value)
            hot = [float(index == position) for position in range(len(domain.values))]
            for label, level in zip(labels, hot[-len(labels) :], strict=True):
                row[self._columns[label]] = level
            return
        scale = domain.ordinal if isinstance(domain, Choices) else domain
        assert scale is not None
        row[self._columns[labels[0]]] = scale.scale(value)

    def count(self) -> float:
        """Count the configurations: exact for choices and whole numbers, infinite for the rest."""
        return self._count_from({}, 0)

    def _count_from(self, params: dict[str, Any], start: int) -> float:
        for index in range(start, len(self.parameters)):
            parameter = self.parameters[index]
            if parameter.name in params or not parameter.applies_to(params):
                continue
            is_parent = any(child.parent == parameter.name for child in self.parameters)
            if is_parent and isinstance(parameter.domain, Choices):
                branches = ({**params, parameter.name: value} for value in parameter.domain.values)
                return sum(self._count_from(branch, index + 1) for branch in branches)
            return parameter.domain.count() * self._count_from({**params, parameter.name: None}, index + 1)
        return 1.0


def _labels(parameter: Parameter) -> tuple[str, ...]:
    """Return the names of the feature columns: one, or one a choice; two choices need only one."""
    domain = parameter.domain
    if isinstance(domain, Choices) and domain.ordinal is None and len(domain.values) > 1:
        hot = domain.values[1:] if len(domain.values) == 2 else domain.values
        return tuple(f"{parameter.feature}={value!r}" for value in hot)
    return (parameter.feature,)


def _encode_value(domain: Numeric | Choices, value: Any) -> float:
    if isinstance(domain, Choices):
        index = domain.index(value)
        return NEUTRAL if index is None else (index + 0.5) / len(domain.values)
    return domain.encode(float(value))


def _sort_parents_first(parameters: list[Parameter]) -> list[Parameter]:
    """Sort stably, so that a parent stands before its children.

    Raises:
        ValueError: parents that are missing or in a circle.
    """
    names = {parameter.name for parameter in parameters}
    placed: list[Parameter] = []
    while parameters:
        done = {parameter.name for parameter in placed}
        ready = [row for row in parameters if row.parent is None or row.parent in done]
        if not ready:
            child = parameters[0]
            why = "stands in a circle" if child.parent in names else "is not in the space"
            raise ValueError(
                f"when[{child.name!r}] must name a parameter above it, got {child.parent!r}, which {why}; "
                "name one of the space's parameters"
            )
        placed += ready
        parameters = [parameter for parameter in parameters if parameter not in ready]
    return placed
