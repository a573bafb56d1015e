"""The file of predictions: CSV, JSON lines or Parquet by its ending, whole or not there at all."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import BadInput
from pipeline.files import remove_abandoned_drafts, write_whole

DIGITS = 6
"""Significant digits of a number in a text file; Parquet has float32."""
Columns = Mapping[str, Sequence[Any]]
Write = Callable[[BinaryIO, Mapping[str, type], Iterable[Columns]], None]


def write_predictions(path: Path, columns: Mapping[str, type], batches: Iterable[Columns]) -> None:
    """Write batches of rows, each by column, as they come. `columns`: what is in each (int, str or float).

    An older file of this name stays as it is until the new one is whole.

    Raises:
        BadInput: the folder cannot be written.
    """
    writers: dict[str, Write] = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}
    write = writers[path.suffix.lower()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned_drafts(path.parent)
    except OSError as error:
        raise _explain(path, error) from None
    if path.is_dir():
        raise BadInput(f"predict.output must be a file, got the folder {path}; set predict.output=...")
    write_whole(path, lambda file: write(file, columns, batches))


def _explain(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"predict.output must be in a folder that can be written, got {path} ({error.strerror}); "
        "set predict.output=..."
    )


def _list_rows(batch: Columns) -> Iterable[tuple[Any, ...]]:
    return zip(*(_to_plain(cells) for cells in batch.values()), strict=True)


def _to_plain(cells: Any) -> list[Any]:
    plain = cells.tolist() if hasattr(cells, "tolist") else list(cells)
    return [float(f"{cell:.{DIGITS}g}") if isinstance(cell, float) else cell for cell in plain]


def _write_csv(file: BinaryIO, columns: Mapping[str, type], batches: Iterable[Columns]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="", errors="backslashreplace")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for batch in batches:
        table.writerows(_list_rows(batch))
    text.flush()
    text.detach()


def _write_json_lines(file: BinaryIO, columns: Mapping[str, type], batches: Iterable[Columns]) -> None:
    for batch in batches:
        for row in _list_rows(batch):
            line = json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False)
            file.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _write_parquet(file: BinaryIO, columns: Mapping[str, type], batches: Iterable[Columns]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {int: pa.int64(), str: pa.string(), float: pa.float32()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for batch in batches:
            arrays = [pa.array(list(batch[field.name]), field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
