"""What the pages of a Parquet file say of themselves counts, and not what its end says of them."""

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.readers import compression
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.cells import CellTable
from pipeline.data.tables.typed_files import arrow_files
from pipeline.data.tables.typed_files.parquet_sizes import measure_pages
from pipeline.errors import BadData
from tests.support import places


@pytest.fixture(autouse=True)
def _small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 500_000)


def read(path: Path) -> tuple[CellTable, list[str]]:
    findings = Findings()
    table = arrow_files.read_arrow(path, ScratchSpace(path.parent, 10**9, path), findings, True)
    return table, [str(finding) for finding in findings.to_tuple()]


def watch_columns(monkeypatch: pytest.MonkeyPatch) -> list[pa.Array]:
    """The columns of each batch, as they are read."""
    columns: list[pa.Array] = []
    measure = arrow_files._measure_text
    monkeypatch.setattr(
        arrow_files, "_measure_text", lambda column: columns.append(column) or measure(column)
    )
    return columns


def write_number(number: int, length: int = 0) -> bytes:
    """A number as the end of a file has it, in at least so many bytes."""
    number, content = 2 * number, []
    while number or not content or len(content) < length:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content[:-1], content[-1] & 127])


def lie(path: Path, sizes: Iterable[int]) -> None:
    """Write 9 in place of each of these numbers at the end of a file."""
    content = path.read_bytes()
    start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
    end = content[start:]
    for size in sizes:
        written = write_number(size)
        assert written in end
        end = end.replace(written, write_number(9, len(written)))
    path.write_bytes(content[:start] + end)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("is_shared", [False, True])
def test_pages_are_measured_whatever_is_said_of_them(tmp_path: Path, version: str, is_shared: bool) -> None:
    path = tmp_path / "t.parquet"
    for length, is_bomb in ((1000, False), (10**6, True)):
        table = pa.table({"a": ["x" * length] * 3, "b": ["u", "v", "u"]})
        pq.write_table(
            table,
            path,
            compression="zstd",
            use_dictionary=is_shared,
            data_page_version=version,
            write_statistics=False,
        )
        about = pq.read_metadata(path)
        group = about.row_group(0)
        sizes = [page.size for page in measure_pages(path, about, {"a", "b"})]
        assert len(sizes) == (4 if is_shared else 2)
        # the headers count in the file's own sum, and are some twenty bytes each
        assert 0 < group.total_byte_size - sum(sizes) < 50 * len(sizes)
        lie(path, [group.total_byte_size, group.column(0).total_uncompressed_size])
        assert pq.read_metadata(path).row_group(0).total_byte_size == 9
        if is_bomb:
            with pytest.raises(BadData, match="made to fill a machine"):
                read(path)
        else:
            assert read(path)[0].content.column(0).to_pylist() == ["x" * length] * 3


def test_a_list_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a row of few bytes and of 10^9 cells."""
    lists = pa.ListArray.from_arrays(pa.array([0, 10**6, 10**6], pa.int32()), pa.nulls(10**6, pa.int8()))
    table = pa.table({"a": [1, 2], "l": lists, "r": [{"x": 1}] * 2, "b": ["u", "v"]})
    pq.write_table(table, tmp_path / "t.parquet")
    measured = watch_columns(monkeypatch)
    read_table, findings = read(tmp_path / "t.parquet")
    assert (read_table.names, len(read_table)) == (("a", "b"), 2)
    assert findings == ["2 columns left out: lists or records (l, r)"]
    assert not any(pa.types.is_nested(column.type) for column in measured)


def test_a_list_that_the_library_reads_by_the_name_of_another_column_counts(tmp_path: Path) -> None:
    def write(cells: int) -> None:
        lists = pa.ListArray.from_arrays(pa.array([0, cells], pa.int32()), pa.nulls(cells, pa.int8()))
        parts = pa.StructArray.from_arrays([lists], ["b"])
        pq.write_table(pa.table({"a": parts, "a.b": ["u"], "b": ["v"]}), tmp_path / "t.parquet")

    write(10)
    assert read(tmp_path / "t.parquet")[0].names == ("a.b", "b")
    write(10**6)
    with pytest.raises(BadData, match="made to fill a machine"):
        read(tmp_path / "t.parquet")


def test_texts_that_share_their_beginnings_are_made_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    encoding = {"column_encoding": {"a": "DELTA_BYTE_ARRAY"}, "use_dictionary": False}
    table = pa.table({"a": ["x" * 10_000] * 3000, "b": ["u"] * 3000})
    pq.write_table(table, path, compression="none", write_statistics=False, **encoding)
    measured = watch_columns(monkeypatch)
    monkeypatch.setattr(arrow_files, "BATCH_BYTES", 10**6)
    with pytest.raises(BadData, match="made to fill a machine"):
        read(path)
    assert max(map(len, measured)) * 10_000 <= 10**6


def test_a_batch_of_many_columns_has_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({f"c{number}": np.arange(3000.0) for number in range(20)})
    pq.write_table(table, tmp_path / "t.parquet")
    measured = watch_columns(monkeypatch)
    monkeypatch.setattr(arrow_files, "BATCH_BYTES", 20 * 100 * arrow_files.BYTES_OF_CELL)
    assert len(read(tmp_path / "t.parquet")[0]) == 3000
    assert max(map(len, measured)) == 100


def test_a_damaged_page_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["u", "v"]}), path)
    content = path.read_bytes()
    for damage in (b"\0", b"\x1c", b"\xff", b"\x19", b"\x15\x85"):
        path.write_bytes(content[:4] + (damage * 40)[:40] + content[44:])
        with pytest.raises(BadData) as caught:
            read(path)
        places.assert_one_line(caught, "must be a whole table", "write it again")
