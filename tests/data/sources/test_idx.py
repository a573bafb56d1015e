"""IDX files, good and bad; every bad one in one line."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.data.sources import fingerprint, load
from pipeline.data.sources.idx import TYPES, read_array
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import Idx

WHOLE = {"fraction": 1.0, "in_memory_limit": 10**9}


NAMES = ("train-images", "train-labels", "test-images", "test-labels")


def write_idx(path: Path, array: np.ndarray, code: int = 0x08) -> None:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = head + array.astype(TYPES[code]).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def four(folder: Path, rows: int = 6, suffix: str = "") -> Idx:
    images = np.arange(rows * 12, dtype=np.uint8).reshape(rows, 4, 3)
    labels = np.arange(rows, dtype=np.uint8) % 3
    for name, array in zip(NAMES, (images, labels, images[:4], labels[:4]), strict=True):
        write_idx(folder / f"{name}{suffix}", array)
    return Idx(str(folder), *NAMES, **WHOLE)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    code=st.sampled_from(sorted(TYPES)),
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    packed=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path: Path, data: st.DataObject, code: int, shape: tuple[int, ...], packed: bool
) -> None:
    array = data.draw(hnp.arrays(np.dtype(TYPES[code]).newbyteorder("="), shape))
    path = tmp_path / ("file.gz" if packed else "file")
    write_idx(path, array, code)
    np.testing.assert_array_equal(read_array(path), array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_four_files_make_two_splits(tmp_path: Path, suffix: str) -> None:
    loaded = load(four(tmp_path, suffix=suffix), tmp_path)
    assert loaded.train.features.shape == (6, 4, 3)
    assert loaded.train.features.dtype == np.uint8
    assert loaded.test is not None
    assert loaded.test.labels.tolist() == [0, 1, 2, 0]
    assert loaded.classes == ("0", "1", "2")


def damage(name: str, folder: Path) -> None:
    path = folder / "train-images"
    content = path.read_bytes()
    match name:
        case "truncated":
            path.write_bytes(content[:-5])
        case "header cut":
            path.write_bytes(content[:6])
        case "empty":
            path.write_bytes(b"")
        case "appended":
            path.write_bytes(content + b"zz")
        case "wrong magic":
            path.write_bytes(b"\x89PNG" + content)
        case "broken gzip":
            path.write_bytes(gzip.compress(content)[:-9])
        case "fewer labels":
            write_idx(folder / "train-labels", np.zeros(3, np.uint8))
        case "swapped":
            (folder / "train-labels").write_bytes(content)
        case "other size":
            write_idx(folder / "test-images", np.zeros((4, 5, 5), np.uint8))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("truncated", "must hold 72 bytes for shape (6, 4, 3), got 67"),
        ("header cut", "bytes of header"),
        ("empty", "must be an IDX file"),
        ("appended", "got 74: something is appended"),
        ("wrong magic", "must be an IDX file (magic 00 00 TYPE DIMS), got 89 50 4e 47"),
        ("broken gzip", "must be readable"),
        ("fewer labels", "as many images as labels, got 6 and 3"),
        ("swapped", "must hold images and labels"),
        ("other size", "must hold images of (4, 3)"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, rule: str) -> None:
    data = four(tmp_path)
    damage(name, tmp_path)
    with pytest.raises(BadData) as caught:
        load(data, tmp_path)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_dimensions_than_any_image_has_is_a_wrong_magic(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0\0\x08\xff" + b"\xff" * 1020)
    with pytest.raises(BadData, match="must be an IDX file") as caught:
        read_array(path)
    assert len(str(caught.value)) < 300


def test_an_absent_file_names_the_key_and_the_folder(tmp_path: Path) -> None:
    data = four(tmp_path)
    (tmp_path / "test-labels").unlink()
    with pytest.raises(
        DataMissing, match=r"data\.path must be a folder that holds test-labels or test-labels\.gz"
    ):
        fingerprint(data, tmp_path)


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    data = four(tmp_path)
    before = fingerprint(data, tmp_path)
    assert fingerprint(data, tmp_path) == before
    write_idx(tmp_path / "test-labels", np.array([0, 1, 2, 1], np.uint8))
    assert fingerprint(data, tmp_path) != before
