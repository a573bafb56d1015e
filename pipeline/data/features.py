"""What stands before a network: how that which a user can send becomes features.

Values only: `front_layers` fits them on the training split and makes layers of them. A front is kept with
the prepared arrays and is part of the saved model.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

# ---- what a source hands on -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sound:
    """Waveforms int16 [n, samples], `rate` samples a second."""

    rate: int


@dataclass(frozen=True, slots=True)
class Words:
    """Texts."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A table with columns of numbers and of categories."""


Form: TypeAlias = Sound | Words | Cells

# ---- what was fitted --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogMel:
    """Waveforms int16 of any length -> decibels float32 [mels, frames] of the first `samples`.

    `window`, `hop`, `fft`: in samples; `floor_db`: what is quieter counts as this, full scale being 0.
    """

    rate: int
    samples: int
    window: int
    hop: int
    fft: int
    mels: int
    low_hz: float
    high_hz: float
    floor_db: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Texts -> how often each n-gram occurs, uint8 [1 + len(vocabulary)]; place 0: any other n-gram.

    `idf`: what a count is weighed with, one a place: log(1 + texts / (1 + texts with it)), as Keras has it.
    """

    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]
    ngrams: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts -> numbers of the first `length` words, int32 [length]; 0: no word, 1: not in the vocabulary."""

    vocabulary: tuple[str, ...]
    length: int


@dataclass(frozen=True, slots=True)
class Columns:
    """A row -> its numbers (the median where there is none), then each category one-hot, float32.

    Place 0 of each category: a word that training never saw, or none.
    """

    numeric: tuple[str, ...]
    medians: tuple[float, ...]
    categorical: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]


Front: TypeAlias = LogMel | Counts | Tokens | Columns
KINDS: dict[str, type] = {kind.__name__: kind for kind in (LogMel, Counts, Tokens, Columns)}


def front_to_plain(front: Front | None) -> dict[str, Any] | None:
    """For JSON."""
    return None if front is None else {"kind": type(front).__name__, **asdict(front)}


def front_from_plain(plain: dict[str, Any] | None) -> Front | None:
    """The front that `to_plain` wrote, after JSON.

    Raises:
        KeyError, TypeError: it is none.
    """
    if plain is None:
        return None
    values = {key: _tuples(value) for key, value in plain.items() if key != "kind"}
    front: Front = KINDS[plain["kind"]](**values)
    return front


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
