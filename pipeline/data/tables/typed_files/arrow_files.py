"""Parquet, Arrow and Feather files; their cells become text, exactly."""

import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.compression import MOST_RATIO
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, collect_batches
from pipeline.data.tables.typed_files.arrow_sizes import MAGIC, measure_packed
from pipeline.data.tables.typed_files.parquet_sizes import measure_pages
from pipeline.errors import BadData, read_first_line

NUMBER_BYTES = 8
MOST_ROWS = 10**8
"""Fewer are no matter of trust."""
MOST_BATCH_ROWS, BATCH_BYTES, BYTES_OF_CELL = 1 << 16, 1 << 28, 64
"""Of Parquet in memory at once."""


def read_arrow(path: Path, scratch: ScratchSpace, findings: Findings, is_parquet: bool) -> CellTable:
    """Read a Parquet, Arrow or Feather file.

    Raises:
        BadData: it is damaged.
    """
    try:
        if is_parquet:
            schema, batches = _open_parquet(path, scratch, findings)
        else:
            schema, batches = _open_arrow(path, scratch)
        return collect_arrow(schema, batches, scratch, findings)
    except (pa.ArrowException, OSError, ValueError, LookupError, RecursionError, struct.error) as error:
        raise BadData(
            f"{path} must be a whole table, got: {read_first_line(error)}; write it again"
        ) from None


def collect_arrow(
    schema: Any, batches: Iterable[Any], scratch: ScratchSpace, findings: Findings
) -> CellTable:
    """Collect the cells of record batches as text; columns of lists or records are left out."""
    batches = map(_unwrap, batches)
    batches = scratch.bound((batch, sum(map(_measure_text, batch.columns))) for batch in batches)
    first = list(islice(batches, 1))
    flat = {*_leave_out_nested(schema, findings).names}
    raw = [name for batch in first for name in _find_bytes(batch)]
    findings.add("column", "left out: bytes that are no text", ", ".join(raw[:8]), len(raw))
    keep = [number for number, field in enumerate(schema) if field.name in flat.difference(raw)]
    names = [schema.names[number] for number in keep]
    texts = pa.schema([(str(number), pa.large_string()) for number in range(len(names))])
    made = (
        pa.record_batch([_make_text(batch.column(number)) for number in keep], schema=texts)
        for batch in chain(first, batches)
    )
    content = collect_batches(texts, made, scratch)
    return CellTable(names=tuple(names), content=content, lines=np.arange(1, content.num_rows + 1))


def _leave_out_nested(schema: Any, findings: Findings) -> Any:
    """Return the schema without lists, records and what has no text."""
    nested = [field.name for field in schema if _is_nested(field.type)]
    findings.add("column", "left out: lists or records", ", ".join(nested[:8]), len(nested))
    intervals = [field.name for field in schema if pa.types.is_interval(field.type)]
    text = "left out: months, days and seconds in one value"
    findings.add("column", text, ", ".join(intervals[:8]), len(intervals))
    return pa.schema([field for field in schema if field.name not in {*nested, *intervals}])


def _unwrap(batch: Any) -> Any:
    """Return a batch with the cells themselves, where columns hold them in a wrapper of their own."""
    if not any(map(_is_wrapped, batch.schema.types)):
        return batch
    return pa.record_batch([_unwrap_column(column) for column in batch.columns], names=batch.schema.names)


def _is_wrapped(kind: Any) -> bool:
    return isinstance(kind, pa.BaseExtensionType) or bool(pa.types.is_run_end_encoded(kind))


def _unwrap_column(column: Any) -> Any:
    if isinstance(column, pa.UuidArray):
        return pa.array([value and str(value) for value in column.to_pylist()], pa.large_string())
    if isinstance(column, pa.ExtensionArray):
        return column.storage
    return pc.run_end_decode(column) if pa.types.is_run_end_encoded(column.type) else column


def _find_bytes(batch: Any) -> list[str]:
    """Return the names of columns of bytes that are no text; some programs write texts as bytes."""
    names = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        cells = column.dictionary if pa.types.is_dictionary(column.type) else column
        if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
            try:
                pc.cast(cells, pa.large_string())
            except pa.ArrowInvalid:
                names.append(name)
        elif pa.types.is_fixed_size_binary(cells.type):
            names.append(name)
    return names


