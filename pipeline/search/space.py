"""The search space: one dimension for each key that may vary; some apply only where another has a value."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import BadSetting
from pipeline.settings.command_line import EPOCHS, CommandLine
from pipeline.settings.search import Sampler
from pipeline.settings.settings import read_value
from pipeline.settings.training import UserLoop

Value = str | int | float | bool | None
Params = Mapping[str, Value]

FIXES_EPOCHS = {EPOCHS, "privacy.epsilon"}
"""Keys that say for how many epochs all is meant: where one is searched, the sampler does not choose them."""

_BARE = re.compile(r"[A-Za-z_/][\w./@-]*")
_NOT_TEXT = {"true", "false", "null", "nan", "inf"}
"""Words that a command line does not read as text, unless they are quoted."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition that the dimension `key` has `value`."""

    key: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """The values that one key of the command line may have: `choices`, or numbers from `low` to `high`.

    Both ends are included. `step`: distance between values, None for a continuum; `log`: evenly spaced on a
    log scale; `is_integer`: integers only; `when`: the condition under which the dimension applies;
    `are_lists`: the choices are texts that a command line reads as lists, see `format_list`.
    """

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    is_integer: bool = False
    when: Condition | None = None
    are_lists: bool = False

    @property
    def name(self) -> str:
        """Return the key with its condition, which tells it from the same key under another condition."""
        return f"{self.key} ({self.when.key}={self.when.value})" if self.when else self.key

    def contains(self, value: Value) -> bool:
        """Return whether `value` is one of the values of this dimension."""
        if self.choices:
            return any(_is_same_value(value, choice) for choice in self.choices)
        if isinstance(value, str | bool) or value is None or not self.low <= value <= self.high:
            return False
        if self.is_integer and value != int(value):
            return False
        steps = (value - self.low) / self.step if self.step else 0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def list_values(self) -> Sequence[Value]:
        """Return all values.

        Raises:
            BadSetting: it is a continuum.
        """
        if self.choices:
            return self.choices
        step = 1 if self.step is None and self.is_integer else self.step
        if step is None:
            raise BadSetting(
                f"{self.key} must have a finite number of values in a grid, got {self.format()}; "
                "write values with commas, or range(low,high,step)"
            )
        count = round((self.high - self.low) / step) + 1
        return [self.low + step * number for number in range(count)]

    def format(self) -> str:
        """Return the dimension as a user types it after `sweep`."""
        if self.choices:
            return f"{self.key}={','.join(map(self.format_value, self.choices))}"
        if self.step is None:
            inner = f"interval({format_value(self.low)},{format_value(self.high)})"
        else:  # a range ends before its second number
            stop = self.high + (self.step if self.is_integer else self.step / 2)
            inner = f"range({format_value(self.low)},{format_value(stop)},{format_value(self.step)})"
        inner = f"int({inner})" if self.is_integer else inner
        return f"{self.key}=tag(log,{inner})" if self.log else f"{self.key}={inner}"

    def format_value(self, value: Value) -> str:
        """Return one of its values as it is typed on a command line."""
        return str(value) if self.are_lists else format_value(value)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The dimensions of a search; each stands after the one that its condition names."""

    dimensions: tuple[Dimension, ...]

    def iterate_active(self, params: Params) -> Iterable[Dimension]:
        """Yield the dimensions that apply to `params`, which may grow while this is iterated."""
        for dimension in self.dimensions:
            when = dimension.when
            if when is None or params.get(when.key) == when.value:
                yield dimension

    def to_overrides(self, params: Params) -> tuple[str, ...]:
        """Return the overrides that set `params` (by name of the dimension)."""
        return tuple(
            f"{dimension.key}={dimension.format_value(params[dimension.name])}"
            for dimension in self.iterate_active(params)
            if dimension.name in params
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Return each key once, in order."""
        return tuple(dict.fromkeys(dimension.key for dimension in self.dimensions))

    def format_lines(self) -> tuple[str, ...]:
        """Return a line for each dimension, with its condition in front."""
        return tuple(_format_condition(dimension.when) + dimension.format() for dimension in self.dimensions)

    def find_params(self, values: Mapping[str, Value]) -> dict[str, Value] | None:
        """Return the params that set these values (by key), or None where the space does not contain them."""
        params: dict[str, Value] = {}
        for dimension in self.iterate_active(params):
            value = values.get(dimension.key)
            if not dimension.contains(value):
                return None
            params[dimension.name] = value
        return params

    def iterate_combinations(self) -> Iterator[dict[str, Value]]:
        """Yield each combination of values; the last dimension changes first.

        Raises:
            BadSetting: a dimension is a continuum.
        """
        yield from self._combine({}, self.dimensions)

    def _combine(
        self, so_far: dict[str, Value], remaining: Sequence[Dimension]
    ) -> Iterator[dict[str, Value]]:
        if not remaining:
            yield so_far
            return
        first, when = remaining[0], remaining[0].when
        if when is not None and so_far.get(when.key) != when.value:
            yield from self._combine(so_far, remaining[1:])
            return
        for value in first.list_values():
            yield from self._combine({**so_far, first.name: value}, remaining[1:])


