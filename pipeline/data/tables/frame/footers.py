"""Rows below a table that are no data: notes on it, and the sums of its columns."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.report import Findings
from pipeline.data.tables import dates, numbers
from pipeline.data.tables.cells import CellTable
from pipeline.formatting import shorten

MOST_ROWS = 20
FEWEST_ROWS = 3
TOTAL = re.compile(
    r"(?:grand |sub)?totals?|sum|summe|gesamt(?:summe)?|insgesamt|total g[eé]n[eé]ral|total general|totale"
    r"|somme|suma|razem|итого|всего|合計|总计|合计|계|합계|toplam|totaal|totalt|yhteensä|összesen",
    re.IGNORECASE,
)
MEAN = re.compile(
    r"mean|average|avg\.?|mittelwert|durchschnitt|moyenne|media|promedio|średnia|среднее|平均", re.IGNORECASE
)
CLOSE = 1e-4
"""Of a sum, by which the rounding of its parts may change it."""
NOTE = re.compile(
    r"sources?\b|notes?\b|\(?\d[\d,.]* rows?\b|quelle|anmerkung|hinweis|stand\b|fuente|nota\b|fonte"
    r"|źródło|uwaga|источник|примечание|出典|注|资料来源|copyright|©|generated|exported|created|downloaded"
    r"|last updated|end of|[*†‡]",
    re.IGNORECASE,
)
"""How remarks begin."""


def is_note(cells: Sequence[str], width: int, after_blank: bool) -> bool:
    """Return whether a row is a remark, where no row of the table follows.

    One of another width than the table's may be; one of its width begins with a word such as Source.
    `after_blank`: an empty line stands before it, or another remark.
    """
    filled = [cell for cell in map(str.strip, cells) if cell]
    if not filled:
        return False
    if len(cells) == width:  # the lines of a single column are texts
        return width > 1 and after_blank and NOTE.match(filled[0]) is not None
    alone = len(filled) == 1 and not numbers.is_number(filled[0])
    return after_blank or NOTE.match(filled[0]) is not None or (alone and width > 2)


def leave_out_footer(table: CellTable, findings: Findings) -> CellTable:
    """Return the table without notes and sums at its end: the former are one cell, the latter add up."""
    end, notes, sums = len(table), list[str](), list[str]()
    for row in range(len(table) - 1, max(FEWEST_ROWS, len(table) - MOST_ROWS) - 1, -1):
        cells = table.read_row(row)
        filled = [position for position, cell in enumerate(cells) if cell]
        if not filled:
            continue
        first = cells[filled[0]]
        above = table.get_column(table.names[filled[0]]).slice(0, row)
        if not _is_new(first, above):
            break
        if len(filled) == 1 and len(cells) > 2:
            notes.append(first)
        elif (TOTAL.fullmatch(first.rstrip(" :")) or MEAN.fullmatch(first.rstrip(" :"))) and _adds_up(
            table, row, filled, above
        ):
            sums.append(first)
        else:
            break
        end = row
    if end == len(table):
        return table
    findings.add(
        "row", "left out: a note below the table", shorten(notes[-1], 60) if notes else "", len(notes)
    )
    findings.add("row", "left out: what the rows above add up to", sums[-1] if sums else "", len(sums))
    return replace(table, content=table.content.slice(0, end), lines=table.lines[:end])


def _is_new(cell: str, above: Any) -> bool:
    """Return whether a cell is a word that its column has nowhere above."""
    return (
        not numbers.is_number(cell)
        and not pc.any(pc.equal(above, pa.scalar(cell, pa.large_string()))).as_py()
    )


def _adds_up(table: CellTable, row: int, filled: Sequence[int], above: Any) -> bool:
    """Return whether a row has the sum or the mean of a column, or its word stands below numbers or dates."""
    words = above.filter(pc.fill_null(pc.not_equal(above, ""), False)).combine_chunks()
    if len(words) and (pc.all(numbers.match_numbers(words)).as_py() or dates.find_patterns(words)):
        return True
    for position in filled[1:]:
        cells = table.get_column(table.names[position]).slice(0, row + 1).combine_chunks()
        cells = cells.filter(pc.fill_null(pc.not_equal(cells, ""), False))
        if len(cells) < FEWEST_ROWS or not pc.all(numbers.match_numbers(cells)).as_py():
            continue
        forms = numbers.find_formats(cells)
        for form in forms[:2]:
            values, _ = numbers.parse_numbers(cells, form)
            rest, total = values[:-1], values[-1]
            if total != 0 and min(abs(rest.sum() - total), abs(rest.mean() - total)) <= CLOSE * abs(total):
                return bool(np.isfinite(total))
    return False
