"""A search space without Optuna: mixed, log, stepped, categorical and conditional parameters as numbers.

Two maps: a unit vector -> the values of a configuration (for quasi-random points and small moves), and a
configuration -> features in 0..1 (for a surrogate). A parameter that does not apply is 0.5 there: neutral.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.domains import NEUTRAL, Choices, Numeric

Array = NDArray[np.float64]
Params = Mapping[str, Any]
Key = tuple[tuple[str, str], ...]
TRUTHS, NUMBERS = (bool, np.bool_), (int, float, np.number)


@dataclass(frozen=True)
class Parameter:
    """A parameter that applies only where the parameter `parent` has a value of `among`, if it names one.

    It has no slots, since it caches.
    """

    name: str
    domain: Numeric | Choices
    parent: str | None = None
    among: tuple[Any, ...] = ()

    def applies_to(self, params: Params) -> bool:
        """Return whether these params have the value of its parent under which it counts."""
        if self.parent is None:
            return True
        return self.parent in params and self._parent_values.index(params[self.parent]) is not None

    @cached_property
    def _parent_values(self) -> Choices:
        return Choices(self.among)

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


def make_key(params: Params) -> Key:
    """Return what makes two configurations equal; floats at 12 digits, as texts and databases store them."""
    return tuple((name, _format_value(params[name])) for name in sorted(params))


def _format_value(value: Any) -> str:
    if isinstance(value, TRUTHS):
        return f"bool {bool(value)}"
    if isinstance(value, int | np.integer) and abs(int(value)) >= 10**12:
        return f"number {value}"
    if isinstance(value, NUMBERS):
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

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the names of the parameters."""
        return frozenset(parameter.name for parameter in self.parameters)

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
        for parameter, position in zip(self.parameters, np.asarray(unit, float).tolist(), strict=True):
            if parameter.name not in params and parameter.applies_to(params):
                params[parameter.name] = parameter.domain.decode(min(max(position, 0.0), 1.0))
        return params

    def encode(self, params: Params) -> Array:
        """Return numbers in 0..1 [parameters] that decode to `params`; 0.5 where one does not apply."""
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
        rows = [self._encode_row(params) for params in configurations]
        features: Array = np.clip(np.array(rows, float).reshape(len(rows), self.width), 0.0, 1.0)
        return features

    def _encode_row(self, params: Params) -> list[float]:
        row = [NEUTRAL] * self.width
        for parameter, (columns, scale) in zip(self.parameters, self._places, strict=True):
            if parameter.name not in params or not parameter.applies_to(params):
                continue
            value = params[parameter.name]
            if scale is not None:
                row[columns[0]] = scale.scale(value)
                continue
            assert isinstance(parameter.domain, Choices)
            choice, levels = parameter.domain.index(value), len(parameter.domain.values)
            for column, level in zip(columns, range(levels - len(columns), levels), strict=True):
                row[column] = float(choice == level)
        return row

    @cached_property
    def _places(self) -> list[tuple[list[int], Numeric | None]]:
        """Return the feature columns of each parameter, and its range; None where choices have no order."""
        columns = [[self._columns[label] for label in labels] for labels in self._label_columns]
        domains = (parameter.domain for parameter in self.parameters)
        scales = [domain.ordinal if isinstance(domain, Choices) else domain for domain in domains]
        return list(zip(columns, scales, strict=True))

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
