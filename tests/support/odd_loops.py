"""Training loops of a user's own in other forms than a plain generator function."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NewType, TypedDict

from pydantic import BaseModel, Field, PositiveInt

from tests.support import my_loops

Loop = Callable[[Any], Iterator[Any]]


def resuming(settings: Any, step: int = 1) -> Iterator[dict[str, Any]]:
    """Go on from the state that it yields."""
    for epoch in range(settings.state or 0, settings.epochs):
        yield {"accuracy": (epoch + step) / 10, "state": epoch + 1}


class Trainer:
    """A class in a function's place: its objects yield."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (yield from resuming(self.settings))


class Callee:
    """Objects that are called as a function."""

    def __call__(self, settings: Any) -> Iterator[dict[str, Any]]:
        """Train."""
        return resuming(settings)


def announce(function: Loop) -> Loop:
    """Wrap a function without a word of what it wraps."""

    def inner(settings: Any) -> Iterator[Any]:
        yield from function(settings)

    return inner


called, part, wrapped = Callee(), functools.partial(resuming, step=2), announce(resuming)
named = functools.wraps(resuming)(announce(resuming))


def by_item(settings: dict[str, Any]) -> Iterator[float]:
    """Read the settings as a dictionary."""
    for epoch in range(settings["state"] or 0, settings["epochs"]):
        yield epoch / 10 + len({**settings})


def by_get(settings: Any) -> Iterator[int]:
    """Ask for what may not be there."""
    yield settings.get("state")


def helped(settings: Any) -> Iterator[Any]:
    """Leave all work to another function of this module."""
    return Trainer(settings).__iter__()


def stateless(settings: Any) -> Iterator[dict[str, Any]]:
    """Yield a state that nobody reads."""
    yield {"accuracy": 0.5, "state": settings.epochs}


class Later:
    """Objects that are called and yield later, which no signature tells."""

    async def __call__(self, settings: Any) -> AsyncIterator[float]:
        """Yield to nobody."""
        yield settings.epochs


async def _await(settings: Any) -> float:
    """Be awaited by nobody."""
    return float(settings.epochs)


later = Later()


def awaited(settings: Any) -> Any:
    """Return a coroutine."""
    return _await(settings)


# ---- what declares keys -------------------------------------------------------------------------------


class Model(BaseModel):
    """Keys as a model of pydantic."""

    rate: float = Field(0.1, gt=0, alias="learning_rate")
    limit: PositiveInt | None = None
    layers: tuple[int, ...] = (8,)
    epochs: int = 2


def modelled(settings: Model) -> Iterator[float]:
    """Be handed the model."""
    assert isinstance(settings, Model)
    yield settings.rate


class Tint(StrEnum):
    """A choice that is a text as well."""

    light = "l"
    dark = "d"


Width = NewType("Width", int)


@dataclass(frozen=True, slots=True)
class Slots:
    """Keys of a class without a place for more."""

    betas: tuple[float, float] = (0.5, 0.75)
    folder: Path = Path("data")
    others: list[Path] | None = None
    tints: list[Tint] = field(default_factory=lambda: [Tint.light])
    width: Width = Width(3)
    scale: Final[int | float] = 1.5
    tint: Tint | None = Tint.dark
    method: Literal["mean", "last"] | None = "mean"


@dataclass
class Needing:
    """A key without a default."""

    width: int


def needing(settings: Needing) -> Iterator[float]:
    """Yield what the key says."""
    yield settings.width / 10


def lending(settings: Any) -> Iterator[float]:
    """Leave all work to another module of this package."""
    yield from my_loops.raising(settings)


class Needy:
    """A class in a function's place that names what it is handed."""

    def __init__(self, settings: Needing) -> None:
        self.settings = settings

    def __iter__(self) -> Iterator[float]:
        """Train."""
        yield from needing(self.settings)


class NeedyCallee:
    """Objects that are called, and name what they are handed."""

    def __call__(self, settings: Needing) -> Iterator[float]:
        """Train."""
        return needing(settings)


def half_hidden(settings: Needing) -> "Iterator[nowhere.Thing]":  # type: ignore[name-defined]  # noqa: F821
    """Return a type that only a checker of types knows."""
    return needing(settings)


needy_callee, needy_part = NeedyCallee(), functools.partial(needing)


def slotted(settings: Slots) -> Iterator[float]:
    """Read a tuple."""
    assert isinstance(settings.betas, tuple)
    yield settings.betas[1]


class Tuple(NamedTuple):
    """Keys that cannot hold more."""

    width: int = 3


class Typed(TypedDict):
    """Keys of a dictionary."""

    width: int


def of_tuple(_settings: Tuple) -> Iterator[float]:
    """Never be called."""
    yield 0.5


def of_typed(_settings: Typed) -> Iterator[float]:
    """Never be called."""
    yield 0.5


# ---- parameters that are no settings ------------------------------------------------------------------


def spread(rate: Any = 0.1, epochs: Any = 3) -> Iterator[float]:
    """Expect each key as a parameter."""
    yield rate / epochs


def plain(rate: float) -> Iterator[float]:
    """Expect a number."""
    yield rate


def nothing() -> Iterator[float]:
    """Expect nothing."""
    yield 0.5
