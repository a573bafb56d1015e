"""Labels of arrays as class numbers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.data.readers.class_labels import note_classes, number_classes
from pipeline.data.report import Findings
from pipeline.data.sources import LabelledSamples, LoadedData, load
from pipeline.errors import BadData
from tests.support import places


def number(labels: np.ndarray, test: np.ndarray | None = None) -> LoadedData:
    splits = [
        None if each is None else LabelledSamples(np.zeros((len(each), 2)), each) for each in (labels, test)
    ]
    assert splits[0] is not None
    return number_classes(splits[0], splits[1])


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64, np.float16, ">i4", ">f8"])
def test_classes_are_numbered_without_gaps_and_named_as_found(tmp_path: Path, dtype: type) -> None:
    """EMNIST's letters, for one, begin at 1."""
    loaded = load(
        places.npz(tmp_path, features=np.ones((4, 2)), labels=np.array([1, 26, 2, 1], dtype)), tmp_path
    )
    assert loaded.train.labels.tolist() == [0, 2, 1, 0]
    assert loaded.classes == ("1", "2", "26")


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (np.array([-1, 0, 1, -1]), ("-1", "0", "1"), [0, 1, 2, 0]),
        (np.array([-1.0, 1.0]), ("-1", "1"), [0, 1]),
        (np.array([10**12, 5]), ("5", "1000000000000"), [1, 0]),
        (np.array([True, False, True]), ("False", "True"), [1, 0, 1]),
        (np.array(["dog", "cat", "dog"]), ("cat", "dog"), [1, 0, 1]),
        (np.array(["None", "NA"]), ("NA", "None"), [1, 0]),
        (np.array(["cafe\u0301", "caf\u00e9", "bar"]), ("bar", "caf\u00e9"), [1, 1, 0]),
        (np.array([b"dog", b"cat"]), ("cat", "dog"), [1, 0]),
        (np.array(["a/b", "a|b"]), ("a/b", "a|b"), [0, 1]),
        (np.array([[3], [5]]), ("3", "5"), [0, 1]),
        (np.array([[0, 1, 0], [1, 0, 0]]), ("0", "1"), [1, 0]),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), ("0", "1"), [1, 0]),
        (np.array([[True, False], [False, True]]), ("0", "1"), [0, 1]),
        (np.array([2.0, np.nan, 3.0]), ("2", "3"), [0, -1, 1]),
        (np.array(["b", "", "a"]), ("a", "b"), [1, -1, 0]),
    ],
)
def test_every_kind_of_label_has_its_classes(
    labels: np.ndarray, classes: tuple[str, ...], numbers: list[int]
) -> None:
    loaded = number(labels)
    assert loaded.classes == classes
    assert loaded.train.labels.tolist() == numbers


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        (np.array([0.5, 1, 1.5]), r"got 2 of 3 that are no whole numbers \(the first is 0.5\)"),
        (np.array([0, np.inf]), "no whole numbers"),
        (np.array([[0.2, 0.8], [1.0, 0.0]]), r"another row 0: \[0.2, 0.8\]"),
        (np.array([[1, 1], [1, 0]]), "one 1 in each row"),
        (np.array([[0, 0], [1, 0]]), "one 1 in each row"),
        (np.array([["a", "b"]]), "one 1 in each row"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        (np.array(["2020-01-01"], "datetime64[D]"), "numbers or texts, got dtype datetime64"),
        (np.array([1j]), "numbers or texts"),
        (np.arange(100), "fewer than rows, got 100 different values in 100 rows"),
        (np.array([b"caf\xe9"]), "texts in UTF-8"),
    ],
)
def test_what_is_no_class_is_one_line(labels: np.ndarray, rule: str) -> None:
    with pytest.raises(BadData, match=rule) as caught:
        number(labels)
    places.assert_one_line(caught)


def test_the_test_split_shares_the_numbers() -> None:
    loaded = number(np.array([-1, 5]), np.array([5.0, 7.0]))
    assert loaded.classes == ("-1", "5", "7")
    assert loaded.test is not None
    assert loaded.test.labels.tolist() == [1, 2]
    with pytest.raises(BadData, match="of one kind"):
        number(np.array([-1, 5]), np.array(["a", "b"]))


@given(
    arrays.arrays(
        st.one_of(
            arrays.integer_dtypes(),
            arrays.unsigned_integer_dtypes(),
            arrays.floating_dtypes(),
            arrays.unicode_string_dtypes(max_len=4),
            arrays.byte_string_dtypes(max_len=4),
            arrays.boolean_dtypes(),
            arrays.complex_number_dtypes(),
            arrays.datetime64_dtypes(),
        ),
        arrays.array_shapes(max_dims=3, max_side=6),
    )
)
def test_any_labels_are_numbered_or_refused(labels: np.ndarray) -> None:
    try:
        loaded = number(labels)
    except BadData as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    found = loaded.train.labels
    assert len(found) == len(labels)
    assert set(found.tolist()) <= set(range(-1, len(loaded.classes)))


def test_classes_that_a_reader_takes_for_one_are_told() -> None:
    findings = Findings()
    note_classes(("Cat", "New York", "New\u00a0York", "cat", "dog"), findings)
    (finding,) = map(str, findings.to_tuple())
    assert finding.startswith("4 names of classes alike but for capitals or spaces (Cat, New York, ")


def test_folders_of_classes_that_differ_by_a_space_are_told(tmp_path: Path) -> None:
    for name in ("cat", "cat "):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.txt").write_text(f"one {len(name)}")
    loaded = load(places.texts(tmp_path), tmp_path)
    assert "2 names of classes alike but for capitals or spaces (cat, cat )" in map(str, loaded.findings)
