"""A folder with a folder of files for each class; `train` and `test` folders in it are official splits."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.data.sources.loaded import Samples, file_sha256
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data_kinds import OnError

MOST_NAMED = 3
SPLITS = {"train", "test"}


class Unreadable(Exception):
    """A file is not what it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    label: int


@dataclass(frozen=True, slots=True)
class Tree:
    """`test`: files of the official test split, where there is one."""

    root: Path
    train: tuple[File, ...]
    test: tuple[File, ...] | None
    classes: tuple[str, ...]


def find(path: str, suffixes: Sequence[str]) -> Tree:
    """The files below `path` that end in one of `suffixes`, in the order of their names.

    Raises:
        DataMissing: there is no such folder.
        BadData: there are fewer than two classes, or one has no files.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataMissing(
            f"data.path must be a folder with a folder for each class, got {root}, which is not there; "
            "set data.path=..."
        )
    split = {each.name for each in _folders(root)} >= SPLITS
    train = _by_class(root / "train" if split else root, suffixes)
    classes = tuple(train)
    if len(classes) < 2:
        raise BadData(
            f"{root} must hold a folder for each of two classes or more, got {len(classes)}; "
            "put the files into one folder a class"
        )
    test = None
    if split:
        found = _by_class(root / "test", suffixes)
        if unknown := sorted(set(found) - set(classes)):
            raise BadData(
                f"{root / 'test'} must hold classes that {root / 'train'} holds, got {unknown[0]}; "
                "use the same folder names"
            )
        test = _listed(found, classes)
    return Tree(root, _listed(train, classes), test, classes)


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


def _by_class(root: Path, suffixes: Sequence[str]) -> dict[str, list[Path]]:
    found = {}
    for folder in _folders(root):
        files = [each for each in folder.rglob("*") if each.suffix.lower() in suffixes and each.is_file()]
        if not files:
            raise BadData(
                f"every class must have files ({', '.join(suffixes)}), got none in {folder}; "
                "add some or remove the folder"
            )
        found[folder.name] = sorted(files)
    return found


def _listed(found: dict[str, list[Path]], classes: tuple[str, ...]) -> tuple[File, ...]:
    return tuple(File(path, classes.index(name)) for name, paths in found.items() for path in paths)


def fingerprint(tree: Tree) -> str:
    """SHA-256 (hex) over names and contents."""
    stats = []
    for file in (*tree.train, *(tree.test or ())):
        status = file.path.stat()
        stats.append(
            (str(file.path), str(file.path.relative_to(tree.root)), status.st_size, status.st_mtime_ns)
        )
    return _digest(tuple(stats))


@lru_cache(maxsize=8)
def _digest(stats: tuple[tuple[str, str, int, int], ...]) -> str:
    """Once a process for files that did not change: a search asks for the same data at every trial."""
    total = hashlib.sha256()
    for path, name, *_ in stats:
        total.update(f"{name}\0{file_sha256(Path(path))}\n".encode())
    return total.hexdigest()


Decode = Callable[[Path], np.ndarray]


def arrays(
    files: Sequence[File],
    decode: Decode,
    on_error: OnError,
    room: Callable[[tuple[int, ...], np.dtype], np.ndarray],
) -> tuple[Samples, list[str]]:
    """Every file decoded into one array, and the names of those that could not be read.

    `decode`: gives arrays of one shape and type, or raises `Unreadable`; `room`: an array of that shape.

    Raises:
        BadData: a file cannot be read and `on_error` is stop, or none can.
    """
    array: np.ndarray | None = None
    labels: list[int] = []
    unreadable = Failures(on_error)
    for file in files:
        try:
            sample = decode(file.path)
        except (Unreadable, OSError) as error:
            unreadable.add(file.path, error)
            continue
        if array is None:
            array = room((len(files), *sample.shape), sample.dtype)
        array[len(labels)] = sample
        labels.append(file.label)
    unreadable.check()
    if array is None:
        raise BadData(f"some files must be readable, got none of {len(files)}; look at {files[0].path}")
    return Samples(array[: len(labels)], np.array(labels, np.int64)), unreadable.names


class Failures:
    """Files that could not be read: all are looked at, then named together."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self.names: list[str] = []
        self._told: list[str] = []

    def add(self, path: Path, error: Exception) -> None:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        self.names.append(str(path))
        self._told.append(f"{path} ({line[:120]})")

    def check(self) -> None:
        """Raise BadData where that is wanted."""
        if self._told and self._on_error is OnError.stop:
            more = len(self._told) - MOST_NAMED
            named = ", ".join(self._told[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise BadData(
                f"every file must be readable, got {len(self._told)} that cannot be read: {named}; "
                "mend or remove them, or leave them out with data.on_error=skip"
            )
