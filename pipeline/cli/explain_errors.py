"""One line for a mistake in the settings: key, rule, value, remedy, nearest valid name."""

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
from pipeline.settings.settings import Settings, option_name


def check_words(pairs: Sequence[str], conf: Path) -> None:
    """Check what can be checked before composing: form, group options, one value a key.

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
        _check_head(key, pair)
        if (conf / key).is_dir():
            _check_option(key, override, conf)


def _check_head(key: str, pair: str) -> None:
    head = key.partition(".")[0]
    if head == "hydra":
        raise BadSetting(f"{key} is Hydra's own and not a setting of a trial, got {pair!r}; leave it out")
    if head == "claim":
        raise BadSetting(f"{key} belongs to an experiment, got {pair!r}; set it in conf/experiment/")
    if head not in _heads() or "/" in key:
        raise _unknown(key, [pair])


@cache
def _heads() -> frozenset[str]:
    return frozenset({"experiment", *get_type_hints(Settings)})


def _check_option(group: str, override: Override, conf: Path) -> None:
    options = sorted(path.stem for path in (conf / group).glob("*.yaml"))
    value = override.value()
    if value not in options and not (group == "experiment" and value is None):
        raise BadSetting(
            f"{group} must be one of {', '.join(options)}, got {value}{_nearest(str(value), options)}"
        )


def explained(error: Exception, pairs: Sequence[str]) -> BadSetting:
    """The same mistake, said in one line."""
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        key = _whole_key(str(cause.full_key or ""), pairs)
        if isinstance(cause, MissingMandatoryValue):
            return BadSetting(f"{key} must be set, got nothing; add {key}=...")
        if key not in keys_and_rules() or isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return _unknown(key, pairs)
        if isinstance(cause, InterpolationResolutionError):
            return BadSetting(f"{key} must not refer to what is not there: {_first_line(cause)}")
        if pair := _setting(key, pairs):
            rule = keys_and_rules()[key]
            return BadSetting(f"{key} must be {rule}, got {_value(pair)}{_remedy(key, pair)}")
    return BadSetting(f"{_first_line(cause or error)}; got {' '.join(pairs)!r}, see --help for the keys")


def keys_and_rules() -> dict[str, str]:
    """Every dotted key that some choice of groups has, with what its value must be."""
    found = {name: _rule(hint) for name, hint in get_type_hints(Settings).items()}
    for group, kind in _classes():
        found |= {f"{group}.{name}": _rule(hint) for name, hint in get_type_hints(kind).items()}
    return found


def _classes() -> Iterable[tuple[str, type]]:
    for group, kinds in schema.KINDS.items():
        yield from ((group, kind) for kind in kinds)
    yield from schema.SINGLE.items()


def _rule(hint: object) -> str:
    if isinstance(hint, UnionType):
        return " or ".join(_rule(part) for part in get_args(hint))
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    if isinstance(hint, type) and is_dataclass(hint):
        return "a group"
    if args := get_args(hint):
        return f"a list, each {_rule(args[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, str(hint))  # type: ignore[call-overload, no-any-return]


def _unknown(key: str, pairs: Sequence[str]) -> BadSetting:
    group, _, name = key.partition(".")
    got = f", got {_value(pair)}" if (pair := _setting(key, pairs)) else ""
    known = keys_and_rules()
    if group in schema.SINGLE or group in schema.KINDS:
        remedy = _owners(group, name) or _nearest(key, [k for k in known if k.startswith(f"{group}.")])
        return BadSetting(f"{group} has no setting {name}{got}{remedy or '; see --help for the keys'}")
    return BadSetting(f"{key} is not a setting{got}{_nearest(key, known) or '; see --help for the keys'}")


def _owners(group: str, name: str) -> str:
    """Which options of a group do have the setting that the chosen one lacks."""
    kinds = schema.KINDS.get(group, ())
    owners = [option_name(kind) for kind in kinds if name in get_type_hints(kind)]
    return f"; {' and '.join(f'{group}={owner}' for owner in owners)} has it" if owners else ""


def _whole_key(full_key: str, pairs: Sequence[str]) -> str:
    """The key as typed: OmegaConf says `trian` for `trian.epochs`, `batch_sizes[1]` for `batch_sizes`."""
    key = full_key.partition("[")[0]
    typed = [arguments.parse(pair).key_or_group for pair in pairs]
    deeper = [other for other in typed if other.startswith(f"{key}.")]
    return deeper[0] if deeper and key not in typed else key


def _setting(key: str, pairs: Sequence[str]) -> str | None:
    """The last override that sets `key`."""
    return next((pair for pair in reversed(pairs) if pair.partition("=")[0] == key), None)


def _value(pair: str) -> str:
    return pair.partition("=")[2] or "nothing"


def _remedy(key: str, pair: str) -> str:
    rule = keys_and_rules()[key]
    if rule.startswith("one of "):
        return _nearest(_value(pair), rule.removeprefix("one of ").split(", "))
    return f"; write {key}=..."


def _nearest(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