def _open_parquet(path: Path, scratch: ScratchSpace, findings: Findings) -> tuple[Any, Iterator[Any]]:
    """Return schema and record batches of a Parquet file, of few cells each; what is left out is not read."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    about, schema = file.metadata, _leave_out_nested(file.schema_arrow, findings)
    if about.num_rows > max(MOST_ROWS, MOST_RATIO * path.stat().st_size):
        raise BadData(
            f"{path} must have at most {MOST_RATIO} rows for each of its bytes, got {about.num_rows:,}; if "
            "you trust it, write it again as Arrow or CSV"
        )
    names = schema.names
    pages = ((page, page.size) for page in measure_pages(path, about, {*names}))
    cell = max((page.longest_shared for page in scratch.bound(pages)), default=0)
    file = pq.ParquetFile(path, read_dictionary=_list_shared_texts(file))
    rows = min(MOST_BATCH_ROWS, BATCH_BYTES // max(1, len(names)) // max(cell, BYTES_OF_CELL))
    batches = file.iter_batches(max(1, rows), columns=names)
    # by the name of a column the library reads what lies below such a name, too
    return schema, (batch if batch.num_columns == len(names) else batch.select(names) for batch in batches)


def _list_shared_texts(file: Any) -> list[str]:
    """Return the columns whose texts lie in the file once for many cells: read so, they can be measured."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    names = []
    for number in range(file.metadata.num_columns):
        column = file.schema.column(number)
        if column.physical_type == "BYTE_ARRAY" and any(
            group.column(number).has_dictionary_page for group in groups
        ):
            names.append(column.path)
    return names


def _open_arrow(path: Path, scratch: ScratchSpace) -> tuple[Any, Iterator[Any]]:
    """Return schema and record batches of an Arrow file, a stream, or a Feather file of the first version."""
    source = pa.memory_map(str(path))
    head = source.read(8)
    source.seek(0)
    if not head.startswith(b"FEA1"):
        for _ in scratch.bound((None, size) for size in measure_packed(source)):
            pass
        source.seek(0)
    if head.startswith(MAGIC):
        reader = pa.ipc.open_file(source)
        read = (reader.get_batch(number) for number in range(reader.num_record_batches))
        return reader.schema, _check_batches(read)
    if head.startswith(b"FEA1"):
        from pyarrow import feather

        table = feather.read_table(path)
        return table.schema, iter(table.to_batches())
    stream = pa.ipc.open_stream(source)
    return stream.schema, _check_batches(stream)


def _check_batches(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches whose cells lie within them: the library itself reads wherever a file says.

    Raises:
        ArrowInvalid: one says otherwise.
    """
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _measure_text(column: Any) -> int:
    """Compute about how many bytes a column has as text: one text may lie in the file once for many cells."""
    kind = column.type
    if pa.types.is_dictionary(kind) and _has_lengths(kind.value_type):
        lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False)
        used = column.indices.drop_null().to_numpy(zero_copy_only=False)
        return int(np.nansum(lengths[used], dtype=np.float64)) if len(used) else 0
    if kind in (pa.string_view(), pa.binary_view()):
        views = np.frombuffer(column.buffers()[1], np.int32)[4 * column.offset :][: 4 * len(column) : 4]
        return int(views.sum(dtype=np.int64))
    return int(max(column.nbytes, NUMBER_BYTES * len(column)))


def _is_nested(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_run_end_encoded(kind):
        return _is_nested(kind.value_type)
    return bool(pa.types.is_nested(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _has_lengths(kind: Any) -> bool:
    """Return whether cells of a type are bytes of lengths of their own, or of one length for all."""
    tests = ("string", "large_string", "binary", "large_binary", "fixed_size_binary")
    return any(bool(getattr(pa.types, f"is_{test}")(kind)) for test in tests)


def _make_text(column: Any) -> Any:
    """Return the cells as text: numbers so that they can be read back exactly, dates as in ISO 8601."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_float16(kind):
        column = pc.cast(column, pa.float32())
    if pa.types.is_timestamp(kind):
        column = pc.cast(column, pa.timestamp("us"), safe=False)
    return pc.cast(column, pa.large_string())
