"""Conditions of a search space, read off the trials of a study that nobody described. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Condition = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Trait:
    """What one trial shows: the `names` of its parameters, and its choices as sorted (name, value) pairs."""

    names: frozenset[str]
    choices: tuple[tuple[str, Any], ...]


def learn_conditions(traits: Sequence[Trait]) -> dict[str, Condition]:
    """Return (parent, values) by name: the name appears just where the parent has one of the values.

    Parents are choices that are there whenever the name is. A name that some trials lack for no reason to be
    seen has no condition.
    """
    distinct = list(dict.fromkeys(traits))
    names = sorted(set().union(*(trait.names for trait in distinct))) if distinct else []
    result: dict[str, Condition] = {}
    for name in names:
        present = [trait for trait in distinct if name in trait.names]
        absent = [trait for trait in distinct if name not in trait.names]
        if absent and (condition := _find_condition(name, present, absent)):
            result[name] = condition
    return result


def _find_condition(name: str, present: Sequence[Trait], absent: Sequence[Trait]) -> Condition | None:
    """Find the choice whose values separate trials with the name from those without; fewest values first."""
    offers: list[Condition] = []
    for parent in sorted(
        set.intersection(*({key for key, _ in trait.choices} for trait in present)) - {name}
    ):
        having = list(dict.fromkeys(dict(trait.choices)[parent] for trait in present))
        without = [dict(trait.choices)[parent] for trait in absent if parent in dict(trait.choices)]
        if not any(value in having for value in without):
            offers.append((parent, tuple(having)))
    return min(offers, key=lambda offer: (len(offer[1]), offer[0]), default=None)
