"""A table from a file of any form, told by its first bytes and its name."""

import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.data.readers.compression import find_packing, list_members, open_unpacked, pick_member
from pipeline.data.readers.encodings import AUTO, DOUBTFUL, find_mark, find_wide
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable, collect_cells
from pipeline.data.tables.delimited import DelimitedFile
from pipeline.data.tables.frame.footers import leave_out_footer
from pipeline.data.tables.frame.headers import HEAD_ROWS, count_rows_above, has_header
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
)
from pipeline.errors import BadData
from pipeline.formatting import shorten
from pipeline.settings.tables import Csv

OTHER_FORMS = {
    b"\x89HDF": "an HDF5 file (data=arrays reads its arrays)",
    b"MATLAB": "a MATLAB file (data=arrays reads its arrays)",
    b"%PDF": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x93NUMPY": "a numpy array (data=arrays reads .npz)",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}
TEXT_FORMS = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<table": "a web page",
    b"<meta": "a web page",
    b"<head": "a web page",
    b"<?xml": "an XML file",
    b"version https://git-lfs": "a pointer of Git LFS",
    b"{\\rtf": "a text of Word (.rtf)",
}
"""By the first letters, small ones, behind a byte order mark and spaces."""
OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""Of Excel before 2007, and of newer workbooks with a password."""
RECORD_SUFFIXES = (".jsonl", ".ndjson", ".json", ".yaml", ".yml")
ARFF_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|%.*\n)*@relation\s", re.IGNORECASE)
TFRECORD = re.compile(r"\.tfrecords?\b", re.IGNORECASE)
PANDAS = "python -c \"import pandas; {}.to_csv('table.csv', index=False)\""
REMEDIES = {
    "archive": "unpack it",
    "packed": "unpack it",
    "Git LFS": "fetch it with git lfs pull",
    "web page": "save it as CSV, or: pip install lxml; " + PANDAS.format("pandas.read_html('{}')[0]"),
    "XML": "save it as CSV, or: " + PANDAS.format("pandas.read_xml('{}', parser='etree')"),
    "pickle": "save it as CSV or Parquet where it comes from",
    "TFRecord": "write its fields as CSV or .npz with tf.data.TFRecordDataset and tf.io.parse_example",
}
"""By a word for the form; CSV for others."""
FIXED_WIDTH = 'read in columns of a fixed width, as cells have spaces (data.separator=" " if they have none)'
HEAD_BYTES = 1 << 16
LONGEST_KIND = 128
"""Bytes of the name of a kind of document."""
PACKED_FORMS = {
    b"PAR1": "a packed Parquet file",
    b"ARROW1": "a packed Arrow file",
    b"PK\x03\x04": "a packed zip",
}
ZIPPED_FORMS = {
    "content.xml": "an OpenDocument text",
    "word/document.xml": "a Word document",
    "Index/Document.iwa": "a Numbers document",
}
"""Documents that are a zip, by a file in it."""


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
        table = statistics_files.read_statistics(path, form, scratch, findings)
    elif head.startswith((b"PAR1", b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")):
        table = arrow_files.read_arrow(path, head.startswith(b"PAR1"), scratch, findings)
    elif head.startswith(databases.MAGIC):
        table = databases.read_sqlite(path, scratch, data.label, findings)
    elif _is_workbook(path, head):
        table = workbooks.read_workbook(path, scratch, data.header, data.label, findings)
        table = _leave_out_frame(table, path, data, findings)
    else:
        _refuse_other_forms(path, head)
        opener = make_opener(path, _choose_encoding(path, data.encoding, findings))
        name = re.sub(r"\.(gz|bz2|xz|zst|zip)$", "", path.name.lower())
        start = _read_start(path)
        if name.endswith(RECORD_SUFFIXES):
            table = json_records.read_json_lines(path, opener, scratch, data.label)
        elif ARFF_HEAD.match(start):
            table = arff.read_arff(path, opener, scratch, data.label, findings)
        elif sparse_rows.FIRST_ROW.match(start):
            table = sparse_rows.read_sparse(path, opener, scratch, findings)
        else:
            if lone is not None:
                data = read_as_one_column(opener, path, data, lone)
            table = _read_delimited(path, opener, data, scratch, findings)
            table = _leave_out_frame(table, path, data, findings)
    return replace(table, names=_name_columns(table.names, path))


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


def _refuse_other_forms(path: Path, head: bytes) -> None:
    form = _find_zipped_form(path) if find_packing(path) == "zip" else ""
    if not form:
        with open_unpacked(path) as file:
            inner = file.read(512)
        forms = OTHER_FORMS if inner.startswith(head) else OTHER_FORMS | PACKED_FORMS
        form = next((form for magic, form in forms.items() if inner.startswith(magic)), "")
        text = inner.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        form = form or next((form for start, form in TEXT_FORMS.items() if text.startswith(start)), "")
        form = form or ("a TFRecord file" if TFRECORD.search(path.name) else "")
        form = form or ("a binary file" if _is_binary(inner) else "")
        form = "a tar archive" if inner[257:262] == b"ustar" else form
    if form:
        remedy = next((way for word, way in REMEDIES.items() if word in form), "save it as CSV")
        raise BadData(
            f"{path} must be CSV, JSON, YAML, Parquet, Arrow, SQLite, ARFF, LIBSVM, Stata, SAS, SPSS or a "
            f"workbook, got {form}; {remedy.format(path)}"
        )


def _is_binary(head: bytes) -> bool:
    """Return whether a file begins with bytes of no text; the halves of UTF-16 are in one of two places."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    return (
        find_mark(head) is None
        and find_wide(head) is None
        and even > 0
        and odd > 0
        and even + odd > len(head) // 10
    )


def _find_zipped_form(path: Path) -> str:
    try:
        names = set(list_members(path))
    except zipfile.BadZipFile:
        return ""
    return next((form for name, form in ZIPPED_FORMS.items() if name in names), "")


def _read_delimited(
    path: Path, opener: OpenText, data: Csv, scratch: ScratchSpace, findings: Findings
) -> CellTable:
    file = DelimitedFile(path, opener, data)
    head = file.read_head(HEAD_ROWS)
    above = 0 if data.header is False else count_rows_above(head, data.label)
    first, second = head[above : above + 2]
    is_named = has_header(first, data.label) if data.header is None else data.header
    names = first if is_named else [f"column_{number}" for number in range(len(first))]
    if is_named and len(second) == len(first) + 1 and second[-1].strip():
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
