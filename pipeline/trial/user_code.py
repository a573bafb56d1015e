"""Code that the settings only name: a user's function, imported by its dotted name, and its identity."""

import hashlib
import inspect
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import BadSetting, format_one_line
from pipeline.files import list_code_files
from pipeline.formatting import shorten
from pipeline.processes.environment import find_modules_here
from pipeline.settings.importing.namesakes import NAME, explain_hidden, explain_namesake
from pipeline.settings.importing.reachable_code import HERE, hash_functions
from pipeline.settings.rules import suggest_function
from pipeline.settings.training import Command, Function, UserLoop
from pipeline.trial.user_world import UserWorld

RULE = "trial.call must name a generator function that takes the settings"
OF_A_PROGRAM = "call fulcrum_ml.run with these words where it stands, or name a module that has it"
NO_SETTINGS = (int, float, bool, str, list, tuple)
"""Types that a parameter for the settings cannot have."""
MAX_TEXT = 200


def import_function(call: str) -> Callable[..., Any]:
    """Import a user's function by `package.module:function`, from the current folder too.

    Raises:
        BadSetting: there is no such function, or importing its module fails.
    """
    module, _, name = call.partition(":")
    find_modules_here()
    is_new = module not in sys.modules or module.partition(".")[0] == NAME
    if is_new and (namesake := explain_namesake(module)):
        raise BadSetting(f"{RULE}, got {call}: {namesake}")
    try:
        function = getattr(_import(module), name)
    except (Exception, SystemExit) as error:  # whatever importing a user's module raises
        is_missing = isinstance(error, ModuleNotFoundError) and module.startswith(str(error.name))
        there = suggest_function(call) or "start where it lies, or name its folder in PYTHONPATH"
        remedy = there if is_missing else OF_A_PROGRAM if module == HERE else explain_hidden(module)
        remedy = remedy or "mend it, or the name"
        raise BadSetting(f"{RULE}, got {call} ({format_error(error)}); {remedy}") from None
    if not callable(function):
        raise BadSetting(f"{RULE}, got {call}, which is {type(function).__name__}; name a function")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise BadSetting(f"{RULE}, got {call}, which is async; leave that out")
    return function  # type: ignore[no-any-return]


_worlds = dict[str, UserWorld]()
"""What each module of a user's has changed of the process when it was imported."""


def _import(module: str) -> ModuleType:
    if module in sys.modules:
        return sys.modules[module]
    _worlds[module] = UserWorld()
    with _worlds[module].entered():
        return import_module(module)


def get_world(call: str) -> UserWorld | None:
    """Return what the module of a function has changed of the process, None: nothing."""
    return _worlds.get(call.partition(":")[0])


def list_further_parameters(function: Callable[..., Any], call: str) -> tuple[str, ...]:
    """List the parameters of a function beside that for the settings.

    Raises:
        BadSetting: it cannot be called with the settings alone, or its first parameter is none for them.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # not of Python
        return ()
    names = list(signature.parameters)
    try:
        signature.bind(None)
        first = signature.parameters[names[0]]
        is_own = first.annotation in NO_SETTINGS or first.annotation in [
            kind.__name__ for kind in NO_SETTINGS
        ]
        is_right = not is_own and (first.default is first.empty or len(names) == 1)
    except TypeError:
        is_right = False
    if not is_right:
        given = ", ".join(str(parameter) for parameter in signature.parameters.values())
        raise BadSetting(
            f"{RULE}, got {call} with the parameters ({shorten(given, MAX_TEXT)}); write def "
            f"{call.partition(':')[2]}(settings) and read settings.KEY"
        )
    return tuple(names[1:])


def get_module(call: str) -> ModuleType:
    """Return the module of a function that was imported."""
    return sys.modules[call.partition(":")[0]]


def hash_code(trial: UserLoop) -> str:
    """Hash the code of a loop: SHA-256 (hex) of the files of a function's package, or of a program's script.

    "" where a program has no script that can be found. A function is as it was when it was imported; where it
    stands in the script or notebook that runs, it is hashed by itself.

    Raises:
        BadSetting: there is no such function.
    """
    if isinstance(trial, Function):
        function, module = import_function(trial.call), trial.call.partition(":")[0]
        return hash_functions(function) if module == HERE else hash_module(module.partition(".")[0])
    assert isinstance(trial, Command)
    script = find_script(trial.command)
    return _hash_files([script]) if script else ""


@cache
def hash_module(name: str) -> str:
    """Hash the Python files of an imported top-level package or module, as they were when first asked for."""
    return _hash_files(list_code_files(name))


def _hash_files(paths: list[Path]) -> str:
    """Hash contents, each with its length, so that moving a line from one file to the next shows."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        total.update(f"{len(content)} ".encode() + content)
    return total.hexdigest()


def find_script(command: str) -> Path | None:
    """Find the script of a command line: the first word that is a file, or the module behind `-m`."""
    words = shlex.split(command)
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            return _find_module_file(word)
        path = Path(word)
        if path.suffix and path.is_file():
            return path
    return Path(words[0]) if words and Path(words[0]).is_file() else None


def _find_module_file(name: str) -> Path | None:
    """Find the file of a module, or the `__main__.py` of a package, without importing any part of it."""
    folders: Sequence[str] | None = ["", *sys.path]
    spec = None
    for part in [*name.split("."), "__main__"]:
        inner = PathFinder.find_spec(part, folders) if folders is not None else None
        if inner is None and part != "__main__":
            return None
        spec = inner or spec
        folders = spec.submodule_search_locations if spec else None
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def find_line(error: BaseException, call: str) -> str:
    """Tell the last line of the user's code on the way to an error, as " in line 7"; "" where none is.

    That of the function's module, also where it stands in a cell, or of another one of its package.
    """
    home = call.partition(":")[0]
    text = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module == home:
            text = f" in line {line}"
        elif module.partition(".")[0] == home.partition(".")[0]:
            text = f" in line {line} of {Path(frame.f_code.co_filename).name}"
    return text


def format_error(error: BaseException) -> str:
    """Format an exception of a user's code in one line; of a group the first one tells more."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    try:
        text = format_one_line(str(error))
    except Exception:  # of a class of the user's own
        text = ""
    return f"{type(error).__name__}: {shorten(text, MAX_TEXT)}" if text else type(error).__name__
