"""A table from a file of any form, told by its first bytes and its name."""

import json
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.data.readers.compression import find_packing, open_unpacked, pick_member
from pipeline.data.readers.encodings import AUTO, DOUBTFUL
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, collect_cells
from pipeline.data.tables.delimited import DelimitedFile
from pipeline.data.tables.frame.footers import leave_out_footer
from pipeline.data.tables.frame.headers import HEAD_ROWS, are_row_names, count_rows_above, has_header
from pipeline.data.tables.frame.lone_columns import NO_SEPARATOR, read_as_one_column
from pipeline.data.tables.frame.units import leave_out_descriptions
from pipeline.data.tables.text_files import OpenText, find_encoding, make_opener
from pipeline.data.tables.typed_files import (
    arff,
    arrow_files,
    databases,
    json_records,
    sparse_rows,
    statistics_files,
    workbooks,
    xlsx,
)
from pipeline.data.tables.typed_files.apart import read_apart
from pipeline.data.tables.typed_files.other_forms import refuse_other_forms
from pipeline.errors import BadData
from pipeline.formatting import shorten
from pipeline.settings.tables import Csv

OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""Of Excel before 2007, and of newer workbooks with a password."""
RECORD_SUFFIXES = (".jsonl", ".ndjson", ".json", ".geojson", ".yaml", ".yml")
ARFF_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|%.*\n)*@relation\s", re.IGNORECASE)
FIXED_WIDTH = 'read in columns of a fixed width, as cells have spaces (data.separator=" " if they have none)'
HEAD_BYTES = 1 << 16
LONGEST_KIND = 128
"""Bytes of the name of a kind of document."""


def read_table(
    path: Path, data: Csv, scratch: ScratchSpace, findings: Findings, lone: str | None = None
) -> CellTable:
    """Read all cells of a table; more than `scratch.limit` bytes of them lie in a file.

    `lone`: the column that may be all there is, "" for one of any name; None: there must be two.

    Raises:
        BadData: it is no table, damaged, or has too few columns; two columns have one name.
    """
    with path.open("rb") as file:
        head = file.read(16)
    scratch = replace(scratch, source=path)
    if form := statistics_files.find_form(path):
        table = read_apart(statistics_files.read_statistics, path, scratch, findings, form)
    elif head.startswith(b"FEA1"):  # the library reads wherever such a file says
        table = read_apart(arrow_files.read_arrow, path, scratch, findings, False)
    elif head.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        table = arrow_files.read_arrow(path, scratch, findings, head.startswith(b"PAR1"))
    elif head.startswith(databases.MAGIC):
        table = databases.read_sqlite(path, scratch, data.label, findings)
    elif _is_workbook(path, head):
        words = data.header, data.label
        if xlsx.is_xlsx(path):
            table = workbooks.read_workbook(path, scratch, findings, *words)
        else:
            table = read_apart(workbooks.read_workbook, path, scratch, findings, *words)
        table = _leave_out_frame(table, path, data, findings)
    else:
        refuse_other_forms(path, head)
        table = _read_text(path, data, scratch, findings, lone)
    return replace(table, names=_name_columns(table.names, path))


def _read_text(
    path: Path, data: Csv, scratch: ScratchSpace, findings: Findings, lone: str | None
) -> CellTable:
    """Read a table that is a text, packed or not."""
    opener = make_opener(path, _choose_encoding(path, data.encoding, findings))
    name = re.sub(r"\.(gz|bz2|xz|zst|zip)$", "", path.name.lower())
    start = _read_start(path)
    if name.endswith(RECORD_SUFFIXES) or _holds_records(start):
        return json_records.read_json_lines(path, opener, scratch, data.label)
    if ARFF_HEAD.match(start):
        return arff.read_arff(path, opener, scratch, data.label, findings)
    if sparse_rows.FIRST_ROW.match(start):
        return sparse_rows.read_sparse(path, opener, scratch, findings)
    if lone is not None:
        data = read_as_one_column(opener, path, data, lone)
    table = _read_delimited(path, opener, data, scratch, findings)
    return _leave_out_frame(table, path, data, findings)


def _holds_records(start: bytes) -> bool:
    """Return whether the first line of a file is an object of JSON, whatever the file is called."""
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    if not first.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _choose_encoding(path: Path, encoding: str, findings: Findings) -> str:
    """Return the encoding of a text; tell of one that was found, and of what lies beside it in a zip."""
    others = pick_member(path)[1] if find_packing(path) == "zip" else []
    findings.add("file", "left out: beside the table in the zip", ", ".join(others[:8]), len(others))
    if encoding == AUTO:
        encoding, doubt = find_encoding(path)
        if doubt:
            findings.add("table", f"{DOUBTFUL} {doubt}; set data.encoding=...", path.name)
        elif not encoding.startswith("utf"):  # these are sure
            findings.add("table", f"read as {encoding} (data.encoding=... if letters look wrong)", path.name)
    return encoding


def _leave_out_frame(table: CellTable, path: Path, data: Csv, findings: Findings) -> CellTable:
    table = replace(table, names=_name_columns(table.names, path))
    if data.header is not False:
        table = leave_out_descriptions(table, findings)
    return leave_out_footer(table, findings)


def _is_workbook(path: Path, head: bytes) -> bool:
    if head.startswith(OLD_OFFICE):
        return True
    if find_packing(path) != "zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = b""
            if "mimetype" in names:
                with archive.open("mimetype") as file:
                    kind = file.read(LONGEST_KIND)
    except (OSError, zipfile.BadZipFile):
        return False
    return (
        "xl/workbook.xml" in names or "xl/workbook.bin" in names or kind.endswith(b"opendocument.spreadsheet")
    )


def _read_start(path: Path) -> bytes:
    with open_unpacked(path) as file:
        return file.read(HEAD_BYTES)


def _read_delimited(
    path: Path, opener: OpenText, data: Csv, scratch: ScratchSpace, findings: Findings
) -> CellTable:
    file = DelimitedFile(path, opener, data)
    head = file.read_head(HEAD_ROWS)
    above = 0 if data.header is False else count_rows_above(head, data.label)
    first, second = head[above : above + 2]
    is_named = has_header(first, data.label) if data.header is None else data.header
    names = first if is_named else [f"column_{number}" for number in range(len(first))]
    is_longer = len(second) == len(first) + 1 and bool(second[-1].strip())
    if is_named and is_longer and are_row_names([cells[0] for cells in head[above + 1 :] if cells]):
        names = ["", *first]  # as R writes the names of rows
    if len(names) < 2 and (data.separator != NO_SEPARATOR or not names):
        raise BadData(
            f"{path} must have two columns or more, got {shorten(', '.join(first), 80) or 'no line'}; "
            "set data.separator=..., or mend it"
        )
    table = collect_cells(names, file.read_body(names, skip=above + int(is_named)), scratch)
    findings.add("row", "left out: above the header", ", ".join(filter(None, head[0])), above)
    findings.add("row", "left out: a note below the table", shorten(file.first_note, 60), len(file.notes))
    findings.add("table", FIXED_WIDTH, path.name, int(file.is_fixed_width))
    for lines, reason in (
        (file.bad_rows, "another number of cells"),
        (file.repeated_headers, "repeats the header"),
        (file.rulers, "nothing but strokes"),
    ):
        findings.add("row", f"left out: {reason}", f"line {lines[0]}" if lines else "", len(lines))
    return replace(table, separator=file.separator)


def _name_columns(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the names in composed form (NFC); a column without one gets `unnamed_` and its place.

    Raises:
        BadData: two columns have one name.
    """
    composed = [unicodedata.normalize("NFC", name).strip() for name in names]
    full = [name or f"unnamed_{position}" for position, name in enumerate(composed)]
    counts = Counter(full)
    if len(counts) < len(full):
        twice = next(name for name in full if counts[name] > 1)
        raise BadData(
            f"{path} must have different column names, got {twice} twice; rename one, or set "
            "data.header=false where its first line is no header"
        )
    return tuple(full)
