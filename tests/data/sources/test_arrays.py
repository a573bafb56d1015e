"""An .npz file, good and bad; every bad one in one line."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import Arrays
from tests.support import places


def test_named_arrays_are_loaded(tmp_path: Path) -> None:
    data = places.npz(tmp_path, features=np.ones((5, 2)), labels=np.array([0, 1, 2, 0, 1]))
    loaded = load(data, tmp_path)
    assert loaded.train.features.dtype == np.float32
    assert loaded.classes == ("0", "1", "2")
    assert loaded.test is None


def test_a_test_split_of_its_own_is_kept(tmp_path: Path) -> None:
    data = places.npz(
        tmp_path, features=np.ones((5, 2)), labels=np.zeros(5), more=np.ones((2, 2)), truth=np.ones(2)
    )
    data.test_features, data.test_labels = "more", "truth"
    loaded = load(data, tmp_path)
    assert loaded.test is not None
    assert len(loaded.test.labels) == 2
    assert loaded.classes == ("0", "1")


@pytest.mark.parametrize(
    ("named", "rule"),
    [
        ({"features": np.ones((2, 2), complex), "labels": np.ones(2)}, "must be numbers"),
        ({"featurs": np.ones((2, 2)), "labels": np.ones(2)}, "must hold the array features"),
        ({"features": np.ones((3, 2)), "labels": np.ones(2)}, "must be [n, ...] and labels [n]"),
        ({"features": np.ones(3), "labels": np.ones(3)}, "must be [n, ...] and labels [n]"),
        ({"features": np.array([["a"], ["b"]]), "labels": np.ones(2)}, "must be numbers"),
        ({"features": np.array([[{}], [{}]]), "labels": np.ones(2)}, "without pickled objects"),
        ({"features": np.ones((2, 2)), "labels": np.array([0, 10**9])}, "whole numbers from 0 to 65535"),
    ],
)
def test_wrong_arrays_are_one_line(tmp_path: Path, named: dict[str, np.ndarray], rule: str) -> None:
    with pytest.raises(BadData) as caught:
        load(places.npz(tmp_path, **named), tmp_path)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_member_is_one_line(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "data.npz", features=draw.normal(size=(60, 3)), labels=np.arange(60) % 3)
    content = bytearray((tmp_path / "data.npz").read_bytes())
    content[120:160] = b"\x55" * 40
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(BadData, match=r"must be an \.npz") as caught:
        load(Arrays(str(tmp_path / "data.npz"), "features", "labels", None, None, **places.WHOLE), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_member_that_is_no_array_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("features", "text")
        archive.writestr("labels", "text")
    with pytest.raises(BadData, match="must be numbers, got no array"):
        load(Arrays(str(tmp_path / "data.npz"), "features", "labels", None, None, **places.WHOLE), tmp_path)


def test_bytes_in_one_split_and_floats_in_the_other_become_floats(tmp_path: Path) -> None:
    data = places.npz(
        tmp_path,
        features=np.ones((5, 2), np.uint8),
        labels=np.zeros(5),
        more=np.ones((2, 2)),
        truth=np.ones(2),
    )
    data.test_features, data.test_labels = "more", "truth"
    loaded = load(data, tmp_path)
    assert loaded.test is not None
    assert (loaded.train.features.dtype, loaded.test.features.dtype) == (np.float32, np.float32)


def test_what_is_no_npz_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match=r"must be an \.npz"):
        load(Arrays(str(tmp_path / "data.npz"), "features", "labels", None, None, **places.WHOLE), tmp_path)
    with pytest.raises(DataMissing, match="which is not there"):
        fingerprint(
            Arrays(str(tmp_path / "none.npz"), "features", "labels", None, None, **places.WHOLE), tmp_path
        )
