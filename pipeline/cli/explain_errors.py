"""One line for a mistake in the settings: key, rule, value, remedy, and the most similar valid name."""

from collections.abc import Iterable, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

from hydra.core.override_parser.types import Override
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from pipeline.cli import arguments, schema
from pipeline.errors import BadSetting
from pipeline.settings.command_line import Overrides, group_of, split_word
from pipeline.settings.kinds import option_name
from pipeline.settings.settings import Settings


def check_words(pairs: Sequence[str], conf: Path) -> None:
    """Check what can be checked before composing: form, group options, one value for each key.

    Raises:
        BadSetting: the first override that is wrong.
    """
    for pair in pairs:
        override = arguments.parse(pair)
        key = override.key_or_group
        if override.is_add() or override.is_delete() or override.package:
            raise BadSetting(
                f"{key} can only be set, not added, deleted or moved, got {pair!r}; write {key}=VALUE"
            )
        if override.is_sweep_override():
            raise BadSetting(f"{key} must be one value, got several in {pair!r}; quote a value with a comma")
        _check_group(key, pair)
        if (conf / key).is_dir():
            _check_option(key, override, conf)


def _check_group(key: str, pair: str) -> None:
    group = group_of(key)
    if group == "hydra":
        raise BadSetting(f"{key} is Hydra's own and not a setting of a trial, got {pair!r}; leave it out")
    if group == "claim":
        raise BadSetting(f"{key} belongs to an experiment, got {pair!r}; set it in conf/experiment/")
    if group not in _group_names() or "/" in key:
        raise _explain_unknown(key, [pair])


@cache
def _group_names() -> frozenset[str]:
    return frozenset({"experiment", *get_type_hints(Settings)})


def _check_option(group: str, override: Override, conf: Path) -> None:
    options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
    value = override.value()
    if value not in options and not (group == "experiment" and value is None):
        raise BadSetting(
            f"{group} must be one of {', '.join(options)}, got {value}{_suggest_name(str(value), options)}"
        )


def explain(error: Exception, pairs: Sequence[str]) -> BadSetting:
    """Return the error of Hydra or OmegaConf as one line of our own."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        key = _restore_key(str(cause.full_key or ""), pairs)
        if isinstance(cause, MissingMandatoryValue):
            return BadSetting(f"{key} must be set, got nothing; add {key}=...")
        if key not in list_rules() or isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return _explain_unknown(key, pairs)
        if isinstance(cause, InterpolationResolutionError):
            return BadSetting(f"{key} must not refer to what is not there: {_read_first_line(cause)}")
        if pair := Overrides(pairs).find(key):
            rule = list_rules()[key]
            return BadSetting(f"{key} must be {rule}, got {_value_of(pair)}{_suggest_remedy(key, pair)}")
    return BadSetting(f"{_read_first_line(cause or error)}; got {' '.join(pairs)!r}, see --help for the keys")


def list_rules() -> dict[str, str]:
    """Return every dotted key that some choice of groups has, with what its value must be."""
    rules = {name: _describe_type(hint) for name, hint in get_type_hints(Settings).items()}
    for group, kind in _list_classes():
        rules |= {f"{group}.{name}": _describe_type(hint) for name, hint in get_type_hints(kind).items()}
    return rules


def _list_classes() -> Iterable[tuple[str, type]]:
    for group, kinds in schema.KINDS.items():
        yield from ((group, kind) for kind in kinds)
    yield from schema.SINGLE.items()


def _describe_type(hint: object) -> str:
    if isinstance(hint, UnionType):
        return " or ".join(_describe_type(option) for option in get_args(hint))
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    if isinstance(hint, type) and is_dataclass(hint):
        return "a group"
    if args := get_args(hint):
        return f"a list, each {_describe_type(args[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, str(hint))  # type: ignore[call-overload, no-any-return]


def _explain_unknown(key: str, pairs: Sequence[str]) -> BadSetting:
    group, _, name = key.partition(".")
    got = f", got {_value_of(pair)}" if (pair := Overrides(pairs).find(key)) else ""
    rules = list_rules()
    if group in schema.SINGLE or group in schema.KINDS:
        remedy = _suggest_option(group, name) or _suggest_name(
            key, [k for k in rules if k.startswith(f"{group}.")]
        )
        return BadSetting(f"{group} has no setting {name}{got}{remedy or '; see --help for the keys'}")
    return BadSetting(
        f"{key} is not a setting{got}{_suggest_name(key, rules) or '; see --help for the keys'}"
    )


def _suggest_option(group: str, name: str) -> str:
    """Return the options of a group that have the setting which the chosen one lacks, as a remedy."""
    kinds = schema.KINDS.get(group, ())
    owners = [option_name(kind) for kind in kinds if name in get_type_hints(kind)]
    return f"; {' and '.join(f'{group}={owner}' for owner in owners)} has it" if owners else ""


def _restore_key(full_key: str, pairs: Sequence[str]) -> str:
    """Return the key as typed: OmegaConf says `trian` for `trian.epochs`, and appends an index to a list."""
    key = full_key.partition("[")[0]
    typed = [arguments.parse(pair).key_or_group for pair in pairs]
    longer = [key_typed for key_typed in typed if key_typed.startswith(f"{key}.")]
    return longer[0] if longer and key not in typed else key


def _value_of(pair: str) -> str:
    return split_word(pair)[1] or "nothing"


def _suggest_remedy(key: str, pair: str) -> str:
    rule = list_rules()[key]
    if rule.startswith("one of "):
        return _suggest_name(_value_of(pair), rule.removeprefix("one of ").split(", "))
    return f"; write {key}=..."


def _suggest_name(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _read_first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
