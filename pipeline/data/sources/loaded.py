"""What every source hands on."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.features import Form
from pipeline.data.samples import Raw
from pipeline.errors import BadData

CHUNK = 1 << 20
MOST_CLASSES = 65536


@dataclass(frozen=True, slots=True)
class Samples:
    """`features` [n, *shape], bytes or numbers, or texts or a table; `labels` [n], as the source has them."""

    features: Raw
    labels: np.ndarray


@dataclass(frozen=True, slots=True)
class Loaded:
    """`test`: the official test split, where there is one. `classes`: a name for each label 0, 1, ...

    `form`: what kind of front end the features need; None: none. `unreadable`: files that were left out.
    """

    train: Samples
    test: Samples | None
    classes: tuple[str, ...]
    form: Form | None = None
    unreadable: tuple[str, ...] = ()


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) over the files' bytes, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(file_sha256(path).encode())
    return total.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of one file.

    Raises:
        BadData: it cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                total.update(chunk)
    except OSError as error:
        raise BadData(
            f"{path} must be a file that can be read, got {error.strerror}; mend its permissions or move it"
        ) from None
    return total.hexdigest()


def numbered(train: Samples, test: Samples | None) -> Loaded:
    """Classes from the label numbers that occur: 1, 2, 26 become 0, 1, 2 with the names "1", "2", "26".

    What is no class number (negative, NaN, a fraction) stays as it is, for cleaning to drop.

    Raises:
        BadData: larger numbers than any network here could have classes, so the labels are something else.
    """
    labels = train.labels if test is None else np.concatenate([train.labels, test.labels])
    numbers = np.unique(labels[_whole(labels)])
    if len(numbers) and numbers[-1] >= MOST_CLASSES:
        raise BadData(
            f"labels must be whole numbers from 0 to {MOST_CLASSES - 1}, got {int(numbers[-1])}; "
            "number the classes"
        )
    names = tuple(str(int(number)) for number in numbers)
    return Loaded(_renumbered(train, numbers), None if test is None else _renumbered(test, numbers), names)


def _whole(labels: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.isfinite(labels) & (labels == np.floor(labels)) & (labels >= 0)
    return whole


def _renumbered(samples: Samples, numbers: np.ndarray) -> Samples:
    labels = samples.labels
    dense = np.where(_whole(labels), np.searchsorted(numbers, labels), labels)
    return Samples(samples.features, dense)
