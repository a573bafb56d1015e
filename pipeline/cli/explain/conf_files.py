"""One line for a mistake in a file below conf/: a person's own experiment, or one that does not fit."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError
from yaml import MarkedYAMLError, YAMLError

from pipeline.cli import schema
from pipeline.cli.explain.names import suggest_name
from pipeline.errors import BadSetting, read_first_line
from pipeline.settings.command_line import Overrides, group_of
from pipeline.settings.kinds import option_name

UNREADABLE = (YAMLError, UnicodeDecodeError, ValueError, OSError)
"""What a file of conf/ raises that Hydra cannot read at all."""

_PLACE = re.compile(r"(?:In|list in) '([\w/.-]+)'")
_VALUE = re.compile(r"[Vv]alue '(.*)' (?:of|for)")


def explain(error: Exception, cause: BaseException, pairs: Sequence[str], conf: Path) -> BadSetting | None:
    """Explain an error that lies in a file of `conf`; None where it lies in the words of the command line.

    `cause`: what OmegaConf said, else `error` itself.
    """
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return BadSetting(
            f"{_name_file(Path(mark.name), conf)} must be YAML, got {error.problem} in line {mark.line + 1}; "
            "mend that line"
        )
    if isinstance(error, UnicodeDecodeError):
        return BadSetting(
            f"{_find_undecodable(conf)} must be text in UTF-8, got other bytes; save it as that"
        )
    place = _PLACE.search(str(error))
    if place is None or place[1] == "config":
        return None if isinstance(cause, OmegaConfBaseException) else _explain_plainly(error, pairs)
    if not isinstance(cause, OmegaConfBaseException):
        return _explain_plainly(error, pairs)
    return _explain_settings(cause, place[1], pairs)


def _explain_settings(cause: BaseException, place: str, pairs: Sequence[str]) -> BadSetting:
    """Explain what a file sets that is no setting, or no value of it. `place`: such as experiment/article."""
    file, key = f"conf/{place}.yaml", str(getattr(cause, "full_key", None) or "")
    if key == place.partition("/")[0]:
        return BadSetting(f"{file} must begin with the line `# @package _global_`, got none; write it there")
    name = place.replace("/", "=", 1)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _explain_key(key, name, file, pairs)
    rule = schema.list_rules().get(key, "groups of settings")
    got = _VALUE.search(str(cause)) if isinstance(cause, ValidationError) else None
    what = got[1] if got and key else read_first_line(cause)
    where = f"{key} in {file}" if key else file
    return BadSetting(f"{where} must be {rule}, got {what}; mend it there")


def _explain_key(key: str, name: str, file: str, pairs: Sequence[str]) -> BadSetting:
    """Explain that a file sets what the chosen option has not, or what no option has."""
    group, _, setting = key.partition(".")
    owners = [option_name(kind) for kind in schema.KINDS.get(group, ()) if setting in get_type_hints(kind)]
    chosen = Overrides(pairs).find(group)
    if owners and chosen:
        return BadSetting(
            f"{chosen} must have the setting {setting}, which {name} sets, got none; "
            f"use {' or '.join(f'{group}={owner}' for owner in owners)}, or leave {name} out"
        )
    near = suggest_name(key, schema.list_rules())
    return BadSetting(f"{file} must hold settings that there are, got {key}{near}; mend it there")


def _explain_plainly(error: Exception, pairs: Sequence[str]) -> BadSetting:
    """Explain what Hydra says of the options that a file asks for."""
    files = [pair for pair in pairs if group_of(pair.partition("=")[0]) == "experiment"]
    remedy = f"mend conf/{files[-1].replace('=', '/', 1)}.yaml" if files else "see --help for the keys"
    text = _PLACE.sub("", read_first_line(error)).strip(": .")
    got = files[-1] if files else " ".join(pairs)
    return BadSetting(f"the options of {got} must fit together, got: {text}; {remedy}")


def _name_file(path: Path, conf: Path) -> str:
    return str(path.relative_to(conf.parent)) if path.is_relative_to(conf.parent) else str(path)


def _find_undecodable(conf: Path) -> str:
    """Find the first file that is no UTF-8, since the error does not name it."""
    for path in sorted(conf.rglob("*.yaml")):
        try:
            path.read_bytes().decode()
        except UnicodeDecodeError:
            return _name_file(path, conf)
    return "a file of conf/"
