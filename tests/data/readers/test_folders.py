"""Folders with one folder for each class."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData, DataMissing
from pipeline.settings.data import OnError
from tests.support import places


def test_folders_named_train_and_test_are_official_splits(tmp_path: Path) -> None:
    places.image_folder(tmp_path / "train")
    places.image_folder(tmp_path / "test", rows=3)
    loaded = load(places.images(tmp_path), tmp_path)
    assert loaded.test is not None
    assert (len(loaded.train.labels), len(loaded.test.labels)) == (24, 6)


def test_an_unreadable_image_stops_or_is_left_out_and_named(tmp_path: Path) -> None:
    places.image_folder(tmp_path)
    (tmp_path / "left" / "000.png").write_bytes(b"nothing of the kind")
    whole = (tmp_path / "left" / "001.png").read_bytes()
    (tmp_path / "left" / "001.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData) as caught:
        load(places.images(tmp_path), tmp_path)
    places.assert_one_line(caught, "got 2 that cannot be read", "000.png", "001.png", "data.on_error=skip")
    loaded = load(places.images(tmp_path, on_error=OnError.skip), tmp_path)
    assert [Path(name).name for name in loaded.unreadable] == ["000.png", "001.png"]
    assert len(loaded.train.labels) == 22


def test_the_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    data = places.images(places.image_folder(tmp_path))
    first = fingerprint(data, tmp_path)
    assert fingerprint(data, tmp_path) == first
    (tmp_path / "left" / "000.png").rename(tmp_path / "right" / "moved.png")
    second = fingerprint(data, tmp_path)
    Image.new("L", (6, 8)).save(tmp_path / "right" / "moved.png")
    assert len({first, second, fingerprint(data, tmp_path)}) == 3


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("no folder", "must be a folder with a folder for each class"),
        ("no classes", "a folder for each of two classes or more"),
        ("one class", "a folder for each of two classes or more"),
        ("empty class", "every class must have files"),
        ("unknown class", "must hold classes that"),
    ],
)
def test_a_folder_that_holds_no_classes_is_one_line(tmp_path: Path, kind: str, rule: str) -> None:
    root = tmp_path / "data"
    match kind:
        case "no classes":
            root.mkdir()
        case "one class":
            places.image_folder(root)
            (root / "left").rename(tmp_path / "elsewhere")
        case "empty class":
            places.image_folder(root)
            (root / "nothing").mkdir()
        case "unknown class":
            places.image_folder(root / "train")
            places.image_folder(root / "test")
            (root / "test" / "left").rename(root / "test" / "middle")
    with pytest.raises(DataMissing if kind == "no folder" else BadData) as caught:
        fingerprint(places.images(root), tmp_path)
    places.assert_one_line(caught, rule)
