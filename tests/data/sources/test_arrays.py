"""Files of arrays, good and bad; every bad one in one line."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import Channels
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
        ({"features": np.array(3.0), "labels": np.ones(3)}, "must be [n, ...] and labels [n]"),
        ({"features": np.array([["a"], ["b"]]), "labels": np.ones(2)}, "must be numbers"),
        ({"features": np.array([[{}], [{}]]), "labels": np.ones(2)}, "without pickled objects"),
        ({"features": np.ones((50, 2)), "labels": np.arange(50)}, "fewer than rows, got 50 different"),
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
        load(places.arrays(tmp_path / "data.npz"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_member_that_is_no_array_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("features", "text")
        archive.writestr("labels", "text")
    with pytest.raises(BadData, match="must be numbers, got no array"):
        load(places.arrays(tmp_path / "data.npz"), tmp_path)


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
    contents = {
        b"\xffno form": "must be an .npz",
        b"a,b\n1,2\n": "got a text; read a table with data=csv",
        b"\x89HDF\r\n\x1a\n": "must be a whole file of HDF5",
        b"MATLAB 5.0 MAT-file" + bytes(200): "must be a whole file of MATLAB",
        b"\x80\x04\x95": "got a pickle",
    }
    for content, rule in contents.items():
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(BadData) as caught:
            load(places.arrays(tmp_path / "data.npz"), tmp_path)
        places.assert_one_line(caught, rule, "numpy.savez")
    with pytest.raises(DataMissing, match="which is not there"):
        fingerprint(places.arrays(tmp_path / "none.npz"), tmp_path)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_that_come_first_are_asked_for(tmp_path: Path, channels: int) -> None:
    images = np.arange(2 * channels * 6 * 5, dtype=np.uint8).reshape(2, channels, 6, 5)
    data = places.npz(tmp_path, features=images, labels=np.array([0, 1]))
    with pytest.raises(BadData) as caught:
        load(data, tmp_path)
    places.assert_one_line(caught, f"{channels} channels seem to come first", "data.channels=first")
    data.channels = Channels.first
    np.testing.assert_array_equal(load(data, tmp_path).train.features, images.transpose(0, 2, 3, 1))
    data.channels = Channels.last
    np.testing.assert_array_equal(load(data, tmp_path).train.features, images)


@pytest.mark.parametrize("shape", [(2, 6, 5, 3), (2, 3, 3, 3), (2, 3, 4), (2, 12, 12, 12), (2, 3, 1, 1)])
def test_channels_that_come_last_are_left_there(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = places.npz(tmp_path, features=np.ones(shape, np.uint8), labels=np.array([0, 1]))
    assert load(data, tmp_path).train.features.shape == shape


@pytest.mark.parametrize("dtype", ["bool", "i1", ">i2", "u4", "i8", "f2", ">f4", "f8"])
def test_every_kind_of_number_is_read(tmp_path: Path, dtype: str) -> None:
    numbers = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    loaded = load(places.npz(tmp_path, features=numbers, labels=np.arange(3)), tmp_path)
    assert loaded.train.features.dtype == np.float32
    np.testing.assert_array_equal(loaded.train.features, numbers.astype(float))


def test_whole_numbers_that_float32_rounds_are_counted(tmp_path: Path) -> None:
    features = np.array([[1, 2**24 + 1], [3, 2**24 + 2], [5, 2**62 + 1]])
    loaded = load(places.npz(tmp_path, features=features, labels=np.array([0, 1, 0])), tmp_path)
    (finding,) = loaded.findings
    assert str(finding).startswith("2 numbers rounded to 7 digits, as features become float32")
    assert finding.example == str(2**24 + 1)


def test_labels_beyond_those_of_floating_point_stay_apart_or_are_refused(tmp_path: Path) -> None:
    train, test = np.array([2**53, 2**53 + 1] * 2), np.array([2**53 + 1])
    named = {"features": np.ones((4, 2)), "labels": train, "test_features": np.ones((1, 2))}
    data = places.npz(tmp_path, **named, test_labels=test)
    data.test_features, data.test_labels = "test_features", "test_labels"
    loaded = load(data, tmp_path)
    assert loaded.classes == (str(2**53), str(2**53 + 1))
    assert loaded.test is not None
    assert loaded.test.labels.tolist() == [1]
    np.savez(data.path, **named, test_labels=test.astype(np.float64))
    with pytest.raises(BadData) as caught:
        load(data, tmp_path)
    places.assert_one_line(caught, "beyond 2^53, got int64 and float64", "save both as int64")


def test_a_folder_of_npy_files_is_read_and_one_alone_is_not(tmp_path: Path) -> None:
    np.save(tmp_path / "features.npy", np.ones((4, 2)))
    np.save(tmp_path / "labels.npy", np.array(["a", "b", "a", "b"]))
    data = places.arrays(tmp_path)
    assert load(data, tmp_path).classes == ("a", "b")
    first = fingerprint(data, tmp_path)
    np.save(tmp_path / "labels.npy", np.array(["a", "b", "a", "c"]))
    assert fingerprint(data, tmp_path) != first
    with pytest.raises(BadData) as caught:
        load(places.arrays(tmp_path / "features.npy"), tmp_path)
    places.assert_one_line(caught, "an .npy file of one array", "data.features=features")
    with pytest.raises(DataMissing, match=r"a folder with images\.npy"):
        fingerprint(places.arrays(tmp_path, features="images"), tmp_path)
    with pytest.raises(BadData, match="must hold the array truth"):
        load(places.arrays(tmp_path, labels="truth"), tmp_path)


def write_hdf5(path: Path, named: dict[str, np.ndarray], block: int = 0) -> None:
    with h5py.File(path, "w", userblock_size=block) as file:
        for name, array in named.items():
            texts = array.dtype.kind == "U"
            file.create_dataset(name, data=array.astype(object) if texts else array, compression="gzip")


def write_matlab_7(path: Path, named: dict[str, np.ndarray]) -> None:
    write_hdf5(path, {name: array.T for name, array in named.items()}, block=512)
    content = bytearray(path.read_bytes())
    content[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(content)


def write_matlab(path: Path, named: dict[str, np.ndarray]) -> None:
    savemat(path, {name: a.astype(object) if a.dtype.kind == "U" else a for name, a in named.items()})


@pytest.mark.parametrize("write", [write_hdf5, write_matlab, write_matlab_7])
@pytest.mark.parametrize("case", ["row of labels", "texts", "samples last"])
def test_arrays_of_hdf5_and_matlab_are_read(
    tmp_path: Path, write: Callable[[Path, dict[str, np.ndarray]], None], case: str
) -> None:
    images = np.arange(5 * 4 * 3 * 3, dtype=np.uint8).reshape(5, 4, 3, 3)
    texts, turned = case == "texts", case == "samples last"
    labels = np.array([["7", "9", "7", "9", "7"]] if texts else [[7, 9, 7, 9, 7]])
    x = np.moveaxis(images, 0, -1) if turned else images
    is_plain = write is write_hdf5
    write(tmp_path / "a.mat", {"x": x, "y": labels[0] if texts or is_plain else labels})
    if is_plain and turned:
        with pytest.raises(BadData, match=r"x must be \[n, ...\] and y \[n\]"):
            load(places.arrays(tmp_path / "a.mat", features="x", labels="y"), tmp_path)
        return
    loaded = load(places.arrays(tmp_path / "a.mat", features="x", labels="y"), tmp_path)
    np.testing.assert_array_equal(loaded.train.features, images)
    assert (loaded.classes, loaded.train.labels.tolist()) == (("7", "9"), [0, 1, 0, 1, 0])
    assert [str(finding) for finding in loaded.findings if "turned" in str(finding)] == turned * [
        "1 array turned: its samples lie along the last axis ((4, 3, 3, 5))"
    ]
    with pytest.raises(BadData) as caught:
        load(places.arrays(tmp_path / "a.mat", features="X", labels="y"), tmp_path)
    places.assert_one_line(caught, "must hold the array X", "data.features=...")


@settings(max_examples=80)
@example(place=0.875, noise=b"\n", packed=False)
@given(place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=30), packed=st.booleans())
def test_damaged_arrays_are_read_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: float, noise: bytes, packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    save = np.savez_compressed if packed else np.savez
    save(folder / "data.npz", features=np.ones((6, 2)), labels=np.arange(6) % 2)
    content = bytearray((folder / "data.npz").read_bytes())
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    (folder / "data.npz").write_bytes(content)
    try:
        load(places.arrays(folder / "data.npz"), folder)
    except BadData as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_file_of_arrays_goes_through_the_whole_stage(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    places.npz(tmp_path, features=draw.normal(size=(90, 5)), labels=np.arange(90) % 3 - 1)
    words = ["data=arrays", f"data.path={tmp_path / 'data.npz'}", f"cache_dir={tmp_path / 'cache'}"]
    prepared = preprocess(compose(words).settings)
    assert prepared.classes == ("-1", "0", "1")
    assert sum(prepared.report.rows_kept.values()) == 90
