"""A list of files as a data set."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.sources import fingerprint, load
from pipeline.errors import BadData
from pipeline.settings.data import OnError
from tests.support import places


def write_list(tmp_path: Path, header: str, separator: str = ",", encoding: str = "utf-8") -> Path:
    places.image_folder(tmp_path / "all")
    lines = [header.replace(",", separator)]
    for name in ("left", "right"):
        for row in range(12):
            split = "test" if row > 8 else "Val" if row > 6 else "train"
            lines.append(separator.join([f"all/{name}/{row:03}.png", f"{name}é", split]))
    path = tmp_path / "list.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("header", "separator", "encoding"),
    [
        ("path,label,split", ",", "utf-8-sig"),
        ("Image Path,Class,Set", ";", "cp1252"),
        ("image,target,subset", "\t", "utf-16"),
    ],
)
def test_a_list_names_files_classes_and_splits(
    tmp_path: Path, header: str, separator: str, encoding: str
) -> None:
    loaded = load(places.images(write_list(tmp_path, header, separator, encoding)), tmp_path, tmp_path)
    assert loaded.classes == ("lefté", "righté")
    assert loaded.validation is not None
    assert loaded.test is not None
    assert [len(part.labels) for part in (loaded.train, loaded.validation, loaded.test)] == [14, 4, 6]


def test_a_list_without_splits_is_one_and_its_fingerprint_follows_labels(tmp_path: Path) -> None:
    path = write_list(tmp_path, "path,label,note")
    assert load(places.images(path), tmp_path).test is None
    first = fingerprint(places.images(path), tmp_path)
    path.write_text(path.read_text().replace("all/left/000.png,lefté", "all/left/000.png,righté"))
    assert fingerprint(places.images(path), tmp_path) != first


def test_repeated_lines_are_counted_and_absent_files_named(tmp_path: Path) -> None:
    path = write_list(tmp_path, "path,label,note")
    with path.open("a") as file:
        file.write("\r\nall/left/000.png,lefté,again\r\nall/nothing.png,lefté,gone\r\n")
    with pytest.raises(BadData) as caught:
        load(places.images(path), tmp_path)
    places.assert_one_line(caught, "got 1 that cannot be read", "nothing.png", "No such file")
    loaded = load(places.images(path, on_error=OnError.skip), tmp_path)
    assert np.bincount(loaded.train.labels).tolist() == [12, 12]
    assert [(each.count, each.text) for each in loaded.findings] == [
        (1, "left out: repeats another of the list")
    ]


def test_a_list_that_windows_wrote_names_the_same_files(tmp_path: Path) -> None:
    path = write_list(tmp_path, "path,label,split")
    same = load(places.images(path), tmp_path)
    path.write_text(path.read_text().replace("/", "\\").replace(",train", ",train_set"))
    loaded = load(places.images(path), tmp_path)
    assert np.array_equal(loaded.train.features, same.train.features)
    assert [str(each) for each in loaded.findings] == [
        "24 paths of Windows read with / in place of \\ (all\\left\\000.png)"
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "a column of paths"),
        ("path,kind\na.png,b", "a column of labels"),
        ("path,label\na.png,\n", "got none in line 2"),
        ("path,label\na.png,x\nb.png,x\n", "two classes or more, got 1"),
        ("path,label,split\na.png,x,first\n", "got 'first' in line 2"),
        ("path,label\n" + "a" * 200_000, "must be a list of files"),
    ],
)
def test_a_list_that_is_none_is_one_line(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(BadData, match=rule) as caught:
        fingerprint(places.images(tmp_path / "list.csv"), tmp_path)
    places.assert_one_line(caught)
