"""CSV tables, good and bad."""

import csv
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.data.features import TableSamples, TextSamples
from pipeline.data.samples import Table, Texts
from pipeline.data.sources import csv as csv_source
from pipeline.data.sources import load
from pipeline.errors import BadData, BadSetting, DataMissing
from pipeline.settings.tables import SplitBy
from tests.support import places


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_numbers_and_categories_are_told_apart(tmp_path: Path) -> None:
    loaded = load(places.cells(places.table(tmp_path / "t.csv")), tmp_path)
    found = loaded.train.features
    assert isinstance(found, Table)
    assert isinstance(loaded.kind, TableSamples)
    assert [column.name for column in loaded.kind.columns] == ["size", "colour"]
    assert (found.numeric, found.categorical) == (("size",), ("colour",))
    assert np.isnan(found.numbers[5, 0])
    assert found[np.array([3, 4])]["colour"].tolist() == ["", "blue"]
    assert loaded.classes == ("large", "small")


def test_without_a_word_all_columns_but_the_label_are_looked_at(tmp_path: Path) -> None:
    data = places.cells(places.table(tmp_path / "t.csv"), columns=None, categorical=["colour", "id"])
    found = load(data, tmp_path).train.features
    assert isinstance(found, Table)
    assert (found.numeric, found.categorical) == (("size",), ("id", "colour"))


def test_classes_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, "x;y\n1;10\n2;9\n3;10\n4;\n")
    loaded = load(places.cells(path, label="y", columns=None, separator=";"), tmp_path)
    assert loaded.classes == ("9", "10")
    assert loaded.train.labels.tolist() == [1, 0, 1, -1]


def test_a_column_of_texts(tmp_path: Path) -> None:
    path = written(tmp_path, 'said,mood\n"good, very good",up\nbad,down\n')
    loaded = load(places.cells(path, label="mood", text="said", columns=None), tmp_path)
    assert loaded.kind == TextSamples()
    assert isinstance(loaded.train.features, Texts)
    assert loaded.train.features[:].tolist() == ["good, very good", "bad"]


def test_a_test_file_of_its_own(tmp_path: Path) -> None:
    train, test = places.table(tmp_path / "a.csv"), places.table(tmp_path / "b.csv", rows=10)
    loaded = load(places.cells(train, test_path=str(test)), tmp_path)
    assert loaded.test is not None
    assert len(loaded.test.labels) == 10
    test.write_text(test.read_text().replace("9.", "nine.", 1))
    with pytest.raises(BadData, match=r"column size of .*b\.csv must hold numbers, got 'nine"):
        load(places.cells(train, test_path=str(test)), tmp_path)


TEN = "".join(f"{row},{row % 2}\n" for row in range(20))


@pytest.mark.parametrize(
    ("text", "changes", "rule"),
    [
        ("x,y\n" + TEN, {"label": "z"}, "data.label must be a column of"),
        ("x,y\n" + TEN, {"label": "yy"}, "did you mean y?"),
        ("x,y\n" + TEN, {"columns": ["q"]}, "data.columns must be a column"),
        ("x,y\n" + TEN + "ten,1\n", {}, "column x of"),
        ("x,y\n" + TEN + "ten,1\n", {}, "must hold numbers, got 'ten' in line 22"),
        ("x,y\n" + TEN + "1,2,3\n", {}, "must have 2 cells in every line, got 3 in line 22"),
        ("x,x\n1,2\n", {"label": "x"}, "must have different column names, got x twice"),
        ("", {}, "must have two columns or more"),
        ("x,y\n1,\n2,\n", {}, "must hold classes, got empty cells only"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path: Path, text: str, changes: dict[str, object], rule: str) -> None:
    told = {"label": "y", "columns": None, **changes}
    with pytest.raises(BadData) as caught:
        load(places.cells(written(tmp_path, text), **told), tmp_path)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistaken_cell_can_be_called_a_category(tmp_path: Path) -> None:
    path = written(tmp_path, "x,y\n" + TEN + "ten,1\n")
    found = load(places.cells(path, label="y", columns=None, categorical=["x"]), tmp_path).train.features
    assert isinstance(found, Table)
    assert found.categorical == ("x",)


def test_an_absent_file_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"data\.path must be a table, got .*, which is not there"):
        load(places.cells(tmp_path / "none.csv"), tmp_path)
    with pytest.raises(DataMissing, match=r"data\.path must be a table, got .*, which is a folder"):
        load(places.cells(tmp_path), tmp_path)


def test_bytes_of_another_encoding_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("x,y\ncafé,1\nthé,2\n".encode("cp1252"))
    with pytest.raises(BadData, match=r"must be text in utf-8.*set data.encoding"):
        load(places.cells(path, label="y", columns=None, encoding="utf-8"), tmp_path)
    assert load(places.cells(path, label="y", columns=None, encoding="cp1252"), tmp_path).classes == (
        "1",
        "2",
    )


# ---- labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["None", "Minor", "Major"], ("Major", "Minor", "None")),
        (["NA", "EU"], ("EU", "NA")),
        (["³", "²"], ("²", "³")),
        (["..", "."], (".", "..")),
        (["a/b", "a|b"], ("a/b", "a|b")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1.0", "2.0"], ("1", "2")),
        (["0.5", "1.5"], ("0.5", "1.5")),
        (["true", "false"], ("false", "true")),
        (["x" * 300, "y" * 300], ("x" * 300, "y" * 300)),
    ],
)
def test_no_label_is_taken_for_something_else(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...]
) -> None:
    rows = [f"{row % 7 + 0.5},{labels[row % len(labels)]}" for row in range(30)]
    path = written(tmp_path, "\n".join(["x,y", *rows]))
    loaded = load(places.cells(path, label="y", columns=None), tmp_path)
    assert loaded.classes == classes
    assert (loaded.train.labels >= 0).all()


