"""The columns of a new table beside those of training: which there are, and how their cells are written."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.report import Findings
from pipeline.data.tables import dates, numbers
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_content import ColumnContent, count_values
from pipeline.data.tables.column_types import WORDS, ColumnType, Kind, NumberFormat
from pipeline.data.tables.find_types import MAX_CATEGORIES, list_names
from pipeline.data.tables.number_formats import choose_format, find_marks
from pipeline.data.tables.read_columns import PLAIN_DATE, read_words
from pipeline.errors import BadData
from pipeline.formatting import shorten
from pipeline.settings.tables import Csv

WHOLE = r"^([+-]?\d+)(?:\.0+)?$"
TRUTH = ("true", "false")
FEW_ROWS = 20
"""In so many rows, one word that training has seen is to be expected."""
UNKNOWN_WORDS = "of column {} that training never saw or seldom: they count as unknown"
MAX_FRACTION = 1.0
"""A share is at most this where it is written without a per cent sign."""


def check_columns(names: Sequence[str], needed: Sequence[str], path: Path) -> None:
    """Raise BadData where a column of training is missing; one of nearly its name is offered."""
    missing = [name for name in needed if name not in names]
    if not missing:
        return
    folded = {name.casefold(): name for name in names if name not in needed}
    near = {name: get_close_matches(name.casefold(), folded, n=1, cutoff=0.7) for name in missing[:5]}
    offers = ", ".join(
        f"{folded[names_like[0]]} to {name}" for name, names_like in near.items() if names_like
    )
    remedy = f"it has {shorten(', '.join(names), 200)}"
    if len(missing) == len(needed) and not offers:
        remedy += "; its first line must name the columns"
    raise BadData(
        f"{path} must have the columns that the model was trained on, got none called "
        f"{', '.join(missing[:5])}; {f'rename {offers}' if offers else remedy}"
    )


def tell_unused(
    names: Sequence[str], used: Collection[str], left_out: Collection[str], findings: Findings
) -> None:
    """Add findings for columns that no answer depends on. `left_out`: those that training left out, too."""
    others = [name for name in names if name not in used]
    as_before = [name for name in others if name in left_out]
    new = [name for name in others if name not in left_out]
    findings.add("column", "not used, as in training", list_names(as_before), len(as_before))
    findings.add("column", "not used: the model was not trained on it", list_names(new), len(new))


# ---- how cells are written --------------------------------------------------------------------------------


def match_formats(
    table: CellTable, columns: Sequence[ColumnType], data: Csv, path: Path, findings: Findings
) -> tuple[ColumnType, ...]:
    """Return the columns with the formats of their cells in this table, where those of training do not fit.

    A column is read in one way from its first to its last cell. Another way than in training is told.

    Raises:
        BadData: numbers or dates can be read in two ways, or are shares where training had per cents.
    """
    filled = {
        column.name: count_values(column.name, table.get_column(column.name)).drop_words(
            frozenset(column.missing)
        )
        for column in columns
        if column.kind not in WORDS
    }
    formats = {
        column.name: _find_formats(column, filled[column.name].values, data)
        for column in columns
        if column.kind is Kind.number and not column.date
    }
    marks = find_marks(formats.values())
    matched = []
    for column in columns:
        if column.name in formats:
            forms = formats[column.name]
            form = _choose_number(column, forms, marks, table.separator, filled[column.name], path)
            column = _tell_change(column, replace(column, number=form), findings)
        elif column.kind is Kind.date and column.date not in dates.SECONDS:
            pattern = _choose_date(column, filled[column.name], data, path)
            column = _tell_change(column, replace(column, date=pattern), findings)
        matched.append(column)
    return tuple(matched)


def _find_formats(column: ColumnType, cells: Any, data: Csv) -> list[NumberFormat]:
    """Return the formats that all numbers among these cells fit, in the unit of training or in none."""
    like = cells.filter(pc.fill_null(numbers.match_numbers(cells), False)) if len(cells) else cells
    if not len(like) or len(numbers.find_affixes(like)) > 1:
        return []
    forms = numbers.find_formats(like, data.decimal, data.thousands)
    units = {("", ""), (column.number.prefix, column.number.suffix)}
    return [form for form in forms if (form.prefix, form.suffix) in units]


def _choose_number(
    column: ColumnType,
    forms: Sequence[NumberFormat],
    marks: set[str],
    separator: str,
    content: ColumnContent,
    path: Path,
) -> NumberFormat:
    trained = column.number
    agrees = not marks or trained.decimal in marks
    if not forms or (trained in forms and (agrees or len({form.decimal for form in forms}) == 1)):
        return trained
    example = str(content.values[0].as_py())
    form = choose_format(forms, marks, separator, column.name, path, example)
    if trained.suffix == "%" and not form.suffix:
        shares, _ = numbers.parse_numbers(content.values, form)
        if np.nanmax(np.abs(shares)) <= MAX_FRACTION:
            raise BadData(
                f"column {column.name} of {path} must hold per cents as in training, got shares such as "
                f"{example}; write them with %"
            )
    has_mark = pc.any(pc.match_substring_regex(content.values, r"\d[.,]\d|^[.,]")).as_py()
    return form if has_mark or form.thousands else replace(form, decimal=trained.decimal)


def _choose_date(column: ColumnType, content: ColumnContent, data: Csv, path: Path) -> str:
    """Return the pattern of training, or the one of this table where all dates have another.

    Raises:
        BadData: day and month may be either.
    """
    mistaken = dates.parse_dates(content.values, column.date)[1]
    others = content.values.filter(pa.array(mistaken))
    if not dates.parse_dates(others, PLAIN_DATE)[1].any():  # these can be read beside those of training
        return column.date
    patterns = [name for name in dates.find_patterns(content.values) if name not in dates.CLOCKS]
    if data.dates in patterns:
        return str(data.dates)
    if set(dates.ORDERS) <= set(patterns):
        raise BadData(
            f"column {column.name} of {path} must hold dates as in training ({column.date}), got "
            f"{content.values[0].as_py()} and the like, where day and month may be either; set "
            "data.dates=day/month/year or month/day/year"
        )
    return patterns[0] if patterns else column.date


def _tell_change(trained: ColumnType, column: ColumnType, findings: Findings) -> ColumnType:
    """Return the column as it is read here; add a finding where that is unlike training."""
    if column != trained:
        written = (
            column.date or f"numbers {column.number}"
            if column.date or str(column.number)
            else "plain numbers"
        )
        findings.add("column", f"read otherwise than in training: as {written}", list_names([column.name]))
    return column


# ---- words ------------------------------------------------------------------------------------------------


def read_known_words(
    column: ColumnType, cells: Any, seen_words: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return words of a category object [n], "" for empty, and which of them training never saw or seldom.

    `seen_words`: the words that it saw. Where it saw 3, 3.0 is 3, and True is true.
    """
    words = read_words(column, cells)
    places = pc.index_in(words, pa.array(list(seen_words), words.type))
    unknown = np.asarray(pc.and_(pc.is_null(places), pc.not_equal(words, "")))
    if unknown.any():
        others = _list_other_forms(seen_words)
        written = pc.replace_substring_regex(pc.utf8_lower(words), WHOLE, r"\1")
        places = pc.index_in(written, pa.array(list(others), written.type))
        same = pa.array(list(others.values()), words.type).take(places)
        words = pc.if_else(pa.array(unknown), pc.coalesce(same, words), words)
        unknown &= np.asarray(pc.is_null(places))
    return np.array(words.to_pylist(), object), unknown


