"""The keys of a training loop of the user's own: read from beside its code, and checked like ours.

They are declared by a dataclass (the annotation of the function's parameter, else the class `Settings` of its
module), else by a YAML file of the same name beside the file, else by the `{keys}` of a command line. A
function that declares nothing takes any key.
"""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from pipeline.errors import BadSetting
from pipeline.settings.training import Command, Function, UserLoop
from pipeline.trial import user_code

OF_TRAIN = {"epochs": "train.epochs", "seed": "train.seed"}
"""Keys that every loop has, by the names that a function and a command line call them."""

FILLED = (*OF_TRAIN, "state")
"""What the settings of a function hold beside its own keys."""

PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
"""`{key}` in a command line; `{{` and `}}` stand for braces."""
OUTPUT = "output"
"""The placeholder that stands for the file to which a program writes its lines."""

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class Required(enum.Enum):
    """The default of a key that has none."""

    value_ = "required"


REQUIRED = Required.value_


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKey:
    """One key: its type (None: any), its choices if any, whether null is allowed or a list of values."""

    name: str
    kind: type | None = None
    choices: tuple[Any, ...] = ()
    default: Any = REQUIRED
    nullable: bool = False
    is_list: bool = False

    @property
    def rule(self) -> str:
        """Return what a value must be, in words."""
        if self.choices:
            text = f"one of {', '.join(map(_format_choice, self.choices))}"
        else:
            text = NAMES[self.kind] if self.kind else "a value"
        text = f"a list, each {text}" if self.is_list else text
        return f"{text} or null" if self.nullable else text

    def check(self, value: Any, typed: str) -> Any:
        """Return a value as the key holds it. `typed`: as it stands on the command line.

        Raises:
            BadSetting: it breaks the rule.
        """
        if value is None and (self.nullable or self.kind is None) and not self.choices:
            return None
        if self.is_list:
            if isinstance(value, list):
                return [self._check_one(item, str(item), typed) for item in value]
            raise self._refuse(typed)
        return self._check_one(value, typed, typed)

    def _check_one(self, value: Any, text: str, typed: str) -> Any:
        if self.choices:
            fitting = [choice for choice in self.choices if _is_choice(value, text, choice)]
            if not fitting:
                near = get_close_matches(text, map(_format_choice, self.choices), n=1, cutoff=0.5)
                raise self._refuse(typed, f"; did you mean {near[0]}?" if near else "")
            return fitting[0]
        if self.kind is str and not isinstance(value, list | dict):
            return value if isinstance(value, str) else text
        if self.kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if self.kind is None or type(value) is self.kind:
            return value
        raise self._refuse(typed)

    def _refuse(self, typed: str, remedy: str = "") -> BadSetting:
        remedy = remedy or f"; write {self.name}=..."
        return BadSetting(f"{self.name} must be {self.rule}, got {typed or 'nothing'}{remedy}")


def _is_choice(value: Any, text: str, choice: Any) -> bool:
    if isinstance(choice, str):
        return text == choice or value == choice
    return bool(value == choice and type(value) is type(choice))


