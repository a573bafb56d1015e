"""Requests as anybody may send them, read for a model of each kind; what is wrong is told in one line."""

import base64
import io

import numpy as np
import pandas
import pytest
from PIL import Image

from pipeline.data.features import Columns, Counts, LogMel
from pipeline.data.readers.images import ImageForm
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.errors import BadRequest
from pipeline.models.serving.answers import average_excerpts, list_answer_columns, make_answer
from pipeline.models.serving.description import ModelDescription, decode_description, encode_description
from pipeline.models.serving.requests import ModelRequest, read_request
from tests.support import places

TYPES = (
    ColumnType(name="a/b", kind=Kind.number, missing=("na",), number=NumberFormat(decimal=",", prefix="$")),
    ColumnType(name="day", kind=Kind.date, date="day/month/year"),
    ColumnType(name="zip", kind=Kind.category, missing=("?",)),
    ColumnType(name="old", kind=Kind.category),
    ColumnType(name="at", kind=Kind.number, date="clock"),
)
FRONT = Columns(
    numeric=("a/b", "at"),
    medians=(1.0, 2.0),
    categorical=("zip", "old"),
    categories=(("00501", "3"), ("True", "False")),
    dates=("day",),
    date_medians=(0.0,),
    has_time=(False,),
    types=TYPES,
)
TABLE = ModelDescription(classes=("no", "yes"), shape=(9,), front=FRONT)
SOUND = LogMel(
    rate=8000, samples=2000, window=200, hop=80, fft=512, mels=40, low_hz=0.0, high_hz=4000.0, floor_db=-80.0
)
SOUNDS = ModelDescription(classes=("low", "high"), shape=(40, 20), front=SOUND)
TEXTS = ModelDescription(classes=("bad", "good"), shape=(9,), front=Counts(("a",), (1.0, 1.0), 1), text="say")
IMAGES = ModelDescription(classes=("x", "y"), shape=(4, 6), images=ImageForm(False, None, "white"))
ARRAYS = ModelDescription(classes=("x", "y"), shape=(2, 3))


def ask(description: ModelDescription, sent: object) -> ModelRequest:
    return read_request(sent, description)


ROW = {"a/b": 1.5, "day": "2020-02-01", "zip": "00501", "old": True, "at": "00:01"}


def test_free_text_of_a_row_may_be_absent_or_a_number() -> None:
    types = (ColumnType(name="size", kind=Kind.number), ColumnType(name="remark", kind=Kind.text))
    front = Columns(
        numeric=("size",),
        medians=(1.0,),
        categorical=(),
        categories=(),
        types=types,
        texts=("remark",),
        counts=(Counts(("good",), (0.0, 1.0), 1),),
    )
    table = ModelDescription(classes=("no", "yes"), shape=(2,), front=front)
    cells = ask(table, [{"size": 1, "remark": text} for text in (" a good day ", None, 3)]).samples
    assert isinstance(cells, dict)
    assert cells["remark"].tolist() == ["a good day", "", "3"]


@pytest.mark.parametrize(
    "sent",
    [
        [ROW],
        {name: [cell] for name, cell in ROW.items()},
        ROW,
        pandas.DataFrame([ROW]),
        pandas.DataFrame([ROW | {"day": pandas.Timestamp("2020-02-01"), "old": np.True_, "at": 60}]),
        {name: np.array([cell], object) for name, cell in ROW.items()},
        [ROW | {"a/b": "$1,5", "day": " 01/02/2020 ", "old": "True"}],
        [ROW | {"a/b": "1.5", "more": "is left alone"}],
    ],
)
def test_a_row_is_the_same_however_it_is_sent(sent: object) -> None:
    cells = ask(TABLE, sent).samples
    assert isinstance(cells, dict)
    assert {name: column.tolist() for name, column in cells.items()} == {
        "a/b": [1.5],
        "day": [1580515200.0],
        "zip": ["00501"],
        "old": ["True"],
        "at": [60.0],
    }


