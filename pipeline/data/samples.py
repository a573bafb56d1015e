"""Raw samples, as a user can send them, in memory and on disk: arrays, texts of any length, tables.

All of them (`RawSamples`) have `len(x)` and `x[rows]` (a slice, or an array of row numbers), which gives a
`Batch`: a numpy array of an array, a numpy array of str of texts, a dict of columns of a table. Nothing is
ever pickled.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Rows: TypeAlias = slice | np.ndarray
Batch: TypeAlias = np.ndarray | dict[str, np.ndarray]
CHUNK_NUMBERS = 2**22
"""Numbers of one portion, where all rows together may not fit into memory."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of any length: `letters` uint8, all in UTF-8 one after the other; `ends` int64 [n] in it."""

    letters: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: Rows) -> np.ndarray:
        numbers = np.arange(len(self))[rows]
        texts = np.empty(len(numbers), object)
        for index, number in enumerate(numbers):
            start = self.ends[number - 1] if number else 0
            texts[index] = self.letters[start : self.ends[number]].tobytes().decode()
        return texts

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (texts,), as an array has it."""
        return (len(self),)

    @property
    def nbytes(self) -> int:
        """Return how many bytes the texts take."""
        return int(self.letters.nbytes + self.ends.nbytes)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a table. `numbers`: float64 [n, numeric columns], NaN for an empty cell; dates are seconds.

    `words`: one `Texts` for each categorical column; `numeric`, `categorical`: names of the columns.
    """

    numbers: np.ndarray
    words: tuple[Texts, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Rows) -> dict[str, np.ndarray]:
        numbers = np.asarray(self.numbers[rows])
        columns = {name: numbers[:, column] for column, name in enumerate(self.numeric)}
        return columns | {name: texts[rows] for name, texts in zip(self.categorical, self.words, strict=True)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (rows, columns), as an array has it."""
        return (len(self), len(self.numeric) + len(self.categorical))

    @property
    def nbytes(self) -> int:
        """Return how many bytes the columns take."""
        return int(self.numbers.nbytes + sum(texts.nbytes for texts in self.words))


RawSamples: TypeAlias = np.ndarray | Texts | Table


class TextWriter:
    """A collector of texts, in memory or, where `path` is given, in a file; `add` them, then `finish`."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._length, self._ends = path, 0, list[int]()
        self._out: io.BufferedIOBase = path.open("wb") if path else io.BytesIO()

    def add(self, text: str) -> None:
        """Add one text; what UTF-8 cannot encode becomes a question mark."""
        self._length += self._out.write(text.encode("utf-8", "replace"))
        self._ends.append(self._length)

    def finish(self) -> Texts:
        """Return all texts in the order in which they were added; a file is closed and memory-mapped."""
        ends = np.array(self._ends, np.int64)
        if isinstance(self._out, io.BytesIO):
            return Texts(np.frombuffer(self._out.getvalue(), np.uint8), ends)
        self._out.close()
        if self._path is None or not self._length:  # what is empty cannot be mapped
            return Texts(np.zeros(0, np.uint8), ends)
        return Texts(np.memmap(self._path, np.uint8, "r"), ends)


def make_texts(lines: Iterable[str]) -> Texts:
    """Make `Texts` of lines, in memory."""
    writer = TextWriter()
    for line in lines:
        writer.add(line)
    return writer.finish()


def count_rows(samples: Any) -> int:
    """Count the samples of `RawSamples` or of a `Batch`."""
    return len(next(iter(samples.values()))) if isinstance(samples, dict) else len(samples)


def take_batch(raw: Any, rows: Rows) -> Batch:
    """Return these rows of `RawSamples` or of a `Batch` as a `Batch` of numpy arrays."""
    if isinstance(raw, dict):
        return {name: column[rows] for name, column in raw.items()}
    batch: Batch = raw[rows]
    return batch


def copy_rows(raw: RawSamples, rows: np.ndarray) -> RawSamples:
    """Copy the rows of these numbers [m] into memory; the result is of the same kind as `raw`."""
    if isinstance(raw, Texts):
        return copy_texts(raw, rows)
    if isinstance(raw, Table):
        words = tuple(copy_texts(texts, rows) for texts in raw.words)
        return Table(raw.numbers[rows], words, raw.numeric, raw.categorical)
    array: np.ndarray = raw[rows]
    return array


def copy_texts(texts: Texts, rows: np.ndarray) -> Texts:
    """Copy the texts of these numbers [m] into memory."""
    starts = np.concatenate([[0], texts.ends[:-1]])[rows]
    lengths = texts.ends[rows] - starts
    ends = np.cumsum(lengths)
    letters = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for portion in split_into_portions(len(rows), 64):
        stops = ends[portion]
        if len(stops):
            first = int(stops[0] - lengths[portion][0])
            shift = np.repeat(starts[portion] - (stops - lengths[portion]), lengths[portion])
            letters[first : stops[-1]] = texts.letters[np.arange(first, stops[-1]) + shift]
    return Texts(letters, ends)


def pick_evenly(count: int, limit: int) -> np.ndarray:
    """Return at most `limit` of the numbers 0..count - 1, rising, evenly spread over all, int64."""
    picked: np.ndarray = np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int))
    return picked


