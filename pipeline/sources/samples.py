"""What every source hands on."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import BadData

CHUNK = 1 << 20
MOST_CLASSES = 65536


@dataclass(frozen=True, slots=True)
class Samples:
    """`features` [n, *shape], bytes or numbers; `labels` [n], as the source has them."""

    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True)
class Loaded:
    """`test`: the official test split, where there is one. `classes`: a name for each label 0, 1, ..."""

    train: Samples
    test: Samples | None
    classes: tuple[str, ...]


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) over the files' bytes, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(file_sha256(path).encode())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    return total.hexdigest()


def numbered_classes(labels: np.ndarray) -> tuple[str, ...]:
    """`("0", "1", ...)` up to the largest label; at least one.

    Raises:
        BadData: more classes than any network here could have, so the labels are something else.
    """
    finite = labels[np.isfinite(labels)] if labels.dtype.kind == "f" else labels
    largest = int(finite.max(initial=0))
    if largest >= MOST_CLASSES:
        raise BadData(
            f"labels must be whole numbers from 0 to {MOST_CLASSES - 1}, got {largest}; number the classes"
        )
    return tuple(str(number) for number in range(largest + 1))
