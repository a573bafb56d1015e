"""Which columns of a table are used and what they are; nothing is left out or read anew without a word."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.data.report import ColumnReport, Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.column_content import ColumnContent, MistakenCell, count_values
from pipeline.data.tables.column_types import WORDS, ColumnType, Kind
from pipeline.data.tables.find_type import TypeChoice, find_epoch, find_type
from pipeline.data.tables.number_formats import choose_format, find_marks
from pipeline.data.tables.oddities import (
    are_figures,
    find_number_oddities,
    find_several,
    find_word_oddities,
    list_few,
    refuse_formulas,
)
from pipeline.data.tables.read_columns import read_numbers
from pipeline.data.text_split import has_unspaced_script
from pipeline.errors import BadData, format_one_line
from pipeline.formatting import shorten
from pipeline.settings.tables import Csv

FEW_ROWS = 20
"""Below this many rows, all different says nothing of a column."""
MOST_JOINED = 10
"""Row numbers begin anew so often at most, where tables were joined; the hours of days do more often."""
MAX_CATEGORIES = 100
"""Categories of a column with an input of their own; the rarest others are joined with what is unknown."""
ID_NAME = re.compile(
    r"(^|[^a-z])(id|ids|uuid|guid|index|idx|row|rownum|row_?number|rownames|nr|no|key)$|[a-z](Id|ID)$", re.I
)
NO_NAME = re.compile(r"unnamed(_|: )\d+(\.\d+)?|__index_level_\d+__|level_\d+|index|\.\.\.\d+", re.I)
"""What programs call the numbers of rows, and columns without a name."""
WORDS_OF_A_TEXT = 4
"""Free text has so many words at least, on average."""
SAMPLE = 200
LETTERS_OF_A_TEXT = 12
"""Texts without spaces between words have so many letters at least, on average."""
PLURALS = {
    Kind.number: "numbers",
    Kind.category: "categories",
    Kind.date: "dates",
    Kind.text: "free text, whose words are counted",
}
EMPTY, CONSTANT = "no value in it", "the same in every row"
ONE_VALUE = "one value where it is not empty: data.categorical=[...] if it matters which rows have it"
ROW_NUMBERS, IDENTIFIER = "row numbers", "a number of its own in every row"
NAMES = "nearly every row has another word (a name or an identifier)"
MARKED = "with marks of spreadsheets for texts, as in {}, which are taken off"
SEVERAL_NAMES = "nearly every row has other answers, several in a cell: give each answer a column"
FIGURE_NAMES = "nearly every row has another, made of numbers: write amounts as columns of numbers"
CODE_NAMES = "{}: nearly every row has another"
CODES = "of {}, taken for categories"


@dataclass(slots=True, kw_only=True)
class ColumnChoice:
    """A column under judgement: `dropped` says why it is left out, "" where it is used.

    `oddities`: what it has that is told beside, as `_add_findings` counts it; `description`: what the file
    says of it below its name, such as a unit.
    """

    choice: TypeChoice
    examples: tuple[str, ...]
    missing_words: tuple[str, ...]
    missing: int
    distinct: int
    dropped: str = ""
    note: str = ""
    oddities: tuple[str, ...] = ()
    description: str = ""

    @property
    def column(self) -> ColumnType:
        """Return what the column is."""
        return self.choice.column


def find_types(
    table: CellTable, names: Sequence[str], data: Csv, path: Path, findings: Findings
) -> tuple[tuple[ColumnType, ...], tuple[ColumnReport, ...]]:
    """Return the types of the columns among `names` that are used, and a report of all of them.

    Raises:
        BadData: a column is nearly numbers or dates, or can be read in two ways; or none is left, or no row.
    """
    if not len(table):
        raise BadData(f"{path} must have rows below its header, got none; add some, or set data.header=false")
    chosen = [_judge_column(table, name, data, path) for name in names]
    marks = find_marks(column.choice.formats for column in chosen)
    for name, column in zip(names, chosen, strict=True):
        example = column.examples[0] if column.examples else ""
        form = choose_format(column.choice.formats, marks, table.separator, name, path, example)
        column.choice = replace(column.choice, column=column.choice.with_format(form), formats=())
    if data.columns is None:
        _keep_one(chosen)
    used = tuple(column.column for column in chosen if not column.dropped)
    if not used:
        raise BadData(
            f"{path} must have a column that tells something, got {_list_dropped(chosen)}; "
            "set data.columns=[...]"
        )
    _add_findings(chosen, findings)
    return used, tuple(map(_report_column, chosen))


def _judge_column(table: CellTable, name: str, data: Csv, path: Path) -> ColumnChoice:
    cells = table.get_column(name)
    content = count_values(name, cells)
    refuse_formulas(content, str(path))
    try:
        rest, choice = find_type(content, data, str(path))
    except MistakenCell as error:
        raise BadData(error.describe(f" in line {table.find_line(name, error.cell)}")) from None
    column = ColumnChoice(
        choice=choice,
        examples=tuple(shorten(text, 40) for text in rest.values[:3].to_pylist()),
        missing_words=tuple(content.find_words(choice.column.missing)),
        missing=content.rows - rest.filled,
        distinct=len(rest.values),
        description=table.descriptions[table.names.index(name)] if table.descriptions else "",
    )
    is_told = name in (data.categorical or ()) or name in (data.columns or ())
    if name not in (data.categorical or ()) and _is_free_text(rest, choice):
        column.choice = choice = replace(choice, column=replace(choice.column, kind=Kind.text))
    column.dropped = EMPTY if not column.distinct else "" if is_told else _find_reason(rest, choice, cells)
    column.oddities = tuple(_find_oddities(table, rest, column, is_told))
    return column


def _find_oddities(
    table: CellTable, content: ColumnContent, column: ColumnChoice, is_told: bool
) -> Iterator[str]:
    """Yield what is told of a column beside; numbers that count from 1970 become dates on the way."""
    choice, kind = column.choice, column.column.kind
    if marked := table.find_marked(content.name):
        yield MARKED.format(shorten(marked, 20))
    if column.dropped:
        return
    if choice.formats or kind is Kind.date:
        form = choice.with_format(choice.formats[0]) if choice.formats else choice.column
        numbers, _ = read_numbers(form, content.values)
        if choice.formats and (epoch := find_epoch(content.name, numbers)):
            column.choice = replace(choice, column=replace(choice.column, kind=Kind.date, date=epoch))
        else:
            yield from find_number_oddities(content, numbers, kind is Kind.date)
    elif choice.code:
        yield CODES.format(choice.code)
    elif kind in WORDS and not is_told:
        yield from find_word_oddities(content)


def _is_free_text(content: ColumnContent, choice: TypeChoice) -> bool:
    """Return whether nearly every row has another text of several words."""
    if choice.column.kind is not Kind.category or choice.code or not _has_many_values(content):
        return False
    words = pc.mean(pc.list_value_length(pc.utf8_split_whitespace(content.values))).as_py()
    if words >= WORDS_OF_A_TEXT:
        return True
    letters = pc.mean(pc.utf8_length(content.values)).as_py()
    return letters >= LETTERS_OF_A_TEXT and has_unspaced_script(content.values[:SAMPLE].to_pylist())


def _has_many_values(content: ColumnContent) -> bool:
    """Return whether there are too many different values for categories."""
    return content.rows >= FEW_ROWS and len(content.values) > max(FEW_ROWS, content.filled / 2)


def _find_reason(content: ColumnContent, choice: TypeChoice, cells: Any) -> str:
    """Return why a column tells nothing, "" where it may."""
    distinct, filled, name = len(content.values), content.filled, content.name
    is_category = choice.column.kind in WORDS
    if distinct == 1 and (filled == content.rows or not is_category):
        return CONSTANT if filled == content.rows else ONE_VALUE
    if is_category:
        if choice.column.kind is Kind.text or not _has_many_values(content):
            return ""
        if choice.code:
            return CODE_NAMES.format(choice.code)
        if find_several(list_few(content)):
            return SEVERAL_NAMES
        return FIGURE_NAMES if are_figures(content) else NAMES
    is_unnamed = NO_NAME.fullmatch(name) is not None
    if choice.column.date or (distinct < content.rows and not is_unnamed):
        return ""
    numbers, _ = read_numbers(choice.with_format(choice.formats[0]), cells.combine_chunks())
    is_named_so = is_unnamed or ID_NAME.search(name) is not None
    if not (is_named_so or content.rows >= FEW_ROWS) or (numbers != np.floor(numbers)).any():
        return ""
    is_joined = is_unnamed and distinct >= FEW_ROWS and content.rows <= MOST_JOINED * distinct
    if numbers[0] in (0, 1) and ((np.diff(numbers) == 1) | (is_joined & (numbers[1:] == numbers[0]))).all():
        return ROW_NUMBERS  # which begin anew where tables were joined
    return IDENTIFIER if is_named_so and distinct == content.rows else ""


def _keep_one(chosen: list[ColumnChoice]) -> None:
    """Use numbers after all where nothing else is left."""
    if all(column.dropped for column in chosen):
        for column in chosen:
            if column.dropped in (ROW_NUMBERS, IDENTIFIER):
                column.note, column.dropped = f"{column.dropped}, used as there is no other column", ""


# ---- what is told -----------------------------------------------------------------------------------------


def _report_column(column: ColumnChoice) -> ColumnReport:
    kind = column.column
    words = f"empty: {', '.join(column.missing_words)}" if column.missing_words else ""
    if column.dropped:
        written = ""
    elif kind.kind is Kind.category:
        written = f"{column.distinct - MAX_CATEGORIES} rare ones joined" * (column.distinct > MAX_CATEGORIES)
    elif kind.kind is Kind.text:
        written = "its words are counted"
    else:
        written = ", ".join(filter(None, (str(kind.number), kind.date)))
    dropped = f"left out: {column.dropped}" if column.dropped else ""
    code = "" if column.dropped else column.choice.code
    described = f"described as {column.description}" if column.description else ""
    return ColumnReport(
        name=kind.name,
        taken_for="nothing" if column.dropped else kind.kind.value,
        missing=column.missing,
        distinct=column.distinct,
        examples=column.examples,
        note="; ".join(filter(None, (dropped, written, code, described, words, column.note))),
    )


def _add_findings(chosen: Sequence[ColumnChoice], findings: Findings) -> None:
    used = [column for column in chosen if not column.dropped]
    for kind in Kind:
        _add_columns(f"taken for {PLURALS[kind]}", [c for c in used if c.column.kind is kind], findings)
    forms = {str(c.column.number): None for c in used if str(c.column.number)}
    for form in forms:
        _add_columns(f"read as numbers {form}", [c for c in used if str(c.column.number) == form], findings)
    for reason in dict.fromkeys(column.dropped for column in chosen if column.dropped):
        _add_columns(f"left out: {reason}", [c for c in chosen if c.dropped == reason], findings)
    _add_columns(
        f"with more than {MAX_CATEGORIES} categories, whose rarest are joined",
        [c for c in used if c.column.kind is Kind.category and c.distinct > MAX_CATEGORIES],
        findings,
    )
    _add_columns("used though it is " + IDENTIFIER, [c for c in used if c.note], findings)
    for oddity in dict.fromkeys(oddity for column in chosen for oddity in column.oddities):
        _add_columns(oddity, [c for c in chosen if oddity in c.oddities], findings)
    for column in used:
        if column.missing_words:
            words = " ".join(column.missing_words)
            _add_columns(f"where {words} counts as an empty cell", [column], findings)


def _add_columns(text: str, columns: Sequence[ColumnChoice], findings: Findings) -> None:
    findings.add("column", text, list_names(column.column.name for column in columns), len(columns))


def list_names(names: Iterable[str]) -> str:
    """Return the first names in one line."""
    names = [format_one_line(shorten(name, 40)) for name in names]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _list_dropped(chosen: Sequence[ColumnChoice]) -> str:
    dropped = [f"{format_one_line(column.column.name)} ({column.dropped})" for column in chosen]
    return ", ".join(dropped[:5]) or "none beside the label"
