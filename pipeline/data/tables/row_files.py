"""Tables that are no rows of text: Excel, Parquet, Arrow and JSON lines; their cells become text, exactly."""

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.compression import MOST_RATIO, check_zip
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, Row, collect_batches, collect_cells
from pipeline.data.tables.headers import HEAD_ROWS, count_rows_above
from pipeline.data.tables.text_files import OpenText
from pipeline.errors import BadData, read_first_line

MOST_ROWS = 10**8
"""Fewer are no matter of trust."""
MERGED = re.compile(rb'<mergeCell ref="([A-Z0-9:]+)"')


def read_arrow(path: Path, is_parquet: bool, scratch: ScratchSpace, findings: Findings) -> CellTable:
    """Read a Parquet, Arrow or Feather file.

    Raises:
        BadData: it is damaged.
    """
    try:
        if is_parquet:
            import pyarrow.parquet as pq

            file = pq.ParquetFile(path)
            _check_rows(path, file.metadata.num_rows)
            schema, batches = file.schema_arrow, file.iter_batches()
        else:
            schema, batches = _open_arrow(path)
        return collect_arrow(schema, batches, scratch, findings)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadData(
            f"{path} must be a whole table, got: {read_first_line(error)}; write it again"
        ) from None


def collect_arrow(
    schema: Any, batches: Iterable[Any], scratch: ScratchSpace, findings: Findings
) -> CellTable:
    """Collect the cells of record batches as text; columns of lists or records are left out."""
    batches = iter(batches)
    first = list(islice(batches, 1))
    nested = [
        name for name, field in zip(schema.names, schema, strict=True) if pa.types.is_nested(field.type)
    ]
    raw = [name for batch in first for name in _find_bytes(batch)]
    findings.add("column", "left out: lists or records", ", ".join(nested[:8]), len(nested))
    findings.add("column", "left out: bytes that are no text", ", ".join(raw[:8]), len(raw))
    keep = [number for number, name in enumerate(schema.names) if name not in {*nested, *raw}]
    names = [schema.names[number] for number in keep]
    texts = pa.schema([(str(number), pa.large_string()) for number in range(len(names))])
    made = (
        pa.record_batch([_make_text(batch.column(number)) for number in keep], schema=texts)
        for batch in chain(first, batches)
    )
    content = collect_batches(texts, made, scratch)
    return CellTable(tuple(names), content, np.arange(1, content.num_rows + 1))


def _find_bytes(batch: Any) -> list[str]:
    """Return the names of columns of bytes that are no text; some programs write texts as bytes."""
    names = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            try:
                pc.cast(column, pa.large_string())
            except pa.ArrowInvalid:
                names.append(name)
        elif pa.types.is_fixed_size_binary(column.type):
            names.append(name)
    return names


def _check_rows(path: Path, rows: int) -> None:
    """Raise BadData where a file of few bytes has so many rows that it is made to fill a machine."""
    if rows > max(MOST_ROWS, MOST_RATIO * path.stat().st_size):
        raise BadData(
            f"{path} must have at most {MOST_RATIO} rows for each of its bytes, got {rows:,} rows; if you "
            "trust it, write it again as Arrow or CSV"
        )


def _open_arrow(path: Path) -> tuple[Any, Iterator[Any]]:
    """Return schema and record batches of an Arrow file, a stream, or a Feather file of the first version."""
    source = pa.memory_map(str(path))
    head = source.read(8)
    source.seek(0)
    if head.startswith(b"ARROW1"):
        reader = pa.ipc.open_file(source)
        return reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches))
    if head.startswith(b"FEA1"):
        from pyarrow import feather

        table = feather.read_table(path)
        return table.schema, iter(table.to_batches())
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


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


