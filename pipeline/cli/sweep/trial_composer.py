"""Composes the command lines of the trials of a sweep, most of which differ in numbers alone.

Hydra and OmegaConf take some 3 ms for each, more than half of what a driver of a thousand slots of short
trials has for one (docs/cluster/scale.md). What they came to is kept by its words without their numbers; a
further trial gets its own numbers, by the same dataclasses, whose rules are checked anew. Whatever is not as
plain as that is composed in full.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from pipeline.errors import FulcrumError
from pipeline.settings.command_line import CommandLine, Overrides, split_word
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop

T = TypeVar("T")
Number = int | float
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<fraction>\.\d+)?(?P<power>e[+-]?\d+)?")
"""As Python writes numbers; other ways to write one are left to Hydra."""
MOST_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Composed:
    """A command line in full; `words`: as it gives them back, by the place of each that was asked for."""

    command_line: CommandLine
    words: tuple[str, ...]


class TrialComposer:
    """From the words of a trial to its command line, as `compose` does it, for the trials of one sweep."""

    def __init__(self, compose: Callable[[Sequence[str]], CommandLine]) -> None:
        """Keep nothing yet. `compose`: composes in full."""
        self._compose = compose
        self._kept: dict[tuple[str, ...], _Composed] = {}

    def __call__(self, words: Sequence[str]) -> CommandLine:
        """Compose the command line of `words`.

        Raises:
            BadSetting: as the full composition says it.
        """
        numbers = {index: number for index, word in enumerate(words) if (number := _read_number(word))}
        key = tuple(numbers[index][0] if index in numbers else word for index, word in enumerate(words))
        if (composed := self._kept.get(key)) and (command_line := _exchange(composed, words, numbers)):
            return command_line
        command_line = self._compose(words)
        if composed is None and len(self._kept) < MOST_KEPT and _may_be_kept(command_line, words, numbers):
            self._kept[key] = _Composed(command_line, tuple(command_line.overrides))
        return command_line


def _read_number(word: str) -> tuple[str, Number] | None:
    """Read the key and the number of `key=number`; None for other words. A group's option is no number."""
    key, text = split_word(word)
    if "." not in key or text is None or not (match := NUMBER.fullmatch(text)):
        return None
    return key, float(text) if match["fraction"] or match["power"] else int(text)


def _may_be_kept(
    command_line: CommandLine, words: Sequence[str], numbers: Mapping[int, tuple[str, Number]]
) -> bool:
    """Return whether each word has its place among the overrides, and each number is the value of its key."""
    if isinstance(command_line.settings.trial, UserLoop) or len(command_line.overrides) != len(words):
        return False
    if any(command_line.overrides[index] != words[index] for index in numbers):
        return False
    return all(_fits(_find(command_line.settings, key), number) for key, number in numbers.values())


def _exchange(
    composed: _Composed, words: Sequence[str], numbers: Mapping[int, tuple[str, Number]]
) -> CommandLine | None:
    """Return the command line with these numbers; None where a number is of another kind, or is refused."""
    settings = composed.command_line.settings
    values = dict[str, Number]()
    for key, number in numbers.values():
        current = _find(settings, key)
        if type(current) is float:
            number = float(number)
        if type(current) is not type(number):
            return None
        values[key] = number
    try:
        changed = _replace(settings, values)
    except FulcrumError:
        return None
    overrides = Overrides(
        words[index] if index in numbers else word for index, word in enumerate(composed.words)
    )
    return replace(composed.command_line, settings=changed, overrides=overrides)


def _find(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


def _fits(value: Any, number: Number) -> bool:
    return type(value) in (int, float) and value == number


def _replace(settings: T, values: Mapping[str, Number]) -> T:
    """Return a dataclass with values by their dotted keys; the rules of what is changed are checked."""
    fields_here: dict[str, Any] = {}
    below: dict[str, dict[str, Number]] = {}
    for key, value in values.items():
        name, _, rest = key.partition(".")
        if rest:
            below.setdefault(name, {})[rest] = value
        else:
            fields_here[name] = value
    assert is_dataclass(settings)
    assert {*fields_here, *below} <= {field.name for field in fields(settings)}
    fields_here |= {name: _replace(getattr(settings, name), inner) for name, inner in below.items()}
    return replace(settings, **fields_here)  # type: ignore[type-var]