def _list_other_forms(seen_words: Sequence[str]) -> dict[str, str]:
    """Return whole numbers and truth values among these words by how they are written plainly."""
    plain = {re.sub(WHOLE, r"\1", word.lower()): word for word in seen_words}
    return {form: word for form, word in plain.items() if re.fullmatch(WHOLE, form) or form in TRUTH}


def check_words(table: CellTable, column: ColumnType, seen_words: Sequence[str], path: Path) -> None:
    """Raise BadData where no cell of a column is a word that training saw, as each would count as unknown.

    In a few rows new words may be all there are, unless they are numbers and training had none.
    """
    content = count_values(column.name, table.get_column(column.name))
    words, unknown = read_known_words(column, content.values, seen_words)
    if not unknown.any() or not (unknown | (words == "")).all() or len(seen_words) >= MAX_CATEGORIES:
        return
    are_numbers = pc.all(numbers.match_numbers(content.values)).as_py()
    had_numbers = pc.any(numbers.match_numbers(pa.array(list(seen_words), pa.large_string()))).as_py()
    if content.filled >= FEW_ROWS or (are_numbers and not had_numbers and content.filled > 1):
        raise BadData(
            f"column {column.name} of {path} must hold words that training saw, such as "
            f"{list_names(seen_words[:3])}, got none but {shorten(str(content.values[0].as_py()), 40)!r} "
            "and the like; write them so"
        )
