"""What unpacks to more than a machine should take is refused in one line, in each form that is packed."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.readers import archives, compression
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.sources import arrays, idx
from pipeline.data.tables.table_files import read_table
from pipeline.data.tables.typed_files import arrow_files
from pipeline.errors import BadData
from tests.support import places

ZEROS = b"a,b\n" + b"0,0\n" * 50_000


@pytest.fixture(autouse=True)
def _small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_BYTES", 100_000)
    monkeypatch.setattr(compression, "MOST_RATIO", 20)


def read_rows(path: Path) -> int:
    data = places.cells(path, label="b", columns=None)
    return len(read_table(path, data, ScratchSpace(path.parent / "scratch", 10**9), Findings()))


def zip_up(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", content)
    return packed.getvalue()


def zstd_up(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zip_up, zstd_up])
def test_a_packed_table_of_too_much_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "t.csv.packed"
    path.write_bytes(pack(ZEROS))
    with pytest.raises(BadData) as caught:
        read_rows(path)
    places.assert_one_line(caught, "must unpack to at most 20 times its size", "unpack it yourself")
    path.write_bytes(ZEROS)
    assert read_rows(path) == 50_000  # what is not packed is as large as it is
    path.write_bytes(pack(ZEROS[:40_000]))
    assert read_rows(path) == 9_999


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_of_too_much_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".zip"):
        path.write_bytes(zip_up(ZEROS))
    else:
        with tarfile.open(path, f"w:{name.rpartition('.')[2]}") as archive:
            member = tarfile.TarInfo("a/t.txt")
            member.size = len(ZEROS)
            archive.addfile(member, io.BytesIO(ZEROS))
    with pytest.raises(BadData, match="made to fill a machine"):
        archives.unpack(path, tmp_path / "out", Findings())


def test_arrays_sheets_and_idx_files_of_too_much_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "data.npz", features=np.zeros((60_000, 2)), labels=np.zeros(60_000))
    with pytest.raises(BadData, match="made to fill a machine"):
        arrays.read_array(places.arrays(tmp_path / "data.npz"), "features")
    book = openpyxl.Workbook()
    for _ in range(4000):
        book.active.append(["the same text"] * 5)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.xlsx")
    (tmp_path / "images.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 3, 0, 0]) + bytes(3 << 16)))
    with pytest.raises(BadData, match="made to fill a machine"):
        idx.read_array(tmp_path / "images.gz")


def test_a_table_in_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(zip_up(b"a,b\n1,2\n")))
    with pytest.raises(BadData, match="got a packed zip; unpack it"):
        read_rows(tmp_path / "t.csv.gz")


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x" * 900_000], "b": ["y"]}), tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.parquet")


def test_a_parquet_file_of_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": ["x"] * 50_000, "b": ["y"] * 50_000}), path)
    assert read_rows(path) == 50_000
    monkeypatch.setattr(arrow_files, "MOST_ROWS", 1000)
    monkeypatch.setattr(arrow_files, "MOST_RATIO", 5)
    with pytest.raises(BadData, match="5 rows for each of its bytes, got 50,000"):
        read_rows(path)


class Payload:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "run")


def test_nothing_that_is_pickled_is_loaded(tmp_path: Path) -> None:
    written = tmp_path / "written"
    payload = pickle.dumps(Payload(written))
    np.savez(tmp_path / "data.npz", features=np.array([Payload(written)], object), labels=np.zeros(1))
    with pytest.raises(BadData, match="without pickled objects"):
        arrays.read_array(places.arrays(tmp_path / "data.npz"), "features")
    (tmp_path / "t.csv").write_bytes(payload)
    with pytest.raises(BadData, match="a pickle"):
        read_rows(tmp_path / "t.csv")
    # An extension type of Arrow, whose metadata are a pickle: pyarrow loaded them before release 14.0.1.
    about = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": payload}
    schema = pa.schema([pa.field("a", pa.string(), metadata=about), pa.field("b", pa.string())])
    table = pa.table([pa.array(["x", "z"]), pa.array(["y", "y"])], schema=schema)
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table)
    assert read_rows(tmp_path / "t.parquet") == 2
    assert read_rows(tmp_path / "t.arrow") == 2
    assert not written.exists()
    pickle.loads(payload)
    assert written.exists()  # so the payload would have done it
