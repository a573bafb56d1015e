"""What a program says in Python's values, as the words of a command line."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from pipeline.errors import BadSetting
from pipeline.search.space import format_list, format_value
from pipeline.settings.searching.quantities import read_budget

Words: TypeAlias = str | Sequence[str]
"""A command line: as one text, or word by word."""

Space: TypeAlias = Mapping[str, object]
"""What is searched, by the key of a setting: see `sweep`."""


def read_words(typed: Words, command: str = "") -> list[str]:
    """Return the words of a command line, without the name of the program and of a command in front.

    `command`: which the words are for, so that those of a sweep are no run.

    Raises:
        BadSetting: it is no text, a quote in it is not closed, or it has an option of the terminal or another
            command.
    """
    if callable(typed):
        raise BadSetting(
            "a command line must be text, got a function; write trial=function "
            f"trial.call={name_function(typed)}"
        )
    if isinstance(typed, Mapping | bytes):
        raise BadSetting(
            f"a command line must be text as 'data=mnist train.epochs=5', got {type(typed).__name__}; write "
            "'key=value'"
        )
    try:
        split = shlex.split(typed) if isinstance(typed, str) else list(typed)
    except (TypeError, ValueError) as error:
        raise BadSetting(
            f"a command line must be text as 'data=mnist train.epochs=5', got {typed!r} ({error}); mend it"
        ) from None
    for word in split:
        if not isinstance(word, str):
            raise BadSetting(f"each word of a command line must be text, got {word!r}; write 'key=value'")
    first = next((number for number, word in enumerate(split) if "=" in word), len(split))
    named = split[first - 1] if split[:first] else ""
    if (command, named) == ("run", "sweep"):
        raise BadSetting(
            "run must be given the words of a run, got those of a sweep; call sweep(...) with them"
        )
    words = split[first:] if named in {"run", "sweep"} else split
    if option := next((word for word in words if word.startswith("-")), None):
        raise BadSetting(f"a program must say key=value, got {option}, which is for a terminal; leave it out")
    return words


def name_function(function: Callable[..., Any]) -> str:
    """Return a function as `module:name`, by which another process finds it.

    Raises:
        BadSetting: it has no such name, as what was made inside a function.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not name:
        module, name = _find_object(function)
    if not module or not name.isidentifier():
        raise BadSetting(
            f"a function that trains must stand at the top of a module, got {name or function!r}; "
            "define it there by `def`"
        )
    if module in sys.modules and getattr(sys.modules[module], name, None) is not function:
        raise BadSetting(
            f"a function that trains must be what {module} has by its name, got another than its {name}; "
            "define it there by `def` under a name of its own"
        )
    return f"{module}:{name}"


def _find_object(called: Callable[..., Any]) -> tuple[str, str]:
    """Find the module and the name of what has none itself, as a partial or an object that is called."""
    homes = getattr(getattr(called, "func", None), "__module__", ""), type(called).__module__, "__main__"
    for module in homes:
        for name, value in list(vars(sys.modules.get(module, object)).items()):
            if value is called:
                return module, name
    return "", ""


def format_space(space: Space) -> list[str]:
    """Return what is searched as words, one a key.

    Raises:
        BadSetting: it is no mapping, a key is no text, or a value is no range and no choices.
    """
    if not isinstance(space, Mapping):
        raise BadSetting(
            f"space must be a mapping as {{'width': (16, 1024)}}, got {type(space).__name__}; write one"
        )
    for key in space:
        if not isinstance(key, str) or not key or "=" in key:
            raise BadSetting(f"space must have names of settings as keys, got {key!r}; write one as 'width'")
    return [f"{key}={_format_dimension(key, values)}" for key, values in space.items()]


def _format_dimension(key: str, values: object) -> str:
    values = _to_plain(values)
    if isinstance(values, range):
        values = values if values.step > 0 else values[::-1]  # a search has no order
        return f"range({values.start},{values.stop},{values.step})"
    if isinstance(values, tuple):
        return _format_interval(key, values)
    if isinstance(values, list):
        if not values:
            raise BadSetting(f"{key} must have a value to choose at least, got none; leave it out")
        return ",".join(_format_value(key, value) for value in values)
    return _format_value(key, values)


def _to_plain(values: object) -> object:
    """Return arrays and numbers of NumPy as those of Python, also within a tuple or a list; a set in order.

    As it comes, a set of texts has another order in each process, which would be another space.
    """
    if isinstance(values, set | frozenset):
        return sorted(map(_to_plain, values), key=_rank)
    if isinstance(values, tuple | list):
        return (tuple if isinstance(values, tuple) else list)(map(_to_plain, values))
    return values.tolist() if hasattr(values, "tolist") else values


def _rank(value: object) -> tuple[bool, float, str]:
    """Return what puts numbers in front, by their size, and all else behind them by its text."""
    is_number = isinstance(value, int | float)
    return (not is_number, value if is_number else 0.0, repr(value))  # type: ignore[return-value]


def _format_interval(key: str, values: tuple[object, ...]) -> str:
    ends = values[:2]
    if not (
        len(ends) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        and values[2:] in {(), ("log",)}
    ):
        raise BadSetting(
            f"{key} must be a range (low, high) or (low, high, 'log') of numbers, or a list of choices, "
            f"got {values!r}; write {key} as one of these"
        )
    interval = f"interval({','.join(_format_value(key, end) for end in ends)})"
    interval = f"int({interval})" if all(isinstance(end, int) for end in ends) else interval
    return f"tag(log,{interval})" if values[2:] else interval


def _format_value(key: str, value: object) -> str:
    if value is None or isinstance(value, str | int | float):
        return format_value(value)
    if isinstance(value, list | tuple):
        with suppress(TypeError):
            return format_list(value)
    raise BadSetting(f"{key} must have plain values in a search, got {value!r}; leave such ones out")


def format_budget(budget: str | None) -> list[str]:
    """Return the words for a budget such as `2 min`, `40 trials` or `0.5 usd`; see `search.budget`.

    Raises:
        BadSetting: it is none of them.
    """
    if budget is None:
        return []
    if not isinstance(budget, str) or read_budget(budget) is None:
        raise BadSetting(
            f"budget must be an amount with its unit as '2 min', '40 trials' or '0.5 usd', got {budget!r}; "
            "write number and unit"
        )
    return [f"search.budget={budget.replace(' ', '')}"]
