"""Space for samples: in memory, or in a file where they are larger than `data.in_memory_limit`."""

import math
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

_numbers = count()


@dataclass(frozen=True, slots=True)
class ScratchSpace:
    """A folder for arrays of more than `limit` bytes, made when it is first needed; the caller removes it."""

    folder: Path
    limit: int

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an array to fill: in memory, or memory-mapped where it has more than `limit` bytes."""
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
