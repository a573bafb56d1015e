"""A folder with a folder of files for each class; `train` and `test` folders in it are official splits."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_file
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData, DataMissing
from pipeline.files import expand_home
from pipeline.settings.data import OnError

MAX_NAMED_FILES = 3
SPLITS = {"train", "test"}


class Unreadable(Exception):
    """A file is not what it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file and the number of its class."""

    path: Path
    label: int


@dataclass(frozen=True, slots=True)
class FileTree:
    """All files below `root` by split; `test`: None where there is no official test split."""

    root: Path
    train: tuple[LabelledFile, ...]
    test: tuple[LabelledFile, ...] | None
    classes: tuple[str, ...]


def find_files(path: str, suffixes: Sequence[str]) -> FileTree:
    """Return the files below `path` that end in one of `suffixes`, in the order of their names.

    Raises:
        DataMissing: there is no such folder.
        BadData: there are fewer than two classes, or one has no files.
    """
    root = expand_home(path)
    if not root.is_dir():
        raise DataMissing(
            f"data.path must be a folder with a folder for each class, got {root}, which is not there; "
            "set data.path=..."
        )
    split = {folder.name for folder in _list_folders(root)} >= SPLITS
    train = _find_by_class(root / "train" if split else root, suffixes)
    classes = tuple(train)
    if len(classes) < 2:
        raise BadData(
            f"{root} must hold a folder for each of two classes or more, got {len(classes)}; "
            "put the files into one folder a class"
        )
    test = None
    if split:
        test_files = _find_by_class(root / "test", suffixes)
        if unknown := sorted(set(test_files) - set(classes)):
            raise BadData(
                f"{root / 'test'} must hold classes that {root / 'train'} holds, got {unknown[0]}; "
                "use the same folder names"
            )
        test = _list_files(test_files, classes)
    return FileTree(root, _list_files(train, classes), test, classes)


def _list_folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _find_by_class(root: Path, suffixes: Sequence[str]) -> dict[str, list[Path]]:
    files_by_class = {}
    for folder in _list_folders(root):
        files = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file()]
        if not files:
            raise BadData(
                f"every class must have files ({', '.join(suffixes)}), got none in {folder}; "
                "add some or remove the folder"
            )
        files_by_class[folder.name] = sorted(files)
    return files_by_class


def _list_files(files_by_class: dict[str, list[Path]], classes: tuple[str, ...]) -> tuple[LabelledFile, ...]:
    return tuple(
        LabelledFile(path, classes.index(name)) for name, paths in files_by_class.items() for path in paths
    )


def fingerprint(path: str, suffixes: Sequence[str]) -> str:
    """Return the SHA-256 (hex) over names and contents of the files that `find_files` finds.

    Raises:
        BadData: as `find_files`, or a file cannot be read.
    """
    tree = find_files(path, suffixes)
    stats = []
    for file in (*tree.train, *(tree.test or ())):
        status = file.path.stat()
        stats.append(
            (str(file.path), str(file.path.relative_to(tree.root)), status.st_size, status.st_mtime_ns)
        )
    return _hash_files(tuple(stats))


@lru_cache(maxsize=8)
def _hash_files(stats: tuple[tuple[str, str, int, int], ...]) -> str:
    """Compute it once a process for unchanged files: a search needs the same data in every trial."""
    total = hashlib.sha256()
    for path, name, *_ in stats:
        total.update(f"{name}\0{hash_file(Path(path))}\n".encode())
    return total.hexdigest()


# ---- reading ------------------------------------------------------------------------------------------


class UnreadableFiles:
    """Files that could not be read: all files are looked at, then these are named together."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self.names: list[str] = []
        self._descriptions: list[str] = []

    def add(self, path: Path, error: Exception) -> None:
        """Note a file and the first line of what is wrong with it."""
        line = next(iter(str(error).splitlines()), type(error).__name__)
        self.names.append(str(path))
        self._descriptions.append(f"{path} ({line[:120]})")

    def raise_if_unwanted(self) -> None:
        """Raise BadData where a file could not be read and `data.on_error` is stop."""
        if self._descriptions and self._on_error is OnError.stop:
            more = len(self._descriptions) - MAX_NAMED_FILES
            named = ", ".join(self._descriptions[:MAX_NAMED_FILES]) + (
                f" and {more} more" if more > 0 else ""
            )
            raise BadData(
                f"every file must be readable, got {len(self._descriptions)} that cannot be read: {named}; "
                "mend or remove them, or leave them out with data.on_error=skip"
            )


ReadSplit = Callable[[Sequence[LabelledFile], UnreadableFiles], LabelledSamples]
"""Reads the files of one split, mostly by `decode_files`."""


def load_folders(path: str, suffixes: Sequence[str], on_error: OnError, read: ReadSplit) -> LoadedData:
    """Read each split below `path`; kinds of samples that need a front end name it afterwards.

    Raises:
        BadData: as `find_files`; or a file cannot be read and `on_error` is stop, or none can.
    """
    tree, unreadable = find_files(path, suffixes), UnreadableFiles(on_error)
    train = read(tree.train, unreadable)
    test = None if tree.test is None else read(tree.test, unreadable)
    return LoadedData(train=train, test=test, classes=tree.classes, unreadable=tuple(unreadable.names))


Decoded = TypeVar("Decoded")


def decode_files(
    files: Sequence[LabelledFile],
    decode: Callable[[Path], Decoded],
    unreadable: UnreadableFiles,
    remedy: str,
) -> Iterator[tuple[Decoded, int]]:
    """Yield what `decode` makes of each file, and its label; add files that it cannot read to `unreadable`.

    `decode`: raises `Unreadable`, OSError or UnicodeDecodeError for such a file; `remedy`: what to do where
    it can read none.

    Raises:
        BadData: after the last file, where one of them cannot be read and that is unwanted, or none can.
    """
    readable = False
    for file in files:
        try:
            sample = decode(file.path)
        except (Unreadable, OSError, UnicodeDecodeError) as error:
            unreadable.add(file.path, error)
            continue
        readable = True
        yield sample, file.label
    unreadable.raise_if_unwanted()
    if not readable:
        raise BadData(f"some files must be readable, got none of {len(files)}; {remedy}")


def read_arrays(
    files: Sequence[LabelledFile],
    unreadable: UnreadableFiles,
    decode: Callable[[Path], np.ndarray],
    scratch: ScratchSpace,
) -> LabelledSamples:
    """Read every file into one array [n, *shape]; `decode` gives arrays of one shape and type.

    Raises:
        BadData: as `decode_files`.
    """
    array: np.ndarray | None = None
    labels: list[int] = []
    for sample, label in decode_files(files, decode, unreadable, f"look at {files[0].path}"):
        if array is None:
            array = scratch.allocate((len(files), *sample.shape), sample.dtype)
        array[len(labels)] = sample
        labels.append(label)
    assert array is not None
    return LabelledSamples(array[: len(labels)], np.array(labels, np.int64))
