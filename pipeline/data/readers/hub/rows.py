"""Rows of the Hugging Face package `datasets`: opened, their columns chosen, each as a file to be read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from pipeline.data.readers.file_tree import LabelledFile
from pipeline.data.readers.split_names import find_split
from pipeline.data.report import Findings
from pipeline.errors import BadData, BadSetting, DataMissing, format_one_line, read_first_line
from pipeline.files import expand_home
from pipeline.settings.data import Datasets

LABELS = ("label", "labels", "class", "category", "target", "y")
NUMBERS_OF_ROWS = ("idx", "id", "index", "__index_level_0__")
"""Columns that only count the rows; they are left out where nobody asks for them."""
BUILDERS = {".parquet": "parquet", ".arrow": "arrow", ".jsonl": "json", ".json": "json", ".csv": "csv"}
SAVED = ("dataset_dict.json", "state.json")
"""What `save_to_disk` writes into a folder."""
Splits = dict[str, Any]
"""Data sets of the package by split: `train`, and `validation` and `test` where there are any."""


def import_package(data: Datasets) -> Any:
    """Import the package.

    Raises:
        BadSetting: it is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise BadSetting(
            f"data=datasets needs the package datasets, got none for data.name={data.name}; "
            "install it with: pip install datasets"
        ) from None
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    return datasets


def open_splits(data: Datasets, data_dir: Path, findings: Findings) -> Splits:
    """Open a data set of the Hub, a folder that `save_to_disk` wrote, or one of shards.

    Raises:
        BadSetting: the package is not installed.
        DataMissing: there is no such set, or it cannot be fetched.
        BadData: it has no rows for training.
    """
    package = import_package(data)
    try:
        opened = _open(package, data, str(data_dir / "datasets"))
    except Exception as error:  # of many kinds: no such set, no connection, a file that cannot be read
        raise DataMissing(
            "data.name must be a set of the Hugging Face Hub, or a folder with one (save_to_disk, or shards "
            f"of parquet, arrow or JSON), got {data.name} "
            f"({format_one_line(read_first_line(error))[:160]}); set data.name=..."
        ) from None
    if not isinstance(opened, Mapping):
        return {"train": opened}
    splits: Splits = {}
    for name, split in opened.items():
        role = find_split(str(name))
        if role is None or role in splits:
            findings.add("split", "left out: neither train, validation nor test", str(name))
        else:
            splits[role] = split
    if "train" not in splits:
        raise BadData(f"data.name must be a set with a train split, got {', '.join(opened)} in {data.name}")
    return splits


def _open(package: Any, data: Datasets, cache: str) -> Any:
    path = expand_home(data.name)
    if any((path / name).is_file() for name in SAVED):
        return package.load_from_disk(str(path))
    if path.is_file():
        return package.load_dataset(
            BUILDERS.get(path.suffix.lower(), "text"), data_files=str(path), cache_dir=cache
        )
    name = str(path) if path.is_dir() else data.name
    return package.load_dataset(name, data.config, cache_dir=cache)


def list_files(data: Datasets, splits: Splits) -> list[Path]:
    """List the files that hold the rows: those of the user's folder, else those that the package keeps."""
    path = expand_home(data.name)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if path.is_file():
        return [path]
    return [Path(file["filename"]) for split in splits.values() for file in split.cache_files]


# ---- columns ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """The column that is learned, those that are learned from, and what these are.

    `kind`: image, audio, text, array or table.
    """

    label: str
    inputs: tuple[str, ...]
    kind: str


def choose_columns(features: Any, data: Datasets) -> ColumnRoles:
    """Choose columns by the settings, and what they hold by their types.

    Raises:
        BadData: a column is not there, or nobody can tell which of several is meant.
    """
    names = list(features)
    label = _choose_label(features, data)
    if missing := [name for name in data.features or () if name not in names]:
        raise BadData(
            f"data.features must be columns of {data.name}, got {missing[0]}; it has {_list(names)}"
        )
    inputs = data.features or [name for name in names if name != label]
    kinds = {name: type(features[name]).__name__ for name in inputs}
    for kind, word in (("Image", "image"), ("Audio", "audio")):
        media = [name for name in inputs if kinds[name] == kind]
        if len(media) > 1 or (media and data.features and len(inputs) > 1):
            raise BadData(
                f"data.features must be one column of the kind {word}, got {_list(inputs)}; name one"
            )
        if media:
            return ColumnRoles(label, (media[0],), word)
    if data.features is None:
        inputs = [name for name in inputs if name.lower() not in NUMBERS_OF_ROWS] or inputs
    if not inputs:
        raise BadData(
            f"{data.name} must have a column beside its label {label}, got none; set data.label=..."
        )
    if len(inputs) == 1 and _is_text(features[inputs[0]]):
        return ColumnRoles(label, (inputs[0],), "text")
    if len(inputs) == 1 and kinds[inputs[0]] not in ("Value", "ClassLabel"):
        return ColumnRoles(label, (inputs[0],), "array")
    return ColumnRoles(label, tuple(inputs), "table")


def _choose_label(features: Any, data: Datasets) -> str:
    names = list(features)
    if data.label is not None:
        if data.label not in names:
            raise BadData(
                f"data.label must be a column of {data.name}, got {data.label}; it has {_list(names)}"
            )
        return data.label
    classes = [name for name in names if type(features[name]).__name__ == "ClassLabel"]
    usual = [name for name in LABELS if name in names]
    for candidates in (classes, usual):
        if len(candidates) == 1:
            return candidates[0]
    raise BadData(
        f"data.label must name the column that is learned, got null and {_list(names)}; set data.label=..."
    )


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("string", "large_string")


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(format_one_line, names[:12]))


def read_column(split: Any, name: str) -> Any:
    """Return the cells of a column, a pyarrow chunked array [n]."""
    return split.select_columns([name]).with_format("arrow")[:].column(name)


# ---- rows as files ----------------------------------------------------------------------------------------


class RowFiles(Sequence[LabelledFile]):
    """Images or sounds of a split; while one is looked at, its bytes are in a file of their own.

    `labels`: the number of each row's class; `folder`: where that file is, one at a time.
    """

    def __init__(self, split: str, cells: Any, column: str, labels: Sequence[int], folder: Path) -> None:
        self._split, self._cells, self._column = split, cells, column
        self._labels, self._folder = labels, folder

    def __len__(self) -> int:
        return len(self._labels)

    @overload
    def __getitem__(self, row: int) -> LabelledFile: ...
    @overload
    def __getitem__(self, row: slice) -> "Sequence[LabelledFile]": ...
    def __getitem__(self, row: int | slice) -> "LabelledFile | Sequence[LabelledFile]":
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        cell = self._cells[row][self._column] or {}
        name = f"{self._split}[{row}]"
        if cell.get("bytes") is None:
            return LabelledFile(Path(cell.get("path") or self._folder / "absent"), self._labels[row], name)
        path = self._folder / "row"
        path.write_bytes(cell["bytes"])
        return LabelledFile(path, self._labels[row], name)

    def __iter__(self) -> Iterator[LabelledFile]:
        return (self[row] for row in range(len(self)))
