"""Space for samples: in memory, or in a file where they are larger than `data.in_memory_limit`."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from pipeline.data.readers.compression import compute_bound, explain_bomb

_numbers = count()
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ScratchSpace:
    """A folder for arrays of more than `limit` bytes, made when it is first needed; the caller removes it.

    `source`: the file that the arrays are read from, where its size bounds how much may be in it.
    """

    folder: Path
    limit: int
    source: Path | None = None

    def bound(self, items: Iterable[tuple[Item, int]]) -> Iterator[Item]:
        """Yield items that come with their bytes, up to as many bytes as the source may unpack to.

        Raises:
            BadData: there are more.
        """
        left = math.inf if self.source is None else compute_bound(self.source)
        for item, size in items:
            left -= size
            if left < 0 and self.source is not None:
                raise explain_bomb(self.source)
            yield item

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an array of this shape to fill: in memory, or memory-mapped beyond `limit` bytes."""
        if math.prod(shape) * np.dtype(dtype).itemsize <= self.limit:
            return np.empty(shape, dtype)
        return np.memmap(self.make_path(), dtype, "w+", shape=shape)

    def make_path(self) -> Path:
        """Return the path of a new file; make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{next(_numbers)}"

    def make_path_if_large(self, size: int) -> Path | None:
        """Return the path of a new file for `size` bytes, None where they fit into memory."""
        return self.make_path() if size > self.limit else None


class RowWriter:
    """A collector of arrays of one shape and type, in memory or, above the limit, in a scratch file."""

    def __init__(self, scratch: ScratchSpace) -> None:
        self._scratch, self._buffer, self.rows = scratch, bytearray(), 0
        self._path: Path | None = None
        self._out: BinaryIO | None = None
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)

    def add(self, row: np.ndarray) -> None:
        """Add one row; the first decides on shape and type."""
        if not self.rows:
            self._shape, self._dtype = row.shape, row.dtype
        self.rows += 1
        self._buffer += row.tobytes()
        if self._out is None and len(self._buffer) > self._scratch.limit:
            self._path = self._scratch.make_path()
            self._out = self._path.open("wb")
        if self._out is not None:
            self._out.write(self._buffer)
            self._buffer.clear()

    def finish(self) -> np.ndarray:
        """Return all rows [n, *shape]; a file is closed and memory-mapped."""
        shape = (self.rows, *self._shape)
        if self._out is None or self._path is None:
            return np.frombuffer(self._buffer, self._dtype).reshape(shape)
        self._out.close()
        return np.memmap(self._path, self._dtype, "r+", shape=shape)
