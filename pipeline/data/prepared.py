"""Prepared data as a value, and its entry in the cache: complete or absent, opened memory-mapped."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pipeline.data.features import FrontEnd, decode_front_end, encode_front_end
from pipeline.data.report import CleaningReport, ColumnReport, decode_columns, decode_report, encode_columns
from pipeline.data.samples import (
    RawSamples,
    Table,
    Texts,
    describe_samples,
    pick_evenly,
    read_samples,
    save_samples,
)
from pipeline.files import explain_unwritable_cache, make_draft_path, remove_abandoned_drafts

COLUMNS_FILE = "columns.json"
LOCK_FILE = ".lock"
SPLITS = ("train", "validation", "test")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedContent:
    """The content of a new cache entry: all of `Prepared` but where it lies.

    Features that are already in the entry's folder (see `get_features_path`) are left as they are.
    `columns`: of a table.
    """

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    scaling: Scaling
    report: CleaningReport
    source_sha256: str
    front: FrontEnd | None = None
    columns: tuple[ColumnReport, ...] = ()
    target: Target | None = None


def get_features_path(folder: Path, split: str) -> Path:
    """Return the path of a split's features in the folder of an entry."""
    return folder / f"{split}_features.npy"


def load_entry(cache_dir: Path, key: str) -> Prepared | None:
    """Load the entry `key`; None where it is absent or damaged."""
    try:
        return _read_entry(cache_dir / key, key)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def create_entry(cache_dir: Path, key: str, make: Callable[[Path], PreparedContent]) -> Prepared:
    """Write an entry to a draft folder, rename it to `key` and load it.

    Where another process was faster, load its entry. `make`: gets the draft folder and may write features
    there before it returns the content.

    Raises:
        BadInput: `cache_dir` is not writable.
    """
    return _place_entry(cache_dir, key, lambda draft: _write_entry(draft, make(draft)))


def read_entry_files(entry: Prepared) -> dict[str, np.ndarray]:
    """Return the bytes (uint8 [size], memory-mapped) of the files of an entry by their names."""
    paths = [path for path in sorted(entry.directory.iterdir()) if path.is_file()]
    return {path.name: np.asarray(_map_bytes(path)) for path in paths}


def _map_bytes(path: Path) -> np.ndarray:
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)


def copy_entry(cache_dir: Path, key: str, files: Mapping[str, np.ndarray]) -> Prepared:
    """Write an entry that another machine has prepared, as `read_entry_files` returned it, and load it.

    Raises:
        BadInput: `cache_dir` is not writable.
    """

    def write(draft: Path) -> None:
        for name, content in files.items():
            with (draft / name).open("wb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())

    return _place_entry(cache_dir, key, write)


def _place_entry(cache_dir: Path, key: str, write: Callable[[Path], None]) -> Prepared:
    """Write an entry to a draft folder, rename it to `key` and load it."""
    draft = make_draft_path(cache_dir)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        remove_abandoned_drafts(cache_dir)
        draft.mkdir()
        write(draft)
        with _lock_folder(cache_dir):
            _move_into_place(draft, cache_dir / key)
            return _read_entry(cache_dir / key, key, reused=False)
    except OSError as error:
        raise explain_unwritable_cache(cache_dir, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # still there only where something went wrong


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder during the block; the kernel releases it if the process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.close(handle)  # NFS locks only what is open for writing, which a folder cannot be
            handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_entry(folder: Path, content: PreparedContent) -> None:
    for name, split in content.splits.items():
        if not get_features_path(folder, name).exists():
            _save_array(get_features_path(folder, name), split.features)
        _save_array(folder / f"{name}_labels.npy", split.labels)
        if split.files is not None:
            _save_array(folder / f"{name}_files.npy", split.files)
        if split.raw is not None:
            save_samples(folder, f"{name}_raw", split.raw, _save_array)
        if split.places is not None:
            save_samples(folder, f"{name}_places", split.places.places, _save_array)
    _save_array(folder / "mean.npy", content.scaling.mean)
    _save_array(folder / "std.npy", content.scaling.std)
    raw = content.splits["train"].raw
    about = {
        "classes": content.classes,
        "source_sha256": content.source_sha256,
        "report": asdict(content.report),
        "front": encode_front_end(content.front),
        "raw": None if raw is None else describe_samples(raw),
        **({"target": asdict(content.target)} if content.target else {}),
        **_describe_places(content.splits["train"]),
    }
    if content.columns:
        (folder / COLUMNS_FILE).write_text(encode_columns(content.columns))
    with (folder / "prepared.json").open("w") as file:
        json.dump(about, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _describe_places(split: Split) -> dict[str, Any]:
    places = split.places
    return {} if places is None else {"places": {**describe_samples(places.places), "unit": places.unit}}


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def _move_into_place(draft: Path, entry: Path) -> None:
    """Rename the draft to `entry`, over a damaged one; an intact one of a faster process is the same data."""
    if load_entry(entry.parent, entry.name) is not None:
        return
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
    draft.rename(entry)


def _read_entry(folder: Path, key: str, reused: bool = True) -> Prepared:
    about = json.loads((folder / "prepared.json").read_text())
    splits = {name: _open_split(folder, name, about["raw"], about.get("places")) for name in SPLITS}
    shape = splits["train"].features.shape[1:]
    scaling = Scaling(np.load(folder / "mean.npy"), np.load(folder / "std.npy"))
    if not {scaling.mean.shape, scaling.std.shape} <= {(), shape}:
        raise ValueError("scaling")
    return Prepared(
        **splits,
        classes=tuple(about["classes"]),
        shape=shape,
        scaling=scaling,
        report=decode_report(about["report"]),
        source_sha256=about["source_sha256"],
        key=key,
        directory=folder,
        reused=reused,
        front=decode_front_end(about["front"]),
        columns=decode_columns(columns.read_text()) if (columns := folder / COLUMNS_FILE).exists() else (),
        target=Target(**about["target"]) if "target" in about else None,
    )


def _open_split(
    folder: Path, name: str, about: dict[str, Any] | None, places_about: dict[str, Any] | None
) -> Split:
    features = np.load(get_features_path(folder, name), mmap_mode="r")
    labels = np.load(folder / f"{name}_labels.npy", mmap_mode="r")
    raw = None if about is None else read_samples(folder, f"{name}_raw", about)
    if len(features) != len(labels) or (raw is not None and len(raw) != len(labels)):
        raise ValueError(name)
    path = folder / f"{name}_files.npy"  # not of an earlier release
    files = np.load(path, mmap_mode="r") if path.exists() else None
    if places_about is None:  # an entry of an earlier release
        return Split(features, labels, raw, files)
    places = read_samples(folder, f"{name}_places", places_about)
    if isinstance(places, Table) or len(places) != len(labels):
        raise ValueError(name)
    return Split(features, labels, raw, files, RowPlaces(places, places_about["unit"]))