def _format_choice(choice: Any) -> str:
    return str(choice).lower() if isinstance(choice, bool) or choice is None else str(choice)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKeys:
    """All keys of a loop. `is_open`: it takes others, too; `resumes`: it goes on from a state.

    `epochs`: how many it trains where nobody says so, None: as many as conf/train says; `code`: SHA-256 (hex)
    of its code, "" where that is not known; `where`: what declares the keys, for people.
    """

    where: str
    keys: tuple[UserKey, ...] = ()
    is_open: bool = False
    resumes: bool = False
    epochs: int | None = None
    code: str = ""
    by_name: dict[str, UserKey] = field(default_factory=dict)

    def read(self, typed: Mapping[str, tuple[Any, str]], searched: Iterable[str] = ()) -> dict[str, Any]:
        """Return a value for each key. `typed`: value and text by key; `searched`: keys that get one later.

        Raises:
            BadSetting: a key is none of these, a value breaks its rule, or one is missing.
        """
        values = {}
        for name, (value, text) in typed.items():
            if name not in self.by_name and not self.is_open:
                near = get_close_matches(name, self.by_name, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]}?" if near else f"; declare it in {self.where}"
                raise BadSetting(f"{name} is not a setting of {self.where}, got {text or 'nothing'}{hint}")
            key = self.by_name.get(name, UserKey(name=name))
            values[name] = key.check(value, text)
        missing = [key.name for key in self.keys if key.default is REQUIRED and key.name not in values]
        if lost := [name for name in missing if name not in set(searched)]:
            raise BadSetting(f"{lost[0]} must be set, got nothing; add {lost[0]}=...")
        defaults = {key.name: key.default for key in self.keys if key.default is not REQUIRED}
        return defaults | values


_described: dict[str, UserKeys] = {}
"""What is known of the loops of this process, by the word that names their code."""


def describe(trial: UserLoop) -> UserKeys:
    """Describe a loop; a function is imported for it, unless `remember` was told.

    Raises:
        BadSetting: there is no such function, or what declares its keys cannot be read.
    """
    if isinstance(trial, Command):
        return _describe_command(trial)  # its files may change between two trials
    if trial.word not in _described:
        assert isinstance(trial, Function)
        _described[trial.word] = _describe_function(trial)
    return _described[trial.word]


def remember(trial: UserLoop, keys: UserKeys) -> None:
    """Take over what another process has found out about a loop, so that this one need not import it."""
    _described[trial.word] = keys


def _describe_function(trial: Function) -> UserKeys:
    function = user_code.import_function(trial.call)
    module = user_code.get_module(trial.call)
    declaration, file = find_dataclass(trial.call), getattr(module, "__file__", None)
    file_of_keys = Path(file).with_suffix(".yaml") if file else None
    if declaration is not None:
        where, keys = f"{declaration.__name__} ({trial.call})", _read_dataclass(declaration, trial.call)
    elif file_of_keys and file_of_keys.is_file():
        where, keys = f"{file_of_keys.name} ({trial.call})", _read_yaml(file_of_keys)
    else:
        where, keys = trial.call, None
    return _make_keys(where, keys, user_code.resumes(function), user_code.hash_code(trial))


def _describe_command(trial: Command) -> UserKeys:
    names = dict.fromkeys(PLACEHOLDER.findall(trial.command))
    script = user_code.find_script(trial.command)
    file_of_keys = script.with_suffix(".yaml") if script else None
    declared = (
        {key.name: key for key in _read_yaml(file_of_keys)} if file_of_keys and file_of_keys.is_file() else {}
    )
    keys = [declared.get(name, UserKey(name=name)) for name in names if name not in {*OF_TRAIN, OUTPUT}]
    keys += [declared[name] for name in OF_TRAIN if name in declared]
    return _make_keys("trial.command", keys, False, user_code.hash_code(trial))


def _make_keys(where: str, keys: list[UserKey] | None, resumes: bool, code: str) -> UserKeys:
    """Sort out what is not the user's to choose: epochs and seed are those of `train`."""
    defaults = {key.name: key.default for key in keys or ()}
    others = tuple(key for key in keys or () if key.name not in FILLED)
    epochs = defaults.get("epochs")
    return UserKeys(
        where=where,
        keys=others,
        is_open=keys is None,
        resumes=resumes,
        epochs=epochs if type(epochs) is int else None,
        code=code,
        by_name={key.name: key for key in others},
    )


# ---- dataclasses --------------------------------------------------------------------------------------


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


def _read_dataclass(declaration: type, call: str) -> list[UserKey]:
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


def _read_yaml(path: Path) -> list[UserKey]:
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


# ---- what a function is handed ------------------------------------------------------------------------


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
