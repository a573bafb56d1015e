"""JSON: an object in each line, a list of them, or as pandas writes a table; numbers stay as written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.tables.cells import CellTable, Row, collect_cells
from pipeline.data.tables.text_files import OpenText
from pipeline.data.tables.typed_files.written_cells import write_cell
from pipeline.errors import BadData


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
            yield f"{prefix}{key}", write_cell(value)