def draw_evenly(count: int, limit: int) -> np.ndarray:
    """Draw at most `limit` of the numbers 0..count - 1, rising, one of each of as many equal parts, int64.

    They are drawn at random, seeded: where rows come in turns, as those of ten sensors do, each tenth one is
    of the same sensor.
    """
    if count <= limit:
        return np.arange(count)
    edges = np.arange(limit + 1) * count // limit
    return np.asarray(np.random.default_rng(0).integers(edges[:-1], edges[1:]))


def split_into_portions(rows: int, width: int) -> Iterator[slice]:
    """Split `rows` rows of `width` numbers each into slices of about `CHUNK_NUMBERS` numbers."""
    step = max(1, CHUNK_NUMBERS // max(1, width))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def estimate_width(raw: RawSamples) -> int:
    """Estimate how many numbers a row has; of texts and tables 64, and more where texts are long."""
    if isinstance(raw, np.ndarray):
        return int(np.prod(raw.shape[1:]))
    letters = raw.letters.nbytes if isinstance(raw, Texts) else sum(each.letters.nbytes for each in raw.words)
    return 64 + letters // (8 * max(1, len(raw)))


def encode_rows(batch: Batch) -> list[bytes]:
    """Return the content of each row as bytes, to be hashed; -0.0 equals 0.0."""
    if isinstance(batch, dict):
        numbers = [column for column in batch.values() if column.dtype != object]
        columns = [encode_rows(column) for column in batch.values() if column.dtype == object]
        if numbers:  # all at once: a wide table has more cells than rows
            columns.append(encode_rows(np.stack(numbers, -1)))
        return [b"\0".join(cells) for cells in zip(*columns, strict=True)]
    if batch.dtype == object:
        return [str(text).encode() for text in batch]
    return [(row + 0).tobytes() for row in batch]


# ---- on disk ------------------------------------------------------------------------------------------

SaveArray = Callable[[Path, np.ndarray], None]


def save_samples(folder: Path, prefix: str, raw: RawSamples, write: SaveArray) -> None:
    """Write files `prefix_*.npy` that `read_samples` reads; `write` writes one array."""
    for name, array in _arrays(raw).items():
        write(folder / f"{prefix}_{name}.npy", array)


def read_samples(folder: Path, prefix: str, about: Mapping[str, Any]) -> RawSamples:
    """Open what `save_samples` wrote, memory-mapped. `about`: what `describe_samples` returned.

    Raises:
        OSError, ValueError: a file is absent or damaged.
    """

    def array(name: str) -> np.ndarray:
        mapped: np.ndarray = np.load(folder / f"{prefix}_{name}.npy", mmap_mode="r")
        return mapped

    match about["kind"]:
        case "texts":
            return Texts(array("letters"), array("ends"))
        case "table":
            numeric, categorical = tuple(about["numeric"]), tuple(about["categorical"])
            words = (Texts(array(f"letters{n}"), array(f"ends{n}")) for n in range(len(categorical)))
            return Table(array("numbers"), tuple(words), numeric, categorical)
        case _:
            return array("array")


def describe_samples(raw: RawSamples) -> dict[str, Any]:
    """Describe samples as JSON values: what `read_samples` must know."""
    match raw:
        case Texts():
            return {"kind": "texts"}
        case Table():
            return {"kind": "table", "numeric": raw.numeric, "categorical": raw.categorical}
        case _:
            return {"kind": "array"}


def _arrays(raw: RawSamples) -> dict[str, np.ndarray]:
    match raw:
        case Texts(letters, ends):
            return {"letters": letters, "ends": ends}
        case Table(numbers, words):
            named = {"numbers": numbers}
            for number, texts in enumerate(words):
                named |= {f"letters{number}": texts.letters, f"ends{number}": texts.ends}
            return named
        case _:
            return {"array": raw}
