"""A file that crashes its library, or has it take more memory than there is, is refused in one line."""

import base64
import errno
import signal
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pytest
from pyarrow import feather

from pipeline import signals
from pipeline.data.readers import compression
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.table_files import read_table
from pipeline.data.tables.typed_files import apart
from pipeline.errors import BadData, Stopped
from tests.support import places

RELATIONS = "http://schemas.openxmlformats.org/{}/2006/relationships"
PARTS = {"rId1": ("worksheet", "worksheets/sheet1.bin"), "rId2": ("sharedStrings", "sharedStrings.bin")}
OLD_WORKBOOK = zlib.decompress(
    base64.b64decode(
        "eNrtlU1uwjAQhZ+dBEIWFe2iC1acpEVIvUA3XZNtpCIBmx6Ag3ADepL2COUeQHgGJ0qCkJIl1fuiFydjT35m7PHvz+Pf5nu0"
        "Q4MXBDjmA/QqNuN1Zgj257m7LFpHLu6KA+XyFzB3IRVRLud9KqYGPr/if/KOOY8VxnjDJ9sFvtCFZ0SmeJZp6VOtFx98+wIZ"
        "0vN3ZOjKE6yp/k8bH+vrl+D6jhmIXlSzTRmhbbjm2n/1dX+5Z7ysDx3TPKPSpHRvxNI+lFuBOwMHJJXuy12xmQQcXZs4k4vF"
        "NCz2aoytjUmUSyGEEEIIIYQQ4hYnqNfNNA=="
    )
)
"""An .xls of two rows, which says that it has as many as there can be."""


def read(path: Path, findings: Findings | None = None) -> CellTable:
    scratch = ScratchSpace(path.parent / "scratch", 10**9)
    return read_table(path, places.cells(path, label="b"), scratch, findings or Findings())


def refuse(path: Path, *parts: str) -> None:
    with pytest.raises(BadData) as caught:
        read(path)
    places.assert_one_line(caught, str(path), *parts)


def record(kind: int, content: bytes = b"") -> bytes:
    """A record of a binary workbook: its kind and length, in seven bits a byte, and what is in it."""
    head = [kind] if kind < 128 else [kind & 127 | 128, kind >> 7]
    length = [len(content) >> shift & 127 | 128 * (len(content) >> shift > 127) for shift in (0, 7, 14)]
    return bytes(head + length[: 1 + max(len(content).bit_length() - 1, 0) // 7]) + content


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16le")


def write_xlsb(path: Path, rows: Iterable[tuple[int, tuple[int, ...]]], texts: list[str]) -> None:
    """`rows`: the number of each, and the places of its cells among the texts."""
    links = "".join(
        f'<Relationship Id="{name}" Type="{RELATIONS.format("officeDocument")}/{kind}" Target="{target}"/>'
        for name, (kind, target) in PARTS.items()
    )
    sheet = record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("s"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<Relationships xmlns="{RELATIONS.format("package")}">{links}</Relationships>',
        )
        archive.writestr("xl/workbook.bin", record(131) + record(143) + sheet + record(144) + record(132))
        count = struct.pack("<II", len(texts), len(texts))
        items = b"".join(record(19, b"\0" + wide(text)) for text in texts)
        archive.writestr("xl/sharedStrings.bin", record(159, count) + items + record(160))
        body = [record(129), record(148, bytes(16)), record(145)]
        for number, cells in rows:
            body.append(record(0, struct.pack("<IIHBBBI", number, 0, 300, 0, 0, 0, 0)))
            body += [record(7, struct.pack("<III", place, 0, cell)) for place, cell in enumerate(cells)]
        archive.writestr("xl/worksheets/sheet1.bin", b"".join([*body, record(146), record(130)]))


def test_a_binary_workbook_is_read_with_its_lines(tmp_path: Path) -> None:
    write_xlsb(tmp_path / "t.xlsb", [(0, (0, 1)), (1, (2, 3)), (4, (3, 2))], ["a", "b", "u", "v"])
    table = read(tmp_path / "t.xlsb")
    assert table.names == ("a", "b")
    assert table.content.to_pydict() == {"0": ["u", "v"], "1": ["v", "u"]}
    assert table.lines.tolist() == [2, 5]


def test_a_text_that_a_workbook_has_once_for_many_cells_fills_no_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 2**27)
    texts, path = ["a", "b", "q" * 32767], tmp_path / "t.xlsb"
    write_xlsb(path, [(0, (0, 1)), *((row, (2, 2)) for row in range(1, 200))], texts)
    assert len(read(path)) == 199
    write_xlsb(path, [(0, (0, 1)), *((row, (2, 2)) for row in range(1, 9000))], texts)
    refuse(path, "within 0.25 GiB of memory", "ended its reader", "save it as CSV")


def test_a_workbook_that_says_it_is_larger_than_any_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_bytes(OLD_WORKBOOK)
    refuse(tmp_path / "t.xls", "within 2 GiB of memory", "ended its reader")
    (tmp_path / "t.xls").write_bytes(OLD_WORKBOOK[: len(OLD_WORKBOOK) // 2])
    refuse(tmp_path / "t.xls", "must be a whole workbook")


def many_rows(path: Path) -> None:
    pandas.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]}).to_stata(path, write_index=False, version=118)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"<N>" + struct.pack("<Q", 2), b"<N>" + struct.pack("<Q", 10**10)))