def read_excel(
    path: Path, scratch: ScratchSpace, header: bool | None, label: str, findings: Findings
) -> CellTable:
    """Read the first sheet of an .xlsx file that is not hidden and has the label, else the first of them.

    Cells merged with the one above have its value. `label`: the name of a column, by which the header is
    found below titles.

    Raises:
        BadData: `openpyxl` is not installed, or the file is damaged.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise BadData(
            f"{path} needs the package openpyxl to be read, got none; "
            "pip install openpyxl, or save the table as CSV"
        ) from None
    try:
        check_zip(path)
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = _choose_sheet(book.worksheets, label)
        others = [each.title for each in book.worksheets if each is not sheet]
        rows = [
            (line, row)
            for line, row in enumerate(sheet.iter_rows(values_only=True), 1)
            if any(cell is not None for cell in row)
        ]
        merged = _find_merged(path, sheet)
    except BadData:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do
        raise BadData(
            f"{path} must be a whole .xlsx file, got: {read_first_line(error)}; save it again, or as CSV"
        ) from None
    width = max((len(row) for _, row in rows), default=0)
    filled = [
        (line, [_write_cell(cell) for cell in (*row, *[None] * (width - len(row)))]) for line, row in rows
    ]
    names, body = [f"column_{number}" for number in range(width)], filled
    if header is not False and filled:
        head = [[(cell or "").strip() for cell in cells] for _, cells in filled[:HEAD_ROWS]]
        above = count_rows_above([*head, []], label)
        names, body = head[above], filled[above + 1 :]
        findings.add("row", "left out: above the header", ", ".join(filter(None, head[0])), above)
    findings.add("sheet", f"left out: {sheet.title} is read", ", ".join(others[:8]), len(others))
    _fill_merged(body, merged, findings)
    return collect_cells(names, body, scratch)


def _choose_sheet(sheets: Sequence[Any], label: str) -> Any:
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"] or sheets
    is_place = label.lstrip("-").isdecimal()
    for sheet in () if is_place else visible:
        head = sheet.iter_rows(max_row=HEAD_ROWS, values_only=True)
        if any(str(cell).strip() == label for row in head for cell in row):
            return sheet
    return visible[0]


def _find_merged(path: Path, sheet: Any) -> list[tuple[int, int, int, int]]:
    """Return the merged cells of a sheet (left, top, right, bottom), which openpyxl does not read in rows."""
    from openpyxl.utils import range_boundaries

    with zipfile.ZipFile(path) as archive:
        _, _, behind = archive.read(sheet._worksheet_path).rpartition(b"</sheetData>")
    ranges = [range_boundaries(ref.decode()) for ref in MERGED.findall(behind)]
    return [merged for merged in ranges if None not in merged]


def _fill_merged(
    body: Sequence[tuple[int, list[str | None]]],
    merged: Sequence[tuple[int, int, int, int]],
    findings: Findings,
) -> None:
    """Write the value of a merged cell into those below that belong to it, as a person sees them."""
    by_line, filled = dict(body), 0
    for left, top, _, bottom in merged:
        cells = by_line.get(top, [])
        if left > len(cells) or cells[left - 1] is None:
            continue
        for line in range(top + 1, min(bottom, body[-1][0]) + 1):
            if line in by_line:
                by_line[line][left - 1] = cells[left - 1]
                filled += 1
    findings.add("cell", "merged with the one above: its value is used", "", filled)


def _write_cell(cell: object) -> str | None:
    match cell:
        case None:
            return None
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def read_json_lines(path: Path, open_text: OpenText, scratch: ScratchSpace) -> CellTable:
    """Read a file with a JSON object in each line, or one list of objects; what lies in objects gets `a.b`.

    Raises:
        BadData: a line is no object.
    """
    names: dict[str, None] = {}
    for _, record in _read_records(path, open_text):
        names |= dict.fromkeys(record)
    rows: Iterator[Row] = (
        (line, [record.get(name) for name in names]) for line, record in _read_records(path, open_text)
    )
    return collect_cells(list(names), rows, scratch)


def _read_records(path: Path, open_text: OpenText) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line (in a list: the place) and the cells of each record."""
    with open_text() as file:
        is_list = file.read(64).lstrip().startswith("[")
    with open_text() as file:
        if is_list or (path.name.lower().endswith(".json") and not _is_lines(file)):
            file.seek(0)
            records: Any = enumerate(_list_records(_parse_json(file.read(), path, 1)), 1)
        else:
            lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            records = ((number, _parse_json(line, path, number)) for number, line in lines)
        for number, record in records:
            if not isinstance(record, dict):
                raise BadData(
                    f"{path} must hold a JSON object in every line, got none in line {number}; mend it"
                )
            yield number, dict(_flatten(record))


def _is_lines(file: TextIO) -> bool:
    """Return whether the first line that is not empty is a JSON object of its own, and another follows."""
    lines = (line for line in file if line.strip())
    try:
        json.loads(next(lines, ""))
    except (ValueError, RecursionError):
        return False
    return next(lines, None) is not None


def _list_records(content: Any) -> list[Any]:
    """Return the records of a JSON value: a list, as pandas writes tables, or the one list in an object."""
    if not isinstance(content, dict):
        return list(content) if isinstance(content, list) else [content]
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    values = list(content.values())
    if values and all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values):
        return [{name: column[row] for name, column in content.items()} for row in values[0]]
    lists = [value for value in values if isinstance(value, list)]
    if 1 < len(lists) == len(values) and len(set(map(len, lists))) == 1:
        return [dict(zip(content, row, strict=True)) for row in zip(*values, strict=True)]
    return lists[0] if len(lists) == 1 else [content]


def _parse_json(text: str, path: Path, line: int) -> Any:
    """Parse JSON with its numbers as text; they are read later, as those of other files."""
    try:
        return json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} must hold JSON in every line, got {error} in line {line}; mend it") from None


def _flatten(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", _write_cell(value)
