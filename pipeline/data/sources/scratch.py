"""Room for samples: in memory, or in a file where they are larger than `data.in_memory_limit`."""

import math
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

_numbers = count()


@dataclass(frozen=True, slots=True)
class Scratch:
    """`folder`: is made when it is needed first; its owner removes it."""

    folder: Path
    limit: int

    def room(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array to fill."""
        if math.prod(shape) * np.dtype(dtype).itemsize <= self.limit:
            return np.empty(shape, dtype)
        return np.memmap(self.file(), dtype, "w+", shape=shape)

    def file(self) -> Path:
        """The path of a new file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{next(_numbers)}"

    def file_for(self, size: int) -> Path | None:
        """A file, where so many bytes do not fit into memory."""
        return self.file() if size > self.limit else None
