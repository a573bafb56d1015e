"""Words that are no `key=value`: `epochs:3`, `train.epochs = 3`, `-lr 0.1`, `fp16`, and what they mean."""

import re
from collections.abc import Sequence
from itertools import takewhile

from pipeline.cli import help, schema
from pipeline.cli.explain import foreign_names
from pipeline.cli.explain.advice import Advice, plain
from pipeline.cli.explain.names import find_bare, translate
from pipeline.cli.explain.values import AMOUNTS
from pipeline.settings.searching.quantities import TRIALS, UNITS

_SIGN = re.compile(r"^-{0,2}([A-Za-z_][\w.-]*)\s*(?:=>|->|:=|==|=|:|~)\s*(.+)$")
_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_DASHED = re.compile(r"-{1,2}[A-Za-z]")
_WITH_NUMBER = re.compile(r"-([A-Za-z])(\d\S*)")


def suggest_form(words: Sequence[str], index: int) -> str:
    """Return what the word at `index`, which is no `key=value`, means as a remedy, or nothing.

    It may be a part of what was meant: the words beside it are looked at.
    """
    key, value = _join(words, index)
    if value is None and (glued := _glue(words, index)):
        return glued.format()
    remedy = _find(key, value, words)
    return remedy.format() if remedy else ""


def _find(key: str, value: str | None, words: Sequence[str]) -> Advice | None:
    name = _read_name(key)
    if value is None and not key.startswith("-") and key in help.COMMANDS:
        return Advice(note=f"a command stands first: python -m pipeline {key} ...")
    if value is None and (bare := find_bare(key)):
        return bare
    is_off = value is None and re.match(r"no[-_]", name) is not None
    pairs = [word for word in words if "=" in word and not word.startswith("-")]
    remedy = translate(name[3:] if is_off else name, "false" if is_off else value, pairs)
    if remedy is None and value is not None and _KEY.fullmatch(name) and "." in name:
        return Advice((f"{name}={value}",))
    return remedy


def _read_name(key: str) -> str:
    """Return the name of a flag without its dashes; one letter stands for the usual name."""
    name = key.lstrip("-")
    return foreign_names.SHORT_FLAGS.get(name, name) if key.startswith("-") else name


def _join(words: Sequence[str], index: int) -> tuple[str, str | None]:
    """Return the key and the value of which `words[index]` is a part."""
    word = words[index]
    after = words[index + 1] if index + 1 < len(words) else None
    if after in ("=", ":", "=>", ":=", "==") and index + 2 < len(words):
        return word, words[index + 2]
    if after is not None and after.startswith("=") and after != "=":
        return word, after.lstrip("=")
    if match := _WITH_NUMBER.fullmatch(word):  # -j4
        return f"-{match[1]}", match[2]
    if match := _SIGN.match(word):
        return ("-" if word.startswith("-") else "") + match[1], match[2]
    if word.endswith((":", "=")) and after is not None and "=" not in after:
        return word.rstrip(":="), after
    is_free = after is not None and "=" not in after and not _DASHED.match(after)
    if is_free and _is_key(_read_name(word)):
        return word, after
    return word, None


def _is_key(name: str) -> bool:
    """Return whether a name is that of a setting, here or elsewhere, so that a value may follow it."""
    names = {*schema.list_rules(), *foreign_names.KEY_ALIASES, *foreign_names.WITHOUT}
    last_names = {plain(key.rpartition(".")[2]) for key in schema.list_rules()}
    return name in names or plain(name) in names | last_names


def _glue(words: Sequence[str], index: int) -> Advice | None:
    """Join a word to the value before it: `train.epochs= 3`, `search.budget=2 min`, a path with a space."""
    before, word = words[index - 1] if index else "", words[index]
    key, equals, value = before.partition("=")
    if not equals or not _KEY.fullmatch(key) or word.startswith("-"):
        return None
    rest = list(takewhile(lambda text: "=" not in text and not _DASHED.match(text), words[index:]))
    is_text = schema.list_rules().get(key, "").startswith("text") and key not in AMOUNTS
    is_unit = word.lower() in (*UNITS, *TRIALS)  # `minutes` is also the name of a setting
    if value and not is_text and not is_unit and (find_bare(word) or _is_key(word)):
        return None
    pairs = [pair for pair in words if "=" in pair and pair != before]
    if is_text:
        return Advice((f"{key}={' '.join((value, *rest)).strip()}",))
    return translate(key, " ".join((value, *rest)).strip(), pairs)
