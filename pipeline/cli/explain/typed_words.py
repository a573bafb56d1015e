"""One line for a mistake in the settings: key, rule, value, remedy, and the most similar valid name."""

import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import get_type_hints

from hydra.core.override_parser.types import Override
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from pipeline.cli import arguments, schema
from pipeline.cli.explain import conf_files
from pipeline.cli.explain.advice import Advice, find_broken_rule
from pipeline.cli.explain.names import list_mandatory, suggest_example, suggest_key, suggest_value, write_text
from pipeline.cli.explain.values import AMOUNTS
from pipeline.errors import BadSetting, read_first_line
from pipeline.settings.addresses import find_options
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
        _check_group(key, pair, pairs)
        if override.is_sweep_override():
            check_known(pair, pairs)
            raise _explain_several(key, pair, pairs)
        if is_group(key, conf):
            _check_option(key, override, conf)


def check_known(pair: str, typed: Sequence[str] = ()) -> None:
    """Check that a word with several values sets what can vary: a setting, or a name of the user's below one.

    Raises:
        BadSetting: it sets what is no setting, or chooses several experiments.
    """
    key, rules = split_word(pair)[0], schema.list_rules()
    if key == "experiment":
        options = ", ".join(sorted(find_options(key)))
        raise BadSetting(
            f"{key} must be one of {options}, got several in {pair!r}; give one, and vary its keys"
        )
    if key not in rules and not any(key.startswith(f"{rule}.") for rule in rules if "." in rule):
        raise _explain_stranger(key, pair, typed)


def _explain_several(key: str, pair: str, pairs: Sequence[str]) -> BadSetting:
    if remedy := suggest_decimal(pair, pairs):
        return BadSetting(f"{key} must be one value, got {_value_of(pair)}{remedy}")
    if schema.list_rules().get(key, "").startswith("text"):
        words = write_text(key, _value_of(pair), pairs)
        if broken := find_broken_rule(words):
            return BadSetting(f"{broken}, got several values in {pair!r}; write one")
        return BadSetting(
            f"{key} must be one value, got several in {pair!r}; with a comma in it, write {shlex.join(words)}"
        )
    meant = suggest_value(key, _value_of(pair), pairs) or (
        "; `sweep` or `run --multirun` tries them all, and a value with a comma stands in quotes"
    )
    return BadSetting(f"{key} must be one value, got several in {pair!r}{meant}")


def suggest_decimal(pair: str, typed: Sequence[str] = ()) -> str:
    """Return the remedy for what can only be one value: an amount, or a number such as `0,01`; or nothing."""
    key, value = split_word(pair)[0], _value_of(pair)
    rule = schema.list_rules().get(key, "")
    is_one = (
        key in AMOUNTS or rule.startswith("a list") or (rule.startswith("a number") and value[:2] == "0,")
    )
    return suggest_value(key, value, typed) if is_one else ""


def is_group(key: str, conf: Path) -> bool:
    """Return whether a key is that of a group; a dotted one is none, and may be longer than a file's name."""
    return "." not in key and (conf / key).is_dir()


def _check_group(key: str, pair: str, pairs: Sequence[str]) -> None:
    group = group_of(key)
    if group == "hydra":
        raise BadSetting(f"{key} is Hydra's own and not a setting of a trial, got {pair!r}; leave it out")
    if group == "claim":
        raise BadSetting(f"{key} belongs to an experiment, got {pair!r}; set it in conf/experiment/")
    if group not in _group_names() or "/" in key:
        raise _explain_stranger(key, pair, pairs)


def _explain_stranger(key: str, pair: str, typed: Sequence[str]) -> BadSetting:
    """Return the error of a key that is none, or of a loop without `trial=`, whose key it may be."""
    words = Overrides(typed)
    loop = next((each for each in ("trial.call", "trial.command") if words.find(each)), None)
    if loop and words.find("trial") is None:
        return _explain_unknown(loop, typed)
    return _explain_unknown(key, [pair])


