"""The words of a command line, brought to Hydra's form `key=value`.

`mlflow run -P key=value` hands undeclared parameters on as the two words `--key value`, and
`-P overrides="a=1 b=2"` as one word. Nothing is ever passed through a shell or `eval`.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from pipeline.cli import schema
from pipeline.cli.explain.word_forms import suggest_form
from pipeline.errors import BadSetting
from pipeline.settings.command_line import split_word
from pipeline.settings.searching.quantities import DASHES, TRIALS, UNITS

PYTHON_NAMES = {"train.from": "train.start_from"}
"""Keys that Python cannot name a field, and the names of their fields."""
WHOLE_TEXTS = ("--overrides",)
"""Words whose value may be `key=value` itself."""
_PAIR = re.compile(r"[A-Za-z_][\w.]*=")
_AMOUNT = re.compile(r"--[\w.-]+ (?:[\w.]+=)?\d[\d.,]*")
_FLAG = re.compile(r"--|-[A-Za-z]")


def normalise_words(words: Iterable[str]) -> list[str]:
    """Return the words as `key=value`: `["--train.epochs", "3"]` is `["train.epochs=3"]`.

    `["--overrides", "a=1 b=2"]` is `["a=1", "b=2"]`.

    Raises:
        BadSetting: a word is no `key=value`, or lacks its value.
    """
    return [quote_value(pair) for pair in _read_pairs(list(words))]


def check_units(words: Sequence[str]) -> None:
    """Check that no unit stands apart from its number: `--within 2 ms`, `--at-least 95 %`, `--max cost=2 s`.

    Raises:
        BadSetting: one does.
    """
    for option, number, unit in zip(words, words[1:], words[2:], strict=False):
        if _AMOUNT.fullmatch(f"{option} {number}") and unit.lower() in (*UNITS, *TRIALS, "%"):
            raise BadSetting(
                f"{option} must be followed by one word, got {number} {unit}; write {option} {number}{unit}"
            )


def _read_pairs(words: Sequence[str]) -> Iterator[str]:
    check_units(words)
    rest = iter(enumerate(words))
    for index, word in rest:
        if word.startswith(tuple(DASHES)):
            plain = f"--{word.lstrip(DASHES + '-')}"
            raise BadSetting(f"{word} begins with a dash that is not the hyphen of a keyboard; write {plain}")
        if word.startswith("-") and not word.startswith("--"):
            raise _explain_flag(words, index)
        if word.startswith("--") and "=" not in word:
            word = f"{word[2:]}={_read_value(words, index)}"
            next(rest)
        pair = word.removeprefix("--")
        key, value = split_word(pair)
        if key == "overrides":
            yield from _read_pairs(_split_text(value or ""))
        elif (value is None and not pair.startswith("~")) or not key:
            remedy = suggest_form(words, index) or "; see --help for the keys"
            raise BadSetting(f"every word must be key=value, got {word!r}{remedy}")
        else:
            yield PYTHON_NAMES.get(key, key) + pair[len(key) :]


def _read_value(words: Sequence[str], index: int) -> str:
    """Return the value of `--key value`; another `--word` is none, nor `a=b` after a key without a dot."""
    word, value = words[index], words[index + 1] if index + 1 < len(words) else None
    is_pair = value is not None and word not in WHOLE_TEXTS and "." not in word and _PAIR.match(value)
    if value is None or value in ("=", ":") or _FLAG.match(value) or is_pair:
        raise _explain_flag(words, index)
    return value


def _explain_flag(words: Sequence[str], index: int) -> BadSetting:
    word, _, got = words[index].partition("=")
    got = got or (words[index + 1] if index + 1 < len(words) else "nothing")
    remedy = suggest_form(words, index)
    if "." in word:
        remedy = remedy or f"; write {word.lstrip('-')}=VALUE"
        return BadSetting(f"{word} must be followed by a value, got {got}{remedy}")
    name = word.lstrip("-")
    usual = f"; write {name}=VALUE" if name in schema.list_rules() else "; see --help for the keys"
    remedy = remedy or usual
    return BadSetting(f"{word} is no flag of this command, so a value must follow it, got {got}{remedy}")


def _split_text(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadSetting(
            f"overrides must be words like a=1 b=2, got {text!r} ({error}); close the quotes"
        ) from None


def quote_value(pair: str) -> str:
    """Return `pair` with its value in quotes where Hydra's grammar cannot read it as it is.

    Raises:
        BadSetting: the word is no `key=value` in any way of writing it.
    """
    key, value = split_word(pair)
    if pair != pair.encode(errors="replace").decode():  # it holds bytes of another encoding
        raise BadSetting(f"{key} must be text in UTF-8, got {value!r}; write it in that, or rename the file")
    is_blank = bool(value) and not (value or "").strip()  # a space or a tab, which Hydra would drop
    if _is_readable(pair) and not is_blank:
        return pair
    if (value or "").startswith("[") and (value or "").endswith("]"):
        elements = (value or "")[1:-1].split(",")
        in_list = f"{key}=[{','.join(map(_quote_element, elements))}]"
        if _is_readable(in_list):
            return in_list
    in_quotes = f"{key}={quote(value or '')}"
    if "\n" in (value or "") and "\n" not in key:
        raise BadSetting(f"{key} must be one line, got {value!r}; write it without a break")
    if "\n" in pair or not _is_readable(in_quotes):
        raise BadSetting(f"{key!r} is not a key that can be set, got {pair!r}; write key=value, see --help")
    return in_quotes


def quote(text: str) -> str:
    """Return a text in quotes; Hydra takes a backslash for an escape only where a quote follows."""
    escaped = re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + (match[2] and "\\'"), text)
    return f"'{escaped}'"


def _quote_element(text: str) -> str:
    return text if _is_readable(f"key=[{text}]") else quote(text.strip())


@lru_cache(maxsize=512)
def parse(pair: str) -> Override:
    """Parse one word by Hydra's grammar; results are cached, since the trials of a search repeat words."""
    override: Override = OverridesParser.create().parse_override(pair)
    return override


def _is_readable(pair: str) -> bool:
    try:
        parse(pair)
    except HydraException:
        return False
    return True
