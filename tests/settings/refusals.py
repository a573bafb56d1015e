"""Settings with one value exchanged, as the tests of this folder need them; no command line is read."""

from dataclasses import replace
from typing import Any

from pipeline.cli.compose import compose


def exchange(key: str, value: object, *words: str) -> Any:
    """Return the group of `key` (`train.epochs`) as conf/ and `words` have it, with another `value`."""
    group, _, name = key.partition(".")
    return replace(getattr(compose(words).settings, group), **{name: value})


def remedy(key: str) -> str:
    """Return the end of the line that refuses a value of `key`, as a pattern."""
    return rf"^{key} must be .+, got .*; set it in conf/ or as {key}=\.\.\.$"
