"""What to type instead: the end of a message, from its semicolon on."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
FindMistake = Callable[[Sequence[str]], Exception | None]
_FIND_MISTAKE = ContextVar[FindMistake | None]("find_mistake", default=None)
_IS_SWEEP = ContextVar("is_sweep", default=False)
_IS_CHECKED = ContextVar("is_checked", default=False)
_NUMBERS = re.compile(r"[-+.,\deE]*\d[-+.,\deE]*")
_OWN_TEXT = re.compile(r"[\w.-]+\.[\w.-]+=(?:\w[\w/:-]*|\[.*\]|\".*\")")
_MUST = re.compile(r"(\S+) must be (.+?), got ")


@contextmanager
def advise_in_sweep() -> Iterator[None]:
    """Let the block know that the words are those of `sweep`, so that nobody is sent there."""
    with _set(_IS_SWEEP, True):
        yield


@contextmanager
def check_advice(find_mistake: FindMistake) -> Iterator[None]:
    """Let what is advised in the block be looked at before: `find_mistake` says what is wrong with words."""
    with _set(_FIND_MISTAKE, find_mistake):
        yield


@contextmanager
def _set(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to type: words for `run`, or with `is_search` for `sweep`; none: leave it out, for a reason.

    `lead`: what is not here; `note`: what one should know, or the reason.
    """

    words: tuple[str, ...] = ()
    is_search: bool = False
    note: str = ""
    lead: str = ""

    def format(self) -> str:
        """Return the end of a message, from its semicolon on."""
        if not self.words:
            return f"; leave it out: {self.note}"
        typed, note = shlex.join(self.words), f" ({self.note})" if self.note else ""
        if broken := find_broken_rule(self.words):
            return f"; {self.lead}, and {broken}" if self.lead else f"; {broken}"
        if self.lead:
            return f"; {self.lead}, write {typed}{note}"
        if self.is_search and not _IS_SWEEP.get():
            return f"; write {typed} with sweep{note}"
        return f"; write {typed}{note}" if note else f"; did you mean {typed}?"


def find_broken_rule(words: Sequence[str]) -> str:
    """Return the rule that one of the words breaks, as in `model.hidden must be >= 1`; empty where none does.

    So nobody is told to type what is refused then. Numbers, one by one, single words, lists and texts in
    quotes are looked at.
    """
    find_mistake = _FIND_MISTAKE.get()
    is_looked_at = any(
        _NUMBERS.fullmatch(word.partition("=")[2]) or _OWN_TEXT.fullmatch(word) for word in words
    )
    if find_mistake is None or not is_looked_at or _IS_CHECKED.get():  # a remedy of a remedy is not looked at
        return ""
    lists = list(map(_list_values, words))
    first = [values[0] for values in lists]
    with _set(_IS_CHECKED, True):
        for index, values in enumerate(lists):
            for value in values:
                mistake = find_mistake([*first[:index], value, *first[index + 1 :]])
                match = mistake and _MUST.match(str(mistake))
                if match and match[1] == value.partition("=")[0]:
                    return f"{match[1]} must be {match[2]}"
    return ""


def _list_values(word: str) -> list[str]:
    """List the words with one number each, where there are several."""
    key, _, text = word.partition("=")
    return [f"{key}={value}" for value in text.split(",")] if _NUMBERS.fullmatch(text) else [word]


def plain(name: str) -> str:
    """Return a name without capitals and signs between its words, to compare it."""
    return re.sub(r"[\s_.-]", "", name).lower()
