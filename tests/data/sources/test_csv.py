"""CSV tables, good and bad."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.features import TableSamples, TextSamples
from pipeline.data.samples import Table, Texts
from pipeline.data.sources import load
from pipeline.errors import BadData, DataMissing
from tests.support import places


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_numbers_and_categories_are_told_apart(tmp_path: Path) -> None:
    loaded = load(places.cells(places.table(tmp_path / "t.csv")), tmp_path)
    found = loaded.train.features
    assert isinstance(found, Table)
    assert loaded.kind == TableSamples()
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
        ("x,x\n1,2\n", {}, "a line of different column names"),
        ("", {}, "a line of different column names"),
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
    with pytest.raises(DataMissing, match=r"data\.path must be a CSV file"):
        load(places.cells(tmp_path / "none.csv"), tmp_path)


def test_bytes_of_another_encoding_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("x,y\ncafé,1\nthé,2\n".encode("cp1252"))
    with pytest.raises(BadData, match=r"must be CSV in utf-8.*set data.encoding"):
        load(places.cells(path, label="y", columns=None), tmp_path)
    assert load(places.cells(path, label="y", columns=None, encoding="cp1252"), tmp_path).classes == (
        "1",
        "2",
    )