def test_what_is_missing_is_empty_and_a_new_word_is_left_to_the_model() -> None:
    rows = pandas.DataFrame([ROW, {**dict.fromkeys(ROW), "zip": " new "}, {"a/b": "NA", "zip": "?"}])
    cells = ask(TABLE, rows.astype({"day": "datetime64[ns]"})).samples
    assert isinstance(cells, dict)
    assert cells["zip"].tolist() == ["00501", "new", ""]
    assert np.isnan(np.stack([cells["a/b"][1:], cells["day"][1:].astype(float)])).all()
    floats = ask(TABLE, {name: [cell, cell] for name, cell in (ROW | {"zip": 3.0}).items()}).samples
    assert isinstance(floats, dict)
    assert floats["zip"].tolist() == ["3", "3"]  # as training saw it


@pytest.mark.parametrize(
    "sent", [[["fine"], ["bad"]], ["fine", " bad\n"], {"say": ["fine", "bad"], "n": [1, 2]}]
)
def test_texts_are_read_as_those_of_training(sent: object) -> None:
    assert list(ask(TEXTS, sent).samples) == ["fine", "bad"]
    assert list(ask(TEXTS, "fine").samples) == ["fine"]
    assert list(ask(TEXTS, [{"n": 1, "say": "fine"}, {"say": None}]).samples) == ["fine", ""]
    assert list(ask(TEXTS, [None]).samples) == [""]


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8, np.float16, object, bool])
def test_arrays_of_any_type_flat_or_shaped_are_the_same_samples(dtype: type) -> None:
    numbers = np.arange(12).reshape(2, 2, 3) % 2
    flat = numbers.reshape(2, 6).astype(dtype)
    forms = [
        *(flat, flat.reshape(2, 2, 3), flat.reshape(2, 2, 3, 1), flat.tolist(), pandas.DataFrame(flat)),
        *({"samples": flat.tolist()}, {str(place): flat[:, place].tolist() for place in range(6)}),
        pandas.DataFrame({"samples": list(flat)}),
        [{"samples": row} for row in flat.tolist()],
    ]
    for sent in forms:
        samples = ask(ARRAYS, sent).samples
        assert isinstance(samples, np.ndarray)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, numbers)
    for one in (flat[0], flat[0].tolist(), flat[0].reshape(2, 3), flat[:1]):
        np.testing.assert_array_equal(ask(ARRAYS, one).samples, numbers[:1])


