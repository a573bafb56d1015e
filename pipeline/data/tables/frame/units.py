"""Rows below the header that describe the columns, as units, types and questions do, and are no data."""

import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.report import Findings
from pipeline.data.tables import numbers
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.find_type import NUMBER_WORDS
from pipeline.formatting import shorten

MOST_ROWS = 3
"""So many rows may describe the columns: programs write types, questions and units one below the other."""
FEWEST_BELOW = 3
_BASE = (
    r"(?:%|‰|°[CFKcf]?|deg|rad|[cdh](?:m|l|L|Pa)|K|t|in|ft|mi|lbs?|oz|min|hr?|hours?|sec|seconds?|d|days?|weeks?"
    r"|[kMGTmµμunp]?(?:m|g|s|l|L|W|Wh|V|A|N|J|Pa|Hz|mol|bar|eV|Ω|[Oo]hm|F|T|B|bit|cal|U|IU)"
    r"|months?|yrs?|years?|lux|lx|lm|cd|dBm?|dBA|ppm|ppb|rpm|psi|mmHg|knots?|kn|ha|kcal|counts?|px|pH"
    r"|USD|EUR|GBP|CHF|JPY|CNY|[$€£¥])"
)
_POWER = r"(?:(?:\^|\*\*)?-?\d|[⁻¹²³])*"
UNIT = re.compile(rf"{_BASE}{_POWER}(?:\s?[/·*. ]\s?(?:\d+\s?)?{_BASE}{_POWER})*")
BRACKETS = re.compile(r"\[.*\]|\(.*\)|\{.*\}|<.*>", re.DOTALL)
NO_UNIT = frozenset(["-", "–", "none", "unitless", "n/a", "/"])
TYPES = frozenset(
    {"int", "integer", "int64", "float", "float64", "double", "numeric", "number", "real", "continuous"}
    | {"string", "str", "text", "object", "category", "categorical", "discrete", "nominal", "factor"}
    | {"bool", "boolean", "date", "datetime", "timestamp", "time", "class", "meta", "ignore"}
)
"""Words for the type of a column, as programs write them below its name."""


def leave_out_descriptions(table: CellTable, findings: Findings) -> CellTable:
    """Return the table without rows below its header that describe the columns; what they say is kept."""
    count = _count_descriptions(table)
    if not count:
        return table
    rows = [table.read_row(row) for row in range(count)]
    descriptions = tuple(
        shorten(" ".join(filter(None, cells)).strip(), 60) for cells in zip(*rows, strict=True)
    )
    shown = ", ".join(shorten(cell, 20) for cell in rows[0] if cell)
    what = "units" if all(map(_is_unit, filter(_is_told, rows[0]))) else "what the columns hold"
    findings.add("row", f"left out: {what}, below the header", shorten(shown, 60), count)
    return replace(
        table, content=table.content.slice(count), lines=table.lines[count:], descriptions=descriptions
    )


def _count_descriptions(table: CellTable) -> int:
    first = table.read_row(0) if len(table) > FEWEST_BELOW else []
    if not any(first) or any(map(numbers.is_number, first)):  # so of nearly all tables no more is read
        return 0
    counts = range(min(MOST_ROWS, len(table) - FEWEST_BELOW), 0, -1)
    return next((count for count in counts if _are_descriptions(table, count)), 0)


def _are_descriptions(table: CellTable, count: int) -> bool:
    """Return whether the first `count` rows, and none below, have words in columns of numbers."""
    rows = [table.read_row(row) for row in range(count)]
    if any(numbers.is_number(cell) for row in rows for cell in row):
        return False
    below = [cell for row in range(count, count + FEWEST_BELOW) for cell in table.read_row(row)]
    if not any(map(numbers.is_number, below)):
        return False
    described = [0] * count
    for position, name in enumerate(table.names):
        cells = [row[position] for row in rows]
        rest = table.get_column(name).slice(count)
        if _are_numbers(rest):
            described = [
                cell_count + _is_told(cell) for cell_count, cell in zip(described, cells, strict=True)
            ]
        elif any(_is_told(cell) and not BRACKETS.fullmatch(cell) and _has(rest, cell) for cell in cells):
            return False  # a word that the column has elsewhere is one of its values
    return all(
        cell_count > 1
        or (any(row) and (cell_count == 1 or number > 0) and all(map(_is_unit, filter(_is_told, row))))
        for number, (cell_count, row) in enumerate(zip(described, rows, strict=True))
    )


def _is_unit(cell: str) -> bool:
    return bool(
        UNIT.fullmatch(cell) or BRACKETS.fullmatch(cell) or cell.lower() in NO_UNIT or cell.lower() in TYPES
    )


def _is_told(cell: str) -> bool:
    """Return whether a cell is neither empty nor a word for that."""
    return bool(cell) and cell.lower() not in NUMBER_WORDS | NO_UNIT


def _are_numbers(cells: Any) -> bool:
    filled = cells.filter(pc.fill_null(pc.not_equal(cells, ""), False))
    words = pc.is_in(pc.utf8_lower(filled), pa.array(sorted(NUMBER_WORDS), pa.large_string()))
    filled = filled.filter(pc.invert(words))
    return len(filled) > 0 and pc.all(numbers.match_numbers(filled)).as_py() is True


def _has(cells: Any, cell: str) -> bool:
    return pc.any(pc.equal(cells, pa.scalar(cell, pa.large_string()))).as_py() is True
