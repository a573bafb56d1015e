"""The words for new data: their kind, by what the model takes and what lies there, and no label."""

from contextlib import suppress
from pathlib import Path

from pipeline.cli import arguments
from pipeline.data.features import Columns, LogMel
from pipeline.data.readers import images
from pipeline.data.readers.file_list import SUFFIXES as LIST_SUFFIXES
from pipeline.data.readers.file_list import read_list_cells
from pipeline.data.sources import text_folder
from pipeline.errors import BadData
from pipeline.files import expand_home
from pipeline.models.serving.description import ModelDescription
from pipeline.settings.command_line import Overrides

ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".mat")
IDX = ("idx", "ubyte")
"""What names of IDX files have in them."""
A_LINE_EACH = ("csv", "rt_polarity")
"""Kinds whose texts are rows, so that each line of a .txt is one; of other kinds the whole file is."""
LABEL = "data.label=label"
"""Where new data have labels; nobody needs to name a column of what they need not have."""


def complete_words(
    words: Overrides, of_run: str, typed: Overrides, description: ModelDescription | None
) -> Overrides:
    """Return the words of a model's run and those that were typed, completed for new data.

    `of_run`: the kind of data that the run had. That of the new data is the one that was typed, else the one
    that suits the model and what lies at `data.path`; where it is another, the run's words for its data are
    left out.
    """
    path, kind = _read_value(typed, "data.path"), _read_value(typed, "data")
    if kind is None and path is not None and description is not None:
        kind = choose_kind(description, of_run, expand_home(path))
    if kind is None or kind == of_run:
        return Overrides((*words, *typed))
    label = (LABEL,) if kind == "csv" else ()
    return Overrides((*words.without("data"), f"data={kind}", *label, *typed))


def _read_value(words: Overrides, key: str) -> str | None:
    word = words.find(key)
    return None if word is None else str(arguments.parse(word).value())


def choose_kind(description: ModelDescription, of_run: str, path: Path) -> str:
    """Return the kind of new data at `path` that a model can answer to. `of_run`: that of training."""
    if isinstance(description.front, Columns):
        return "csv"
    if isinstance(description.front, LogMel):
        return "audio_folder"
    if description.front is not None:
        return "text_folder" if _holds_texts(path, of_run) else "csv"
    name, inside = path.name.lower(), [path.name.lower()]
    if path.is_dir():
        inside = [entry.name.lower() for entry in path.iterdir()]
    if name.endswith(images.SUFFIXES) or _is_list(path):
        return "image_folder"
    if any(entry.endswith(ARRAYS) for entry in inside):
        return "arrays"
    if any(part in entry for entry in inside for part in IDX):
        return "idx"
    if description.images is None or (of_run in ("arrays", "idx") and not _holds_images(path)):
        return of_run
    return "image_folder"


def _holds_texts(path: Path, of_run: str) -> bool:
    """Return whether each file is a text, and not each row."""
    suffix = path.suffix.lower()
    if path.is_dir() or _is_list(path):
        return True
    if suffix in text_folder.SUFFIXES:
        return suffix != ".txt" or of_run not in A_LINE_EACH
    return of_run == "text_folder" and suffix not in LIST_SUFFIXES


def _holds_images(path: Path) -> bool:
    return any(file.name.lower().endswith(images.SUFFIXES) for file in path.rglob("*"))


def _is_list(path: Path) -> bool:
    """Return whether a file is a list of other files, and the first of them is there."""
    if path.suffix.lower() not in LIST_SUFFIXES or not path.is_file():
        return False
    with suppress(BadData, OSError):
        _, rows = read_list_cells(path)
        return any(_is_file(path.parent / name) for name in list(rows)[:1])
    return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a name: it is a text
        return False
