"""The words of a command line, brought to Hydra's form `key=value`.

`mlflow run -P key=value` hands undeclared parameters on as the two words `--key value`, and
`-P overrides="a=1 b=2"` as one word. Nothing is ever passed through a shell or `eval`.
"""

import shlex
from collections.abc import Iterable, Iterator
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from pipeline.errors import BadSetting

SPELLED = {"train.from": "train.start_from"}
"""Keys that are typed otherwise than Python can name them."""


def overrides(words: Iterable[str]) -> list[str]:
    """`["--train.epochs", "3", "--overrides", "a=1 b=2"]` -> `["train.epochs=3", "a=1", "b=2"]`."""
    return [quoted(pair) for pair in _pairs(iter(words))]


def _pairs(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("--") and "=" not in word:
            word = f"{word[2:]}={_value_after(word, words)}"
        pair = word.removeprefix("--")
        key, equals, value = pair.partition("=")
        if key == "overrides":
            yield from _pairs(iter(_split(value)))
        elif not equals and not pair.startswith("~"):
            raise BadSetting(f"every word must be key=value, got {word!r}; see --help for the keys")
        else:
            yield SPELLED.get(key, key) + equals + value


def _value_after(word: str, words: Iterator[str]) -> str:
    try:
        return next(words)
    except StopIteration:
        raise BadSetting(f"{word} must be followed by a value, got nothing; write {word[2:]}=VALUE") from None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadSetting(
            f"overrides must be words like a=1 b=2, got {text!r} ({error}); close the quotes"
        ) from None


def quoted(pair: str) -> str:
    """The same override, its value quoted for Hydra where Hydra's grammar cannot read it bare."""
    if _readable(pair):
        return pair
    key, _, value = pair.partition("=")
    again = "{}='{}'".format(key, value.replace("\\", "\\\\").replace("'", "\\'"))
    if "\n" in pair or not _readable(again):
        raise BadSetting(f"{key!r} is not a key that can be set, got {pair!r}; write key=value, see --help")
    return again


@lru_cache(maxsize=4096)
def parse(pair: str) -> Override:
    """One override, parsed by Hydra; the trials of a search say the same words again and again."""
    override: Override = OverridesParser.create().parse_override(pair)
    return override


def _readable(pair: str) -> bool:
    try:
        parse(pair)
    except HydraException:
        return False
    return True
