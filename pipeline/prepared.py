"""Prepared data as a value, and how it lies on disk: whole or not at all, opened memory-mapped."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from zipfile import BadZipFile

import numpy as np
import psutil

from pipeline.errors import BadInput

SPLITS = ("train", "validation", "test")
ASIDE = ".writing-"  # then host, pid and a random word, each after a hyphen


@dataclass(frozen=True, slots=True)
class Split:
    """`features` [n, *shape], uint8 or float32 in the source's own units; `labels` int32 [n]."""

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Scaling:
    """A network sees `(x - mean) / std`; both float32, of shape () or the samples' shape, in raw units."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True, slots=True)
class Report:
    """What cleaning found. `dropped`: rows by reason. `histogram`: split -> class -> rows."""

    rows_read: int
    rows_kept: dict[str, int]
    dropped: dict[str, int]
    constant_features: int
    smallest: float
    largest: float
    histogram: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for a network. `key` names source and settings; `reused`: it came from the cache."""

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    scaling: Scaling
    report: Report
    source_sha256: str
    key: str
    directory: Path
    reused: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a store writes: everything of `Prepared` that is not a place."""

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    scaling: Scaling
    report: Report
    source_sha256: str


def stored(cache_dir: Path, key: str) -> Prepared | None:
    """The entry `key`, or None where it is absent or damaged."""
    try:
        return _read(cache_dir / key, key)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def store(cache_dir: Path, key: str, parts: Parts) -> Prepared:
    """Write the entry aside, then rename it into place; where another process was faster, take its entry.

    Raises:
        BadInput: `cache_dir` is not writable.
    """
    aside = cache_dir / f"{ASIDE}{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        aside.mkdir()
        _write(aside, parts)
        with _alone(cache_dir):
            _rename(aside, cache_dir / key)
            return _read(cache_dir / key, key, reused=False)
    except OSError as error:
        raise BadInput(
            f"cache_dir must be a writable folder with room, got {cache_dir} ({error.strerror or error}); "
            "set cache_dir=... or FULCRUM_CACHE"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # still there only where something went wrong


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its owner, however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(folder: Path, parts: Parts) -> None:
    for name, split in parts.splits.items():
        _save(folder / f"{name}_features.npy", split.features)
        _save(folder / f"{name}_labels.npy", split.labels)
    _save(folder / "mean.npy", parts.scaling.mean)
    _save(folder / "std.npy", parts.scaling.std)
    about = {"classes": parts.classes, "source_sha256": parts.source_sha256, "report": asdict(parts.report)}
    with (folder / "prepared.json").open("w") as file:
        json.dump(about, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def _rename(aside: Path, place: Path) -> None:
    """Into place, over a damaged entry; a whole one was written by a faster process and is the same."""
    if stored(place.parent, place.name) is not None:
        return
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    aside.rename(place)


def _read(folder: Path, key: str, reused: bool = True) -> Prepared:
    about = json.loads((folder / "prepared.json").read_text())
    splits = {name: _open(folder, name) for name in SPLITS}
    shape = splits["train"].features.shape[1:]
    scaling = Scaling(np.load(folder / "mean.npy"), np.load(folder / "std.npy"))
    if not {scaling.mean.shape, scaling.std.shape} <= {(), shape}:
        raise ValueError("scaling")
    return Prepared(
        **splits,
        classes=tuple(about["classes"]),
        shape=shape,
        scaling=scaling,
        report=Report(**about["report"]),
        source_sha256=about["source_sha256"],
        key=key,
        directory=folder,
        reused=reused,
    )


def _open(folder: Path, name: str) -> Split:
    features = np.load(folder / f"{name}_features.npy", mmap_mode="r")
    labels = np.load(folder / f"{name}_labels.npy", mmap_mode="r")
    if len(features) != len(labels):
        raise ValueError(name)
    return Split(features, labels)


def _sweep(cache_dir: Path) -> None:
    """Remove what processes of this host left behind when they were killed in mid-write."""
    for path in cache_dir.glob(f"{ASIDE}*-*-*"):
        host, pid, _ = path.name.removeprefix(ASIDE).rsplit("-", 2)  # a host may have hyphens in its name
        if host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
