"""What anybody may send to a model that is served: rows by name, arrays, lists, texts, files in base64."""

import base64
import binascii
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pipeline.data.features import Columns, LogMel
from pipeline.data.readers import images, sounds
from pipeline.data.readers.encodings import clean_text
from pipeline.data.readers.folders import Unreadable
from pipeline.data.samples import Batch
from pipeline.data.tables.read_columns import read_batch
from pipeline.errors import BadRequest, format_one_line
from pipeline.formatting import shorten
from pipeline.models.serving.description import ModelDescription

BASE64_KEY = "b64"
"""TensorFlow Serving writes a file as {"b64": "..."}."""
FLOAT_PEAK = 2.0
"""Floats up to this are sounds of -1..1; others have the range of int16."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Samples as a model takes them. `excerpts`: how many rows each sample is, int64 [n]; None: one each."""

    samples: Batch
    excerpts: np.ndarray | None = None


def read_request(sent: Any, description: ModelDescription) -> ModelRequest:
    """Read what was sent: a DataFrame, a dict of columns, a list of rows or samples, an array, or one sample.

    Raises:
        BadRequest: it is not what the model answers to; the text is one line.
    """
    try:
        match description.front:
            case Columns():
                return ModelRequest(_read_rows(_collect_columns(sent), description))
            case LogMel():
                return _read_sounds(_list_items(sent), description.front)
            case None:
                return ModelRequest(_read_arrays(_list_items(sent), description))
            case _:
                return ModelRequest(_read_texts(_list_items(sent, description.text)))
    except (TypeError, ValueError, OverflowError) as error:
        _refuse(f"it cannot be read ({format_one_line(str(error))[:120]}); see the model's input example")


def _refuse(text: str) -> NoReturn:
    raise BadRequest(f"a request must be what the model answers to: {text}")


# ---- rows by name -----------------------------------------------------------------------------------------


def _collect_columns(sent: Any) -> dict[str, list[Any]]:
    """Return the cells of rows by column."""
    if hasattr(sent, "columns"):  # a DataFrame
        return _spread_lists({str(name): _list_cells(sent[name]) for name in sent.columns})
    if isinstance(sent, Mapping):
        return _spread_lists(
            {
                str(name): [cells]
                if isinstance(cells, str) or not hasattr(cells, "__len__")
                else _list_cells(cells)
                for name, cells in sent.items()
            }
        )
    if isinstance(sent, list | tuple) and sent and all(isinstance(row, Mapping) for row in sent):
        names = dict.fromkeys(chain.from_iterable(sent))
        return {str(name): [row.get(name) for row in sent] for name in names}
    return {}


def _list_cells(column: Any) -> list[Any]:
    if hasattr(column, "isna"):  # of pandas, which has several things for a missing cell
        column = column.astype(object).where(~column.isna(), None)
    return list(column.tolist() if hasattr(column, "tolist") else column)


