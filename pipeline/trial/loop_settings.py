"""What a function of the user's own is handed: its settings."""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from pipeline.errors import BadSetting
from pipeline.trial import user_code
from pipeline.trial.read_keys import find_dataclass


class LoopSettings(types.SimpleNamespace):
    """The settings of a function that declares no dataclass."""


def make_settings(call: str, values: Mapping[str, Any], filled: Mapping[str, Any]) -> Any:
    """Return what a function is handed: an instance of its dataclass, or plain attributes.

    `values`: of its own keys; `filled`: epochs, seed and state, which are attributes in any case.

    Raises:
        BadSetting: the dataclass refuses the values.
    """
    declaration = find_dataclass(call)
    if declaration is None:
        made: Any = _with_hints(LoopSettings)(**values)
    else:
        settable = {declared.name for declared in dataclasses.fields(declaration) if declared.init}
        arguments = {name: _to_enum(declaration, name, value) for name, value in values.items()}
        arguments |= {name: value for name, value in filled.items() if name in settable}
        try:
            made = _with_hints(declaration)(**arguments)
        except Exception as error:  # of the user's __post_init__
            raise BadSetting(
                f"trial.call={call}: {declaration.__name__} refuses the settings "
                f"({user_code.format_error(error)}); change them"
            ) from None
    for name, value in filled.items():
        object.__setattr__(made, name, value)
    return made


def _to_enum(declaration: type, name: str, value: Any) -> Any:
    hint = typing.get_type_hints(declaration).get(name)
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if isinstance(kind, type)]
    members = [kind for kind in kinds if issubclass(kind, enum.Enum)]
    if not members or value is None:
        return value
    convert: Callable[[Any], Any] = members[0].__getitem__
    return [convert(item) for item in value] if isinstance(value, list) else convert(value)


def _with_hints(kind: type) -> type:
    """Return a subclass whose error for an unknown attribute names the most similar one."""

    def explain(self: Any, name: str) -> Any:
        near = get_close_matches(name, vars(self), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise AttributeError(f"the settings have no {name}{hint}")

    return type(kind.__name__, (kind,), {"__getattr__": explain, "__module__": kind.__module__})
