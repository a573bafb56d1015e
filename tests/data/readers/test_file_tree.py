"""Which files of a folder are samples, of which class and split; what is left out is counted."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from pipeline.data.readers.file_tree import FileTree, scan_folder
from pipeline.data.report import Findings
from pipeline.errors import BadData
from tests.support import places


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def classes(root: Path, *folders: str, suffix: str = ".png") -> Path:
    """Two files in each of the folders."""
    return fill(root, *(f"{folder}/{number}{suffix}" for folder in folders for number in range(2)))


def scan(root: Path) -> tuple[FileTree, dict[str, int]]:
    findings = Findings()
    tree = scan_folder(root, (".png", ".jpg"), findings)
    return tree, {finding.text: finding.count for finding in findings.to_tuple()}


def count(tree: FileTree) -> dict[str, dict[str, int]]:
    return {
        split: dict(Counter(tree.classes[file.label] for file in files))
        for split, files in tree.splits.items()
    }


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize(
    ("other", "split"),
    [
        ("val", "validation"),
        ("Valid", "validation"),
        ("validation", "validation"),
        ("dev", "validation"),
        ("Test", "test"),
        ("testing", "test"),
    ],
)
@pytest.mark.parametrize("order", ["split first", "class first", "wrapped"])
def test_folders_of_splits_are_no_classes(
    tmp_path: Path, train: str, other: str, split: str, order: str
) -> None:
    names = [f"{part}/{name}" for part in (train, other) for name in ("cat", "dog")]
    if order == "class first":
        names = ["/".join(reversed(name.split("/"))) for name in names]
    tree, _ = scan(classes(tmp_path / "set" / "set" if order == "wrapped" else tmp_path, *names))
    assert count(tree if order != "wrapped" else scan(tmp_path)[0]) == {
        "train": {"cat": 2, "dog": 2},
        split: {"cat": 2, "dog": 2},
    }


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("train_set", "val_set", "validation"),
        ("Training Set", "Test Set", "test"),
        ("train-images", "test-images", "test"),
        ("TrainData", "EvalData", "validation"),
        ("train2017", "val2017", "validation"),
        ("1_train", "2_test", "test"),
        ("dataset_train", "dataset_test", "test"),
        ("seg_train/seg_train", "seg_test/seg_test", "test"),
    ],
)
def test_splits_have_longer_names_too(tmp_path: Path, train: str, other: str, split: str) -> None:
    tree, _ = scan(
        classes(tmp_path, *(f"{part}/{name}" for part in (train, other) for name in ("cat", "dog")))
    )
    assert count(tree) == {"train": {"cat": 2, "dog": 2}, split: {"cat": 2, "dog": 2}}


def test_classes_that_only_look_like_splits_are_classes(tmp_path: Path) -> None:
    names = ("trained", "latest", "contest", "evaluator")
    assert scan(classes(tmp_path, *names))[0].classes == tuple(sorted(names))


def test_what_lies_beside_the_splits_is_counted(tmp_path: Path) -> None:
    classes(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog", "unlabelled")
    fill(tmp_path, "test/loose.png", "train/dog/notes.md", "train/cat/README")
    tree, left_out = scan(tmp_path)
    assert count(tree)["test"] == {"cat": 2, "dog": 2}
    assert left_out == {
        "left out: outside the folders of the splits": 2,
        "left out: in no folder of a class": 1,
        "left out: .md is not read here": 1,
        "left out: a name without a suffix is not read here": 1,
    }


def test_a_test_folder_without_classes_is_no_split(tmp_path: Path) -> None:
    classes(tmp_path, "train/cat", "train/dog", "test")
    tree, left_out = scan(tmp_path)
    assert list(tree.splits) == ["train"]
    assert left_out == {"left out: in no folder of a class": 2}


def test_a_vehicle_may_be_called_train(tmp_path: Path) -> None:
    tree, _ = scan(classes(tmp_path, "train", "plane"))
    assert tree.classes == ("plane", "train")


def test_hidden_files_and_those_of_systems_are_left_out_anywhere(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog", "cat/.ipynb_checkpoints", "__MACOSX/cat", ".Trash/mouse")
    fill(tmp_path, "cat/._0.png", "dog/Thumbs.db", "dog/.DS_Store", "desktop.ini")
    tree, left_out = scan(tmp_path)
    assert count(tree) == {"train": {"cat": 2, "dog": 2}}
    assert [(list(left_out.values()), "hidden" in next(iter(left_out)))] == [([10], True)]


def test_folders_within_a_class_are_of_that_class_and_it_is_said(tmp_path: Path) -> None:
    tree, notes = scan(classes(tmp_path, "cat/siamese", "cat/persian/white", "dog"))
    assert count(tree) == {"train": {"cat": 4, "dog": 2}}
    assert notes == {"in folders within the folder of a class, and of that class": 4}


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    classes(tmp_path, f"train/{forms[0]}", "train/bar", f"test/{forms[1]}", "test/bar")
    tree, _ = scan(tmp_path)
    assert tree.classes == ("bar", forms[0])
    assert count(tree)["test"] == {"bar": 2, forms[0]: 2}


def test_a_name_that_is_no_utf8_is_shown_in_escapes(tmp_path: Path) -> None:
    classes(tmp_path, "dog")
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(odd)
    Path(os.fsdecode(odd + b"/a\nb.png")).write_bytes(b"x")
    tree, _ = scan(tmp_path)
    assert tree.classes == (r"caf\xe9", "dog")
    assert tree.splits["train"][0].name == rf"{tmp_path.name}/caf\xe9/a\nb.png"


def test_suffixes_are_read_in_any_case_and_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    fill(tmp_path, "set/cat/A.PNG", "set/cat/b.JpG", "set/dog/c.png", "far/d.png")
    (tmp_path / "set" / "dog" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "set" / "dog" / "round").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog" / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "set" / "cat" / "pipe.png")
    tree, left_out = scan(tmp_path / "set")
    assert count(tree) == {"train": {"cat": 2, "dog": 3}}  # a broken link is read, and named as unreadable
    assert left_out["left out: leads back to a folder above"] == 1
    assert left_out["left out: a device, pipe or socket"] == 1


@pytest.mark.parametrize(
    ("folders", "rule"),
    [
        (("cat",), "a folder for each of two classes or more"),
        (("train", "test"), "got 0 and 2 files outside of any"),
        (("train/cat", "train/dog", "test/cow"), "the test split .* got cow"),
        (
            ("train/cat", "train/dog", "val/cat", "dev/cat"),
            "one folder for the validation split, got dev and val",
        ),
    ],
)
def test_folders_that_do_not_fit_are_one_line(tmp_path: Path, folders: tuple[str, ...], rule: str) -> None:
    with pytest.raises(BadData, match=rule) as caught:
        scan(classes(tmp_path, *folders))
    places.assert_one_line(caught)


def test_a_class_with_files_of_another_kind_alone_says_which(tmp_path: Path) -> None:
    classes(classes(tmp_path, "cat", "dog"), "phone", suffix=".heic")
    with pytest.raises(BadData, match=r"got only \.heic in .*phone"):
        scan(tmp_path)
    with pytest.raises(BadData, match=r"got only \.heic \(\d\); convert them"):
        scan(classes(tmp_path / "of phones", "cat", "dog", suffix=".heic"))