def png(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_an_image_in_base64_is_read_as_a_file_of_training() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    text = png(pixels)
    for sent in (
        [text],
        text,
        [{"b64": text}],
        {"image": [text]},
        [[text]],
        [f"data:image/png;base64,{text}"],
    ):
        np.testing.assert_array_equal(ask(IMAGES, sent).samples, pixels[None])
    np.testing.assert_array_equal(ask(IMAGES, [png(np.stack([pixels] * 3, -1))]).samples, pixels[None])
    np.testing.assert_array_equal(ask(IMAGES, pixels.astype(float)[None]).samples, pixels[None])


def test_a_sound_is_the_same_as_floats_and_as_integers_and_a_long_one_is_several_excerpts() -> None:
    wave = np.rint(places.tone(300, 0.25))
    whole = ask(SOUNDS, [wave.astype(int).tolist()])
    floats = ask(SOUNDS, [(wave / 2**15).tolist()])
    np.testing.assert_array_equal(whole.samples, wave[None])
    np.testing.assert_array_equal(whole.samples, floats.samples)
    long = ask(SOUNDS, [np.tile(wave / 2**15, 3).tolist(), (wave / 2**15).tolist(), [0.0] * 10])
    assert long.excerpts is not None
    assert long.excerpts.tolist() == [3, 1, 1]
    assert np.shape(long.samples) == (5, 2000)
    assert len(ask(SOUNDS, (wave / 2**15).tolist()).samples) == 1  # one sound, not two thousand


@pytest.mark.parametrize(
    ("description", "sent", "parts"),
    [
        (TABLE, [{"a/b": 1}], ["day", "a/b"]),
        (TABLE, [[1, 2, 3]], ["columns a/b, day, zip", "none"]),
        (TABLE, [ROW, ROW | {"a/b": "much\nmore"}], ["a/b", "numbers", "row 2", "much\\nmore"]),
        (TABLE, [ROW | {"day": "soon"}], ["day", "dates", "soon"]),
        (TABLE, {name: [1, 2] if name == "at" else [cell] for name, cell in ROW.items()}, ["length"]),
        (TEXTS, [1.5], ["texts", "1.5"]),
        (TEXTS, {"x": ["a"], "y": ["b"]}, ["texts"]),
        (ARRAYS, [[1, 2, 3]], ["[2, 3]", "[1, 3]"]),
        (ARRAYS, np.zeros((2, 3, 2)), ["[2, 3]", "[2, 3, 2]"]),
        (ARRAYS, [[1, 2, 3, 4, 5, None]], ["NaN"]),
        (ARRAYS, [[1], [1, 2]], ["[2, 3]"]),
        (ARRAYS, [], ["[2, 3]"]),
        (ARRAYS, ["aGVsbG8="], ["not trained on files"]),
        (IMAGES, ["aGVsbG8="], ["cannot be read"]),
        (IMAGES, ["not base64!"], ["base64"]),
        (IMAGES, [png(np.zeros((3, 3), np.uint8))], ["4x6", "3x3"]),
        (SOUNDS, ["aGVsbG8="], ["cannot be read"]),
        (SOUNDS, [[]], ["one channel"]),
        (SOUNDS, [[[0.1, 0.2], [0.1, 0.3]]], ["one channel"]),
        (SOUNDS, [[0.1, None]], ["NaN"]),
        (SOUNDS, [], ["one sound"]),
    ],
)
def test_a_wrong_request_is_told_in_one_line(
    description: ModelDescription, sent: object, parts: list[str]
) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(description, sent)
    places.assert_one_line(caught, *parts)


@pytest.mark.parametrize(
    "sent",
    [
        {"say": ["a"], "stars": [4]},
        [{"say": "a", "stars": 4}, {"say": "b"}],
        pandas.DataFrame({"stars": [4], "say": ["a"]}),
    ],
)
def test_columns_beside_the_texts_are_told(sent: object) -> None:
    assert ask(TEXTS, sent).notes == ("1 column not used: the model was not trained on it (stars)",)
    assert ask(TEXTS, ["a"]).notes == ()


def test_a_description_comes_back_from_json() -> None:
    for description in (TABLE, SOUNDS, TEXTS, IMAGES, ARRAYS):
        import json

        assert decode_description(json.loads(json.dumps(encode_description(description)))) == description


def test_an_answer_names_the_classes_and_a_sound_is_answered_by_the_mean_of_its_excerpts() -> None:
    outputs = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]], np.float32)
    means = average_excerpts(outputs, np.array([1, 2]))
    answer = make_answer(means, SOUNDS)
    assert (
        list(answer)
        == list(list_answer_columns(SOUNDS))
        == ["prediction", "probability_low", "probability_high"]
    )
    assert answer["prediction"].tolist() == ["low", "high"]
    np.testing.assert_allclose(answer["probability_high"], [0.1, 0.85], rtol=1e-6)


def test_a_quantity_is_answered_by_a_number() -> None:
    description = ModelDescription(classes=(), shape=(2,))
    assert list_answer_columns(description) == {"prediction": float}
    answer = make_answer(np.array([[1.5], [-2.0]]), description)
    assert {name: column.tolist() for name, column in answer.items()} == {"prediction": [1.5, -2.0]}
