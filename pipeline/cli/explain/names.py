"""What a word of a command line means here: by likeness, or by what other tools of the field call it."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PurePath
from typing import get_type_hints

from pipeline.cli import help, schema
from pipeline.cli.explain import foreign_names, foreign_values
from pipeline.cli.explain.advice import Advice, find_broken_rule, plain
from pipeline.cli.explain.options import (
    ARRAYS,
    TABLES,
    name_data,
    name_file,
    name_gpu,
    name_objectives,
    name_price,
    name_widths,
    translate_choice,
)
from pipeline.cli.explain.values import WORDS, find_meant, is_yes, split_values
from pipeline.settings.addresses import find_options
from pipeline.settings.command_line import Overrides, split_word
from pipeline.settings.kinds import option_name

FURTHER_WORDS = {
    "optimizer.nesterov": ("optimizer.momentum=0.9",),
    "data.label": ("data=csv", "data.path=FILE.csv"),
    "data.test_path": ("data=csv", "data.path=FILE.csv", "data.label=-1"),
    "optimizer.sparse": (),
    "search.space": ("search.when={}",),
}
"""Words without which a setting means nothing."""
_WIDTHS = re.compile(r"[\[(]([^|;]*)[\])]|(\d+(?:[x×]\d+)+|(\d+)(?:-\3)+|\d+(?:-\d+){2,})")
"""Hidden layers by their widths: `(64, 64)`, `64x64`, `64-64`; `16-64` alone is a range."""
_NEXT_PAIR = re.compile(r"[,;&]\s*(?=[A-Za-z_][\w.]*[=:])")
_OF_A_RANGE = re.compile(r"(.+)\.(?:values?|choices|distribution)")
EXAMPLES = {
    "search.budget": "2min",
    "search.patience": "20trials",
    "search.trials": "40",
    "search.timeout": "600",
    "search.objective": "accuracy",
    "search.space": '["model.hidden=16,32,64"]',
    "search.enqueue": '["model.hidden=64 optimizer=sgd"]',
    "search.max_latency_ms": "5",
    "search.max_parameters": "100000",
    "engine": "auto",
    "record": "own",
}
"""Values of settings that are not set in conf/."""


def suggest_name(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like `word`, whatever its capitals, as a remedy, or nothing."""
    near = get_close_matches(word.lower(), list(names), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def suggest_key(key: str, value: str | None, typed: Sequence[str] = ()) -> str:
    """Return the setting that `key` means as a remedy, with the value that is meant, or nothing.

    `value`: as typed, None where nothing was; `typed`: all words.
    """
    remedy = _translate_pairs(key, value, typed) or translate(key, value and _unquote(value), typed)
    return remedy.format() if remedy else ""


def suggest_value(key: str, value: str, typed: Sequence[str] = ()) -> str:
    """Return what a value of a setting, or an option of a group, means as a remedy, or nothing."""
    rules = schema.list_rules()
    if f"{key}={value.lower()}" == foreign_values.INT8:
        return "; 8 bits are for answers: profile.runtime=litert_int8, or profile trained=... precision=int8"
    meant = _translate_value(key, _unquote(value), rules.get(key, ""))
    remedy = _translate_pairs(key, value, typed) or _complete(key, meant, typed)
    return remedy.format() if remedy and remedy.words != (f"{key}={value}",) else ""


def suggest_example(key: str, typed: Sequence[str] = ()) -> str:
    """Return a value that a setting may have as a remedy."""
    example = _find_example(key, schema.list_rules().get(key, ""))
    remedy = _complete(key, Advice((f"{key}={example or '...'}",)), typed)
    if remedy and example and (broken := find_broken_rule(remedy.words)):
        return f"; {broken}"
    return f"; write {shlex.join(remedy.words) if remedy and example else f'{key}=...'}"


def write_text(key: str, text: str, typed: Sequence[str]) -> Sequence[str]:
    """Return the words that give a setting a text with a comma in it."""
    remedy = _complete(key, Advice((f'{key}="{text}"',)), typed)
    return remedy.words if remedy else ()


def _translate_pairs(key: str, value: str | None, typed: Sequence[str]) -> Advice | None:
    """Translate `lr=0.1,epochs=3`, where commas stand between words."""
    first, *further = _NEXT_PAIR.split(_unquote(value or ""))
    if not further or "(" in first:
        return None
    remedies = [translate(key, first, typed)]
    if remedies[0] and any(split_word(word)[0] in WORDS for word in remedies[0].words):
        return None  # these are in its own list
    for pair in further:
        name, text = re.split("[=:]", pair, maxsplit=1)
        remedies.append(translate(name, text, typed))
    words = [word for remedy in remedies if remedy for word in remedy.words]
    return Advice(tuple(words), any(remedy and remedy.is_search for remedy in remedies))


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def translate(key: str, value: str | None, typed: Sequence[str] = ()) -> Advice | None:
    """Return what to type instead of a key that is none; None where nobody knows."""
    if match := _OF_A_RANGE.fullmatch(key):  # `parameters.lr.values` of W&B
        key = match[1]
    rules, name = schema.list_rules(), plain(key.rpartition(".")[2])
    if key.lower() in rules:
        return _complete(key.lower(), _translate_value(key.lower(), value, rules[key.lower()]), typed)
    if flag := _translate_flag(name, value):
        return flag
    if key.lower().replace("/", ".") in rules:
        target: str | None = key.lower().replace("/", ".")
    elif plain(key) in foreign_names.WITHOUT or name in foreign_names.WITHOUT:
        return Advice(note=foreign_names.WITHOUT.get(plain(key)) or foreign_names.WITHOUT[name])
    else:
        target = _find_key(key, name, rules)
    if target is None:
        return None
    rule = rules.get(target.replace("train.from", "train.start_from"), "")
    example = Advice((f"{target}={_find_example(target, rule) or value or '...'}",))
    return _complete(target, _translate_value(target, value, rule) or example, typed)


def _find_key(key: str, name: str, rules: Mapping[str, str]) -> str | None:
    """Find the setting: by an alias, by its last name, by likeness."""
    settings = [full for full in rules if "." in full]
    if alias := foreign_names.KEY_ALIASES.get(plain(key)) or foreign_names.KEY_ALIASES.get(name):
        return alias
    same = [full for full in settings if plain(full.rpartition(".")[2]) == name]
    if same:
        usual = [full for full in same if full.startswith(("train.", "model.", "data."))]
        return next(iter(usual or same))
    if "." in key and (near := get_close_matches(key.lower(), settings, n=1, cutoff=0.75)):
        return near[0]
    names = {plain(full.rpartition(".")[2]): full for full in reversed(settings)}
    names |= {plain(full): full for full in rules if "." not in full} | foreign_names.KEY_ALIASES
    near = get_close_matches(name, [*names], n=1, cutoff=0.72)
    return names[near[0]] if near else None


def _translate_flag(name: str, value: str | None) -> Advice | None:
    """Translate a switch for precision or device, which are groups with options here."""
    is_on = is_yes(value) if value is not None else True
    precision = foreign_values.VALUE_ALIASES["precision"].get(name) if name[:1].isalpha() else None
    if precision:
        return Advice((f"precision={'float32' if is_on is False else precision}",))
    if name in foreign_names.CPU_FLAGS:
        return Advice((f"device={'auto' if is_on is False else 'cpu'}",))
    if name in ("tpu", "usetpu", "mps"):
        return _translate_value("device", name.removeprefix("use"), "")
    if foreign_names.KEY_ALIASES.get(name) == "device.count" and value in ("0", "1"):
        return Advice((f"device={'gpu' if value == '1' else 'cpu'}",))
    is_number = value is not None and value.isdecimal()
    if foreign_names.KEY_ALIASES.get(name) != "device" or (is_on is None and not is_number):
        return None
    if is_number and not (value in ("0", "1") and name.startswith("use")):
        return name_gpu(value or "0")
    return Advice((f"device={'gpu' if is_on else 'cpu'}",))


def _translate_value(key: str, value: str | None, rule: str) -> Advice | None:
    """Translate the value of a setting or group that is there; None where nobody knows what is meant."""
    names = _list_choices(key, rule)
    if value is None:
        value = foreign_names.WHERE_ON.get(key) or _find_example(key, rule)
        return Advice((f"{key}={value}",)) if value else None
    switch = is_yes(value) if key in foreign_names.WHERE_ON and not value.strip().isdecimal() else None
    if switch is not None and value.lower() not in names:
        table = foreign_names.WHERE_ON if switch else foreign_names.WHERE_OFF
        return Advice((f"{key}={table[key]}",))
    if names:
        usual = help.read_defaults().get(key) or _find_example(key, rule)
        choice = translate_choice(key, value, names)
        return choice or (
            Advice((f"{key}={usual}",), note="the default") if usual not in (None, "null") else None
        )
    if key == "search.objectives":
        return name_objectives(value)
    if key == "data.path":
        return name_file(value)
    if key == "price.per_hour":
        return name_price(value, ())
    if key in ("model.hidden", "model.layers") and (widths := _WIDTHS.fullmatch(value.strip())):
        return name_widths(split_values(widths[1]) if widths[1] is not None else re.findall(r"\d+", value))
    meant = find_meant(key, value, rule)
    return Advice((f"{key}={meant.text}",), is_search=meant.is_search) if meant else None


def _list_choices(key: str, rule: str) -> tuple[str, ...]:
    if "." not in key and key in help.read_defaults() | {"experiment": ""}:
        return tuple(sorted(find_options(key)))
    listed = rule.removesuffix(" or null")
    return tuple(listed.removeprefix("one of ").split(", ")) if listed.startswith("one of ") else ()


def _find_example(key: str, rule: str) -> str | None:
    """Find a value that a setting may have: the one in conf/."""
    if rule == "true or false":
        return "true"
    group, _, name = key.partition(".")
    if not name or key in EXAMPLES:
        return EXAMPLES.get(key) or help.read_defaults().get(key)
    lines = [line for option in help.list_options(group) for line in option.settings]
    values = [
        line.partition(" #")[0].partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")
    ]
    return next((value for value in values if value not in ("null", "???", "")), None)


def _complete(key: str, remedy: Advice | None, typed: Sequence[str]) -> Advice | None:
    """Add the words without which the setting means nothing, where nobody typed them: `optimizer=sgd`."""
    if remedy is None or not remedy.words or "." not in key:
        return remedy
    words = Overrides(typed)
    further = [word for word in FURTHER_WORDS.get(key, ()) if words.find(split_word(word)[0]) is None]
    group, _, name = key.partition(".")
    owners = [option_name(kind) for kind in schema.KINDS.get(group, ()) if name in get_type_hints(kind)]
    chosen = split_word(words.find(group) or f"{group}={help.read_defaults().get(group)}")[1]
    has_group = any(split_word(word)[0] == group for word in (*further, *remedy.words))
    if owners and chosen not in owners and not has_group:
        missing = list_mandatory(group, owners[0], (*typed, *further, *remedy.words))
        further = [f"{group}={owners[0]}", *missing, *further]
    return replace(remedy, words=(*further, *remedy.words))


def list_mandatory(group: str, name: str, typed: Sequence[str]) -> list[str]:
    """List the words that an option needs beside those that are typed, to be filled in: `data.path=...`."""
    lines = next((option.settings for option in help.list_options(group) if option.name == name), ())
    keys = [f"{group}.{line.partition(':')[0]}" for line in lines if ": ???" in line]
    return [f"{key}=..." for key in keys if key not in Overrides(typed).keys]


def find_bare(word: str) -> Advice | None:
    """Find what a word without `=` means: a flag, an option of a group, or a file."""
    small = word.strip("-").lower()
    if remedy := _translate_flag(plain(small), None):
        return remedy
    for group in help.read_defaults():
        if small in find_options(group) and small not in ("none", "auto", "standard"):
            return Advice((f"{group}={small}",))
    if PurePath(word).suffix in (".yaml", ".yml"):
        return Advice(note=foreign_names.WITHOUT["config"])
    if PurePath(word).suffix.lower() in (*TABLES, *ARRAYS) or "/" in word:
        return name_file(word)
    for group, aliases in foreign_values.VALUE_ALIASES.items():
        if small.replace("-", "_") in aliases and "." not in group and not small.isdecimal():
            return translate_choice(group, word, tuple(find_options(group)))
    if small in foreign_values.CATALOGUE:
        return name_data(word, [small])
    return None
