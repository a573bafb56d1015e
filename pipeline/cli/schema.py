"""The dataclasses of `pipeline.settings`: schemas for Hydra, one for each conf option, and rules in words."""

from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore

from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.measuring import Claim
from pipeline.settings.settings import Settings

GROUPS: dict[str, type] = {
    name: base
    for name, base in get_type_hints(Settings).items()
    if isinstance(base, type) and is_dataclass(base)
}
KINDS: dict[str, tuple[type, ...]] = {
    group: kinds_of(base) for group, base in GROUPS.items() if base not in kinds_of(base)
}
"""The settings classes of each group whose options are of several kinds, such as the optimizers."""
NOT_TYPED = {"trial.values"}
"""Fields that `compose` fills."""
SINGLE: dict[str, type] = {group: kind for group, kind in GROUPS.items() if group not in KINDS}
"""The settings class of each group whose options differ in values alone."""


@cache
def register() -> None:
    """Store `schema`, `schema/<group>` and, for groups with several kinds, `schema/<group>/<option>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Settings)
    store.store(group="schema", name="claim", node=Claim)
    for group, kinds in KINDS.items():
        for kind in kinds:
            store.store(group=f"schema/{group}", name=option_name(kind), node=kind)
    for group, kind in SINGLE.items():
        store.store(group="schema", name=group, node=kind)


def list_rules() -> dict[str, str]:
    """Return every dotted key that some choice of groups has, with what its value must be."""
    rules = {name: describe_type(hint) for name, hint in get_type_hints(Settings).items()}
    for group, kind in _list_classes():
        rules |= {f"{group}.{name}": describe_type(hint) for name, hint in get_type_hints(kind).items()}
    return {key: rule for key, rule in rules.items() if key not in NOT_TYPED}


def _list_classes() -> Iterable[tuple[str, type]]:
    for group, kinds in KINDS.items():
        yield from ((group, kind) for kind in kinds)
    yield from SINGLE.items()


def describe_type(hint: object) -> str:
    """Return what a value of a type must be, in words."""
    if isinstance(hint, UnionType):
        return " or ".join(describe_type(option) for option in get_args(hint))
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    if isinstance(hint, type) and is_dataclass(hint):
        return "a group"
    if get_origin(hint) is dict:
        return "names with values, such as {name: value}"
    if args := get_args(hint):
        return f"a list, each {describe_type(args[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, str(hint))  # type: ignore[call-overload, no-any-return]
