"""New samples in files: a folder of any shape, one file, an archive, or a list; labels are optional."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.readers import archives
from pipeline.data.readers.encodings import decode_text, detect_encoding
from pipeline.data.readers.file_list import LABELS, PATHS, find_file
from pipeline.data.readers.file_list import SUFFIXES as LIST_SUFFIXES
from pipeline.data.readers.folder_files import walk_files
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import CHUNK_NUMBERS
from pipeline.errors import BadData, DataMissing, read_reason
from pipeline.files import expand_home
from pipeline.models.serving.inputs import NewBatch, NewData
from pipeline.models.serving.requests import ModelRequest

FILES = 512
"""Most files of one batch."""
Decode = Callable[[Path], list[np.ndarray]]
"""Returns the rows of one file: several for a long sound. Raises as `folders.decode_files` allows."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file, its name for a person, and its label; "" for none."""

    path: Path
    name: str
    label: str = ""


def open_files(
    files: Sequence[NewFile], decode: Decode, findings: Findings, has_excerpts: bool = False
) -> NewData:
    """Return the samples of files, batch by batch. `has_excerpts`: a file may be several rows."""
    batches = _read_batches(files, decode, findings, has_excerpts)
    has_labels = any(file.label for file in files)
    return NewData(name="file", total=len(files), batches=batches, has_labels=has_labels)


def find_files(
    path: str,
    suffixes: Sequence[str],
    classes: Sequence[str],
    scratch: ScratchSpace,
    findings: Findings,
) -> list[NewFile]:
    """Find the files that `data.path` names. A folder that is called as a class labels the files in it.

    Raises:
        DataMissing: there is nothing of that name.
        BadData: there is no file of these kinds in it.
    """
    root = expand_home(path)
    if root.is_file() and root.suffix.lower() in suffixes:
        return [NewFile(root, root.name)]
    if root.is_file() and root.suffix.lower() in LIST_SUFFIXES:
        return _read_list(root, findings)
    if root.is_file() and archives.is_archive(root):
        folder = scratch.make_path()
        archives.unpack(root, folder, findings)
        root = folder
    if not root.is_dir():
        got = "which is a file of another kind" if root.exists() else "which is not there"
        raise DataMissing(
            f"data.path must be a file ({', '.join(suffixes[:4])} ...), a folder or an archive of them, or a "
            f"list (.csv with a column path), got {root}, {got}; set data.path=..."
        )
    files = []
    for file in walk_files(root, suffixes, findings):
        label = next((folder for folder in file.folders if folder in classes), "")
        files.append(NewFile(file.path, file.name, label))
    if not files:
        raise BadData(f"{path} must hold files ({', '.join(suffixes[:6])} ...), got none; set data.path=...")
    return files


def _read_list(path: Path, findings: Findings) -> list[NewFile]:
    try:
        content = path.read_bytes()
        text, _ = decode_text(content, detect_encoding([content]))
        separator = max("\t;,", key=text.partition("\n")[0].count)
        rows = list(csv.DictReader(io.StringIO(text), delimiter=separator, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} must be a list of files (CSV), got: {error}; write it as UTF-8") from None
    names = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    column = next((names[name] for name in PATHS if name in names), None)
    if column is None:
        raise BadData(
            f"{path} must have a header with a column of paths ({', '.join(PATHS[:4])}), got "
            f"{', '.join(names) or 'no rows'}; name the column so"
        )
    label = next((names[name] for name in LABELS if name in names), "")
    cells = [((row[column] or "").strip(), (row.get(label) or "").strip()) for row in rows]
    return [NewFile(find_file(path.parent, name, findings), name, word) for name, word in cells if name]


def _read_batches(
    files: Sequence[NewFile], decode: Decode, findings: Findings, has_excerpts: bool
) -> Iterator[NewBatch]:
    waiting: list[tuple[NewFile, list[np.ndarray]]] = []
    size, readable = 0, 0
    for file in files:
        try:
            if file.path.stat().st_size == 0:
                raise Unreadable("an empty file")
            rows = decode(file.path)
        except (Unreadable, OSError, UnicodeDecodeError) as error:
            findings.add("file", "left out: it cannot be read", _describe(file, error))
            continue
        readable += 1
        waiting.append((file, rows))
        size += sum(row.size for row in rows)
        if size >= CHUNK_NUMBERS or len(waiting) >= FILES:
            yield _make_batch(waiting, has_excerpts)
            waiting, size = [], 0
    if waiting:
        yield _make_batch(waiting, has_excerpts)
    if not readable:
        described = next(
            each.example for each in findings.to_tuple() if each.text.startswith("left out: it c")
        )
        raise BadData(f"some files must be readable, got none of {len(files)}; the first: {described}")


def _describe(file: NewFile, error: Exception) -> str:
    return f"{file.name}: {read_reason(error)[:120]}"


def _make_batch(waiting: list[tuple[NewFile, list[np.ndarray]]], has_excerpts: bool) -> NewBatch:
    rows = [row for _, rows in waiting for row in rows]
    counts = np.array([len(rows) for _, rows in waiting], np.int64) if has_excerpts else None
    names, labels = [file.name for file, _ in waiting], [file.label for file, _ in waiting]
    return NewBatch(names, ModelRequest(np.stack(rows), counts), labels)
