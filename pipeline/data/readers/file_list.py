"""A list of files: a table with a column of paths, one of classes and, where there is one, one of splits."""

import csv
import io
from pathlib import Path, PureWindowsPath

from pipeline.data.readers.encodings import decode_text, detect_encoding
from pipeline.data.readers.file_tree import FileTree, make_tree
from pipeline.data.readers.folder_files import name_file
from pipeline.data.readers.quantities import OFFER, parse_quantity
from pipeline.data.readers.split_names import find_split
from pipeline.data.report import Findings
from pipeline.errors import BadData
from pipeline.formatting import format_count

LONGEST_CELL = 65_536
"""Letters of a path or a label."""
PATHS = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "audio",
    "text",
    "image_path",
    "img_path",
)
LABELS = ("label", "class", "category", "target")
SPLITS = ("split", "set", "subset")
SUFFIXES = (".csv", ".tsv", ".txt")
MANY, ROWS_OF_A_CLASS = 20, 10
"""More different numbers than this, each of fewer files, are quantities."""


def read_list(path: Path, findings: Findings, quantities: bool = False) -> FileTree:
    """Read a list of files; paths in it begin in its own folder, unless they are absolute.

    `quantities`: labels are numbers; a split may have some that the training split has not.

    Raises:
        BadData: it has no column of paths or labels, a cell is empty, or there are fewer than two classes.
    """
    try:
        content = path.read_bytes()
        text, _ = decode_text(content, detect_encoding([content]))
        return _read_rows(path, text, findings, quantities)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} must be a list of files (CSV), got: {error}; write it as UTF-8") from None


def read_list_cells(path: Path) -> tuple[tuple[str, ...], dict[str, dict[str, str]]]:
    """Return the names of all columns of a list of files, and its rows by the names of their files.

    Raises:
        BadData: it cannot be read, or has no column of paths.
    """
    try:
        content = path.read_bytes()
        text, _ = decode_text(content, detect_encoding([content]))
        table = _open_list(text)
        names = tuple(name for name in table.fieldnames or () if name)
        path_column = _pick_column(path, {_fold(name): name for name in names}, PATHS, "paths")
        rows = {}
        for row in table:
            file = find_file(path.parent, (row[path_column] or "").strip(), Findings())
            rows[name_file(file, path)] = {name: (row[name] or "").strip() for name in names}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} must be a list of files (CSV), got: {error}; write it as UTF-8") from None
    return names, rows


def _open_list(text: str) -> "csv.DictReader[str]":
    separator = max("\t;,", key=text.partition("\n")[0].count)
    return csv.DictReader(io.StringIO(text), delimiter=separator, skipinitialspace=True)


def _fold(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _read_rows(path: Path, text: str, findings: Findings, quantities: bool) -> FileTree:
    table = _open_list(text)
    columns = {_fold(name): name for name in table.fieldnames or ()}
    path_column = _pick_column(path, columns, PATHS, "paths")
    label_column = _pick_column(path, columns, LABELS, "labels")
    split_column = next((columns[name] for name in SPLITS if name in columns), None)
    named: dict[str, list[tuple[str, Path]]] = {"train": []}
    for row in table:
        # Not left to the bound of `csv`, which belongs to the process and which reading a table raises.
        if any(len(cell or "") > LONGEST_CELL for cell in (row[path_column], row[label_column])):
            raise csv.Error(f"line {table.line_num} has a cell of more than {LONGEST_CELL:,} letters")
        name, label = ((row[column] or "").strip() for column in (path_column, label_column))
        if not name or not label:
            raise BadData(
                f"{path} must have a path and a label in each row, got none in line {table.line_num}; "
                "fill it in or remove the row"
            )
        split = "train" if split_column is None else _read_split(path, row[split_column], table.line_num)
        named.setdefault(split, []).append((label, find_file(path.parent, name, findings)))
    _drop_repeated_lines(named, findings)
    if quantities:
        return make_tree(
            path, named, tuple(sorted({label for files in named.values() for label, _ in files}))
        )
    classes = tuple(sorted({label for label, _ in named["train"]}))
    _refuse_quantities(path, classes, len(named["train"]))
    if len(classes) < 2:
        raise BadData(f"{path} must name files of two classes or more, got {len(classes)}; add some")
    return make_tree(path, named, classes)


def find_file(folder: Path, name: str, findings: Findings) -> Path:
    """Return the path that a list written in `folder` names, also as Windows writes it.

    Raises:
        BadData: it is that of a device, pipe or socket, which may have no end.
    """
    path = folder / name
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BadData(f"a list must name files, got a device, pipe or socket: {name}; remove its row")
    if "\\" in name and not path.exists():
        findings.add("path", "of Windows read with / in place of \\", name)
        return folder / PureWindowsPath(name).as_posix()
    return path


def _refuse_quantities(path: Path, classes: tuple[str, ...], rows: int) -> None:
    """Raise BadData where labels are many different numbers, each of a few files."""
    numbers = [parse_quantity(name) for name in classes]
    if len(classes) <= MANY or None in numbers:
        return
    if rows < ROWS_OF_A_CLASS * len(classes) or any(number % 1 for number in numbers if number is not None):
        raise BadData(
            f"{path} names {len(classes):,} different numbers as labels of {format_count(rows, 'file')}: "
            f"{OFFER}; or cut "
            "them into classes"
        )


def _pick_column(path: Path, columns: dict[str, str], known: tuple[str, ...], what: str) -> str:
    for name in known:
        if name in columns:
            return columns[name]
    raise BadData(
        f"{path} must have a header with a column of {what} ({', '.join(known[:4])}), got "
        f"{', '.join(list(columns)[:6]) or 'nothing'}; name the column so, or "
        "read a table that holds the samples themselves with data=csv"
    )


def _read_split(path: Path, cell: str | None, line: int) -> str:
    split = find_split(cell or "")
    if split is None:
        raise BadData(
            f"{path} must name a split in each row (train, validation or test), got {cell!r} in line {line}; "
            "mend it or rename the column"
        )
    return split


def _drop_repeated_lines(named: dict[str, list[tuple[str, Path]]], findings: Findings) -> None:
    for split, files in named.items():
        unique = list(dict.fromkeys(files))
        findings.add("line", "left out: repeats another of the list", count=len(files) - len(unique))
        named[split] = unique
