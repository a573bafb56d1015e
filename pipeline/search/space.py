"""What a search may vary: dimensions over the keys of a command line, some only where another has a value."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import BadSetting

Value = str | int | float | bool | None
Params = Mapping[str, Value]

_BARE = re.compile(r"[A-Za-z_/][\w./@-]*")
_NOT_TEXT = {"true", "false", "null", "nan", "inf"}
"""Words that a command line reads as something else than text, unless they are quoted."""


@dataclass(frozen=True, slots=True)
class When:
    """Only where the dimension `key` has `value`."""

    key: str
    value: Value


@dataclass(frozen=True, slots=True)
class Dimension:
    """One key of the command line: `choices`, or numbers from `low` to `high`, both included.

    `whole`: integers; `log`: even on a log scale; `step`: distance of the values, None for a continuum.
    """

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    whole: bool = False
    when: When | None = None

    @property
    def name(self) -> str:
        """The key, told apart from the same key under another condition."""
        return f"{self.key} ({self.when.key}={self.when.value})" if self.when else self.key

    def holds(self, value: Value) -> bool:
        """Whether `value` is one of this dimension's."""
        if self.choices:
            return any(_same(value, choice) for choice in self.choices)
        if isinstance(value, str | bool) or value is None or not self.low <= value <= self.high:
            return False
        if self.whole and value != int(value):
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def values(self) -> Sequence[Value]:
        """All of them.

        Raises:
            BadSetting: it is a continuum.
        """
        if self.choices:
            return self.choices
        step = 1 if self.step is None and self.whole else self.step
        if step is None:
            raise BadSetting(
                f"{self.key} must have a finite number of values in a grid, got {self.text()}; "
                "write values with commas, or range(low,high,step)"
            )
        count = round((self.high - self.low) / step) + 1
        return [self.low + step * number for number in range(count)]

    def text(self) -> str:
        """As typed after `--multirun`."""
        if self.choices:
            return f"{self.key}={','.join(word(choice) for choice in self.choices)}"
        if self.step is None:
            inner = f"interval({word(self.low)},{word(self.high)})"
        else:  # which ends before its second number
            beyond = self.high + (self.step if self.whole else self.step / 2)
            inner = f"range({word(self.low)},{word(beyond)},{word(self.step)})"
        inner = f"int({inner})" if self.whole else inner
        return f"{self.key}=tag(log,{inner})" if self.log else f"{self.key}={inner}"


@dataclass(frozen=True, slots=True)
class Space:
    """The dimensions, conditions after what they hang on."""

    dimensions: tuple[Dimension, ...]

    def active(self, params: Params) -> Iterable[Dimension]:
        """The dimensions that count for `params`, which may be made while this is iterated."""
        for dimension in self.dimensions:
            when = dimension.when
            if when is None or params.get(when.key) == when.value:
                yield dimension

    def words(self, params: Params) -> tuple[str, ...]:
        """Overrides that set what `params` (by dimension name) say."""
        return tuple(
            f"{dimension.key}={word(params[dimension.name])}"
            for dimension in self.active(params)
            if dimension.name in params
        )

    def searched(self) -> tuple[str, ...]:
        """Each key once, in order."""
        return tuple(dict.fromkeys(dimension.key for dimension in self.dimensions))

    def text(self) -> tuple[str, ...]:
        """One line a dimension, the condition in front."""
        return tuple(
            f"{d.when.key}={word(d.when.value)}: {d.text()}" if d.when else d.text() for d in self.dimensions
        )

    def find(self, values: Mapping[str, Value]) -> dict[str, Value] | None:
        """The params that set these values (by key), or None where the space does not hold them."""
        found: dict[str, Value] = {}
        for dimension in self.active(found):
            value = values.get(dimension.key)
            if not dimension.holds(value):
                return None
            found[dimension.name] = value
        return found

    def combinations(self) -> Iterator[dict[str, Value]]:
        """Every combination of values, the last dimension first.

        Raises:
            BadSetting: a dimension is a continuum.
        """
        yield from self._combined({}, self.dimensions)

    def _combined(self, so_far: dict[str, Value], rest: Sequence[Dimension]) -> Iterator[dict[str, Value]]:
        if not rest:
            yield so_far
            return
        first, when = rest[0], rest[0].when
        if when is not None and so_far.get(when.key) != when.value:
            yield from self._combined(so_far, rest[1:])
            return
        for value in first.values():
            yield from self._combined({**so_far, first.name: value}, rest[1:])


def key_in(name: str) -> str:
    """The key in the name of a dimension, which may carry a condition behind it."""
    return name.partition(" (")[0]


def _same(value: Value, choice: Value) -> bool:
    """Whether they are the same word: 1 is 1.0, but neither is true."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def word(value: Value) -> str:
    """A value as a command line has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int) or (_BARE.fullmatch(value) and value.lower() not in _NOT_TEXT):
        return str(value)
    # Hydra's grammar: a backslash stands for itself, but before a quote.
    doubled = re.sub(r"\\+(?='|$)", lambda found: 2 * found[0], value)
    return "'{}'".format(doubled.replace("'", "\\'"))
