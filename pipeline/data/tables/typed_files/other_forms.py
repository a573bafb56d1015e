"""Files that are no table, told by their first bytes: what each is, and how a table is got out of it."""

import re
import zipfile
from pathlib import Path

from pipeline.data.readers.compression import find_packing, list_members, open_unpacked
from pipeline.data.readers.encodings import find_mark, find_wide
from pipeline.errors import BadData

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
    b"-- mysql dump": "a dump of SQL",
    b"-- mariadb dump": "a dump of SQL",
    b"-- phpmyadmin sql dump": "a dump of SQL",
    b"--\n-- postgresql database dump": "a dump of SQL",
    b"pragma foreign_keys": "a dump of SQL",
    b"create table ": "a dump of SQL",
    b"insert into ": "a dump of SQL",
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
TFRECORD = re.compile(r"\.tfrecords?\b", re.IGNORECASE)
PANDAS = "python -c \"import pandas; {}.to_csv('table.csv', index=False)\""
REMEDIES = {
    "archive": "unpack it",
    "packed": "unpack it",
    "Git LFS": "fetch it with git lfs pull",
    "web page": "save it as CSV, or: pip install lxml; " + PANDAS.format("pandas.read_html('{}')[0]"),
    "XML": "save it as CSV, or: " + PANDAS.format("pandas.read_xml('{}', parser='etree')"),
    "pickle": "save it as CSV or Parquet where it comes from",
    "dump of SQL": "load it into its database and save the table as CSV, or: sqlite3 t.db < {}",
    "TFRecord": "write its fields as CSV or .npz with tf.data.TFRecordDataset and tf.io.parse_example",
}
"""By a word for the form; CSV for others."""
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


def refuse_other_forms(path: Path, head: bytes) -> None:
    """Raise BadData for a file of another form. `head`: its first bytes, packed as it is."""
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
