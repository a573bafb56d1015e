"""Conditions of a search space that nobody described, and which parameters trials had. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.frontier_sampler.encoding import Key

Condition = tuple[str, tuple[Any, ...]]
Names = tuple[str, ...]


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
        chosen = map(dict, (trait.choices for trait in absent))
        without = [choices[parent] for choices in chosen if parent in choices]
        if not any(value in having for value in without):
            offers.append((parent, tuple(having)))
    return min(offers, key=lambda offer: (len(offer[1]), offer[0]), default=None)


class Shapes:
    """The sets of parameters that trials had.

    An objective that asks for parameters by the values of others, as for the widths of so many layers, is
    suggested more than it asks for where nobody has said when each applies. A candidate with all values of a
    trial would ask for the same again, whatever else is suggested beside: it is that trial once more.
    """

    def __init__(self) -> None:
        self._last: dict[Names, int] = {}
        self._first: dict[str, int] = {}
        self._find_smaller = cache(self._look_for_smaller)

    def add(self, key: Key, number: int, *, is_whole: bool) -> None:
        """Add what trial `number` had; `is_whole`: it did not fail, perhaps before it asked for the rest."""
        for name, _ in key:
            self._first[name] = min(number, self._first.get(name, number))
        if is_whole:
            names = tuple(name for name, _ in key)
            self._last[names] = max(number, self._last.get(names, number))
        self._find_smaller.cache_clear()

    def list_keys(self, key: Key) -> list[Key]:
        """List the key, and what trials with fewer parameters would have of it."""
        shapes = self._find_smaller(tuple(name for name, _ in key))
        return [key, *(tuple(pair for pair in key if pair[0] in shape) for shape in shapes)]

    def _look_for_smaller(self, names: Names) -> list[frozenset[str]]:
        """Look for shapes within these names; what is older than a parameter is of another space."""
        smaller = []
        for shape, last in self._last.items():
            further = set(names).difference(shape)
            if further and len(further) + len(shape) == len(names):
                newest = max(self._first.get(name, -1) for name in further)
                smaller += [frozenset(shape)] if last >= newest else []
        return smaller
