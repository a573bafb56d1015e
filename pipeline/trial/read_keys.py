"""The keys that a dataclass, a model of pydantic or a YAML file declares."""

import dataclasses
import enum
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, Literal

import yaml

from pipeline.errors import BadSetting
from pipeline.trial import user_code
from pipeline.trial.user_key import FILLED, NAMES, REQUIRED, UserKey

OTHERS = {"_fields": "a named tuple", "__total__": "a TypedDict", "__attrs_attrs__": "a class of attrs"}
"""What declares keys, but cannot hold epochs, seed and state beside them, by an attribute that it has."""


class Declared(typing.NamedTuple):
    """One field of a declaration: `default` is `REQUIRED` where it has none."""

    name: str
    hint: Any
    default: Any


def find_declaration(call: str) -> type | None:
    """Find the dataclass or model of pydantic that declares the keys of a function; None where none does.

    Raises:
        BadSetting: it is a class of another kind.
    """
    function, module = user_code.import_function(call), user_code.get_module(call)
    of_parameter = list(_iterate_hints(function))
    for candidate in (*of_parameter, getattr(module, "Settings", None)):
        if isinstance(candidate, type) and (dataclasses.is_dataclass(candidate) or is_model(candidate)):
            return candidate
    for hint in of_parameter:
        for mark, kind in OTHERS.items():
            if isinstance(hint, type) and hasattr(hint, mark):
                raise BadSetting(
                    f"trial.call={call}: {hint.__name__} must be a dataclass or a model of pydantic, got "
                    f"{kind}; declare it as one of these"
                )
    return None


def _iterate_hints(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield the types of a function's parameters, as far as they can be read.

    Of a class those of `__init__`, of an object those of `__call__`, of a partial those of its function.
    """
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    plain: Any = inspect.unwrap(getattr(function, "__func__", function))
    names = getattr(plain, "__globals__", {})
    for name, hint in getattr(plain, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: hint})
        with suppress(Exception):  # an annotation that means something to others
            if name != "return":
                yield typing.get_type_hints(holder, names)[name]


def is_model(declaration: type) -> bool:
    """Return whether a class is a model of pydantic 2, which need not be installed."""
    return hasattr(declaration, "model_fields") and hasattr(declaration, "__pydantic_validator__")


def list_declared(declaration: Any) -> Iterator[Declared]:
    """Yield the fields that can be set.

    Raises:
        Exception: of any class, where the annotations name what is not there.
    """
    if is_model(declaration):
        for name, about in declaration.model_fields.items():
            is_required = about.is_required()
            default = REQUIRED if is_required else about.get_default(call_default_factory=True)
            yield Declared(name, _unwrap(about.annotation), default)
        return
    hints = typing.get_type_hints(declaration)
    for field in dataclasses.fields(declaration):
        default = field.default
        if default is dataclasses.MISSING:
            is_made = field.default_factory is not dataclasses.MISSING
            default = field.default_factory() if is_made else REQUIRED  # type: ignore[operator]
        if field.init:
            yield Declared(field.name, _unwrap(hints[field.name]), default)


def read_declaration(declaration: type, call: str) -> list[UserKey]:
    """Read the keys of the dataclass or model of the function `call`.

    Raises:
        BadSetting: a type is one that no command line can say.
    """
    try:
        fields = list(list_declared(declaration))
    except Exception as error:
        raise BadSetting(
            f"trial.call={call}: the types of {declaration.__name__} must be readable, got "
            f"{user_code.format_error(error)}; mend it"
        ) from None
    where = f"{declaration.__name__} ({call})"
    return [_read_field(field, where) for field in fields]


def _read_field(field: Declared, where: str) -> UserKey:
    name, hint, default = field
    if name in FILLED:
        return UserKey(name=name, default=default)
    kind, choices, nullable, is_list = _read_hint(hint, name, where)
    return UserKey(
        name=name,
        kind=kind,
        choices=choices,
        nullable=nullable,
        is_list=is_list,
        length=count_items(hint),
        default=_to_word(default),
    )


def _to_word(default: Any) -> Any:
    """Return a default as the command line says it."""
    if isinstance(default, enum.Enum) and default is not REQUIRED:
        return default.name
    return str(default) if isinstance(default, PurePath) else default


def count_items(hint: Any) -> int | None:
    """Return how many items a tuple has to have; None where any number will do."""
    for kind in (hint, *typing.get_args(hint)):
        items = typing.get_args(kind)
        if typing.get_origin(kind) is tuple and Ellipsis not in items:
            return len(items)
    return None


def _unwrap(hint: Any) -> Any:
    """Return the type behind another name for it (`type`, `NewType`) or a remark (`Annotated`, `Final`)."""
    while True:
        if typing.get_origin(hint) in (typing.Annotated, typing.Final):
            hint = typing.get_args(hint)[0]
        elif type(hint).__name__ == "TypeAliasType":  # which comes with Python 3.12
            hint = hint.__value__
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return hint


def _read_hint(hint: Any, name: str, where: str) -> tuple[type | None, tuple[Any, ...], bool, bool]:
    """Read a type as kind, choices, whether null is allowed, whether it is a list."""
    hint = _unwrap(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [arg for arg in args if arg is not type(None)]
        if {*others} == {int, float}:  # a number is either
            others = [float]
        if len(others) == 1:
            kind, choices, _, is_list = _read_hint(others[0], name, where)
            return kind, choices, type(None) in args, is_list
    elif origin in (list, tuple, Sequence) and len({*args} - {Ellipsis}) == 1:
        kind, choices, _, _ = _read_hint(args[0], name, where)
        return kind, choices, False, True
    elif origin is Literal:
        return None, args, False, False
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        return None, tuple(hint.__members__), False, False
    elif isinstance(hint, type) and issubclass(hint, PurePath):
        return str, (), False, False
    elif hint in NAMES or hint is Any:
        return (None if hint is Any else hint), (), False, False
    raise BadSetting(
        f"{name} of {where} must be int, float, bool, str, a Path, an Enum, a Literal, a list or tuple "
        f"of one of these, or one of them or None, got {getattr(hint, '__name__', hint)}; change its type"
    )


# ---- YAML ---------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as the number that it is in YAML 1.2, on a command line and in Python."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def read_yaml(path: Path) -> list[UserKey]:
    """Read keys with their defaults; the type of each is that of its default.

    Raises:
        BadSetting: the file is no mapping of keys to plain values.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
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