def long_column(path: Path) -> None:
    feather.write_feather(pa.table({"a": ["u"] * 50, "b": ["v"] * 50}), str(path), version=1)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<q", 50), struct.pack("<q", 10**10)))


@pytest.mark.filterwarnings("ignore:Feather V1")
@pytest.mark.parametrize(("name", "make"), [("t.dta", many_rows), ("t.feather", long_column)])
def test_a_table_that_says_it_has_more_than_it_has_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    refuse(tmp_path / name, "those made to fill a machine")


def test_what_is_said_of_a_file_comes_from_its_reader(tmp_path: Path) -> None:
    import pyreadstat

    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]})
    for version in (5, 8):
        pyreadstat.write_xport(frame, str(tmp_path / "t.xpt"), file_format_version=version)
        table = read(tmp_path / "t.xpt")
        assert table.content.to_pydict() == {"0": ["1", "2"], "1": ["u", "v"]}
    (tmp_path / "t.xpt").write_bytes((tmp_path / "t.xpt").read_bytes()[:600])
    refuse(tmp_path / "t.xpt", "must be a whole file of SAS transport")


def test_a_disk_that_is_full_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(apart, "collect_batches", fill)
    write_xlsb(tmp_path / "t.xlsb", [(0, (0, 1)), (1, (2, 3))], ["a", "b", "u", "v"])
    with pytest.raises(OSError, match="No space left"):
        read(tmp_path / "t.xlsb")


def test_a_signal_just_as_a_reader_has_begun_ends_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, start = list["subprocess.Popen[bytes]"](), subprocess.Popen

    def start_and_be_stopped(*words: Any, **named: Any) -> "subprocess.Popen[bytes]":
        started.append(start(*words, **named))
        signal.raise_signal(signal.SIGTERM)
        return started[0]

    signals.listen()  # tests/conftest.py gives the handlers back
    monkeypatch.setattr(subprocess, "Popen", start_and_be_stopped)
    write_xlsb(tmp_path / "t.xlsb", [(0, (0, 1)), (1, (2, 3))], ["a", "b", "u", "v"])
    with pytest.raises(Stopped):
        read(tmp_path / "t.xlsb")
    assert started[0].returncode is not None


def test_rows_beyond_the_limit_lie_on_disk(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"a": np.arange(5000.0), "b": ["u"] * 5000})
    frame.to_stata(tmp_path / "t.dta", write_index=False)
    scratch = ScratchSpace(tmp_path / "scratch", 1000)
    table = read_table(tmp_path / "t.dta", places.cells(tmp_path, label="b"), scratch, Findings())
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    assert table.content.column(0)[4999].as_py() == "4999"
