"""The kinds of a group, such as the optimizers: settings class, conf option and module have one name.

A kind is a class that stands for a conf option (`WarmupLinear` for `schedule=warmup_linear`). What the
program does with it lies in a module of the option's name, in the package of its group. Both are found by
that name, so no table has to be kept.
"""

import re
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, TypeVar

from pipeline.errors import BadSetting

Base = TypeVar("Base")

SETTINGS = __name__.rpartition(".")[0]


def option_name(kind: type) -> str:
    """Return the conf option that a class stands for: `WarmupLinear` -> `warmup_linear`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def kinds_of(base: type[Base]) -> tuple[type[Base], ...]:
    """Return the settings classes that stand for an option of the group of `base`, in the order of writing.

    A class from which others derive, such as `TextData`, is no option itself.
    """
    names = [module.name for module in walk_packages(import_module(SETTINGS).__path__, f"{SETTINGS}.")]
    classes = [kind for name in names for kind in _derived(import_module(name), base)]
    return tuple(kind for kind in classes if not any(kind in derived.__mro__[1:] for derived in classes))


def _derived(module: ModuleType, base: type[Base]) -> list[type[Base]]:
    """Return the classes written in `module` that are `base` or derive from it."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return [value for value in classes if issubclass(value, base) and value.__module__ == module.__name__]


def module_of(package: str, settings: object) -> ModuleType:
    """Import the module of `package` that is named after the option that `settings` stand for.

    Raises:
        BadSetting: there is no such module.
    """
    option = option_name(type(settings))
    name = f"{package}.{option}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise BadSetting(
            f"{option} must have a module of its own, got none at {name}; see the README beside it"
        ) from None


def class_in(module: ModuleType, base: type) -> Any:
    """Return the one class written in `module` that derives from `base`."""
    kinds: list[Any] = _derived(module, base)
    (kind,) = kinds
    return kind
