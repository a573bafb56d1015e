"""What a user can send, as it lies in memory and on disk: arrays, texts of any length, tables.

All answer to `len(x)` and `x[rows]` (a slice, or an array of row numbers). Texts give numpy arrays of str;
a table gives a dict of its columns. Nothing is ever pickled.
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
"""Numbers that are handled at once where there may be more than memory holds."""


@dataclass(frozen=True, slots=True)
class Texts:
    """`letters`: all texts in UTF-8, one after the other, uint8; `ends` int64 [n]: where each one ends."""

    letters: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: Rows) -> np.ndarray:
        numbers = np.arange(len(self))[rows]
        found = np.empty(len(numbers), object)
        for place, number in enumerate(numbers):
            start = self.ends[number - 1] if number else 0
            found[place] = self.letters[start : self.ends[number]].tobytes().decode()
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self),)

    @property
    def nbytes(self) -> int:
        return int(self.letters.nbytes + self.ends.nbytes)


@dataclass(frozen=True, slots=True)
class Table:
    """`numbers` float32 [n, numeric columns], NaN where a cell is empty; `words`: one `Texts` a column."""

    numbers: np.ndarray
    words: tuple[Texts, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Rows) -> dict[str, np.ndarray]:
        numbers = np.asarray(self.numbers[rows])
        columns = {name: numbers[:, at] for at, name in enumerate(self.numeric)}
        return columns | {name: self.words[at][rows] for at, name in enumerate(self.categorical)}

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), len(self.numeric) + len(self.categorical))

    @property
    def nbytes(self) -> int:
        return int(self.numbers.nbytes + sum(each.nbytes for each in self.words))


Raw: TypeAlias = np.ndarray | Texts | Table


class TextWriter:
    """Collects texts, in memory or, where `path` is given, in a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._length, self._ends = path, 0, list[int]()
        self._out: io.BufferedIOBase = path.open("wb") if path else io.BytesIO()

    def add(self, text: str) -> None:
        self._length += self._out.write(text.encode("utf-8", "replace"))
        self._ends.append(self._length)

    def texts(self) -> Texts:
        ends = np.array(self._ends, np.int64)
        if isinstance(self._out, io.BytesIO):
            return Texts(np.frombuffer(self._out.getvalue(), np.uint8), ends)
        self._out.close()
        if self._path is None or not self._length:  # what is empty cannot be mapped
            return Texts(np.zeros(0, np.uint8), ends)
        return Texts(np.memmap(self._path, np.uint8, "r"), ends)


def make_texts(lines: Iterable[str]) -> Texts:
    """In memory."""
    writer = TextWriter()
    for line in lines:
        writer.add(line)
    return writer.texts()


def count_rows(samples: Any) -> int:
    """How many samples."""
    return len(next(iter(samples.values()))) if isinstance(samples, dict) else len(samples)


def take_batch(samples: Any, rows: Rows) -> Batch:
    """These rows of a `Raw` or a `Batch`, as numpy arrays."""
    if isinstance(samples, dict):
        return {name: column[rows] for name, column in samples.items()}
    batch: Batch = samples[rows]
    return batch


def take_rows(raw: Raw, rows: np.ndarray) -> Raw:
    """These rows, in memory."""
    if isinstance(raw, Texts):
        return make_texts(raw[rows])
    if isinstance(raw, Table):
        words = tuple(make_texts(each[rows]) for each in raw.words)
        return Table(raw.numbers[rows], words, raw.numeric, raw.categorical)
    array: np.ndarray = raw[rows]
    return array


def split_into_portions(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows of `width` numbers each that are handled at once."""
    step = max(1, CHUNK_NUMBERS // max(1, width))
    return (slice(at, min(at + step, rows)) for at in range(0, rows, step))


def measure_width(raw: Raw) -> int:
    """Numbers a row, about."""
    return int(np.prod(raw.shape[1:])) if isinstance(raw, np.ndarray) else 64


def measure_row_bytes(batch: Batch) -> list[bytes]:
    """The content of each row, to be hashed; -0.0 equals 0.0."""
    if isinstance(batch, dict):
        columns = [measure_row_bytes(column) for column in batch.values()]
        return [b"\0".join(cells) for cells in zip(*columns, strict=True)]
    if batch.dtype == object:
        return [str(text).encode() for text in batch]
    return [(row + 0).tobytes() for row in batch]


# ---- on disk ------------------------------------------------------------------------------------------

Save = Callable[[Path, np.ndarray], None]


def save_samples(folder: Path, prefix: str, raw: Raw, write: Save) -> None:
    """Files `prefix_*.npy` that `read` finds again."""
    for name, array in _arrays(raw).items():
        write(folder / f"{prefix}_{name}.npy", array)


def read_samples(folder: Path, prefix: str, about: Mapping[str, Any]) -> Raw:
    """Memory-mapped. `about`: what `described` said.

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
            words = (Texts(array(f"letters{at}"), array(f"ends{at}")) for at in range(len(categorical)))
            return Table(array("numbers"), tuple(words), numeric, categorical)
        case _:
            return array("array")


def describe_samples(raw: Raw) -> dict[str, Any]:
    """What `read` must know, as JSON."""
    match raw:
        case Texts():
            return {"kind": "texts"}
        case Table():
            return {"kind": "table", "numeric": raw.numeric, "categorical": raw.categorical}
        case _:
            return {"kind": "array"}


def _arrays(raw: Raw) -> dict[str, np.ndarray]:
    match raw:
        case Texts(letters, ends):
            return {"letters": letters, "ends": ends}
        case Table(numbers, words):
            named = {"numbers": numbers}
            for at, each in enumerate(words):
                named |= {f"letters{at}": each.letters, f"ends{at}": each.ends}
            return named
        case _:
            return {"array": raw}