def _spread_lists(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the rows of columns that came as one row of lists, as MLflow makes of columns of text alone."""
    if all(len(cells) == 1 and isinstance(cells[0], list) for cells in columns.values()):
        return {name: cells[0] for name, cells in columns.items()}
    return columns


def _read_rows(cells: dict[str, list[Any]], description: ModelDescription) -> Batch:
    types = description.list_columns()
    missing = [column.name for column in types if column.name not in cells]
    if missing:
        names = ", ".join(column.name for column in types[:12])
        got = ", ".join(cells) or "none"
        _refuse(f"rows with the columns {names}; without {', '.join(missing[:5])}, got {shorten(got, 120)}")
    lengths = {column.name: len(cells[column.name]) for column in types}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:5])
        _refuse(f"columns of one length, got {counted}")
    batch, mistaken = read_batch(types, cells, description.get_categories())
    for name, rows in mistaken.items():
        row = int(np.flatnonzero(rows)[0])
        _refuse(
            f"column {name} holds {_describe_column(description, name)}, "
            f"got {shorten(format_one_line(repr(cells[name][row])), 60)} in row {row + 1}; "
            "send null for an empty cell"
        )
    return batch


def _describe_column(description: ModelDescription, name: str) -> str:
    column = next(column for column in description.list_columns() if column.name == name)
    return f"dates ({column.date})" if column.date else "numbers"


# ---- samples one by one -----------------------------------------------------------------------------------


def _list_items(sent: Any, name: str | None = None) -> Any:
    """Return the samples: an array [n, ...], or a list of what stands for one. `name`: of their column."""
    first = sent[0] if isinstance(sent, list | tuple) and sent else sent
    if hasattr(sent, "columns") or (isinstance(first, Mapping) and BASE64_KEY not in first):
        columns = _collect_columns(sent)
        if name in columns:
            return columns[str(name)]
        if len(columns) == 1:
            (cells,) = columns.values()
            return cells
        if len({len(cells) for cells in columns.values()}) != 1:
            _refuse(f"columns of one length, got {', '.join(list(columns)[:12]) or 'none'}")
        return [list(row) for row in zip(*columns.values(), strict=True)]
    if isinstance(sent, np.ndarray):
        return sent.tolist() if sent.dtype == object else sent
    if isinstance(sent, str | bytes | Mapping) or not hasattr(sent, "__len__"):
        return [sent]
    return list(sent)


def _read_texts(items: Any) -> Batch:
    texts = np.empty(len(items), object)
    for row, item in enumerate(items):
        text = item[0] if isinstance(item, list) and len(item) == 1 else item
        if isinstance(text, bytes):
            text = text.decode()
        if text is not None and not isinstance(text, str):
            _refuse(f"texts, got {shorten(repr(item), 60)} in row {row + 1}")
        texts[row] = clean_text(text or "").strip()
    return texts


def _read_file(item: Any) -> bytes | None:
    """Return the content of a file that was sent in base64, or as it is; None for anything else."""
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str | bytes | Mapping):
        item = item[0]
    if isinstance(item, Mapping):
        item = item.get(BASE64_KEY)
        if not isinstance(item, str):
            _refuse('a file is {"b64": "..."}, or its base64 alone')
    if isinstance(item, str):
        try:
            return base64.b64decode(item.partition("base64,")[2] or item, validate=False)
        except (binascii.Error, ValueError):
            _refuse(f"numbers, or files in base64, got the text {shorten(item, 40)!r}")
    return item if isinstance(item, bytes) else None


# ---- arrays -----------------------------------------------------------------------------------------------


def _read_arrays(items: Any, description: ModelDescription) -> np.ndarray:
    """Return float32 [n, *shape] of samples flat or shaped, of any type of numbers, or of files of images."""
    shape = description.shape
    array = _convert_to_array(items)
    if array is None:
        contents = [_read_file(item) for item in items]
        rows = [_read_image(content, number, description) for number, content in enumerate(contents, 1)]
        return np.stack(rows).reshape(-1, *shape)
    if fits_shape(array.shape, shape) and array.shape[0] != 1:
        array = array[None]  # one sample
    if len(array) == 0 or not fits_shape(array.shape[1:], shape):
        _refuse(f"samples of shape {_write_shape(shape)}, or flat, got an array {_write_shape(array.shape)}")
    if not np.isfinite(array).all():
        _refuse("numbers, got NaN, null or infinity")
    return array.reshape(-1, *shape).astype(np.float32)


def _convert_to_array(items: Any) -> np.ndarray | None:
    """Return an array of numbers, also of numbers as text; None where they are something else."""
    try:
        array = np.asarray(items)
        if array.dtype.kind in "OUS":  # text, as in CSV, or null
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None


def fits_shape(got: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Return whether an array is one sample: flat, or of this shape but for sides of 1."""
    flat = len(got) == 1 and got[0] == np.prod(shape)
    return flat or [side for side in got if side != 1] == [side for side in shape if side != 1]


def _write_shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _read_image(content: bytes | None, number: int, description: ModelDescription) -> np.ndarray:
    form, shape = description.images, description.shape
    if content is None:
        _refuse(
            f"numbers in arrays of one shape {_write_shape(shape)}, or files, got neither in row {number}"
        )
    if form is None:
        _refuse(f"numbers of shape {_write_shape(shape)}; it was not trained on files of images")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(content)
        try:
            array = images.decode_image(path, form, lambda _: None)
        except Unreadable as error:
            _refuse(f"files of images, got one that cannot be read in row {number} ({_first_line(error)})")
    if not fits_shape(array.shape, shape):
        size = f"{array.shape[0]}x{array.shape[1]}"
        _refuse(f"images of {shape[0]}x{shape[1]} (height x width), got {size} in row {number}")
    return array.reshape(shape)


def _first_line(error: Exception) -> str:
    return format_one_line(shorten(next(iter(str(error).splitlines()), type(error).__name__), 120))


# ---- sounds -----------------------------------------------------------------------------------------------


def _read_sounds(items: Any, front: LogMel) -> ModelRequest:
    """Return excerpts int16 of waveforms (floats in -1..1 or int16) or of files, of any length."""
    is_wave = len(items) and np.ndim(items[0]) == 0 and not isinstance(items[0], str | bytes | Mapping)
    rows, counts = [], []
    for number, item in enumerate([items] if is_wave else items, 1):
        content = _read_file(item)
        wave = _read_wave(item, number) if content is None else _decode_sound(content, number, front)
        excerpts = cut_sound(wave, front.samples)
        rows += excerpts
        counts.append(len(excerpts))
    if not rows:
        _refuse("one sound or more, got none")
    return ModelRequest(np.stack(rows), np.array(counts, np.int64))


def _read_wave(item: Any, number: int) -> np.ndarray:
    array = _convert_to_array(item)
    if array is None:
        _refuse(f"numbers or files in base64, got {shorten(format_one_line(repr(item)), 60)} in row {number}")
    wave = np.squeeze(array)
    if wave.ndim != 1 or not len(wave):
        _refuse(f"sounds of one channel, got an array {_write_shape(np.shape(item))} in row {number}")
    if not np.isfinite(wave).all():
        _refuse(f"numbers, got NaN, null or infinity in row {number}")
    is_whole = bool((wave == np.rint(wave)).all())
    scale = 1 if not is_whole and np.abs(wave).max() <= FLOAT_PEAK else 1 / sounds.FULL_SCALE
    return np.asarray(wave * scale, np.float32)


def _decode_sound(content: bytes, number: int, front: LogMel) -> np.ndarray:
    try:
        wave, rate = sounds.decode_sound(io.BytesIO(content))
        return sounds.resample(wave, rate, front.rate)
    except Unreadable as error:
        _refuse(f"files of sound, got one that cannot be read in row {number} ({_first_line(error)})")


def cut_sound(wave: np.ndarray, samples: int) -> list[np.ndarray]:
    """Cut a sound in -1..1 into the excerpts int16 [samples] that a model is asked, as training does."""
    excerpts = list(sounds.cut_excerpts(wave, samples))
    return sounds.drop_silence(excerpts) or excerpts[:1]