def _format_condition(when: Condition | None) -> str:
    return f"{when.key}={format_value(when.value)}: " if when else ""


def strip_condition(name: str) -> str:
    """Return the key of a dimension, given its name, which may have a condition after the key."""
    return name.partition(" (")[0]


def _is_same_value(value: Value, choice: Value) -> bool:
    """Return whether a command line reads both as the same: 1 and 1.0 are, but 1 and true are not."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def format_list(values: Sequence[object]) -> str:
    """Return a list as it is typed on a command line: a search knows lists by this text alone.

    Raises:
        TypeError: it holds something else than plain values and lists of these.
    """
    texts = []
    for value in values:
        if isinstance(value, list | tuple):
            texts.append(format_list(value))
        elif value is None or isinstance(value, str | int | float):
            texts.append(format_value(value))
        else:
            raise TypeError(value)
    return f"[{','.join(texts)}]"


def format_value(value: Value) -> str:
    """Return a value as it is typed on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int) or (_BARE.fullmatch(value) and value.lower() not in _NOT_TEXT):
        return str(value)
    # Hydra's grammar: a backslash means itself, except before a quote.
    doubled = re.sub(r"\\+(?='|$)", lambda match: 2 * match[0], value)
    return "'{}'".format(doubled.replace("'", "\\'"))


def format_word(key: str, value: Any) -> str:
    """Return the word of a command line that sets a key to a value, or to a list."""
    return f"{key}={format_list(value) if isinstance(value, list | tuple) else format_value(value)}"


# ---- what command lines have of a space ---------------------------------------------------------------


def add_epochs(
    space: SearchSpace, command_line: CommandLine, is_fair: Callable[[str], bool]
) -> tuple[SearchSpace, str | None]:
    """Return the space with how long to train, where a sampler may choose that, and that dimension's name.

    Only the frontier sampler does, and only where the states on the way are fair points. `is_fair`: whether
    they are under a schedule of that name.
    """
    settings = command_line.settings
    max_epochs = settings.train.epochs
    if settings.search.sampler is not Sampler.frontier or max_epochs == 1 or FIXES_EPOCHS & set(space.keys):
        return space, None
    is_loop = isinstance(settings.trial, UserLoop)  # whose `schedule` is a key like any other
    schedules = next(
        (dimension for dimension in space.dimensions if dimension.key == "schedule" and not is_loop), None
    )
    when = None
    if schedules is not None:
        fair_choices = [choice for choice in schedules.choices if is_fair(str(choice))]
        if len(fair_choices) != 1:
            return space, None
        when = Condition(schedules.name, fair_choices[0])
    elif not settings.fair_midway:
        return space, None
    epochs = Dimension(key=EPOCHS, low=1, high=max_epochs, is_integer=True, when=when)
    return SearchSpace((*space.dimensions, epochs)), epochs.name


def read_searched_values(command_line: CommandLine, keys: Sequence[str]) -> dict[str, Value]:
    """Return the values of the searched keys that apply to a trial: the option of a group, or a setting."""
    trial = command_line.settings.trial
    # A key of the user's may have the name of a group of ours, which says nothing of its loop.
    first = trial.values if isinstance(trial, UserLoop) else command_line.choices
    values = {key: first[key] if key in first else read_value(command_line.settings, key) for key in keys}
    return {
        key: format_list(value) if isinstance(value, list | tuple) else value  # type: ignore[misc]
        for key, value in values.items()
        if value is not None or key in first
    }