@pytest.mark.parametrize(("label", "name"), [("0", "c"), ("-1", "y"), ("y", "y"), ("2024_01", "2024_01")])
def test_a_label_is_a_name_or_a_place(tmp_path: Path, label: str, name: str) -> None:
    names = ["c", "2024_01", "y"]
    rows = [f"{'ab'[row % 2]},{row % 3},{'cd'[row % 2]}" for row in range(12)]
    path = written(tmp_path, "\n".join([",".join(names), *rows]))
    loaded = load(places.cells(path, label=label, columns=None), tmp_path)
    assert name not in [column.name for column in loaded.columns]


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        (
            [f"{row}.5" for row in range(60)],
            "has 60 different numbers in 60 rows: data.task=regression learns",
        ),
        (
            [str(row % 30) for row in range(60)],
            "has 30 different numbers in 60 rows: data.task=regression learns",
        ),
        ([f"name {row}" for row in range(60)], "must hold classes, got 60 different words in 60 rows"),
    ],
)
def test_a_label_that_is_no_class_is_refused(tmp_path: Path, cells: list[str], rule: str) -> None:
    path = written(tmp_path, "\n".join(["x,y", *(f"{row % 7},{cell}" for row, cell in enumerate(cells))]))
    with pytest.raises(BadData) as caught:
        load(places.cells(path, label="y", columns=None), tmp_path)
    places.assert_one_line(caught, "column y of", rule)


def test_what_tells_the_label_is_named(tmp_path: Path) -> None:
    rows = [f"{'NY'[row % 2]},{row % 2},{row * 7 % 11},{'ab'[row % 2]}" for row in range(60)]
    path = written(tmp_path, "\n".join(["copy,code,other,y", *rows]))
    lines = list(map(str, load(places.cells(path, label="y", columns=None), tmp_path).findings))
    assert any("follows" in line and "data.drop=[...] (code, copy)" in line for line in lines)


def test_the_label_is_never_a_column(tmp_path: Path) -> None:
    path = written(tmp_path, "x,y\n" + TEN)
    with pytest.raises(BadSetting, match=r"data\.columns must be columns without data\.label"):
        places.cells(path, label="y", columns=["x", "y"])
    with pytest.raises(BadData, match=r"data\.columns must be columns without data\.label, got y"):
        load(places.cells(path, label="-1", columns=["x", "y"]), tmp_path)


# ---- splits -------------------------------------------------------------------------------------------


def test_a_validation_file_groups_and_times(tmp_path: Path) -> None:
    rows = [f"{row % 7},{row // 4},2020-01-{row % 28 + 1:02},{'ab'[row % 2]}" for row in range(40)]
    path = written(tmp_path, "\n".join(["x,person,day,y", *rows]))
    data = places.cells(path, label="y", columns=None, validation=str(path), group="person")
    loaded = load(data, tmp_path)
    assert loaded.validation is not None
    assert loaded.train.groups is not None
    assert len(set(loaded.train.groups.tolist())) == 10
    assert loaded.validation.groups is not None
    assert loaded.validation.groups.tolist() == loaded.train.groups.tolist()
    empty = tmp_path / "empty.csv"
    empty.write_text("\n".join(["x,person,y", *(f"{row},,{'ab'[row % 2]}" for row in range(9))]))
    alone = load(
        places.cells(empty, label="y", columns=None, validation=str(empty), group="person"), tmp_path
    )
    assert alone.train.groups is not None
    assert alone.validation is not None
    assert {*alone.train.groups.tolist(), *alone.validation.groups.tolist()} == set(range(18))
    assert "kept on one side of a split (data.group) (person)" in " ".join(map(str, loaded.findings))
    assert [column.name for column in loaded.columns] == ["x", "day"]
    by_time = load(places.cells(path, label="y", columns=None, split=SplitBy.time), tmp_path)
    assert by_time.train.times is not None
    assert by_time.train.times[1] - by_time.train.times[0] == 86400
    untimed = written(tmp_path, "\n".join(["x,person,day,y", *rows, "1,2,,a"]))
    told = load(places.cells(untimed, label="y", columns=None, split=SplitBy.time), tmp_path)
    assert "1 row without a time: taken for the latest" in "".join(map(str, told.findings))
    with pytest.raises(BadData, match=r"data\.split=time must have one column of dates or numbers, got none"):
        load(places.cells(path, label="y", columns=["x"], split=SplitBy.time), tmp_path)


