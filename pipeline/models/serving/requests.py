"""What anybody may send to a model that is served: rows by name, arrays, lists, texts, files in base64."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from pipeline.data.features import Columns, LogMel
from pipeline.data.readers.encodings import clean_text
from pipeline.data.report import Findings
from pipeline.data.samples import Batch
from pipeline.data.tables.read_columns import read_batch
from pipeline.errors import format_one_line
from pipeline.formatting import shorten
from pipeline.models.serving.decoding import (
    BASE64_KEY,
    convert_to_array,
    cut_sound,
    decode_sound,
    fits_shape,
    format_shape,
    read_file,
    read_image,
    read_wave,
    refuse,
)
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.table_columns import UNKNOWN_WORDS, tell_unused


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Samples as a model takes them. `excerpts`: how many rows each sample is, int64 [n]; None: one each.

    `notes`: a line for each thing that was sent and changes no answer, as `predict` prints them.
    """

    samples: Batch
    excerpts: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def read_request(sent: Any, description: ModelDescription) -> ModelRequest:
    """Read what was sent: a DataFrame, a dict of columns, a list of rows or samples, an array, or one sample.

    Raises:
        BadRequest: it is not what the model answers to; the text is one line.
    """
    try:
        match description.front:
            case Columns():
                cells = _collect_columns(sent)
                rows = _read_rows(cells, description)
                return ModelRequest(rows, notes=_describe_rows(cells, rows, description))
            case LogMel():
                return _read_sounds(_list_items(sent), description.front)
            case None:
                return ModelRequest(_read_arrays(_list_items(sent), description))
            case _:
                texts = _read_texts(_list_items(sent, description.text))
                return ModelRequest(texts, notes=_describe_others(sent, description.text))
    except (TypeError, ValueError, OverflowError) as error:
        refuse(f"it cannot be read ({format_one_line(str(error))[:120]}); see the model's input example")


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
        refuse(f"rows with the columns {names}; without {', '.join(missing[:5])}, got {shorten(got, 120)}")
    lengths = {column.name: len(cells[column.name]) for column in types}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:5])
        refuse(f"columns of one length, got {counted}")
    batch, mistaken = read_batch(types, cells, description.get_categories())
    for name, rows in mistaken.items():
        row = int(np.flatnonzero(rows)[0])
        refuse(
            f"column {name} holds {_describe_column(description, name)}, "
            f"got {shorten(format_one_line(repr(cells[name][row])), 60)} in row {row + 1}; "
            "send null for an empty cell"
        )
    return batch


def _describe_rows(
    cells: Mapping[str, list[Any]], rows: Batch, description: ModelDescription
) -> tuple[str, ...]:
    """Return a line for the columns that are not used, and one for each with words unknown to the model."""
    findings = Findings()
    used = [column.name for column in description.list_columns()]
    tell_unused(list(cells), used, description.left_out, findings)
    for name, words in description.get_categories().items():
        expected = {"", *words}
        unknown = [word for word in rows[name].tolist() if word not in expected]
        example = shorten(repr(unknown[0]), 40) if unknown else ""
        findings.add("cell", UNKNOWN_WORDS.format(name), example, len(unknown))
    return _list_notes(findings)


def _list_notes(findings: Findings) -> tuple[str, ...]:
    return tuple(format_one_line(str(finding)) for finding in findings.to_tuple())


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
            refuse(f"columns of one length, got {', '.join(list(columns)[:12]) or 'none'}")
        return [list(row) for row in zip(*columns.values(), strict=True)]
    if isinstance(sent, np.ndarray):
        return sent.tolist() if sent.dtype == object else sent
    if isinstance(sent, str | bytes | Mapping) or not hasattr(sent, "__len__"):
        return [sent]
    return list(sent)


def _describe_others(sent: Any, name: str | None) -> tuple[str, ...]:
    """Return a line for the columns beside `name`, that of texts."""
    if hasattr(sent, "columns"):
        names = [str(column) for column in sent.columns]
    else:
        rows = sent if isinstance(sent, list | tuple) else [sent]
        names = [str(key) for row in rows if isinstance(row, Mapping) for key in row]
    findings = Findings()
    if name in names:
        tell_unused(list(dict.fromkeys(names)), [str(name)], (), findings)
    return _list_notes(findings)


def _read_texts(items: Any) -> Batch:
    texts = np.empty(len(items), object)
    for row, item in enumerate(items):
        text = item[0] if isinstance(item, list) and len(item) == 1 else item
        if isinstance(text, bytes):
            text = text.decode()
        if text is not None and not isinstance(text, str):
            refuse(f"texts, got {shorten(repr(item), 60)} in row {row + 1}")
        texts[row] = clean_text(text or "").strip()
    return texts


# ---- arrays -----------------------------------------------------------------------------------------------


def _read_arrays(items: Any, description: ModelDescription) -> np.ndarray:
    """Return float32 [n, *shape] of samples flat or shaped, of any type of numbers, or of files of images."""
    shape = description.shape
    array = convert_to_array(items)
    if array is None:
        contents = [read_file(item) for item in items]
        rows = [read_image(content, number, description) for number, content in enumerate(contents, 1)]
        return np.stack(rows).reshape(-1, *shape)
    if fits_shape(array.shape, shape) and array.shape[0] != 1:
        array = array[None]  # one sample
    if len(array) == 0 or not fits_shape(array.shape[1:], shape):
        refuse(f"samples of shape {format_shape(shape)}, or flat, got an array {format_shape(array.shape)}")
    if not np.isfinite(array).all():
        refuse("numbers, got NaN, null or infinity")
    return array.reshape(-1, *shape).astype(np.float32)


# ---- sounds -----------------------------------------------------------------------------------------------


def _read_sounds(items: Any, front: LogMel) -> ModelRequest:
    """Return excerpts int16 of waveforms (floats in -1..1 or int16) or of files, of any length."""
    is_wave = len(items) and np.ndim(items[0]) == 0 and not isinstance(items[0], str | bytes | Mapping)
    rows, counts = [], []
    for number, item in enumerate([items] if is_wave else items, 1):
        content = read_file(item)
        wave = read_wave(item, number) if content is None else decode_sound(content, number, front)
        excerpts = cut_sound(wave, front.samples)
        rows += excerpts
        counts.append(len(excerpts))
    if not rows:
        refuse("one sound or more, got none")
    return ModelRequest(np.stack(rows), np.array(counts, np.int64))
