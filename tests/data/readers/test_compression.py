"""What unpacks to more than a machine should take is refused in one line, in each form that is packed."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import soundfile
from PIL import EpsImagePlugin, Image

from pipeline.data.readers import archives, array_files, compression, images, sounds
from pipeline.data.readers.file_list import find_file
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.sources import arrays, idx
from pipeline.data.tables.table_files import read_table
from pipeline.data.tables.typed_files import arrow_files, databases, sheet
from pipeline.errors import BadData
from tests.support import places

ZEROS = b"a,b\n" + b"0,0\n" * 26_000


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
    path.write_bytes(pack(ZEROS[:4_000]))
    assert read_rows(path) == 999


def test_what_is_not_packed_is_as_large_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(ZEROS)
    assert read_rows(tmp_path / "t.csv") == 26_000


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


def test_texts_of_no_length_are_refused_as_there_may_be_any_number_of_them(tmp_path: Path) -> None:
    head = io.BytesIO()
    shape = {"descr": "<U0", "fortran_order": False, "shape": (10**9,)}
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("labels.npy", head.getvalue())
    with pytest.raises(BadData, match=r"labels in .* must be numbers, got dtype <U0"):
        arrays.read_array(places.arrays(tmp_path / "data.npz"), "labels")


def test_a_table_in_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(zip_up(b"a,b\n1,2\n")))
    with pytest.raises(BadData, match="got a packed zip; unpack it"):
        read_rows(tmp_path / "t.csv.gz")


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x" * 900_000], "b": ["y"]}), tmp_path / "t.parquet", compression="zstd")
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.parquet")


def test_texts_that_parquet_has_once_for_many_cells_are_measured_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * 1000]))
    table = pa.table({"a": texts, "b": ["y", "z"] * 1000})
    pq.write_table(table, tmp_path / "t.parquet", store_schema=False)  # then its texts are no dictionary
    kinds, measure = [], arrow_files._measure_text
    monkeypatch.setattr(
        arrow_files, "_measure_text", lambda column: kinds.append(column.type) or measure(column)
    )
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.parquet")
    assert pa.types.is_dictionary(kinds[0])  # each text is there once
    table = pa.table({"a": ["u", "v"] * 1000, "b": ["y", "z"] * 1000})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_rows(tmp_path / "t.parquet") == 2000


@pytest.mark.parametrize("packing", ["zstd", "lz4"])
@pytest.mark.parametrize("opens", [pa.ipc.new_file, pa.ipc.new_stream])
def test_packed_buffers_of_arrow_are_measured_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str, opens: Callable[..., Any]
) -> None:
    def write(rows: int) -> None:
        words = pa.array(["u", "v"] * (rows // 2)).dictionary_encode()
        batch = pa.record_batch({"a": np.zeros(rows), "b": words})
        options = pa.ipc.IpcWriteOptions(compression=packing)
        with opens(tmp_path / "t.arrow", batch.schema, options=options) as file:
            file.write_batch(batch)

    write(2000)
    assert read_rows(tmp_path / "t.arrow") == 2000
    write(12_000)
    # the library's own reader would have all of it in memory
    monkeypatch.setattr(arrow_files, "collect_arrow", lambda *_: pytest.fail("it was read"))
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.arrow")


def test_names_that_deep_objects_share_are_counted_for_each(tmp_path: Path) -> None:
    leaves = json.dumps({str(number): 1 for number in range(500)})
    (tmp_path / "t.json").write_text(f'[{{"b": 1, "{"a" * 300}": {leaves}}}]')
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.json")


def test_rows_that_each_have_names_of_their_own_are_counted_with_the_cells_of_all(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("".join(f'{{"b": 1, "a{row}": 2}}\n' for row in range(200)))
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / "t.jsonl")


def test_bytes_that_arrow_has_once_for_many_cells_are_counted_for_each(tmp_path: Path) -> None:
    for texts in ([b"x" * 1000], pa.array([b"x" * 1000], pa.binary(1000))):
        shared = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(texts))
        batch = pa.record_batch({"a": shared, "b": ["y", "z"] * 1000})
        with pa.ipc.new_file(tmp_path / "t.arrow", batch.schema) as file:
            file.write_batch(batch)
        with pytest.raises(BadData, match="made to fill a machine"):
            read_rows(tmp_path / "t.arrow")


@pytest.mark.parametrize(("alike", "text"), [(20_000_000, "x" * 99), (1, '<text:s text:c="2000000000"/>')])
def test_texts_that_a_sheet_of_libreoffice_has_once_for_many_cells_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: int, text: str
) -> None:
    monkeypatch.undo()  # the process that reads has the product's bound
    kinds = ("office", "table", "text")
    names = " ".join(f'xmlns:{kind}="urn:oasis:names:tc:opendocument:xmlns:{kind}:1.0"' for kind in kinds)
    rows = "".join(
        f'<table:table-row table:number-rows-repeated="{times}"><table:table-cell><text:p>{cell}</text:p>'
        "</table:table-cell></table:table-row>"
        for times, cell in ((1, "b"), (alike, text))
    )
    content = f'<table:table table:name="s">{rows}</table:table>'
    with zipfile.ZipFile(tmp_path / "t.ods", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>{content}"
            "</office:spreadsheet></office:body></office:document-content>",
        )
    with pytest.raises(BadData, match="must unpack to at most 200 times its size or 1 GiB"):
        read_rows(tmp_path / "t.ods")


def test_a_part_of_an_hdf5_array_that_holds_more_than_its_numbers_is_refused(tmp_path: Path) -> None:
    for times in (1, 2):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            array = file.create_dataset("a", (16, 4), chunks=(16, 4), compression="gzip")
            array.id.write_direct_chunk((0, 0), zlib.compress(bytes(256 if times == 1 else 2_000_000)))
        if times == 1:
            assert np.shape(array_files.read_array(tmp_path / "t.h5", array_files.HDF5, "a")) == (16, 4)
    with pytest.raises(BadData, match="made to fill a machine"):
        array_files.read_array(tmp_path / "t.h5", array_files.HDF5, "a")


def test_a_parquet_file_of_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": ["x"] * 5000, "b": ["y"] * 5000}), path)
    assert read_rows(path) == 5000
    monkeypatch.setattr(arrow_files, "MOST_ROWS", 1000)
    monkeypatch.setattr(arrow_files, "MOST_RATIO", 2)
    with pytest.raises(BadData, match="2 rows for each of its bytes, got 5,000"):
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


def endless_view(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "create view t as with recursive c(x) as (select 1 union all select x + 1 from c) "
            "select x as a, x % 2 as b from c"
        )


def silent_view(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "create view t as with recursive c(x) as (select 1 union all select x + 1 from c) "
            "select x as a, x as b from c where x < 0"
        )


def dictionary(path: Path) -> None:
    once = pa.DictionaryArray.from_arrays(pa.array(np.zeros(500, np.int32)), pa.array(["q" * 1000]))
    write_arrow(path, once)


def views(path: Path) -> None:
    valid, view, text = pa.array(["q" * 1000], pa.string_view()).buffers()
    many = pa.py_buffer(view.to_pybytes() * 500)
    write_arrow(path, pa.Array.from_buffers(pa.string_view(), 500, [valid, many, text]))


def nulls(path: Path) -> None:
    write_arrow(path, pa.nulls(10**6))


def write_arrow(path: Path, column: pa.Array) -> None:
    batch = pa.record_batch([column, pa.nulls(len(column))], names=["a", "b"])
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)


def shared_text(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [("a", "b"), *(("q" * 1000, number) for number in range(500))]:
        book.active.append(row)
    book.save(path)


def aliases(path: Path) -> None:
    lines = [f"- &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise("abcdef")]
    path.write_text("\n".join(["- &a [lol, lol]", *lines]))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("t.sqlite", endless_view),
        ("t.sqlite", silent_view),
        ("t.arrow", dictionary),
        ("t.arrow", views),
        ("t.arrow", nulls),
        ("t.xlsx", shared_text),
        ("t.yaml", aliases),
    ],
)
def test_a_table_that_says_the_same_again_and_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(databases, "FEWEST_STEPS", 3_000_000)
    make(tmp_path / name)
    with pytest.raises(BadData, match="made to fill a machine"):
        read_rows(tmp_path / name)


def test_yaml_too_deep_for_its_library_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("[" * 50_000)
    with pytest.raises(BadData, match="more than 200 values within each other"):
        read_rows(path)


def test_one_cell_far_away_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_CELLS", 100)
    rows = [[1, *[None] * 60]] * 2
    assert len(sheet.number_filled(rows[:1])) == 1
    with pytest.raises(ValueError, match="more than 100 cells up to row 2"):
        sheet.number_filled(rows)


def test_what_lies_in_cells_of_matlab_counts(tmp_path: Path) -> None:
    cells = np.empty(2, object)
    cells[:] = [np.zeros(10**5), np.zeros(10**5)]
    scipy.io.savemat(tmp_path / "a.mat", {"cells": cells}, do_compression=True)
    with pytest.raises(BadData, match="made to fill a machine"):
        array_files.read_array(tmp_path / "a.mat", array_files.MATLAB, "cells")


@pytest.mark.parametrize("is_sent", [False, True], ids=["file", "request"])
def test_a_sound_of_silence_without_end_is_refused(tmp_path: Path, is_sent: bool) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(10**5, np.int16), 8000, format="FLAC")
    with pytest.raises(Unreadable, match="unpacks to more than"):
        sounds.decode_sound(io.BytesIO(path.read_bytes()) if is_sent else path)


def test_an_image_of_few_bytes_and_many_pixels_is_refused(tmp_path: Path) -> None:
    Image.new("L", (200, 200)).save(tmp_path / "a.png")
    form = images.ImageForm(colour=False, size=(8, 8), background="white")
    assert images.decode_image(tmp_path / "a.png", form, print).shape == (8, 8)
    with pytest.raises(Unreadable, match="unpacks to more than"):  # four bytes a pixel
        images.decode_image(tmp_path / "a.png", replace(form, wide=True), print)


def test_no_program_is_started_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, started = tmp_path / "a.png", list[object]()
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    monkeypatch.setattr(subprocess, "check_call", lambda *told, **_: started.append(told))
    monkeypatch.setattr(EpsImagePlugin, "has_ghostscript", lambda: started.append("gs") or True)
    with pytest.raises(Unreadable, match="cannot identify"):
        images.decode_image(path, images.ImageForm(False, None, "white"), lambda _: None)
    assert not started


def test_a_list_names_no_device() -> None:
    with pytest.raises(BadData, match="a device, pipe or socket: /dev/zero; remove its row"):
        find_file(Path("/"), "/dev/zero", Findings())
