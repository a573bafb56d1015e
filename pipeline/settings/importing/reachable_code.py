"""What a function of the user's runs in its own module: itself, and all that it names there.

A class, a `functools.partial`, a decorated function and an object that is called are functions, too.
"""

import dis
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

PLAIN = (int, float, complex, bool, str, bytes, type(None))
"""Kinds of a module's constants that say all about themselves."""
STATE = "state"
HERE = "__main__"
"""The module of the script, notebook or interactive Python that runs: its functions may be made anew."""


def list_functions(function: Callable[..., Any]) -> list[FunctionType]:
    """List the functions that run where `function` is called, of its module alone, in a fixed order."""
    functions, waiting, visited = list[FunctionType](), [function], set[int]()
    while waiting:
        item = waiting.pop(0)
        if id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, FunctionType):
            functions.append(item)
        waiting += _list_named(item)
    return functions


def _list_named(item: Any) -> list[Any]:
    """List what a function, class or object names that may run, without what other modules have made."""
    if isinstance(item, functools.partial):
        return [item.func]
    if isinstance(item, FunctionType):
        inside = [cell.cell_contents for cell in item.__closure__ or () if _is_filled(cell)]
        names = dict.fromkeys(name for code in _iterate_code(item.__code__) for name in code.co_names)
        known = [item.__globals__[name] for name in names if name in item.__globals__]
        home = item.__module__
        return [value for value in (*inside, *known) if callable(value) and _get_home(value) == home]
    if inspect.ismethod(item):
        return [item.__func__]
    kind = item if inspect.isclass(item) else type(item)
    bases = [base for base in kind.__mro__ if base.__module__ == kind.__module__]
    members = [member for base in bases for member in vars(base).values() if not inspect.isclass(member)]
    return [getattr(member, "__func__", getattr(member, "fget", member)) for member in members]


def _get_home(value: Any) -> str:
    return getattr(value, "__module__", None) or ""


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _iterate_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _iterate_code(constant)


def reads(function: Callable[..., Any], key: str) -> bool:
    """Return whether a function reads this key of its settings: `settings.key` or `settings["key"]`."""
    codes = [code for reached in list_functions(function) for code in _iterate_code(reached.__code__)]
    return any(key in code.co_names or _looks_up(code, key) for code in codes)


def resumes(function: Callable[..., Any]) -> bool:
    """Return whether a function reads `settings.state`, so that it can go on from where it was paused."""
    return reads(function, STATE)


def _looks_up(code: CodeType, key: str) -> bool:
    """Return whether `settings["key"]` or `settings.get("key")` stands there."""
    if key not in code.co_consts:
        return False
    for before, after in pairwise(dis.get_instructions(code)):
        if after.argval == key and before.argval == "get":
            return True
        if before.argval == key and (after.opname == "BINARY_SUBSCR" or after.argrepr == "[]"):
            return True
    return False


def hash_functions(function: Callable[..., Any]) -> str:
    """Hash what runs: SHA-256 (hex) of the code, defaults and constants, wherever it was typed.

    For functions that stand in no file: those of a notebook or of an interactive Python.
    """
    total = hashlib.sha256()
    for reached in list_functions(function):
        total.update(repr((reached.__qualname__, reached.__defaults__, reached.__kwdefaults__)).encode())
        for code in _iterate_code(reached.__code__):
            constants = [item for item in code.co_consts if not isinstance(item, CodeType)]
            values = [
                (name, value)
                for name in code.co_names
                if isinstance(value := reached.__globals__.get(name, ...), PLAIN)
            ]
            total.update(code.co_code + repr((code.co_names, code.co_varnames, constants, values)).encode())
    if isinstance(function, functools.partial):
        total.update(repr((function.args, sorted(function.keywords.items()))).encode())
    return total.hexdigest()
