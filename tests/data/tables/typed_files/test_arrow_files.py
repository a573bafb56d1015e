"""Files of Arrow whose cells point out of the file, which the library follows wherever they point."""

from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.typed_files.arrow_files import read_arrow
from pipeline.errors import BadData
from tests.support import places


def pack(*numbers: int) -> bytes:
    return np.array(numbers, np.int32).tobytes()


def view_bytes(column: pa.Array, place: int, number: int) -> tuple[bytes, bytes]:
    """The views of a column as they are, and with another number at a place of the first."""
    right = column.buffers()[1].to_pybytes()[: 16 * len(column)]
    wrong = np.frombuffer(right, np.int32).copy()
    wrong[place] = number
    return right, wrong.tobytes()


TEXTS = pa.array(["a" * 4, "b" * 5, "c" * 6])
WORDS = pa.DictionaryArray.from_arrays(pa.array([1, 0, 2], pa.int32()), pa.array(["q", "r", "s"]))
VIEWS = pa.array(["x" * 100, "y" * 200, "z" * 50], pa.string_view())


@pytest.mark.parametrize("opens", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize(
    ("column", "right", "wrong"),
    [
        (TEXTS, pack(0, 4, 9, 15), pack(0, 2**30, 9, 15)),
        (WORDS, pack(1, 0, 2), pack(1, 99_999_999, 2)),
        (VIEWS, *view_bytes(VIEWS, 0, 10**6)),
        (VIEWS, *view_bytes(VIEWS, 2, 77)),
        (VIEWS, *view_bytes(VIEWS, 3, 10**9)),
    ],
    ids=["offset", "word", "length", "buffer", "place"],
)
def test_a_cell_that_lies_elsewhere_is_one_line(
    tmp_path: Path, opens: type, column: pa.Array, right: bytes, wrong: bytes
) -> None:
    path, batch = tmp_path / "t.arrow", pa.record_batch({"a": column, "b": ["u", "v", "u"]})
    with opens(str(path), batch.schema) as file:
        file.write_batch(batch)
    scratch = ScratchSpace(tmp_path / "scratch", 10**9, path)
    assert len(read_arrow(path, scratch, Findings(), False)) == 3
    path.write_bytes(path.read_bytes().replace(right, wrong))
    with pytest.raises(BadData) as caught:
        read_arrow(path, scratch, Findings(), False)
    places.assert_one_line(caught, "must be a whole table", "write it again")


def test_what_columns_hold_in_a_wrapper_is_read_and_what_is_no_text_left_out(tmp_path: Path) -> None:
    words = ["p", "p", "q", "r"]
    table = pa.table(
        {
            "who": pa.array([UUID(int=row).bytes for row in range(4)], pa.uuid()),
            "runs": pa.RunEndEncodedArray.from_arrays([2, 3, 4], ["p", "q", "r"]),
            "flag": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, 0, 1], pa.int8())),
            "wait": pa.array([pa.MonthDayNano([1, 2, 3])] * 4),
            "grid": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((4, 2, 2))),
            "y": words,
        }
    )
    path, findings = tmp_path / "t.arrow", Findings()
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    read = read_arrow(path, ScratchSpace(tmp_path, 10**9), findings, False)
    assert read.names == ("who", "runs", "flag", "y")
    assert read.get_column("who").to_pylist() == [str(UUID(int=row)) for row in range(4)]
    assert read.get_column("runs").to_pylist() == words
    assert read.get_column("flag").to_pylist() == ["0", "1", "0", "1"]
    assert [finding.example for finding in findings.to_tuple()] == ["grid", "wait"]


def test_identifiers_of_parquet_are_text(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(
        pa.table({"who": pa.array([UUID(int=1).bytes] * 2, pa.uuid()), "y": ["a", "b"]}), path
    )
    read = read_arrow(path, ScratchSpace(tmp_path, 10**9), Findings(), True)
    assert read.get_column("who").to_pylist() == [str(UUID(int=1))] * 2
