"""Prepared data as a value: its splits, its scaling and what was found in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.features import FrontEnd
from pipeline.data.report import CleaningReport, ColumnReport
from pipeline.data.samples import RawSamples, Texts, pick_evenly

FIFTHS = 5


@dataclass(frozen=True, slots=True)
class RowPlaces:
    """Where rows are in the user's data: names of files, or numbers of `unit`s, int64 [n]."""

    places: np.ndarray | Texts
    unit: str = "row"

    def name(self, row: int) -> str:
        """Return the name of the file of a row, or such as `line 17`."""
        if isinstance(self.places, Texts):
            return str(self.places[np.array([row])][0])
        return f"{self.unit} {int(self.places[row])}"


@dataclass(frozen=True, slots=True)
class Split:
    """`features` [n, *shape], uint8, int32 or float32 in the source's own units; `labels` int32 [n].

    Labels that are quantities are float64 [n] in their own unit.

    `raw`: the raw samples, where a front end makes features of them; else None. `files`: int64 [n], a number
    for each file, where some are several rows, one after the other; else None. `places`: where each row is in
    the user's data; None in data of an earlier release.
    """

    features: np.ndarray
    labels: np.ndarray
    raw: RawSamples | None = None
    files: np.ndarray | None = None
    places: RowPlaces | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> RawSamples:
        """Return what the saved model takes: raw samples where a front end makes features, else features."""
        return self.features if self.raw is None else self.raw

    def name_place(self, row: int) -> str:
        """Return where row `row` of this split is in the user's data: a file's name, or such as `line 17`."""
        return f"row {row}" if self.places is None else self.places.name(row)

    def pick_rows(self, label: int, limit: int) -> np.ndarray:
        """Return row numbers of up to `limit` samples of a class, evenly spread over the split."""
        return _spread_rows(np.flatnonzero(np.asarray(self.labels) == label), limit)


def _spread_rows(rows: np.ndarray, limit: int) -> np.ndarray:
    picked: np.ndarray = rows[pick_evenly(len(rows), limit)]
    return picked


@dataclass(frozen=True, slots=True)
class Scaling:
    """A network sees `(x - mean) / std`; both float32, of shape () or the samples' shape, in raw units."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True, slots=True)
class Target:
    """A quantity that is learned: networks see `(y - mean) / std`, of the training split, in its own unit."""

    mean: float
    std: float

    def scale(self, quantities: np.ndarray) -> np.ndarray:
        """Return quantities [n] or [n, 1] as a network sees them, float64."""
        return np.asarray((np.asarray(quantities, np.float64) - self.mean) / self.std)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Data ready for a network. `key` names source and settings; `reused`: it came from the cache.

    `shape`: of one sample's features; `front`: what makes features of raw samples; None: users send features;
    `columns`: of a table; `target`: of the labels where they are quantities, which have no classes.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    scaling: Scaling
    report: CleaningReport
    source_sha256: str
    key: str
    directory: Path
    reused: bool
    front: FrontEnd | None = None
    columns: tuple[ColumnReport, ...] = ()
    target: Target | None = None

    @property
    def outputs(self) -> int:
        """Return how many numbers a network answers with: one for each class, or the quantity."""
        return len(self.classes) or 1

    def iterate_examples(self, limit: int, count: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yield for each of the first `limit` classes its name and up to `count` training rows.

        They are spread over the split. Of a quantity, for each fifth of the rows, from low to high.
        """
        if self.target is None:
            for number, name in enumerate(self.classes[:limit]):
                yield name, self.train.pick_rows(number, count)
            return
        labels = np.asarray(self.train.labels)
        for rows in np.array_split(np.argsort(labels, kind="stable"), min(FIFTHS, limit, len(labels))):
            yield f"{labels[rows[0]]:.4g} .. {labels[rows[-1]]:.4g}", _spread_rows(rows, count)
