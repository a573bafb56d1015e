"""New data of each kind, read for a model; labels are optional, and what cannot be read is named."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pipeline.data.features import Columns
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.errors import BadData, BadModel, BadSetting, DataMissing
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewBatch, NewData, csv, open_new_data
from pipeline.settings.data import Data, Digits
from tests.models.serving.test_requests import ARRAYS, IMAGES, SOUNDS, TEXTS
from tests.support import places

COLUMNS = Columns(
    numeric=("size",),
    medians=(1.0,),
    categorical=("colour",),
    categories=(("blue", "red"),),
    types=(
        ColumnType(name="size", kind=Kind.number, missing=("na",), number=NumberFormat(decimal=",")),
        ColumnType(name="colour", kind=Kind.category),
    ),
)
TABLE = ModelDescription(classes=("large", "small"), shape=(4,), front=COLUMNS)


def open_it(
    data: Data, description: ModelDescription, tmp_path: Path
) -> tuple[NewData, list[NewBatch], list[str]]:
    findings = Findings()
    new = open_new_data(data, description, ScratchSpace(tmp_path / "scratch", 10**9), findings)
    batches = list(new.batches)
    return new, batches, [str(finding) for finding in findings.to_tuple()]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


ROWS = "colour;kind of thing;size\nred;large;1,5\n;dwarf;\n new ;small;2.5\nred\nblue;;abc\n"


def test_rows_of_a_table_are_named_by_their_line_and_read_as_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "ROWS", 3)
    data = places.cells(write(tmp_path / "new.csv", ROWS), on_error="skip")
    new, batches, findings = open_it(data, TABLE, tmp_path)
    assert (new.name, new.total, new.has_labels) == ("line", 4, True)
    assert [list(batch.names) for batch in batches] == [[2, 3, 4], [6]]
    assert [batch.labels for batch in batches] == [["large", "dwarf", "small"], [""]]
    cells = [batch.request.samples for batch in batches]
    np.testing.assert_array_equal(
        np.concatenate([part["size"] for part in cells]), [1.5, np.nan, 2.5, np.nan]
    )
    assert np.concatenate([part["colour"] for part in cells]).tolist() == ["red", "", "new", "blue"]
    assert findings == [
        "1 row left out: another number of cells (line 5)",
        "1 cell of column colour that training never saw or seldom: they count as unknown (line 4: 'new')",
        "1 cell of column size that are no numbers: they count as empty (line 6: 'abc')",
    ]


def test_labels_are_optional_and_a_column_of_training_is_not(tmp_path: Path) -> None:
    data = places.cells(write(tmp_path / "new.csv", "id,more,colour,x,size\n7,a,red,1,1\n"))
    new, (batch,), findings = open_it(data, replace(TABLE, left_out=("id",)), tmp_path)
    assert not new.has_labels
    assert batch.labels is None
    assert findings == [
        "1 column not used, as in training (id)",
        "2 columns not used: the model was not trained on it (more, x)",
    ]
    for text, told in (
        ("size,kind of thing\n1,large\n", "got none called colour; it has size, kind of thing"),
        ("Size,colours\n1,large\n", "got none called size, colour; rename Size to size, colours to colour"),
    ):
        with pytest.raises(BadData) as caught:
            open_it(places.cells(write(tmp_path / "bad.csv", text)), TABLE, tmp_path)
        places.assert_one_line(caught, told, "bad.csv")
    with pytest.raises(DataMissing):
        open_it(places.cells(tmp_path / "absent.csv"), TABLE, tmp_path)
    with pytest.raises(DataMissing, match="which is a folder"):
        open_it(places.cells(tmp_path), TABLE, tmp_path)


PLAIN, GROUPED, CENT = NumberFormat(), NumberFormat(decimal=",", thousands="."), NumberFormat(suffix="%")


@pytest.mark.parametrize(
    ("trained", "cells", "right", "told"),
    [
        (PLAIN, ["1,5", "0,25"], [1.5, 0.25], "training: as numbers with decimal , (size)"),
        (GROUPED, ["1.234", "12.5"], [1.234, 12.5], "training: as plain numbers (size)"),
        (
            PLAIN,
            ["1.234.567", "0,5"],
            [1234567, 0.5],
            "as numbers with decimal , and with thousands '.' (size)",
        ),
        (GROUPED, ["1.234", "2"], [1234, 2], None),
        (PLAIN, ["12", "3"], [12, 3], None),
        (CENT, ["12", "30"], [12, 30], "training: as plain numbers (size)"),
    ],
)
def test_numbers_of_another_form_than_in_training_are_read_and_told(
    tmp_path: Path, trained: NumberFormat, cells: list[str], right: list[float], told: str | None
) -> None:
    size = replace(COLUMNS.types[0], number=trained)
    description = replace(TABLE, front=replace(COLUMNS, types=(size, COLUMNS.types[1])))
    path = write(tmp_path / "new.csv", "colour;size\n" + "".join(f"red;{cell}\n" for cell in cells))
    _, (batch,), findings = open_it(places.cells(path), description, tmp_path)
    assert batch.request.samples["size"].tolist() == right  # type: ignore[index]
    assert (told or "") in "".join(findings)
    assert len(findings) == (told is not None)


DATE = ColumnType(name="when", kind=Kind.date, date="day/month/year")


@pytest.mark.parametrize(
    ("column", "text", "told"),
    [
        (
            COLUMNS.types[0],
            "size;colour\n1/2;red\n;red\n3/4;blue\n",
            "decimal , as in training, got none (line 2",
        ),
        (
            replace(COLUMNS.types[0], number=PLAIN),
            "size;colour\n1,234;red\n5,678;red\n",
            "set data.decimal=','",
        ),
        (replace(COLUMNS.types[0], number=CENT), "size;colour\n0.5;red\n0.75;red\n", "write them with %"),
        (COLUMNS.types[0], "size;colour\n1;7\n2;8\n", "words that training saw, such as blue, red, got none"),
        (COLUMNS.types[0], "size;colour\n" + "1;R\n" * 20, "got none but 'R'"),
        (
            replace(DATE, date="year-month-day"),
            "when;colour\n01/02/2024;red\n",
            "set data.dates=day/month/year or",
        ),
    ],
)
def test_a_column_that_cannot_be_read_as_in_training_is_refused(
    tmp_path: Path, column: ColumnType, text: str, told: str
) -> None:
    description = replace(TABLE, front=replace(COLUMNS, types=(column, COLUMNS.types[1])))
    with pytest.raises(BadData) as caught:
        open_it(places.cells(write(tmp_path / "new.csv", text)), description, tmp_path)
    places.assert_one_line(
        caught, f"column {'colour' if 'words' in told or 'R' in told else column.name} of", told
    )


def test_words_and_dates_are_those_of_training_in_another_form(tmp_path: Path) -> None:
    front = replace(COLUMNS, categories=(("1", "True", "x"),), types=(DATE, COLUMNS.types[1]))
    text = "when,colour\n02/25/2024,1.0\n01/02/2024,true\n03/04/2024,x\n"
    data = places.cells(write(tmp_path / "new.csv", text))
    _, (batch,), findings = open_it(data, replace(TABLE, front=front), tmp_path)
    assert isinstance(batch.request.samples, dict)
    assert batch.request.samples["colour"].tolist() == ["1", "True", "x"]
    day = 86400
    assert (np.diff(batch.request.samples["when"]) / day).tolist() == [
        -54,
        62,
    ]  # February 25, January 2, March 4
    assert findings == ["1 column read otherwise than in training: as month/day/year (when)"]


def test_columns_without_names_keep_their_places_without_the_label(tmp_path: Path) -> None:
    types = tuple(ColumnType(name=f"column_{place}", kind=Kind.number) for place in (0, 2, 3))
    front = Columns(
        numeric=tuple(column.name for column in types),
        medians=(0.0, 0.0, 0.0),
        categorical=(),
        categories=(),
        types=types,
    )
    description = ModelDescription(classes=("a", "b"), shape=(3,), front=front, width=4)
    for text, label in (("1,a,2,3\n4,b,5,6\n", "1"), ("1,2,3\n4,5,6\n", "column_1")):
        data = places.cells(write(tmp_path / "new.csv", text), label=label, columns=None)
        new, (batch,), _ = open_it(data, description, tmp_path)
        assert new.has_labels is (text[2] == "a")
        assert isinstance(batch.request.samples, dict)
        assert [column.tolist() for column in batch.request.samples.values()] == [[1, 4], [2, 5], [3, 6]]
    data = places.cells(write(tmp_path / "new.csv", "1,2\n3,4\n"), label="1", columns=None)
    with pytest.raises(BadData, match="4 columns"):
        open_it(data, description, tmp_path)


def test_a_folder_of_any_shape_is_read_and_folders_of_classes_are_labels(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    root = tmp_path / "new"
    for name in ("b.png", "x/a.png", "other/deep/y/c.bmp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
    (root / "x" / "broken.png").write_bytes(b"\x89PNG")
    (root / "x" / "notes.txt").write_text("no image")
    Image.fromarray(pixels[:3]).save(root / "small.png")
    new, (batch,), findings = open_it(places.images(root), IMAGES, tmp_path)
    assert (new.name, new.total, new.has_labels) == ("file", 5, True)
    assert list(batch.names) == ["b.png", "other/deep/y/c.bmp", "x/a.png"]
    assert batch.labels == ["", "y", "x"]
    np.testing.assert_array_equal(batch.request.samples, np.stack([pixels] * 3))
    assert findings[0] == "1 file left out: .txt is not read here (new/x/notes.txt)"
    assert findings[1].startswith(
        "2 files left out: it cannot be read (small.png: 3x6 where the model takes 4x6"
    )
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.write(root / "b.png", "b.png")
    listed = write(tmp_path / "list.csv", "path,label\nnew/b.png,x\nnew/x/a.png,\n")
    for path, names in (
        (tmp_path / "new.zip", ["b.png"]),
        (root / "b.png", ["b.png"]),
        (listed, ["new/b.png", "new/x/a.png"]),
    ):
        _, (batch,), _ = open_it(places.images(path), IMAGES, tmp_path)
        assert list(batch.names) == names
    with pytest.raises(BadData, match="none of 1"):
        open_it(places.images(root / "x" / "broken.png"), IMAGES, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="got none"):
        open_it(places.images(tmp_path / "empty"), IMAGES, tmp_path)


def test_a_sound_of_another_rate_and_length_is_one_file_of_several_excerpts(tmp_path: Path) -> None:
    root = tmp_path / "new"
    places.write_wav(root / "long.wav", places.tone(300, 0.75, 16000), 16000)
    places.write_wav(root / "short.wav", places.tone(300, 0.1))
    new, (batch,), _ = open_it(places.sounds(root), SOUNDS, tmp_path)
    assert new.total == 2
    assert list(batch.names) == ["long.wav", "short.wav"]
    assert batch.request.excerpts is not None
    assert batch.request.excerpts.tolist() == [3, 1]
    assert np.shape(batch.request.samples) == (4, 2000)


def test_texts_of_any_encoding_and_a_column_of_texts_are_asked_alike(tmp_path: Path) -> None:
    root = tmp_path / "new"
    root.mkdir()
    (root / "a.txt").write_bytes("schön\n".encode("cp1252"))
    (root / "b.txt").write_bytes("schön".encode("utf-16"))
    _, (batch,), _ = open_it(places.texts(root), TEXTS, tmp_path)
    assert list(batch.request.samples) == ["schön", "schön"]
    data = places.cells(write(tmp_path / "t.csv", "n,say\n1,schön\n2,\n"), text="say", columns=None)
    _, (batch,), _ = open_it(data, TEXTS, tmp_path)
    assert list(batch.request.samples) == ["schön", ""]


@pytest.mark.parametrize(
    ("file", "text", "right", "told"),
    [
        ("t.csv", 'text\n"a, b"\n', ["a, b"], []),
        ("t.csv", 'say\n"a, b"\n', ["a, b"], []),
        ("t.csv", "it is\nnot so\n", ["it is", "not so"], []),
        ("t.txt", '"Yes," it is\n\nSource of joy\n', ['"Yes," it is', "Source of joy"], []),
        ("t.txt", "fine, it is\n", ["fine, it is"], []),
        (
            "t.csv",
            ",text,label\n0,yes,x\n",
            ["yes"],
            ["1 column not used: the model was not trained on it (unnamed_0)"],
        ),
        ("t.csv", "label,say\nx,yes\n", ["yes"], []),
    ],
)
def test_texts_are_the_only_column_or_the_one_called_text(
    tmp_path: Path, file: str, text: str, right: list[str], told: list[str]
) -> None:
    data = places.cells(write(tmp_path / file, text), label="label", columns=None)
    new, (batch,), findings = open_it(data, replace(TEXTS, text=None), tmp_path)
    assert list(batch.request.samples) == right
    assert findings == told
    assert new.has_labels is ("label" in text)


def test_the_only_column_is_read_as_texts_whatever_it_was_called_in_training(tmp_path: Path) -> None:
    data = places.cells(write(tmp_path / "t.csv", "text\nyes\n"), text="say", label="y", columns=None)
    _, (batch,), findings = open_it(data, TEXTS, tmp_path)
    assert (list(batch.request.samples), findings) == (
        ["yes"],
        ["1 column read as texts in the place of say (text)"],
    )
    data = places.cells(write(tmp_path / "t.csv", "id,text\n1,yes\n"), text="say", label="y", columns=None)
    with pytest.raises(BadData, match=r"data\.text must be a column of"):
        open_it(data, TEXTS, tmp_path)


def test_header_and_sheet_are_found_without_the_label(tmp_path: Path) -> None:
    data = places.cells(write(tmp_path / "t.csv", "New people\n\nsize,colour,more\n1,red,2\n"))
    _, (batch,), findings = open_it(data, TABLE, tmp_path)
    assert batch.request.samples["size"].tolist() == [1]  # type: ignore[index]
    assert findings[0] == "1 row left out: above the header (New people)"
    only = replace(COLUMNS, categorical=(), categories=(), types=COLUMNS.types[:1])
    data = places.cells(write(tmp_path / "t.csv", "size\n1,5\n"))
    _, (batch,), _ = open_it(data, replace(TABLE, front=only), tmp_path)
    assert batch.request.samples["size"].tolist() == [1.5]  # type: ignore[index]
    with pytest.raises(BadData, match="none called size; it has other; its first line must name"):
        open_it(places.cells(write(tmp_path / "t.csv", "other\n1\n")), replace(TABLE, front=only), tmp_path)


WORDS = Columns(
    numeric=("stars",),
    medians=(1.0,),
    categorical=(),
    categories=(),
    texts=("say",),
    types=(ColumnType(name="say", kind=Kind.text), ColumnType(name="stars", kind=Kind.number)),
)


@pytest.mark.parametrize(
    ("file", "content", "text", "right"),
    [
        ("t.csv", "say\nyes\n", None, ["yes"]),
        ("t.csv", "said\nyes\n", None, ["yes"]),
        ("t.csv", "id,text,said\n1,no,yes\n", "said", ["yes"]),
        ("t.csv", "id,say,said\n1,no,yes\n", "said", ["yes"]),
        ("t.csv", "id,said,say\n1,no,yes\n", None, ["yes"]),
        ("t.txt", "it is, no\nyes\n", None, ["it is, no", "yes"]),
    ],
)
def test_a_lone_column_of_free_text_is_found_as_texts_are(
    tmp_path: Path, file: str, content: str, text: str | None, right: list[str]
) -> None:
    """Training had it among the columns of a table, as nobody named it by `data.text`."""
    front = replace(WORDS, numeric=(), medians=(), types=WORDS.types[:1])
    data = places.cells(write(tmp_path / file, content), label="y", columns=None, text=text)
    _, (batch,), _ = open_it(data, replace(TABLE, front=front), tmp_path)
    assert batch.request.samples["say"].tolist() == right  # type: ignore[index]


def test_texts_among_other_columns_are_found_under_a_name_that_is_given(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", "stars,said,say\n1,yes,no\n")
    data = places.cells(table, label="y", columns=None, text="said")
    new, (batch,), _ = open_it(data, replace(TABLE, front=WORDS), tmp_path)
    assert batch.request.samples["say"].tolist() == ["yes"]  # type: ignore[index]
    assert new.others == ["said"]  # the one that had the name
    with pytest.raises(BadData, match=r"got sadi; did you mean said\?"):
        open_it(replace(data, text="sadi"), replace(TABLE, front=WORDS), tmp_path)
    with pytest.raises(BadData, match="got said for one with none; name the columns"):
        open_it(data, TABLE, tmp_path)
    write(table, "say,id\nyes,1\n")
    with pytest.raises(BadData, match="none called stars; it has say, id"):
        open_it(replace(data, text=None), replace(TABLE, front=WORDS), tmp_path)


@pytest.mark.parametrize(
    ("content", "right"),
    [
        ("size;price\n1,5;34,25\n2;1.000,5\n3;?\n", ["34.25", "1000.5", "?"]),
        ("size;price\n1,5;34,25 €\n2;7,5 €\n3;\n", ["34.25", "7.5", ""]),
        ("size,price\n1.5,34.250\n2,7\n", ["34.250", "7"]),
    ],
)
def test_quantities_are_read_however_they_are_written(tmp_path: Path, content: str, right: list[str]) -> None:
    only = replace(COLUMNS, categorical=(), categories=(), types=COLUMNS.types[:1])
    data = places.cells(write(tmp_path / "t.csv", content), label="price")
    _, (batch,), _ = open_it(data, replace(TABLE, front=only, classes=()), tmp_path)
    assert batch.labels == right


def test_a_column_that_is_nearly_called_as_the_labels_is_told(tmp_path: Path) -> None:
    data = places.cells(write(tmp_path / "t.csv", "size,colour,Kind\n1,red,large\n"), label="kind")
    new, _, findings = open_it(data, TABLE, tmp_path)
    assert (new.has_labels, new.others) == (False, ["Kind"])
    assert "1 column called nearly as the labels: data.label=Kind reads them (Kind)" in findings


@pytest.mark.parametrize("form", ["npz", "h5", "folder"])
def test_the_only_array_that_fits_is_read_whatever_it_is_called(tmp_path: Path, form: str) -> None:
    def save(**named: np.ndarray) -> Path:
        path = tmp_path / ("new" if form == "folder" else f"new.{form}")
        if form == "npz":
            np.savez(path, **named)  # type: ignore[arg-type]
        elif form == "h5":
            with h5py.File(path, "w") as file:
                for name, array in named.items():
                    file[name] = array
        else:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            for name, array in named.items():
                np.save(path / f"{name}.npy", array)
        return path

    samples = np.arange(18.0).reshape(3, 2, 3)
    path = save(x=samples, labels=np.array([1, 2, 1]), y=np.zeros(3), q=samples[:, :1])
    new, (batch,), findings = open_it(places.arrays(path), ARRAYS, tmp_path)
    np.testing.assert_array_equal(batch.request.samples, samples)
    assert new.has_labels
    assert findings[0] == "1 array read in the place of features (x)"
    assert findings[1] in ("2 arrays not used (q, y)", "2 arrays not used (y, q)")
    for named in ({"v": samples, "x": samples}, {"q": samples[:, :1]}):
        with pytest.raises((BadData, DataMissing), match=", ".join(named)):
            open_it(places.arrays(save(**named)), ARRAYS, tmp_path)


def test_arrays_of_a_file_are_read_with_labels_where_they_are(tmp_path: Path) -> None:
    features = np.arange(18).reshape(3, 6).astype(float)
    features[1, 2] = np.nan
    np.save(tmp_path / "new.npy", features)
    new, (batch,), findings = open_it(places.arrays(tmp_path / "new.npy"), ARRAYS, tmp_path)
    assert (new.name, new.total, new.has_labels) == ("row", 3, False)
    assert list(batch.names) == [0, 2]
    np.testing.assert_array_equal(batch.request.samples, features[[0, 2]].reshape(2, 2, 3))
    assert findings == ["1 row left out: NaN or infinity in it (row 1)"]
    labels = np.array([1, 2, 1])
    data = places.npz(tmp_path, features=np.zeros((3, 2, 3), np.uint8), labels=labels)
    _, (batch,), _ = open_it(data, ARRAYS, tmp_path)
    assert batch.labels == ["1", "2", "1"]
    for sample in (features[0], features[0].reshape(2, 3)):
        np.save(tmp_path / "one.npy", sample)
        new, (batch,), _ = open_it(places.arrays(tmp_path / "one.npy"), ARRAYS, tmp_path)
        assert (new.total, np.shape(batch.request.samples)) == (1, (1, 2, 3))
    with pytest.raises(BadData) as caught:
        open_it(places.npz(tmp_path, features=np.zeros((3, 4))), ARRAYS, tmp_path)
    places.assert_one_line(caught, "(2, 3)", "(4,)")


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", np.zeros((2, 6)))
    wrong: list[tuple[Data, ModelDescription]] = [
        (places.arrays(tmp_path / "new.npy"), SOUNDS),
        (places.cells(tmp_path / "new.npy"), SOUNDS),
        (places.images(tmp_path), ARRAYS),
        (places.sounds(tmp_path), TEXTS),
        (places.texts(tmp_path), TABLE),
    ]
    for data, description in wrong:
        with pytest.raises(BadModel, match="trained must be a model that answers to"):
            open_it(data, description, tmp_path)
    with pytest.raises(BadSetting, match="image_folder"):
        open_it(Digits(fraction=1.0, in_memory_limit=1), ARRAYS, tmp_path)
