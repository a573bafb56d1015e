"""Front ends: how raw samples, which a user can send, become the features that a network sees.

This module has the values alone: `feature_layers` fits them on the training split and makes Keras layers of
them. A front end is stored with the prepared arrays and is part of the saved model.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from pipeline.data.tables.column_types import ColumnType, decode_column_type, encode_column_type

# ---- kinds of raw samples -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SoundSamples:
    """Waveforms int16 [n, samples], `rate` samples a second."""

    rate: int


@dataclass(frozen=True, slots=True)
class TextSamples:
    """Texts of any length."""


@dataclass(frozen=True, slots=True)
class TableSamples:
    """Rows of a table with columns of numbers, dates, categories and free text."""

    columns: tuple[ColumnType, ...] = ()


SampleKind: TypeAlias = SoundSamples | TextSamples | TableSamples

WHITESPACE, CHARACTER = "whitespace", "character"

# ---- fitted front ends ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMel:
    """Waveforms int16, or floats in -1..1, of any length -> decibels float32 [mels, frames].

    Of the first `samples` numbers.

    `rate`: samples a second; `window`, `hop`, `fft`: in samples; `low_hz`, `high_hz`: edges of the bands;
    `floor_db`: what is quieter counts as this, full scale being 0.
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
    """Texts -> how often each n-gram occurs, uint8 [1 + len(vocabulary)]; index 0: any other n-gram.

    `split`: what n-grams are of, Keras' "whitespace" (words) or "character".
    `idf`: the weight of each count: log(1 + texts / (1 + texts that hold the n-gram)), as in Keras.
    """

    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]
    ngrams: int
    split: str = WHITESPACE


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts -> numbers of the first `length` words, int32 [length]; 0: no word, 1: not in the vocabulary."""

    vocabulary: tuple[str, ...]
    length: int
    split: str = WHITESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A row -> its numbers, the parts of its dates, each category one-hot, the words of its texts; float32.

    An empty cell of a number or a date counts as the median. Index 0 of each category: a word that training
    never saw or seldom, or an empty cell. `offsets`, `units`: of each number, `(x - offset) / unit` is
    computed in float64 (() for 0 and 1); `is_wide`: float32 cannot hold it before that. `dates` are seconds
    since 1970 with the medians `date_medians`; `has_time`: their time of day varies. `texts`: columns of
    free text, whose words and their weights are in `counts`. `types`: how the cells of all columns are read.
    `edges`: of the pieces that each number is also cut into, ascending, in its unit; () for none (0.1.0).
    """

    numeric: tuple[str, ...]
    medians: tuple[float, ...]
    categorical: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    offsets: tuple[float, ...] = ()
    units: tuple[float, ...] = ()
    is_wide: tuple[bool, ...] = ()
    dates: tuple[str, ...] = ()
    date_medians: tuple[float, ...] = ()
    has_time: tuple[bool, ...] = ()
    types: tuple[ColumnType, ...] = ()
    texts: tuple[str, ...] = ()
    counts: tuple[Counts, ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()

    @property
    def pieces(self) -> int:
        """Return how many features are pieces of numbers; they come after numbers and ages of dates."""
        return sum(max(0, len(edges) - 1) for edges in self.edges)


FrontEnd: TypeAlias = LogMel | Counts | Tokens | Columns
FRONT_ENDS: dict[str, type] = {kind.__name__: kind for kind in (LogMel, Counts, Tokens, Columns)}


def encode_front_end(front: FrontEnd | None) -> dict[str, Any] | None:
    """Encode a front end as a dict for JSON: its class name under "kind", and its fields."""
    if not isinstance(front, Columns):
        return None if front is None else {"kind": type(front).__name__, **asdict(front)}
    plain = asdict(replace(front, types=()))
    return {"kind": Columns.__name__, **plain, "types": tuple(map(encode_column_type, front.types))}


def decode_front_end(plain: dict[str, Any] | None) -> FrontEnd | None:
    """Decode what `encode_front_end` wrote, also after JSON made lists of tuples.

    Raises:
        KeyError, TypeError: `plain` describes no front end.
    """
    if plain is None:
        return None
    values = {key: _make_tuples(value) for key, value in plain.items() if key != "kind"}
    if "types" in plain:
        values["types"] = tuple(map(decode_column_type, plain["types"]))
    if "counts" in plain:
        values["counts"] = tuple(
            Counts(**{key: _make_tuples(value) for key, value in counts.items()})
            for counts in plain["counts"]
        )
    front: FrontEnd = FRONT_ENDS[plain["kind"]](**values)
    return front


def _make_tuples(value: Any) -> Any:
    return tuple(map(_make_tuples, value)) if isinstance(value, list) else value
