"""JSON and YAML: objects in lines, a list of them, or as pandas writes tables; numbers stay as written."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pipeline.data.readers.compression import compute_bound, explain_bomb
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.tables.cells import CellTable, Row, collect_cells
from pipeline.data.tables.frame.headers import has_header
from pipeline.data.tables.text_files import OpenText
from pipeline.data.tables.typed_files.written_cells import write_cell
from pipeline.errors import BadData, read_first_line

YAML = r"\.ya?ml(?:\.\w+)?$"
VALUES = (".json", ".geojson")
"""Names of files that may hold one value in several lines."""
YAML_NULL = "tag:yaml.org,2002:null"
CELL_BYTES = 8
"""What a cell takes at least."""
DEEPEST = 4
"""A list of records is looked for within so many objects."""
DEEPEST_YAML = 200
"""The library that reads YAML has no bound of its own, and ends the process some ten thousand levels deep."""


def read_json_lines(path: Path, open_text: OpenText, scratch: ScratchSpace, label: str) -> CellTable:
    """Read a file with a JSON object in each line, or one value; what lies in objects gets `a.b`.

    `label`: by its name the records of a table are told from its columns.

    Raises:
        BadData: a line is no object.
    """
    names: dict[str, None] = {}
    for _, record in _read_records(path, open_text, label):
        names |= dict.fromkeys(record)
    rows: Iterator[Row] = (
        (line, [record.get(name) for name in names]) for line, record in _read_records(path, open_text, label)
    )
    # each row has a cell for every name of every other
    return collect_cells(list(names), scratch.bound((row, CELL_BYTES * len(names)) for row in rows), scratch)


def _read_records(path: Path, open_text: OpenText, label: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line (in a list: the place) and the cells of each record."""
    is_yaml = re.search(YAML, path.name.lower())
    with open_text() as file:
        has_lists = file.read(64).lstrip().startswith("[")
        file.seek(0)
        is_value = has_lists or path.name.lower().endswith(VALUES)
        is_lines = not is_yaml and (not is_value or _is_lines(file))
        file.seek(0)
        if is_lines:
            lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            records: Any = ((number, _parse_json(line, path, number)) for number, line in lines)
            if has_lists:
                records = enumerate(_list_records([record for _, record in records], label, path), 1)
        else:
            content = _parse_yaml(file, path) if is_yaml else _parse_json(file.read(), path, 1)
            records = enumerate(_list_records(content, label, path), 1)
        for number, record in records:
            if not isinstance(record, dict):
                raise BadData(
                    f"{path} must hold an object for each row, got none in line or row {number}; mend it"
                )
            yield number, _name_values(record, path)


def _is_lines(file: TextIO) -> bool:
    """Return whether the first line that is not empty is a JSON object of its own, and another follows."""
    lines = (line for line in file if line.strip())
    try:
        json.loads(next(lines, ""))
    except (ValueError, RecursionError):
        return False
    return next(lines, None) is not None


def _list_records(content: Any, label: str, path: Path) -> list[Any]:
    """Return the records of a value: a list, as pandas writes tables, or the one list of records within.

    Raises:
        BadData: columns or rows have other numbers of cells.
    """
    try:
        if isinstance(content, list):
            return _name_cells(content, label)
        return _list_columns(content, label) if isinstance(content, dict) else [content]
    except (TypeError, ValueError):
        raise BadData(
            f"{path} must have a cell for each column in every row, got more or fewer; mend it, or write it "
            "as a list of objects"
        ) from None


def _name_cells(rows: list[Any], label: str) -> list[Any]:
    """Return rows; lists of cells become records by the names in the first, or by their places."""
    if not rows or not all(isinstance(row, list) for row in rows):
        return rows
    first = [write_cell(cell) or "" for cell in rows[0]]
    if has_header(first, label):
        return [dict(zip(first, row, strict=True)) for row in rows[1:]]
    names = [f"column_{place}" for place in range(len(first))]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _list_columns(content: dict[str, Any], label: str) -> list[Any]:
    """Return the records in an object: its columns, its rows by name, or the one list of records within."""
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    values = list(content.values())
    is_table = values and all(
        isinstance(value, dict) and value.keys() == values[0].keys() for value in values
    )
    if is_table and not any(map(_are_records, (cell for value in values for cell in value.values()))):
        if label in values[0] and label not in content:
            return values
        return [{name: column[row] for name, column in content.items()} for row in values[0]]
    lists = [value for value in values if isinstance(value, list)]
    if 1 < len(lists) == len(values):  # columns, of one length or refused
        return [dict(zip(content, row, strict=True)) for row in zip(*values, strict=True)]
    of_records = list(filter(_are_records, _find_lists(content, DEEPEST)))
    if len(of_records) == 1:
        return of_records[0]
    return _name_cells(lists[0], label) if len(lists) == 1 else [content]


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _find_lists(content: dict[str, Any], depth: int) -> Iterator[list[Any]]:
    """Yield the lists in an object, and in the objects within it."""
    for value in content.values():
        if isinstance(value, list) and value:
            yield value
        elif isinstance(value, dict) and depth:
            yield from _find_lists(value, depth - 1)


def _parse_yaml(file: TextIO, path: Path) -> Any:
    """Parse YAML with all of its cells as text; several documents are a list."""
    import yaml

    base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # in C, where it was built with it
    loader: Any = type("TextLoader", (base,), {})
    loader.add_implicit_resolver(YAML_NULL, re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
    loader.add_constructor(YAML_NULL, lambda *_: None)
    text = file.read()
    try:
        _check_yaml(yaml, text, base, path)
        documents = list(yaml.load_all(text, Loader=loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise BadData(f"{path} must hold YAML, got: {read_first_line(error)}; mend it") from None
    return documents[0] if len(documents) == 1 else documents


def _check_yaml(yaml: Any, text: str, loader: Any, path: Path) -> None:
    """Check that no value lies too deep, and that aliases do not make much out of little.

    Raises:
        YAMLError: one lies deeper than `DEEPEST_YAML`, or the text is no YAML.
        BadData: it is larger than its file may unpack to.
    """
    bound, size, depth = compute_bound(path), 0, 0
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            sizes |= {anchor: size - before} if anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            size += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            size += len(event.value) + 1
            sizes |= {event.anchor: len(event.value) + 1} if event.anchor else {}
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, size))
            size += 1
        depth = max(depth, len(opened))
        if depth > DEEPEST_YAML:
            raise yaml.YAMLError(f"more than {DEEPEST_YAML} values within each other")
        if size > bound:
            raise explain_bomb(path)


def _parse_json(text: str, path: Path, line: int) -> Any:
    """Parse JSON with its numbers as text; they are read later, as those of other files."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_make_object)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} must hold JSON in every line, got {error} in line {line}; mend it") from None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; Python itself takes the last of two values of one name.

    Raises:
        ValueError: two values have one name.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        name = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"{name} twice in one object")
    return made


def _name_values(record: dict[str, Any], path: Path) -> dict[str, str | None]:
    """Return the cells of an object by their names; those that lie deep have the names of all around them.

    Raises:
        BadData: the names are larger than the file may unpack to.
    """
    cells, left = dict[str, str | None](), compute_bound(path)
    for name, cell in _flatten(record):
        left -= len(name)
        if left < 0:
            raise explain_bomb(path)
        if name in cells:
            raise BadData(
                f"{path} must have one value of each name in a record, got {name} twice, once within an "
                "object; rename one"
            )
        cells[name] = cell
    return cells


def _flatten(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", write_cell(value)
