"""The keys that a dataclass or a YAML file declares."""

import dataclasses
import enum
import types
import typing
from pathlib import Path
from typing import Any, Literal

import yaml

from pipeline.errors import BadSetting
from pipeline.trial import user_code
from pipeline.trial.user_key import FILLED, NAMES, REQUIRED, UserKey


def find_dataclass(call: str) -> type | None:
    """Find the dataclass that declares the keys of a function; None where none does.

    Raises:
        BadSetting: its annotations cannot be read.
    """
    function, module = user_code.import_function(call), user_code.get_module(call)
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # an annotation that means something to others
        hints = {}
    of_parameter = [hint for name, hint in hints.items() if name != "return"]
    for candidate in (*of_parameter, getattr(module, "Settings", None)):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return candidate
    return None


def read_dataclass(declaration: type, call: str) -> list[UserKey]:
    """Read the keys of the dataclass of the function `call`.

    Raises:
        BadSetting: a type is one that no command line can say.
    """
    try:
        hints = typing.get_type_hints(declaration)
    except Exception as error:
        raise BadSetting(
            f"trial.call={call}: the types of {declaration.__name__} must be readable, got "
            f"{user_code.format_error(error)}; mend it"
        ) from None
    where = f"{declaration.__name__} ({call})"
    settable = [declared for declared in dataclasses.fields(declaration) if declared.init]
    return [_read_field(declared, hints[declared.name], where) for declared in settable]


def _read_field(declared: "dataclasses.Field[Any]", hint: Any, where: str) -> UserKey:
    default = declared.default
    if default is dataclasses.MISSING and declared.default_factory is not dataclasses.MISSING:
        default = declared.default_factory()
    if declared.name in FILLED:
        return UserKey(name=declared.name, default=REQUIRED if default is dataclasses.MISSING else default)
    kind, choices, nullable, is_list = _read_hint(hint, declared.name, where)
    if isinstance(default, enum.Enum):
        default = default.name
    return UserKey(
        name=declared.name,
        kind=kind,
        choices=choices,
        nullable=nullable,
        is_list=is_list,
        default=REQUIRED if default is dataclasses.MISSING else default,
    )


def _read_hint(hint: Any, name: str, where: str) -> tuple[type | None, tuple[Any, ...], bool, bool]:
    """Read a type as kind, choices, whether null is allowed, whether it is a list."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [arg for arg in args if arg is not type(None)]
        if len(others) == 1:
            kind, choices, _, is_list = _read_hint(others[0], name, where)
            return kind, choices, True, is_list
    elif origin is list and len(args) == 1:
        kind, choices, _, _ = _read_hint(args[0], name, where)
        return kind, choices, False, True
    elif origin is Literal:
        return None, args, False, False
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        return None, tuple(hint.__members__), False, False
    elif hint in NAMES or hint is Any:
        return (None if hint is Any else hint), (), False, False
    raise BadSetting(
        f"{name} of {where} must be int, float, bool, str, an Enum, a Literal, a list of these or one of "
        f"them or None, got {getattr(hint, '__name__', hint)}; change its type"
    )


# ---- YAML ---------------------------------------------------------------------------------------------


def read_yaml(path: Path) -> list[UserKey]:
    """Read keys with their defaults; the type of each is that of its default.

    Raises:
        BadSetting: the file is no mapping of keys to plain values.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise BadSetting(f"{path} must be YAML, got what is none{line}; mend it") from None
    if not isinstance(values, dict):
        raise BadSetting(f"{path} must map keys to their defaults, got {type(values).__name__}; write key: 1")
    return [_read_default(str(name), value, path) for name, value in values.items()]


def _read_default(name: str, value: Any, path: Path) -> UserKey:
    if value == "???":
        return UserKey(name=name)
    if value is None:
        return UserKey(name=name, default=None, nullable=True)
    if isinstance(value, list):
        kinds = {type(item) for item in value}
        kind = kinds.pop() if len(kinds) == 1 else None
        return UserKey(name=name, kind=kind if kind in NAMES else None, is_list=True, default=value)
    if type(value) not in NAMES:
        raise BadSetting(f"{name} in {path} must be a number, a text, true, false or a list; change it")
    return UserKey(name=name, kind=type(value), default=value)
