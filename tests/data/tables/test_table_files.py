"""Files of every form hold the same table."""

import base64
import bz2
import contextlib
import gzip
import io
import json
import lzma
import sqlite3
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.sources import load
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.table_files import read_table
from pipeline.data.tables.typed_files import xlsx
from pipeline.errors import BadData
from tests.support import places

ROWS = [("0.13", "red, dark", "yes"), ("-0.5", "blue", "no"), ("", "Grün", "yes")]
TEXT = 'a,b,y\n0.13,"red, dark",yes\n-0.5,blue,no\n,Grün,yes\n'


def read(path: Path, limit: int = 10**9, **changes: object) -> CellTable:
    data = places.cells(path, label="y", columns=None, **changes)
    return read_table(path, data, ScratchSpace(path.parent / "scratch", limit), Findings())


def rows_of(table: CellTable) -> list[tuple[str, ...]]:
    columns = [[cell or "" for cell in table.get_column(name).to_pylist()] for name in table.names]
    return list(zip(*columns, strict=True))


def write_zip(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", content)
        archive.writestr("__MACOSX/._t.csv", b"junk")


ENCODED: dict[str, bytes] = {
    "plain": TEXT.encode(),
    "mark": TEXT.encode("utf-8-sig"),
    "utf16": TEXT.encode("utf-16"),
    "utf16 without mark": TEXT.encode("utf-16-le"),
    "latin": TEXT.encode("cp1252"),
    "lines of Windows": TEXT.replace("\n", "\r\n").encode(),
    "lines of the old Mac": TEXT.replace("\n", "\r").encode(),
    "quoted header": TEXT.replace("a,b,y", '"a","b","y"').encode("utf-8-sig"),
    "space after the comma": TEXT.replace(",", ", ").replace("red, ", "red,").encode(),
    "semicolons": b"".join([b"a;b;y\n0.13;red, dark;yes\n-0.5;blue;no\n;Gr\xc3\xbcn;yes\n"]),
    "old Macintosh": TEXT.encode("mac_roman"),
    "DOS": TEXT.encode("cp850"),
    "bars with spaces": b"a | b | y\n0.13 | red, dark | yes\n-0.5 | blue | no\n | Gr\xc3\xbcn | yes\n",
    "remarks": b"# made by me, 2020\n# more\n" + TEXT.encode(),
    "carets": b"a^b^y\n0.13^red, dark^yes\n-0.5^blue^no\n^Gr\xc3\xbcn^yes\n",
    "title": b"Report of sales\n\n" + TEXT.encode(),
    "title in cells": b"Report of sales,,\nfrom 2020,,\n" + TEXT.encode(),
    "joined files": (TEXT[: TEXT.index(",Gr")] + "\ufeffa,b,y\n" + TEXT[TEXT.index(",Gr") :]).encode(),
    "tabs": "a\tb\ty\n0.13\tred, dark\tyes\n-0.5\tblue\tno\n\tGrün\tyes\n".encode(),
    "bars": "a|b|y\n0.13|red, dark|yes\n-0.5|blue|no\n|Grün|yes\n".encode(),
    "Excel names its separator": "sep=;\r\na;b;y\r\n0.13;red, dark;yes\r\n-0.5;blue;no\r\n;Grün;yes".encode(),
    "single quotes": TEXT.replace('"red, dark"', "'red, dark'")
    .replace("blue", "'blue'")
    .replace("Grün", "'Grün'")
    .replace("a,b,y", "'a','b','y'")
    .encode(),
    "remarks before the header": f"# made by a tool\n# in 2020\n{TEXT}".encode(),
    "separators at the ends": TEXT.replace("yes", "yes,").replace("no", "no,").encode(),
}


@pytest.mark.parametrize("form", ENCODED)
def test_a_text_is_read_however_it_is_written(tmp_path: Path, form: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(ENCODED[form])
    table = read(path)
    assert table.names == ("a", "b", "y")
    assert rows_of(table) == ROWS


def pack_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def make_zip(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, inner in files.items():
            archive.writestr(zipfile.ZipInfo(name), inner)  # of one date: the bytes name tests
    return content.getvalue()


PACKED: dict[str, Callable[[Path, bytes], object]] = {
    "t.csv.gz": lambda path, content: path.write_bytes(gzip.compress(content)),
    "t.csv.bz2": lambda path, content: path.write_bytes(bz2.compress(content)),
    "t.csv.xz": lambda path, content: path.write_bytes(lzma.compress(content)),
    "t.csv.zst": lambda path, content: path.write_bytes(pack_zstd(content)),
    "t.zip": write_zip,
    "gz without its name.csv": lambda path, content: path.write_bytes(gzip.compress(content)),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_file_is_read(tmp_path: Path, name: str) -> None:
    PACKED[name](tmp_path / name, TEXT.encode())
    assert rows_of(read(tmp_path / name)) == ROWS


def arrow_table() -> pa.Table:
    columns = {"a": [0.13, -0.5, None], "b": [row[1] for row in ROWS], "y": [row[2] for row in ROWS]}
    return pa.table(columns).set_column(2, "y", pa.array(columns["y"]).dictionary_encode())


def write_json(path: Path, as_list: bool, frame: str = "{}") -> None:
    records = [dict(zip("aby", (float(a) if a else None, b, y), strict=True)) for a, b, y in ROWS]
    path.write_text(frame.format(json.dumps(records)) if as_list else "\n".join(map(json.dumps, records)))


def write_excel(path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("Report",), (), ("a", "b", "y"), *((float(a) if a else None, b, y) for a, b, y in ROWS)]:
        book.active.append(row)
    book.save(path)


def write_as_pandas(path: Path, orient: str) -> None:
    import pandas

    frame = pandas.DataFrame([(float(a) if a else None, b, y) for a, b, y in ROWS], columns=list("aby"))
    frame.to_json(path, orient=orient)


def write_stata(path: Path) -> None:
    import pandas

    frame = pandas.DataFrame([(float(a) if a else None, b, y) for a, b, y in ROWS], columns=list("aby"))
    frame.to_stata(path, write_index=False, version=118)


def write_spss(path: Path) -> None:
    import pandas

    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pandas.DataFrame([(float(a) if a else None, b, y) for a, b, y in ROWS], columns=list("aby"))
    frame["y"] = frame["y"].map({"no": 1.0, "yes": 2.0})
    pyreadstat.write_sav(
        frame,
        str(path),
        compress=path.suffix == ".zsav",
        variable_value_labels={"y": {1.0: "no", 2.0: "yes"}},
    )


ARFF = """% Made by hand.

@RELATION 'some things'
@attribute 'a' NUMERIC
@attribute b string
@attribute "y" {yes, no}
@DATA
% rows
0.13, 'red, dark', yes
-0.5,"blue",no

?,Grün,'yes'
"""
YAML = """- {a: 0.13, b: "red, dark", y: yes}
- a: -0.5
  b: blue
  y: no
- {a: ~, b: Grün, y: yes}
"""
RECORDS = [dict(zip("aby", row, strict=True)) for row in ROWS]


TYPED: dict[str, Callable[[Path], object]] = {
    "t.parquet": lambda path: pq.write_table(arrow_table(), path),
    "t.feather": lambda path: feather.write_feather(arrow_table(), str(path)),
    "t.jsonl": lambda path: write_json(path, as_list=False),
    "t.json": lambda path: write_json(path, as_list=True),
    "columns.json": lambda path: write_as_pandas(path, "columns"),
    "split.json": lambda path: write_as_pandas(path, "split"),
    "in an object.json": lambda path: write_json(path, as_list=True, frame='{{"made": 2020, "rows": {}}}'),
    "t.xlsx": write_excel,
    "t.dta": write_stata,
    "t.sav": write_spss,
    "t.zsav": write_spss,
    "t.arff": lambda path: path.write_text(ARFF),
    "index.json": lambda path: write_as_pandas(path, "index"),
    "table.json": lambda path: write_as_pandas(path, "table"),
    "rows with names.json": lambda path: path.write_text(json.dumps([["a", "b", "y"], *ROWS])),
    "rows with names.jsonl": lambda path: path.write_text("\n".join(map(json.dumps, [list("aby"), *ROWS]))),
    "deep.json": lambda path: path.write_text(json.dumps({"made": [1, 2], "got": {"rows": RECORDS, "n": 3}})),
    "t.yaml": lambda path: path.write_text(YAML),
    "columns.yml": lambda path: path.write_text(
        "a: ['0.13', -0.5, '']\nb: ['red, dark', blue, Grün]\ny: [yes, no, yes]"
    ),
}


def test_records_may_lie_beside_other_values_of_an_object_in_one_line_or_several(tmp_path: Path) -> None:
    rows = [{"_source": {"a": row, "y": "ab"[row % 2]}} for row in range(4)]
    answer = {"hits": {"total": 4, "hits": rows}}
    for name, text in (("t.json", json.dumps(answer)), ("t.geojson", json.dumps(answer, indent=1))):
        (tmp_path / name).write_text(text)
        table = read(tmp_path / name)
        assert (table.names, len(table)) == (("_source.a", "_source.y"), 4)
    with pytest.raises(BadData, match=r"must be a column of .*, got y; did you mean _source\.y\?"):
        load(places.cells(tmp_path / "t.json", label="y", columns=None), tmp_path)


def test_objects_of_json_are_rows_whatever_the_file_is_called(tmp_path: Path) -> None:
    write_json(tmp_path / "t.txt", as_list=False)
    assert read(tmp_path / "t.txt").names == ("a", "b", "y")


@pytest.mark.parametrize("name", TYPED)
def test_a_typed_file_is_read(tmp_path: Path, name: str) -> None:
    TYPED[name](tmp_path / name)
    table = read(tmp_path / name)
    assert tuple(name for name in table.names if name != "index") == ("a", "b", "y")
    assert [row[-3:] for row in rows_of(table)] == ROWS


def test_rows_of_libsvm_are_a_table_with_its_zeros(tmp_path: Path) -> None:
    (tmp_path / "t.svm").write_text("# made by hand\n+1 qid:3 2:0.5 10:1e-3 # first\n-1 1:7\n-1\n")
    findings = Findings()
    data = places.cells(tmp_path / "t.svm", label="label", columns=None)
    table = read_table(tmp_path / "t.svm", data, ScratchSpace(tmp_path / "scratch", 10**9), findings)
    assert table.names == ("label", "feature_1", "feature_2", "feature_10")
    assert rows_of(table) == [("+1", "0", "0.5", "1e-3"), ("-1", "7", "0", "0"), ("-1", "0", "0", "0")]
    assert table.lines.tolist() == [2, 3, 4]
    assert (
        table.fill(["label", "feature_5"]).get_column("feature_5").to_pylist() == ["0"] * 3
    )  # of another file
    assert list(map(str, findings.to_tuple())) == ["1 row of a query (qid), which is left out"]


def test_words_of_arff_that_are_numbers_are_told(tmp_path: Path) -> None:
    head = "@relation r\n@attribute x {0, 1,2}\n@attribute y {0,1}\n@data\n"
    (tmp_path / "t.arff").write_text(f"{head}0,1\n2,0\n")
    findings = Findings()
    data = places.cells(tmp_path / "t.arff", label="y", columns=None)
    read_table(tmp_path / "t.arff", data, ScratchSpace(tmp_path / "scratch", 10**9), findings)
    assert [str(finding).partition(":")[0] for finding in findings.to_tuple()] == [
        "1 column whose words are numbers"
    ]


def test_no_pattern_searches_for_long(tmp_path: Path) -> None:
    """Where it tries each of many ways, these take a minute each."""
    start = time.process_time()
    (tmp_path / "t.csv").write_text(f"a,y\n{'-' * 60_000}x,1\n2,1\n")
    assert len(read(tmp_path / "t.csv")) == 2
    (tmp_path / "t.arff").write_text(f"@relation r\n@attribute y string\n@data\na{' ' * 60_000}b\n")
    assert len(read(tmp_path / "t.arff")) == 1
    assert not xlsx.NEVER_COMPUTED.findall(b'<c r="A1"><f/>' + b" " * 60_000 + b"<v>1</v></c>")
    assert xlsx.NEVER_COMPUTED.findall(b'<c r="A1"> <f/> <v></v> </c>') == [b"A1"]
    assert time.process_time() - start < 5


def test_cells_beyond_the_limit_lie_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TEXT * 2)
    table = read(path, limit=10)
    assert rows_of(table) == [*ROWS, *ROWS]
    assert list((tmp_path / "scratch").iterdir())
    assert table.find_line("b", "blue") == 3


@pytest.mark.parametrize(
    ("content", "changes", "rule"),
    [
        ("a,b,y\n1,2,3\n1,2\n", {}, "must have 3 cells in every line, got 2 in line 3"),
        ("a,b,y\n1,2,3\n1,2,3,4\n", {}, "must have 3 cells in every line, got 4 in line 3"),
        ('a,b,y\n1,2,3\n"1,2,3\n4,5,6\n', {}, "must close every quote, got one that opens in line 3"),
        ('a,b,y\n"1,2,3\n4,5,6\n7,8,9\n1,2,"x\n', {}, "must close every quote, got one that opens in line 2"),
        ("a,b,a\n1,2,3\n", {}, "must have different column names, got a twice"),
        ("only\n1\n", {}, "must have two columns or more"),
        ("", {}, "must have two columns or more"),
        ("a,b,y\n1,caf\u00e9,3\n", {"encoding": "ascii"}, "must be text in ascii"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: str, changes: dict[str, object], rule: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(BadData) as caught:
        read(path, **changes)
    places.assert_one_line(caught, rule)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "must be a whole workbook without a password"),
        (b"\xef\xbb\xbf\n <HTML><table>", "got a web page; save it as CSV, or: pip install lxml"),
        (b"<?xml version='1.0'?><rows><row/></rows>", "got an XML file; save it as CSV, or: python -c"),
        (b"@relation r\n@attribute a real\n@data\n{0 1}\n", "got a sparse row in line 4; save it with Weka"),
        (b"@relation r\n@attribute a real\n@data\n1,2\n", "must have 1 cells in every row, got 2 in line 4"),
        (b"@relation r\n@attribute a real\n1\n", "must have a line @data"),
        (b"@relation r\n@attribute a real\n@attribute a real\n", "different column names, got a twice"),
        (b'[{"a": 1, "a": 2}]', "a twice in one object"),
        (b'{"a": [1, 2], "y": [1]}', "must have a cell for each column in every row"),
        (b'{"a.b": 1, "a": {"b": 2}, "y": 3}', "got a.b twice, once within an object; rename one"),
        (b"--\n-- PostgreSQL database dump\n--\n", "got a dump of SQL; load it into its database"),
        (b"$FL2 but cut", "must be a whole file of SPSS"),
        (
            b"0 1:0.5 3:2\n1 2:0.5 2:1\n",
            "different PLACE:VALUE in every row, as LIBSVM has, got others in line 2",
        ),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"SQLite format 3\x00", "must be a whole SQLite database"),
        (b"version https://git-lfs.github.com/spec/v1\n", "got a pointer of Git LFS; fetch it with git lfs"),
        (b"r\x02\x01\x00 but cut", "must be a whole file of Stata"),
        (bytes(range(256)) + bytes(256), "got a binary file; save it as CSV"),
        (b"PAR1 but cut", "must be a whole table"),
        (pack_zstd(TEXT.encode())[:-4], "must be a whole file"),
        (make_zip(**{"content.xml": b"<a/>", "mimetype": b""}), "an OpenDocument text"),
        (make_zip(inner=make_zip(t=TEXT.encode())), "got a packed zip; unpack it"),
        (gzip.compress(b"PAR1...", mtime=0), "got a packed Parquet file; unpack it"),
        (make_zip(**{"a.csv": b"", "b.csv": b"", "c.txt": b""}), "got 3 files (a.csv, b.csv, c.txt)"),
        (b"PK\x03\x04 but cut", "must be a whole file"),
        (b"\x1f\x8b\x08 but cut", "must be a whole file"),
        (b"\xfd7zXZ\x00 but cut", "must be a whole file"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, head: bytes, what: str) -> None:
    path = tmp_path / ("t.json" if head[:1] in b"[{" else "t.csv")
    path.write_bytes(head)
    with pytest.raises(BadData) as caught:
        read(path)
    places.assert_one_line(caught, what)


@pytest.mark.parametrize(
    "content",
    [
        "a,b,y\n---,---,---\n0.13,dark,yes\n-0.5,blue,no\n",
        "| a | b | y |\n|---|:--|---|\n| 0.13 | dark | yes |\n| -0.5 | blue | no |\n",
        "+---+--+\n| a | b | y |\n+---+--+\n| 0.13 | dark | yes |\n| -0.5 | blue | no |\n+---+--+\n",
        "a,b,y\r\n0.13,dark,yes\r\n-0.5,blue,no\r\n\x1a",
    ],
)
def test_what_programs_draw_around_a_table_is_left_out(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    table = read(path)
    used = [table.get_column(name).to_pylist() for name in "aby"]
    assert used == [["0.13", "-0.5"], ["dark", "blue"], ["yes", "no"]]


def test_a_separator_within_other_quotes_is_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,y\n0.13,'red, dark','yes'\n-0.5,'it is, too','no'\n")
    assert rows_of(read(path)) == [("0.13", "red, dark", "yes"), ("-0.5", "it is, too", "no")]


def test_what_lies_beside_a_table_and_its_encoding_are_told(tmp_path: Path) -> None:
    path, findings = tmp_path / "t.zip", Findings()
    path.write_bytes(make_zip(**{"t.csv": TEXT.encode("cp1252"), "README.txt": b"hello"}))
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert rows_of(table) == ROWS
    assert [str(finding) for finding in findings.to_tuple()] == [
        "1 file left out: beside the table in the zip (README.txt)",
        "1 table read as cp1252 (data.encoding=... if letters look wrong) (t.zip)",
    ]


def test_lines_of_two_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = [f"Köln {row},yes\n".encode("cp1252" if row % 3 else "utf-8") for row in range(9)]
    path.write_bytes(b"a,y\n" + b"".join(lines))
    with pytest.raises(BadData) as caught:
        read(path)
    places.assert_one_line(caught, "must be text in one encoding, got UTF-8 as in 'Köln 0,yes', and cp1252")
    assert len(read(path, encoding="cp1252")) == 9


def test_utf8_with_a_broken_letter_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,y\n" + "Köln,yes\n".encode() * 20 + b"K\xc3ln,no\n")
    with pytest.raises(BadData) as caught:
        read(path)
    places.assert_one_line(caught, "got UTF-8 with broken letters in 1 line, such as line 22")


def test_columns_of_a_fixed_width_may_have_spaces_in_their_cells(tmp_path: Path) -> None:
    path, findings = tmp_path / "t.txt", Findings()
    rows = [("a place", "a", "y"), ("New York", "1.5", "yes"), ("Los Angeles", "2", "no"), ("", "30", "yes")]
    path.write_text("\n".join(f"{b:12}{a:>5} {y}" for b, a, y in rows))
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert (table.names, rows_of(table)) == (rows[0], rows[1:])
    assert "in columns of a fixed width" in str(findings.to_tuple()[0])
    path.write_text("a b y\n1  2.5 yes\n10  3.5 no\n2 4.5  yes\n")
    assert rows_of(read(path)) == [("1", "2.5", "yes"), ("10", "3.5", "no"), ("2", "4.5", "yes")]


def test_formulas_of_a_workbook_that_were_never_computed_are_refused(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["a", "y"])
    book.active.append(["=1+1", "yes"])
    book.save(path)
    with pytest.raises(BadData) as caught:
        read(path)
    places.assert_one_line(caught, "got 1 formula never computed (A2)")


def test_columns_of_bytes_are_text_or_left_out_with_a_word(tmp_path: Path) -> None:
    path, findings = tmp_path / "t.parquet", Findings()
    pq.write_table(pa.table({"a": [b"\xff", b"x"], "b": [b"u", b"v"], "y": ["n", "m"]}), path)
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert rows_of(table) == [("u", "n"), ("v", "m")]
    assert [str(finding) for finding in findings.to_tuple()] == [
        "1 column left out: bytes that are no text (a)"
    ]


def test_the_sheet_with_the_label_is_read_and_merged_cells_have_their_value(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path, findings, book = tmp_path / "t.xlsx", Findings(), openpyxl.Workbook()
    for row in [("y",), ("old",)]:
        book.active.append(row)
    book.create_sheet("notes").append(("read me",))
    sheet = book.create_sheet("data")
    for row in [("Sales",), ("a", "y"), ("u", "n"), (None, "m"), (None, "n"), ("v", "m")]:
        sheet.append(row)
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("A3:A5")
    sheet.merge_cells("B6:B20")
    book.active.sheet_state, book.active = "hidden", 1
    book.save(path)
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert rows_of(table) == [("u", "n"), ("u", "m"), ("u", "n"), ("v", "m")]
    assert [str(finding) for finding in findings.to_tuple()] == [
        "2 sheets left out: data is read (Sheet, notes)",
        "1 row left out: above the header (Sales)",
        "2 cells merged with the one above: its value is used",
    ]


OLD_WORKBOOK = zlib.decompress(
    base64.b64decode(
        "eNrtWEloFFEQfb+XWSTLJCZCIg5DwC3LQTwoaByVaEBIiHpwQdCO02BIMpFJFOLFaJyjIHhSPBiIBy9RLy644ALiQYjoQRCERPHkSVDw"
        "kKStqu6eLEbJgCYkdA1V/1f9qur6/9f/1dNvhktGBu5UjmIGbIOOCSeK0BSZIoz6TAw07jjc9dsIoRPAooJohDYyZOJh4esw7yHv9yg0"
        "3DaeEQU+ER7BSTR3pe3EPMJOicFSHEO9ClHuaZSR14gWoUIiKxV6XOhyobdE+5HQ7SK5KLSedEfUYQwnm6s3e5l8UKuSsSKiCvfE5oNI"
        "NqAcrziTz15Srq6JHZk2q2ORDcSNAgyCNrXRTtsZ5otxA8uAQwR1TU11DQ0jKKMNH8QPJwF890/200Qgn1+5Asl/TpeH/yCP0CbOlF/W"
        "DKAPzjHFyZxFIfYYPGIi3dVjd2dRgOsmCwykrB4rS1lfE+FUCeFEWyplp8ewlXTA2cEZk7GtVKLTJpP9VofdTXllEbbqIPNe6jGmCTsJ"
        "TxGeZjv3JolNu0kK5XQVEE2hWPolcsZiNI2xm9/eNrW2JI+KpE+qh1tjVvN04OAcW5BxUW7EpdViUSP0vHhdKf1KoWU0bWrXtJR7nd39"
        "onNBRtfQczYKvEuundJfR/3s173349nPyfXUH2ocPVM29D45gCqqeSmy518/alWtunqF4UHSb5V3F30UWvHbvRTRYl7sjldIizEuaw1a"
        "D6m2WinusirdW5MwH6vq1ndjya2q8jQ0md10DU00mLocr5+e4zTijBynE2d6vvRZfOnii1f5McWri69NUp2ev2Bfrg57CXlejBlenpC1"
        "4WUC+zDExxaqzaV4mfNhiI+w58OcJRJTfERlT1cR58+K38lcxTDiCnEad9X9oL4Qp4gzJlMRC5GKS/WAm39d1QACCCCAAAJYAOByyyVM"
        "994CTa+wh73vOuOEE8FnkiUL+9BFvx76Q7kLaWoz6M0rf1bAVL4vNUcb/3shwwF6egbtaJU42vPOX3oxU1PnM2fD2L87Qvk+fyKfOP/z"
        "838Bu6BEvA=="
    )
)
"""An .xls: the sheets notes and hidden, and data, as in the .ods below."""
CELL = '<table:table-cell office:value-type="{}" {}><text:p>{}</text:p></table:table-cell>'
EMPTY = "<table:table-cell/>"
SPACES = {name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "table", "text")}


def write_ods(path: Path) -> None:
    def word(text: str, more: str = "") -> str:
        return CELL.format("string", more, text)

    def number(value: float) -> str:
        return CELL.format("float", f'office:value="{value}"', value)

    def day(text: str) -> str:
        return CELL.format("date", f'office:date-value="{text}"', "")

    rows = [
        word("Sales"),
        EMPTY,
        "".join(map(word, ["a", "b", "day", "y"])),
        word("u", 'table:number-rows-spanned="2"') + number(0.13) + day("2024-01-05") + word("n"),
        "<table:covered-table-cell/>" + number(-0.5) + day("2024-01-06") + word("m"),
        word("v") + word("#DIV/0!") + EMPTY + word("n"),
    ]
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    sheets = f'<table:table table:name="notes"/><table:table table:name="data">{body}</table:table>'
    names = " ".join(f'xmlns:{name}="{uri}"' for name, uri in SPACES.items())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        frame = f"<office:body><office:spreadsheet>{sheets}</office:spreadsheet></office:body>"
        archive.writestr("content.xml", f"<office:document-content {names}>{frame}</office:document-content>")


@pytest.mark.parametrize("name", ["t.xls", "t.ods"])
def test_workbooks_of_other_programs_are_read_as_those_of_excel(tmp_path: Path, name: str) -> None:
    path, findings = tmp_path / name, Findings()
    write_ods(path) if name == "t.ods" else path.write_bytes(OLD_WORKBOOK)
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert table.names == ("a", "b", "day", "y")
    rows = rows_of(table)
    assert rows[:2] == [("u", "0.13", "2024-01-05", "n"), ("u", "-0.5", "2024-01-06", "m")]
    assert rows[2] in [("v", error, "", "n") for error in ("", "#DIV/0!")]
    others = "2 sheets left out: data is read (notes, hidden)" if name == "t.xls" else None
    assert [str(finding) for finding in findings.to_tuple()] == [
        others or "1 sheet left out: data is read (notes)",
        "1 row left out: above the header (Sales)",
        "1 cell merged with the one above: its value is used",
    ]


DATA = "".join(f"{row}.5,{row % 7 + 1},{'xz'[row % 2]},{'ab'[row % 3 == 0]}\n" for row in range(5))
NAMES = "len,speed,kind,y\n"
UNITS = "1 row left out: units, below the header"
NOTE, SUM = "left out: a note below the table", "1 row left out: what the rows above add up to"
QUESTIONS = "How long?,How fast?,Which?,Who?\n" + ",".join(
    f'"{{""Id"":""Q{number}""}}"' for number in range(4)
)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{NAMES}cm,m/s,,\n{DATA}", [f"{UNITS} (cm, m/s)"]),
        (f"{NAMES}[cm],[-],[-],[-]\n{DATA}", [f"{UNITS} ([cm], [-], [-], [-])"]),
        (f"{NAMES}kg,?,-,\n{DATA}", [f"{UNITS} (kg, ?, -)"]),
        (
            f"{NAMES}continuous,continuous,discrete,discrete\n,,,class\n{DATA}",
            ["2 rows left out: units, below"],
        ),
        (
            f"{NAMES}{QUESTIONS}\n{DATA}",
            ["2 rows left out: what the columns hold, below the header (How long?"],
        ),
        (f"{NAMES}{DATA}\nSource: WHO, 2020\nNote: revised\n", [f"2 rows {NOTE} (Source: WHO 2020)"]),
        (f"{NAMES}{DATA}\nSource: WHO, a,b,c\n", [f"1 row {NOTE} (Source: WHO a b c)"]),
        (f"{NAMES}{DATA}Source: WHO,,,\n", [f"1 row {NOTE} (Source: WHO)"]),
        (f"{NAMES}{DATA}(5 rows affected)\n", [f"1 row {NOTE} ((5 rows affected))"]),
        (f"{NAMES}{DATA}Total,15,,\n*revised\n", [f"1 row {NOTE} (*revised)", f"{SUM} (Total)"]),
        (f"A title\nof 2020\n\n{NAMES}{DATA}", ["2 rows left out: above the header (A title)"]),
    ],
)
def test_what_stands_around_the_rows_is_left_out_with_a_word(
    tmp_path: Path, content: str, told: list[str]
) -> None:
    path, findings = tmp_path / "t.csv", Findings()
    path.write_text(content)
    data = places.cells(path, label="-1", columns=None)
    table = read_table(path, data, ScratchSpace(tmp_path, 10**9), findings)
    assert [",".join(row) for row in rows_of(table)] == DATA.splitlines()
    found = [str(finding) for finding in findings.to_tuple()]
    assert len(found) == len(told)
    assert all(text.startswith(start) for text, start in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("content", "last"),
    [
        (f"{NAMES}-,-,x,a\n{DATA}", 5),  # words for an empty cell
        (f"{NAMES}bad,worse,x,a\n{DATA}", 5),  # a class that is below, too
        (f"{NAMES}{DATA}1,2,x,Total\n", 5),
        ("kind,len,y\n" + "x,1,a\n" * 5 + "Total,7,a\n", 5),  # no sum
    ],
)
def test_a_row_that_may_be_data_stays(tmp_path: Path, content: str, last: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    assert len(read(path)) == last + 1


def test_the_table_of_a_database_that_has_the_label_is_read_to_the_last_digit(tmp_path: Path) -> None:
    path, findings = tmp_path / "t.db", Findings()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (a)")
        database.execute('CREATE TABLE "my data" (id INTEGER, b REAL, raw BLOB, y TEXT)')
        rows = [(2**53 + 1, 0.5, b"\xff", "n"), (2**53, None, None, "m")]
        database.executemany('INSERT INTO "my data" VALUES (?, ?, ?, ?)', rows)
        database.commit()
    table = read_table(path, places.cells(path, label="y"), ScratchSpace(tmp_path, 10**9), findings)
    assert table.names == ("id", "b", "y")
    assert rows_of(table) == [(str(2**53 + 1), "0.5", "n"), (str(2**53), "", "m")]
    assert [str(finding) for finding in findings.to_tuple()] == [
        "1 table left out: my data is read (notes)",
        "1 column left out: bytes that are no text (raw)",
    ]
    with pytest.raises(BadData) as caught:
        read_table(path, places.cells(path, label="0"), ScratchSpace(tmp_path, 10**9), findings)
    places.assert_one_line(
        caught, "must hold one table with the column data.label (0), got 2: notes, my data"
    )


def test_quotes_can_be_letters_and_bad_lines_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b,y\n"1,2,3\n4,5"",6\n')
    assert rows_of(read(path, quote="none")) == [('"1', "2", "3"), ("4", '5""', "6")]
    path.write_text("a,b,y\n1,2,3\n1,2\n4,5,6\n")
    findings = Findings()
    data = places.cells(path, label="y", columns=None, on_error="skip")
    table = read_table(path, data, ScratchSpace(tmp_path, 10**9), findings)
    assert rows_of(table) == [("1", "2", "3"), ("4", "5", "6")]
    assert [str(finding) for finding in findings.to_tuple()] == [
        "1 row left out: another number of cells (line 3)"
    ]


def test_a_table_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("5.1,3.5,setosa\n4.9,3.0,virginica\n")
    data = places.cells(path, label="-1", columns=None)
    table = read_table(path, data, ScratchSpace(tmp_path, 10**9), Findings())
    assert table.names == ("column_0", "column_1", "column_2")
    assert len(table) == 2
    assert read(path, header=True).names == ("5.1", "3.5", "setosa")


def test_a_place_of_the_label_is_no_name_in_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("0,1.5,2\n1,0,3\n")
    for place in ("0", "2"):
        data = places.cells(path, label=place, columns=None)
        assert len(read_table(path, data, ScratchSpace(tmp_path, 10**9), Findings())) == 2
    path.write_text(",0,1,2\n0,0.5,0.1,a\n1,0.7,0.2,b\n")  # as pandas writes columns without names
    data = places.cells(path, label="2", columns=None)
    assert read_table(path, data, ScratchSpace(tmp_path, 10**9), Findings()).names == (
        "unnamed_0",
        "0",
        "1",
        "2",
    )


def test_a_column_without_a_name_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",x,y\n0,0.5,a\n")
    assert read(path).names == ("unnamed_0", "x", "y")
    path.write_text('"x","y"\n"1",0.5,"a"\n"2",0.7,"b"\n')  # as R writes it
    assert read(path).names == ("unnamed_0", "x", "y")
    assert rows_of(read(path))[1] == ("2", "0.7", "b")


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"t,y\n{'a ' * 150_000},x\n")
    assert len(rows_of(read(path))[0][0]) == 299_999


def test_a_column_of_lists_is_left_out_with_a_word(tmp_path: Path) -> None:
    path, findings = tmp_path / "t.parquet", Findings()
    pq.write_table(pa.table({"a": [1, 2], "l": [[1], [2]], "y": ["x", "z"]}), path)
    data = places.cells(path, label="y", columns=None)
    assert read_table(path, data, ScratchSpace(tmp_path, 10**9), findings).names == ("a", "y")
    assert [str(finding) for finding in findings.to_tuple()] == ["1 column left out: lists or records (l)"]


def test_rows_with_a_cell_more_than_the_header_have_names_as_in_r_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"r{row},{row / 2},yes\n" for row in range(5)))
    assert read(path).names == ("unnamed_0", "a", "y")
    for form in ("{row}.5,yes,late\n", "red,{row},yes\n"):
        path.write_text("a,y\n" + "".join(form.format(row=row) for row in range(5)))
        with pytest.raises(BadData, match="must have 2 cells in every line, got 3 in line 2"):
            read(path)
