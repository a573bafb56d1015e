"""Conditions of a search space, read off the trials of a study that nobody described. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Condition = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Trait:
    """Of one trial: `names` that it has, and its choices, (name, value) sorted."""

    names: frozenset[str]
    choices: tuple[tuple[str, Any], ...]


def conditions(traits: Sequence[Trait]) -> dict[str, Condition]:
    """By name (parent, values): the name appears just where the parent has one of the values.

    Parents are choices that are there whenever the name is. A name that some trials lack for no reason to be
    seen has no condition.
    """
    distinct = list(dict.fromkeys(traits))
    names = sorted(set().union(*(each.names for each in distinct))) if distinct else []
    found: dict[str, Condition] = {}
    for name in names:
        holds = [each for each in distinct if name in each.names]
        lacks = [each for each in distinct if name not in each.names]
        if lacks and (condition := _reason(name, holds, lacks)):
            found[name] = condition
    return found


def _reason(name: str, holds: Sequence[Trait], lacks: Sequence[Trait]) -> Condition | None:
    """The choice whose values tell trials with the name from those without; the fewest values first."""
    offers: list[Condition] = []
    for parent in sorted(set.intersection(*({key for key, _ in each.choices} for each in holds)) - {name}):
        having = list(dict.fromkeys(dict(each.choices)[parent] for each in holds))
        without = [dict(each.choices).get(parent) for each in lacks]
        if not any(value in having for value in without):
            offers.append((parent, tuple(having)))
    return min(offers, key=lambda offer: (len(offer[1]), offer[0]), default=None)