# ---- any table ----------------------------------------------------------------------------------------

CELLS = some.sampled_from(
    [
        *("", "1", "2.5", "1,5", "NA", "-", "x", "red", "2020-01-01", "01/02/2020", "$3", "5 kg", "12%"),
        *("1e999", "a b c d", "007", "NaN", "'", "ü", "1 234", "(4)", "true", "10:30", " y", "\\t", "\x00"),
        *("1.234", "1,234.5", "∞", "-0", '"', "a\nb"),
    ]
)


@settings(max_examples=60)
@given(rows=some.lists(some.lists(CELLS, min_size=3, max_size=3), min_size=0, max_size=30))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["p", "q", "y"], *rows])
    with suppress(BadData):
        loaded = load(places.cells(path, label="y", columns=None), folder)
        assert len(loaded.train.labels) == len(loaded.train.features) <= len(rows)


@settings(max_examples=60)
@given(content=some.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_bytes(content)
    with suppress(BadData):
        load(places.cells(path, label="0", columns=None), path.parent)


def test_classes_alike_but_for_capitals_are_told(tmp_path: Path) -> None:
    rows = [f"{row % 7},{('yes', 'Yes', 'no')[row % 3]}" for row in range(30)]
    loaded = load(
        places.cells(written(tmp_path, "\n".join(["x,y", *rows])), label="y", columns=None), tmp_path
    )
    assert "2 names of classes alike but for capitals or spaces (Yes, yes)" in map(str, loaded.findings)


def test_letters_in_two_unicode_forms_are_one_word(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    rows = [f"{row},{(composed, apart)[row % 2]},{(apart, composed, 'tea')[row % 3]}" for row in range(9)]
    path = written(tmp_path, "\n".join([f"x,v,{apart}s", *rows]))
    for label in (f"{composed}s", f"{apart}s"):
        loaded = load(places.cells(path, label=label, columns=None), tmp_path)
        assert loaded.classes == (composed, "tea")
        assert {column.name: column.distinct for column in loaded.columns} == {"x": 9, "v": 1}


ANSWERS = (14, "27ca8c88d86d7282")
"""`FORMAT`, and a digest of what the table below becomes: where the digest changes, raise `FORMAT`.

Prepared data are kept under a key that `FORMAT` is part of; else old answers would be found there.
"""
COLUMNS_OF_ALL_KINDS: dict[str, Callable[[int], str]] = {
    "point": lambda row: f"{row / 7:.3f}",
    "comma": lambda row: f"{row},{row % 10}",
    "thousands": lambda row: f"1.{row + 100}.000",
    "money": lambda row: f"$ {row}.50",
    "brackets": lambda row: f"({row})" if row % 3 else str(row),
    "missing": lambda row: "n/a" if row % 5 == 0 else str(row * row),
    "word": lambda row: ("NA", "EU", "None", "")[row % 4],
    "code": lambda row: f"{row % 7:05}",
    "row": str,
    "day": lambda row: f"2020-{row % 12 + 1:02}-{row % 28 + 1:02}",
    "when": lambda row: f"{row % 28 + 1}. März 2020 10:{row % 60:02}",
    "zone": lambda row: f"2020-03-{row % 28 + 1:02} 10:{row:02} {('CET', 'CEST')[row % 2]}",
    "clock": lambda row: f"{row % 24}:{row % 60:02}",
    "took": lambda row: f"{row % 5}h {row}m",
    "created": lambda row: str(1_600_000_000 + 86_400 * row),
    "address": lambda row: f"10.0.0.{row % 9}",
    "phone": lambda row: f"+49 151 23{row:05}",
    "remark": lambda row: f"it was number {row} of them",
    "name": lambda row: f"C{row:05}",
    "same": lambda _: "7",
    "y": lambda row: "ab"[row % 2],
}


def test_other_answers_have_another_format(tmp_path: Path) -> None:
    lines = [";".join(form(row) for form in COLUMNS_OF_ALL_KINDS.values()) for row in range(60)]
    path = written(tmp_path, "\n".join([";".join(COLUMNS_OF_ALL_KINDS), *lines]))
    loaded = load(places.cells(path, label="y", columns=None), tmp_path)
    table = loaded.train.features
    assert isinstance(table, Table)
    assert isinstance(loaded.kind, TableSamples)
    read = (loaded.kind, table.numbers.tolist(), [texts[:].tolist() for texts in table.words])
    digest = hashlib.sha256(repr((read, loaded.train.labels.tolist(), loaded.classes)).encode()).hexdigest()
    assert (csv_source.FORMAT, digest[:16]) == ANSWERS


def test_labels_of_several_in_a_cell_are_told(tmp_path: Path) -> None:
    rows = [f"{row},{('a', 'a;b', 'b', 'b;a')[row % 4]}" for row in range(40)]
    told = load(places.cells(written(tmp_path, "\n".join(["x,y", *rows])), label="y", columns=None), tmp_path)
    text = (
        "4 classes of which each combination of several is one: give each label a column to learn them one by"
    )
    assert f"{text} one (a;b)" in map(str, told.findings)