@cache
def _group_names() -> frozenset[str]:
    return frozenset({"experiment", *get_type_hints(Settings)})


def _check_option(group: str, override: Override, conf: Path) -> None:
    options = sorted(find_options(group, conf))
    value = override.value()
    if value not in options and not (group == "experiment" and value is None):
        remedy = suggest_value(group, _value_of(override.input_line or f"{group}={value}"))
        raise BadSetting(f"{group} must be one of {', '.join(options)}, got {value}{remedy}")


def explain(error: Exception, pairs: Sequence[str], conf: Path) -> BadSetting:
    """Return the error of Hydra, OmegaConf or a file of `conf` as one line of our own."""
    cause = _find_cause(error)
    if in_a_file := conf_files.explain(error, cause, pairs, conf):
        return in_a_file
    if isinstance(cause, OmegaConfBaseException):
        key = _restore_key(str(cause.full_key or ""), pairs)
        if isinstance(cause, MissingMandatoryValue):
            return BadSetting(f"{key} must be set, got nothing; add {key}=...")
        if key not in schema.list_rules() or isinstance(cause, ConfigKeyError | ConfigAttributeError):
            return _explain_unknown(key, pairs)
        if isinstance(cause, InterpolationResolutionError):
            return BadSetting(f"{key} must not refer to what is not there: {read_first_line(cause)}")
        if pair := Overrides(pairs).find(key):
            rule = schema.list_rules()[key]
            return BadSetting(
                f"{key} must be {rule}, got {_value_of(pair)}{_suggest_remedy(key, pair, pairs)}"
            )
    return BadSetting(f"{read_first_line(cause)}; got {' '.join(pairs)!r}, see --help for the keys")


def _find_cause(error: BaseException) -> BaseException:
    """Find what OmegaConf said; Hydra raises anew, sometimes while it handles that. Else the error itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__ or cause.__context__
    return cause or error


def _explain_unknown(key: str, pairs: Sequence[str]) -> BadSetting:
    group, _, name = key.partition(".")
    got = f", got {_value_of(pair)}" if (pair := Overrides(pairs).find(key)) else ""
    if group in schema.SINGLE or group in schema.KINDS:
        remedy = _suggest_option(group, name, pair, pairs)
        remedy = remedy or suggest_key(key, pair and _value_of(pair), pairs)
        return BadSetting(f"{group} has no setting {name}{got}{remedy or '; see --help for the keys'}")
    meant = suggest_key(key, pair and _value_of(pair), pairs)
    return BadSetting(f"{key} is not a setting{got}{meant or '; see --help for the keys'}")


def _suggest_option(group: str, name: str, pair: str | None, pairs: Sequence[str]) -> str:
    """Return the options of a group that have the setting which the chosen one lacks, as a remedy."""
    kinds = schema.KINDS.get(group, ())
    owners = [option_name(kind) for kind in kinds if name in get_type_hints(kind)]
    if not owners:
        return ""
    options = [f"{group}={owner}" for owner in owners]
    if len(owners) > 1 or not pair:
        meant = pair and suggest_key(f"{group}.{name}", _value_of(pair), pairs)
        return meant or f"; {' and '.join(options)} {'have' if owners[1:] else 'has'} it"
    missing = list_mandatory(group, owners[0], pairs)
    return Advice((options[0], *missing, pair), lead=f"{options[0]} has it").format()


def _restore_key(full_key: str, pairs: Sequence[str]) -> str:
    """Return the key as typed: OmegaConf says `trian` for `trian.epochs`, and appends an index to a list."""
    key = full_key.partition("[")[0]
    typed = [arguments.parse(pair).key_or_group for pair in pairs]
    longer = [key_typed for key_typed in typed if key_typed.startswith(f"{key}.")]
    return longer[0] if longer and key not in typed else key


def _value_of(pair: str) -> str:
    return split_word(pair)[1] or "nothing"


def _suggest_remedy(key: str, pair: str, pairs: Sequence[str]) -> str:
    return suggest_value(key, _value_of(pair), pairs) or suggest_example(key, pairs)
