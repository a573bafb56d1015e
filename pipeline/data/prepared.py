"""Prepared data as a value, and how it lies on disk: whole or not at all, opened memory-mapped."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from zipfile import BadZipFile

import numpy as np
import psutil

from pipeline.data.features import Front, front_from_plain, front_to_plain
from pipeline.data.samples import Raw, describe_samples, read_samples, save_samples
from pipeline.errors import BadInput

SPLITS = ("train", "validation", "test")
ASIDE = ".writing-"  # then host, pid and a random word, each after a hyphen


@dataclass(frozen=True, slots=True)
class Split:
    """`features` [n, *shape], uint8, int32 or float32 in the source's own units; `labels` int32 [n].

    `raw`: what a user can send, where a front end makes the features of it.
    """

    features: np.ndarray
    labels: np.ndarray
    raw: Raw | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> Raw:
        """What the whole model answers to."""
        return self.features if self.raw is None else self.raw

    def spread(self, label: int, most: int) -> np.ndarray:
        """Row numbers of up to `most` samples of a class, from all over the split."""
        rows = np.flatnonzero(np.asarray(self.labels) == label)
        spread: np.ndarray = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]
        return spread


@dataclass(frozen=True, slots=True)
class Scaling:
    """A network sees `(x - mean) / std`; both float32, of shape () or the samples' shape, in raw units."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True, slots=True)
class Report:
    """What cleaning found. `dropped`: rows by reason. `histogram`: split -> class -> rows.

    `unreadable`: the first files that could not be read and were left out.
    """

    rows_read: int
    rows_kept: dict[str, int]
    dropped: dict[str, int]
    constant_features: int
    smallest: float
    largest: float
    histogram: dict[str, dict[str, int]]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for a network. `key` names source and settings; `reused`: it came from the cache.

    `front`: what makes features of that which a user can send; None: the features are what he sends.
    """

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
    front: Front | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a store writes: everything of `Prepared` that is not a place.

    Features that lie in the store's folder already (see `features_path`) are left as they are.
    """

    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    scaling: Scaling
    report: Report
    source_sha256: str
    front: Front | None = None


def features_path(folder: Path, split: str) -> Path:
    """Where the features of a split lie."""
    return folder / f"{split}_features.npy"


def stored(cache_dir: Path, key: str) -> Prepared | None:
    """The entry `key`, or None where it is absent or damaged."""
    try:
        return _read(cache_dir / key, key)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def store(cache_dir: Path, key: str, make: Callable[[Path], Parts]) -> Prepared:
    """Write the entry aside, then rename it into place; where another process was faster, take its entry.

    `make`: gets the folder aside, where it may write features before it returns.

    Raises:
        BadInput: `cache_dir` is not writable.
    """
    aside = cache_dir / f"{ASIDE}{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        aside.mkdir()
        _write(aside, make(aside))
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
        if not features_path(folder, name).exists():
            _save(features_path(folder, name), split.features)
        _save(folder / f"{name}_labels.npy", split.labels)
        if split.raw is not None:
            save_samples(folder, f"{name}_raw", split.raw, _save)
    _save(folder / "mean.npy", parts.scaling.mean)
    _save(folder / "std.npy", parts.scaling.std)
    sent = parts.splits["train"].raw
    about = {
        "classes": parts.classes,
        "source_sha256": parts.source_sha256,
        "report": asdict(parts.report),
        "front": front_to_plain(parts.front),
        "raw": None if sent is None else describe_samples(sent),
    }
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
    splits = {name: _open(folder, name, about["raw"]) for name in SPLITS}
    shape = splits["train"].features.shape[1:]
    scaling = Scaling(np.load(folder / "mean.npy"), np.load(folder / "std.npy"))
    if not {scaling.mean.shape, scaling.std.shape} <= {(), shape}:
        raise ValueError("scaling")
    return Prepared(
        **splits,
        classes=tuple(about["classes"]),
        shape=shape,
        scaling=scaling,
        report=Report(**{**about["report"], "unreadable": tuple(about["report"]["unreadable"])}),
        source_sha256=about["source_sha256"],
        key=key,
        directory=folder,
        reused=reused,
        front=front_from_plain(about["front"]),
    )


def _open(folder: Path, name: str, about: dict[str, Any] | None) -> Split:
    features = np.load(features_path(folder, name), mmap_mode="r")
    labels = np.load(folder / f"{name}_labels.npy", mmap_mode="r")
    sent = None if about is None else read_samples(folder, f"{name}_raw", about)
    if len(features) != len(labels) or (sent is not None and len(sent) != len(labels)):
        raise ValueError(name)
    return Split(features, labels, sent)


def _sweep(cache_dir: Path) -> None:
    """Remove what processes of this host left behind when they were killed in mid-write."""
    for path in cache_dir.glob(f"{ASIDE}*-*-*"):
        host, pid, _ = path.name.removeprefix(ASIDE).rsplit("-", 2)  # a host may have hyphens in its name
        if host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)
