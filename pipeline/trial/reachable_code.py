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


def list_functions(function: Callable[..., Any]) -> list[FunctionType]:
    """List the functions that run where `function` is called, of its module alone, in a fixed order."""
    found, waiting, seen = list[FunctionType](), [function], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):
            found.append(one)
        waiting += _list_named(one)
    return found


def _list_named(one: Any) -> list[Any]:
    """List what a function, class or object names that may run, without what other modules have made."""
    if isinstance(one, functools.partial):
        return [one.func]
    if isinstance(one, FunctionType):
        inside = [cell.cell_contents for cell in one.__closure__ or () if _is_filled(cell)]
        names = dict.fromkeys(name for code in _iterate_code(one.__code__) for name in code.co_names)
        known = [one.__globals__[name] for name in names if name in one.__globals__]
        named = [*inside, *known]
        return [
            each for each in named if callable(each) and getattr(each, "__module__", "") == one.__module__
        ]
    if inspect.ismethod(one):
        return [one.__func__]
    kind = one if inspect.isclass(one) else type(one)
    parts = [
        part for base in kind.__mro__ if base.__module__ == kind.__module__ for part in vars(base).values()
    ]
    return [
        getattr(part, "__func__", getattr(part, "fget", part)) for part in parts if not inspect.isclass(part)
    ]


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


def resumes(function: Callable[..., Any]) -> bool:
    """Return whether a function reads `settings.state`, so that it can go on from where it was paused."""
    codes = [code for each in list_functions(function) for code in _iterate_code(each.__code__)]
    return any(STATE in code.co_names or _looks_up_state(code) for code in codes)


def _looks_up_state(code: CodeType) -> bool:
    """Return whether `settings["state"]` or `settings.get("state")` stands there."""
    if STATE not in code.co_consts:
        return False
    for before, after in pairwise(dis.get_instructions(code)):
        if after.argval == STATE and before.argval == "get":
            return True
        if before.argval == STATE and (after.opname == "BINARY_SUBSCR" or after.argrepr == "[]"):
            return True
    return False


def hash_functions(function: Callable[..., Any]) -> str:
    """Hash what runs: SHA-256 (hex) of the code, defaults and constants, wherever it was typed.

    For functions that stand in no file: those of a notebook or of an interactive Python.
    """
    total = hashlib.sha256()
    for each in list_functions(function):
        total.update(repr((each.__qualname__, each.__defaults__, each.__kwdefaults__)).encode())
        for code in _iterate_code(each.__code__):
            constants = [one for one in code.co_consts if not isinstance(one, CodeType)]
            values = [
                (name, value)
                for name in code.co_names
                if isinstance(value := each.__globals__.get(name, ...), PLAIN)
            ]
            total.update(code.co_code + repr((code.co_names, code.co_varnames, constants, values)).encode())
    if isinstance(function, functools.partial):
        total.update(repr((function.args, sorted(function.keywords.items()))).encode())
    return total.hexdigest()
