"""What a function of the user's own is handed: its settings."""

import dataclasses
import enum
import typing
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pipeline.errors import BadSetting
from pipeline.formatting import shorten
from pipeline.trial import user_code
from pipeline.trial.read_keys import find_declaration, is_model, list_declared


class LoopSettings(dict[str, Any]):
    """The settings of a function that declares no keys: `settings.width` is `settings["width"]`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.__dict__ = self

    def __reduce__(self) -> tuple[Any, ...]:
        return LoopSettings, (dict(self),)


def make_settings(call: str, values: Mapping[str, Any], filled: Mapping[str, Any]) -> Any:
    """Return what a function is handed: an instance of its dataclass or model, else `LoopSettings`.

    `values`: of its own keys; `filled`: epochs, seed and state, which are attributes in any case.

    Raises:
        BadSetting: the dataclass or model refuses the values.
    """
    declaration = find_declaration(call)
    if declaration is None:
        return LoopSettings({**values, **filled})
    hints = {declared.name: declared.hint for declared in list_declared(declaration)}
    arguments = {name: _to_declared(hints.get(name), value) for name, value in values.items()}
    arguments |= {name: value for name, value in filled.items() if name in hints}
    aliases = _list_aliases(declaration)
    arguments = {aliases.get(name, name): value for name, value in arguments.items()}
    try:
        made = declaration(**arguments)
    except (Exception, SystemExit) as error:  # of the user's __post_init__, or of a validator
        raise BadSetting(
            f"trial.call={call}: {declaration.__name__} refuses the settings ({_explain(error, aliases)}); "
            "change them"
        ) from None
    try:
        _fill(made, filled)
    except AttributeError:  # one with slots has no place for them
        made = _with_place(declaration)(**arguments)
        _fill(made, filled)
    return made


def _list_aliases(declaration: Any) -> dict[str, str]:
    """List the names under which a model of pydantic takes its fields, where it drops their own."""
    fields = declaration.model_fields.items() if is_model(declaration) else ()
    return {name: alias for name, about in fields if isinstance(alias := about.validation_alias, str)}


def _fill(made: Any, filled: Mapping[str, Any]) -> None:
    for name, value in filled.items():
        object.__setattr__(made, name, value)


def _with_place(declaration: type) -> type:
    """Return a subclass that has a place for further attributes, and is copied as what the user declared."""

    def reduce(self: Any, _protocol: int) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _rebuild, (declaration, values | vars(self))

    return type(declaration.__name__, (declaration,), {"__reduce_ex__": reduce})


def _rebuild(declaration: type, values: Mapping[str, Any]) -> Any:
    made: Any = object.__new__(_with_place(declaration))
    _fill(made, values)
    return made


def _explain(error: BaseException, aliases: Mapping[str, str]) -> str:
    """Explain in one line why a declaration refuses values; pydantic tells of each by itself."""
    list_errors = getattr(error, "errors", None)
    if not callable(list_errors):
        return user_code.format_error(error)
    names = {alias: name for name, alias in aliases.items()}
    texts = [
        f"{'.'.join(str(names.get(part, part)) for part in about['loc'])}: {about['msg']}"
        for about in list_errors()
    ]
    return shorten("; ".join(texts), user_code.MAX_TEXT)


def _to_declared(hint: Any, value: Any) -> Any:
    """Return a value as its type says: members of an Enum, paths, a tuple."""
    kinds = (hint, *typing.get_args(hint))
    if isinstance(value, list) and any(typing.get_origin(kind) is tuple for kind in kinds):
        return tuple(_to_member(kinds, item) for item in value)
    return (
        [_to_member(kinds, item) for item in value] if isinstance(value, list) else _to_member(kinds, value)
    )


def _to_member(kinds: tuple[Any, ...], value: Any) -> Any:
    inner = [*kinds, *(kind for outer in kinds for kind in typing.get_args(outer))]
    if not isinstance(value, str) or isinstance(value, enum.Enum):
        return value
    for kind in inner:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return kind[value]
        if isinstance(kind, type) and issubclass(kind, PurePath):
            return kind(value)
    return value
