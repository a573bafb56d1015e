"""Samples in files: a folder with a folder of files for each class, an archive of one, or a list of files."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.data.readers import archives
from pipeline.data.readers.class_labels import note_classes
from pipeline.data.readers.file_list import SUFFIXES as LIST_SUFFIXES
from pipeline.data.readers.file_list import read_list
from pipeline.data.readers.file_tree import FileTree, LabelledFile, scan_folder
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_file
from pipeline.data.readers.quantities import convert_classes
from pipeline.data.readers.scratch import RowWriter, ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import make_texts
from pipeline.errors import BadData, DataMissing, read_reason
from pipeline.files import expand_home
from pipeline.settings.data import OnError

MAX_NAMED_FILES = 3
FORMAT = 5
"""Raised when the same files come to mean other arrays."""

POINTER = b"version https://git-lfs"
"""How the text begins that Git has in the place of a large file."""


class Unreadable(Exception):
    """A file is not what it should be; the text says why."""


def find_files(
    path: str,
    suffixes: Sequence[str],
    findings: Findings,
    scratch: ScratchSpace | None = None,
    quantities: bool = False,
) -> FileTree:
    """Return the files that `data.path` names: a folder, a list (CSV), or an archive, unpacked in `scratch`.

    `quantities`: labels are numbers, and no classes.

    Raises:
        DataMissing: there is nothing of that name.
        BadData: there are fewer than two classes, or one has no files.
    """
    root = _check_path(path)
    if root.is_dir():
        return scan_folder(root, suffixes, findings)
    if root.suffix.lower() in LIST_SUFFIXES:
        return read_list(root, findings, quantities)
    assert scratch is not None
    folder = scratch.make_path() / root.name
    archives.unpack(root, folder, findings)
    return scan_folder(folder, suffixes, findings)


def _check_path(path: str) -> Path:
    root = expand_home(path)
    if root.is_dir() or (
        root.is_file() and (root.suffix.lower() in LIST_SUFFIXES or archives.is_archive(root))
    ):
        return root
    got = "which is a file" if root.exists() else "which is not there"
    raise DataMissing(
        f"data.path must be a folder with a folder for each class, an archive of one (.zip, .tar, .tar.gz), "
        f"or a list of files (.csv), got {root}, {got}; set data.path=..."
    )


def fingerprint(path: str, suffixes: Sequence[str], quantities: bool = False) -> str:
    """Return the SHA-256 (hex) over names and contents of the files that `find_files` finds.

    Raises:
        BadData: as `find_files`, or an archive cannot be read.
    """
    root = _check_path(path)
    if root.is_file() and archives.is_archive(root):
        return hash_file(root)
    tree = find_files(path, suffixes, Findings(), quantities=quantities)
    stats = []
    for split, files in tree.splits.items():
        for file in files:
            try:
                status = file.path.stat()
                size, changed = status.st_size, status.st_mtime_ns
            except OSError:  # a broken link, or no right to see it: reading says so
                size, changed = -1, 0
            stats.append((str(file.path), f"{split}\0{tree.classes[file.label]}\0{file.name}", size, changed))
    return _hash_files(tuple(stats))


@lru_cache(maxsize=8)
def _hash_files(stats: tuple[tuple[str, str, int, int], ...]) -> str:
    """Compute it once a process for unchanged files: a search needs the same data in every trial."""
    total = hashlib.sha256()
    for path, name, *_ in stats:
        try:
            content = hash_file(Path(path))
        except BadData:
            content = "unreadable"
        total.update(f"{name}\0{content}\n".encode())
    return total.hexdigest()


# ---- reading ------------------------------------------------------------------------------------------


class UnreadableFiles:
    """Files that could not be read: all files are looked at, then these are named together."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self.names: list[str] = []
        self._descriptions: list[str] = []

    def add(self, file: LabelledFile, error: Exception) -> None:
        """Note a file and the first line of what is wrong with it."""
        self.names.append(file.name)
        self._descriptions.append(f"{file.name} ({read_reason(error)[:120]})")

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


def load_splits(
    tree: FileTree, on_error: OnError, read: ReadSplit, findings: Findings, quantities: bool = False
) -> LoadedData:
    """Read each split; kinds of samples that need a front end name it afterwards.

    `quantities`: the names of the classes are numbers, which become the labels.

    Raises:
        BadData: a file cannot be read and `on_error` is stop, or none can; a label is no number.
    """
    note_classes(() if quantities else tree.classes, findings)
    unreadable = UnreadableFiles(on_error)
    splits = {split: read(files, unreadable) for split, files in tree.splits.items()}
    loaded = LoadedData(
        train=splits["train"],
        test=splits.get("test"),
        validation=splits.get("validation"),
        classes=tree.classes,
        unreadable=tuple(unreadable.names),
        findings=findings.to_tuple(),
    )
    return convert_classes(loaded) if quantities else loaded


Decoded = TypeVar("Decoded")


def decode_files(
    files: Sequence[LabelledFile],
    decode: Callable[[LabelledFile], Decoded],
    unreadable: UnreadableFiles,
    remedy: str,
) -> Iterator[tuple[Decoded, LabelledFile]]:
    """Yield what `decode` makes of each file, and the file; add files that it cannot read to `unreadable`.

    `decode`: raises `Unreadable`, OSError or UnicodeDecodeError for such a file; `remedy`: what to do where
    it can read none.

    Raises:
        BadData: after the last file, where one of them cannot be read and that is unwanted, or none can.
    """
    readable = False
    for file in files:
        try:
            _check_content(file.path)
            sample = decode(file)
        except (Unreadable, OSError, UnicodeDecodeError) as error:
            unreadable.add(file, error)
            continue
        readable = True
        yield sample, file
    unreadable.raise_if_unwanted()
    if not readable:
        raise BadData(f"some files must be readable, got none of {len(files)}; {remedy}")


def _check_content(path: Path) -> None:
    """Raise Unreadable for a file that is empty, or only names another."""
    with path.open("rb") as file:
        head = file.read(len(POINTER))
    if not head:
        raise Unreadable("an empty file")
    if head == POINTER:
        raise Unreadable("a pointer of Git LFS: `git lfs pull` fetches the file itself")


def read_arrays(
    files: Sequence[LabelledFile],
    unreadable: UnreadableFiles,
    decode: Callable[[LabelledFile], Sequence[np.ndarray]],
    scratch: ScratchSpace,
) -> LabelledSamples:
    """Read every file into one array [n, *shape]; `decode` gives rows, all of one shape and type.

    Rows of one file are a group, where a file has several.

    Raises:
        BadData: as `decode_files`.
    """
    writer = RowWriter(scratch)
    labels: list[int] = []
    groups: list[int] = []
    names: list[str] = []
    decoded = decode_files(files, decode, unreadable, f"look at {files[0].name}")
    for number, (rows, file) in enumerate(decoded):
        for row in rows:
            writer.add(row)
        labels += [file.label] * len(rows)
        groups += [number] * len(rows)
        names += [file.name] * len(rows)
    several = len(groups) and len(groups) > groups[-1] + 1
    return LabelledSamples(
        writer.finish(),
        np.array(labels, np.int64),
        np.array(groups, np.int64) if several else None,
        places=make_texts(names),
    )
