"""The keys of a training loop of the user's own: read from beside its code, and checked like ours.

They are declared by a dataclass or a model of pydantic (the annotation of the function's parameter, else the
class `Settings` of its module), else by a YAML file of the same name beside the file, else by the `{keys}` of
a command line. A function that declares nothing takes any key.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline.errors import BadSetting
from pipeline.settings.importing import reachable_code
from pipeline.settings.training import Command, Function, UserLoop
from pipeline.trial import user_code
from pipeline.trial.read_keys import find_declaration, read_declaration, read_yaml
from pipeline.trial.user_key import FILLED, OF_TRAIN, REQUIRED, UserKey

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)\}")
"""`{key}` in a command line; `{{` and `}}` stand for braces, and one that is no part of these for itself."""
COMMAND = "trial.command"
OUTPUT = "output"
"""The placeholder that stands for the file to which a program writes its lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKeys:
    """All keys of a loop. `is_open`: it takes others, too; `resumes`: it goes on from a state.

    `asks_epochs`: it reads how many epochs there are, and so ends by itself; `epochs`: how many it trains
    where nobody says so, None: as many as conf/train says; `code`: SHA-256 (hex) of its code, "" where that
    is not known; `parameters`: of the function, beside its settings; `where`: what
    declares the keys, for people.
    """

    where: str
    keys: tuple[UserKey, ...] = ()
    is_open: bool = False
    resumes: bool = False
    asks_epochs: bool = False
    epochs: int | None = None
    code: str = ""
    parameters: tuple[str, ...] = ()
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
                place = f"write {{{name}}} in it" if self.where == COMMAND else f"declare it in {self.where}"
                if (self.where, name) == (COMMAND, OUTPUT):
                    place = "leave it out: {output} is a file that the program gets"
                hint = f"; did you mean {near[0]}?" if near else f"; {place}"
                raise BadSetting(f"{name} is not a setting of {self.where}, got {text or 'nothing'}{hint}")
            if name not in self.by_name and name in self.parameters:
                raise BadSetting(
                    f"{name} must be read from the settings, got a parameter {name} of {self.where}; write "
                    f"settings.{name} in it"
                )
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
    assert isinstance(trial, Function)
    if trial.call.startswith(f"{reachable_code.HERE}:"):
        return _describe_function(trial)  # a cell may be run again
    if trial.word not in _described:
        _described[trial.word] = _describe_function(trial)
    return _described[trial.word]


def remember(trial: UserLoop, keys: UserKeys) -> None:
    """Take over what another process has found out about a loop, so that this one need not import it."""
    _described[trial.word] = keys


def _describe_function(trial: Function) -> UserKeys:
    function = user_code.import_function(trial.call)
    parameters = user_code.list_further_parameters(function, trial.call)
    module = user_code.get_module(trial.call)
    declaration, file = find_declaration(trial.call), getattr(module, "__file__", None)
    file_of_keys = Path(file).with_suffix(".yaml") if file else None
    if declaration is not None:
        where, keys = f"{declaration.__name__} ({trial.call})", read_declaration(declaration, trial.call)
    elif file_of_keys and file_of_keys.is_file():
        where, keys = f"{file_of_keys.name} ({trial.call})", read_yaml(file_of_keys)
    else:
        where, keys = trial.call, None
    made = _make_keys(where, keys, reachable_code.resumes(function), user_code.hash_code(trial))
    asks_epochs = reachable_code.reads(function, "epochs")
    return replace(made, parameters=parameters, asks_epochs=asks_epochs)


def _describe_command(trial: Command) -> UserKeys:
    names = dict.fromkeys(list_placeholders(trial.command))
    script = user_code.find_script(trial.command)
    file_of_keys = script.with_suffix(".yaml") if script else None
    declared = (
        {key.name: key for key in read_yaml(file_of_keys)} if file_of_keys and file_of_keys.is_file() else {}
    )
    keys = [declared.get(name, UserKey(name=name)) for name in names if name not in {*OF_TRAIN, OUTPUT}]
    keys += [declared[name] for name in OF_TRAIN if name in declared]
    return _make_keys(COMMAND, keys, False, user_code.hash_code(trial))


def list_placeholders(command: str) -> list[str]:
    """List the keys whose values a command line takes."""
    return [name for name in PLACEHOLDER.findall(command) if name]


def _make_keys(where: str, keys: list[UserKey] | None, resumes: bool, code: str) -> UserKeys:
    """Sort out what is not the user's to choose: epochs and seed are those of `train`."""
    defaults = {key.name: key.default for key in keys or ()}
    filled = OF_TRAIN if where == COMMAND else FILLED
    others = tuple(key for key in keys or () if key.name not in filled)
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
