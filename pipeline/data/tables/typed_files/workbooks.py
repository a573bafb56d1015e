"""Workbooks of Excel and LibreOffice: which sheet is read, where its header is, and its cells."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, collect_cells
from pipeline.data.tables.frame.headers import HEAD_ROWS, count_rows_above, has_header
from pipeline.data.tables.numbers import is_number
from pipeline.data.tables.typed_files import other_workbooks, xlsx
from pipeline.data.tables.typed_files.sheet import Merged, Sheet, SheetSource
from pipeline.data.tables.typed_files.written_cells import write_cell
from pipeline.errors import BadData, read_first_line


def read_workbook(
    path: Path, scratch: ScratchSpace, findings: Findings, header: bool | None, label: str
) -> CellTable:
    """Read the first sheet that is not hidden and has the label, else the first of them.

    Cells merged with the one above have its value. `label`: the name of a column, by which the header is
    found below titles.

    Raises:
        BadData: the package for such files is not installed, or the file is damaged or locked.
    """
    try:
        sources = _open_workbook(path)
        chosen = _choose_sheet(sources, label)
        sheet = chosen.read()
    except (BadData, MemoryError):
        raise
    except Exception as error:  # the packages raise whatever their parsers do
        raise BadData(
            f"{path} must be a whole workbook without a password, got: {read_first_line(error)}; "
            "save it again, or as CSV"
        ) from None
    others = [source.name for source in sources if source is not chosen]
    findings.add("sheet", f"left out: {sheet.name} is read", ", ".join(others[:8]), len(others))
    return _collect_sheet(sheet, scratch, header, label, findings)


def _open_workbook(path: Path) -> list[SheetSource]:
    return xlsx.open_workbook(path) if xlsx.is_xlsx(path) else other_workbooks.open_workbook(path)


def _choose_sheet(sources: Sequence[SheetSource], label: str) -> SheetSource:
    visible = [source for source in sources if source.is_visible] or list(sources)
    is_place = label.lstrip("-").isdecimal()
    for source in () if is_place else visible:
        if any(str(cell).strip() == label for row in source.read_head(HEAD_ROWS) for cell in row):
            return source
    return visible[0]


def _collect_sheet(
    sheet: Sheet, scratch: ScratchSpace, header: bool | None, label: str, findings: Findings
) -> CellTable:
    width = max((len(row) for _, row in sheet.rows), default=0)
    filled = [
        (line, [write_cell(cell) for cell in (*row, *[None] * (width - len(row)))])
        for line, row in sheet.rows
    ]
    names, body = [f"column_{number}" for number in range(width)], filled
    if header is not False and filled:
        head = [[(cell or "").strip() for cell in cells] for _, cells in filled[:HEAD_ROWS]]
        above = count_rows_above([*head, []], label)
        is_named = header or _has_names(head[above], [cells for _, cells in filled[above + 1 :]], label)
        names, body = (head[above], filled[above + 1 :]) if is_named else (names, filled[above:])
        findings.add("row", "left out: above the header", ", ".join(filter(None, head[0])), above)
    _fill_merged(body, sheet.merged, findings)
    return collect_cells(names, body, scratch)


def _has_names(first: Sequence[str], below: Sequence[Sequence[str | None]], label: str) -> bool:
    """Return whether a row has names: all of its cells are words, or one that its column has not below."""
    words = [column for column, cell in enumerate(first) if cell and not is_number(cell)]
    if has_header([cell for cell in first if cell], label):
        return True
    return any(all((cells[column] or "").strip() != first[column] for cells in below) for column in words)


def _fill_merged(
    body: Sequence[tuple[int, list[str | None]]], merged: Sequence[Merged], findings: Findings
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
