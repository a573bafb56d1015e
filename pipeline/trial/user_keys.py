"""The keys of a training loop of the user's own: read from beside its code, and checked like ours.

They are declared by a dataclass (the annotation of the function's parameter, else the class `Settings` of its
module), else by a YAML file of the same name beside the file, else by the `{keys}` of a command line. A
function that declares nothing takes any key.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline.errors import BadSetting
from pipeline.settings.training import Command, Function, UserLoop
from pipeline.trial import user_code
from pipeline.trial.read_keys import find_dataclass, read_dataclass, read_yaml
from pipeline.trial.user_key import FILLED, OF_TRAIN, REQUIRED, UserKey

PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
"""`{key}` in a command line; `{{` and `}}` stand for braces."""
OUTPUT = "output"
"""The placeholder that stands for the file to which a program writes its lines."""


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
        where, keys = f"{declaration.__name__} ({trial.call})", read_dataclass(declaration, trial.call)
    elif file_of_keys and file_of_keys.is_file():
        where, keys = f"{file_of_keys.name} ({trial.call})", read_yaml(file_of_keys)
    else:
        where, keys = trial.call, None
    return _make_keys(where, keys, user_code.resumes(function), user_code.hash_code(trial))


def _describe_command(trial: Command) -> UserKeys:
    names = dict.fromkeys(PLACEHOLDER.findall(trial.command))
    script = user_code.find_script(trial.command)
    file_of_keys = script.with_suffix(".yaml") if script else None
    declared = (
        {key.name: key for key in read_yaml(file_of_keys)} if file_of_keys and file_of_keys.is_file() else {}
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
