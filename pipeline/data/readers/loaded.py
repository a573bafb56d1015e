"""The result of every source: samples with labels, by split, and what the classes are called."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.data.features import SampleKind
from pipeline.data.report import ColumnReport, Finding
from pipeline.data.samples import RawSamples, Texts
from pipeline.errors import BadData

CHUNK_BYTES = 1 << 20
MAX_CLASSES = 65536


@dataclass(frozen=True, slots=True)
class LabelledSamples:
    """One split: `features` [n, *shape] of numbers, or texts, or a table; `labels` [n].

    `groups`: int64 [n], rows of one number stay on one side of a split; None: each row is by itself.
    `times`: float64 [n], the newest rows are for validation and test; None: rows are split by chance.
    `places`: where each row is in the user's data: names of files, or lines of a table as int64 [n]; None:
    rows are numbered from 0.
    """

    features: RawSamples
    labels: np.ndarray
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    places: np.ndarray | Texts | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedData:
    """All samples of a source. `test`, `validation`: the official splits, where there are any.

    `classes`: a name for each label 0, 1, ...; none where labels are quantities, float64, NaN where one is
    missing; `kind`: of raw samples that need a front end, None: the
    features are ready; `unreadable`: files that could not be read; `findings`: what else was left out or
    changed; `columns`: of a table; `unit`: what the places of rows count, where they have no names;
    `bits`: of a sample of the finest image, of files.
    """

    train: LabelledSamples
    test: LabelledSamples | None
    classes: tuple[str, ...]
    kind: SampleKind | None = None
    unreadable: tuple[str, ...] = ()
    validation: LabelledSamples | None = None
    findings: tuple[Finding, ...] = ()
    columns: tuple[ColumnReport, ...] = ()
    unit: str = "row"
    bits: int = 8


def hash_files(paths: Iterable[Path]) -> str:
    """Compute one SHA-256 (hex) over the bytes of all files, in order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hash_file(path).encode())
    return total.hexdigest()


def hash_file(path: Path) -> str:
    """Compute the SHA-256 (hex) of one file.

    Raises:
        BadData: it cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                total.update(chunk)
    except OSError as error:
        raise BadData(
            f"{path} must be a file that can be read, got {error.strerror}; mend its permissions or move it"
        ) from None
    return total.hexdigest()
