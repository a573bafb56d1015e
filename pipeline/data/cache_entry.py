"""The entry of prepared data in the cache: complete or absent, opened memory-mapped."""

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
from pipeline.data.prepared import Prepared, RowPlaces, Scaling, Split, Target
from pipeline.data.report import CleaningReport, ColumnReport, decode_columns, decode_report, encode_columns
from pipeline.data.samples import Table, describe_samples, read_samples, save_samples
from pipeline.files import explain_unwritable_cache, make_draft_path, remove_abandoned_drafts

COLUMNS_FILE = "columns.json"
LOCK_FILE = ".lock"
SPLITS = ("train", "validation", "test")


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
