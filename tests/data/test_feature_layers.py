"""Front ends: fitted on training data only, the same in the prepared arrays and in the saved model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.cli.compose import compose
from pipeline.data import column_blocks, feature_layers, text_layers
from pipeline.data.features import (
    Columns,
    Counts,
    FrontEnd,
    LogMel,
    SoundSamples,
    TableSamples,
    TextSamples,
    Tokens,
    decode_front_end,
    encode_front_end,
)
from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import preprocess
from pipeline.data.samples import RawSamples, Table, copy_rows, make_texts
from pipeline.data.sources import load
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.data.tables.read_columns import read_batch
from pipeline.errors import BadSetting
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.settings.data import OnError
from pipeline.settings.settings import Settings
from tests.support import places

TEXTS = ["A good film.", "a bad film", "good good film", "bad, bad bad", "nothing of it"]


def told(*words: str) -> Settings:
    return compose(list(words)).settings


def features(front: FrontEnd, samples: RawSamples) -> np.ndarray:
    return np.concatenate(list(feature_layers.make_feature_function(front)(samples)))


# ---- one by one ---------------------------------------------------------------------------------------


def test_the_spectrogram_is_that_of_tf_signal() -> None:
    waves = (np.random.default_rng(0).normal(size=(3, 8000)) * 3000).astype(np.int16)
    front = feature_layers.fit_front_end(SoundSamples(8000), waves, told())
    assert isinstance(front, LogMel)
    padded = tf.pad(tf.constant(waves / 2**15, tf.float32), [[0, 0], [front.fft // 2] * 2], "REFLECT")
    # Keras' window stands in the middle of a frame of `fft` samples.
    window = np.zeros(front.fft, np.float32)
    start = (front.fft - front.window) // 2
    window[start : start + front.window] = tf.signal.hann_window(front.window).numpy()
    frames = tf.signal.frame(padded, front.fft, front.hop) * window
    power = tf.abs(tf.signal.rfft(frames)) ** 2
    bands = tf.signal.linear_to_mel_weight_matrix(
        front.mels, front.fft // 2 + 1, front.rate, front.low_hz, front.high_hz
    )
    loud = 10 * np.log10(np.maximum(tf.matmul(power, bands).numpy() / (front.window / 4) ** 2, 1e-8))
    np.testing.assert_allclose(features(front, waves), loud.transpose(0, 2, 1), atol=0.01)


def test_a_sine_at_full_scale_is_0_db_and_silence_the_floor() -> None:
    wave = np.stack([places.tone(1000, seconds=1.0, loudness=1.0), np.zeros(8000)]).astype(np.int16)
    front = feature_layers.fit_front_end(
        SoundSamples(8000), wave, told("spectrogram.mels=100", "spectrogram.floor_db=-60")
    )
    loud, silent = features(front, wave)
    assert -1.5 < loud[:, 5:-5].max() < 2.5  # a band takes in some of its neighbours
    assert (silent == -60).all()


def test_what_a_spectrogram_cannot_be_is_one_line() -> None:
    wave = np.zeros((1, 400), np.int16)
    with pytest.raises(BadSetting, match=r"spectrogram\.high_hz must be .* <= 4000 .*, got 6000"):
        feature_layers.fit_front_end(SoundSamples(8000), wave, told("spectrogram.high_hz=6000"))
    with pytest.raises(BadSetting, match=r"spectrogram\.window_ms must be shorter than half the sound"):
        feature_layers.fit_front_end(SoundSamples(8000), wave, told("spectrogram.window_ms=40"))


def test_counts_weighed_are_keras_own_tf_idf() -> None:
    train = make_texts(TEXTS)
    front = feature_layers.fit_front_end(TextSamples(), train, told())
    assert isinstance(front, Counts)
    keras_own = keras.layers.TextVectorization(10001, ngrams=2, output_mode="tf_idf")
    keras_own.adapt(tf.constant(TEXTS))
    assert tuple(keras_own.get_vocabulary()[1:]) == front.vocabulary
    unseen = [*TEXTS, "an unseen good bad film film"]
    ours = features(front, make_texts(unseen)) * np.array(front.idf)
    np.testing.assert_allclose(ours, keras_own(tf.constant(unseen)).numpy(), rtol=1e-5)


def test_the_vocabulary_keeps_the_most_frequent() -> None:
    front = feature_layers.fit_front_end(
        TextSamples(), make_texts(TEXTS), told("vocabulary.size=3", "vocabulary.ngrams=1")
    )
    assert isinstance(front, Counts)
    assert front.vocabulary == ("bad", "good", "film")


def test_tokens_stand_in_the_order_of_the_words() -> None:
    front = feature_layers.fit_front_end(
        TextSamples(), make_texts(TEXTS), told("model=text", "vocabulary.length=4")
    )
    assert isinstance(front, Tokens)
    place = {word: number for number, word in enumerate(front.vocabulary, start=2)}
    found = features(front, make_texts(["bad film", "unseen good film a bad day"]))
    assert found.dtype == np.int32
    assert found.tolist() == [
        [place["bad"], place["film"], 0, 0],
        [1, place["good"], place["film"], place["a"]],
    ]


def test_a_table_is_filled_and_one_hot() -> None:
    train = Table(
        np.array([[1, 2], [np.nan, 3], [5, 4]], np.float32),
        (make_texts(["red", "", "blue"]),),
        ("size", "age of it"),
        ("colour|x",),
    )
    front = feature_layers.fit_front_end(TableSamples(), train, told())
    assert front == Columns(
        numeric=("size", "age of it"),
        medians=(3.0, 3.0),
        categorical=("colour|x",),
        categories=(("blue", "red"),),
    )
    blocks = column_blocks.make_block_inputs(front)
    assert {kind: tensor.shape for kind, tensor in blocks.items()} == {
        "numbers": (None, 2),
        "words": (None, 1),
    }
    seen = replace(train, numbers=np.array([[1, 2], [np.nan, 1e39], [5, 4]]))  # float32 ends at 3e38
    assert features(front, seen).tolist() == [[1, 2, 0, 0, 1], [3, 3, 1, 0, 0], [5, 4, 0, 1, 0]]
    other = {"size": np.array([np.inf]), "age of it": np.array([7.0]), "colour|x": np.array(["g"], object)}
    inputs = feature_layers.make_inputs(front, ())
    model = keras.Model(inputs, feature_layers.make_features(front, inputs))
    assert model(feature_layers.convert_to_tensors(other)).numpy().tolist() == [[3, 7, 1, 0, 0]]


def test_numbers_are_cut_into_pieces_that_hold_equally_many_rows() -> None:
    numbers = np.stack([np.arange(32.0), np.repeat([1e30, -1e30], 16), np.ones(32)], 1)
    table = Table(numbers, (), ("size", "far", "one"), ())
    front = feature_layers.fit_front_end(TableSamples(), table, told())
    assert front == Columns(
        numeric=("size", "far", "one"),
        medians=(15.5, 0.0, 1.0),
        categorical=(),
        categories=(),
        offsets=front.offsets,
        units=front.units,
        is_wide=(False, True, False),
        edges=((0.0, 15.5, 31.0), (-1.0, 0.0, 1.0), ()),
    )
    assert front.pieces == 4
    cut = Table(
        np.array([[-5, 0, 2], [31, 5e29, 1], [7.75, np.nan, 1], [99, 1e30, 1]]), (), table.numeric, ()
    )
    expected = [[0, 0, 1, 0], [1, 1, 1, 0.5], [0.5, 0, 1, 0], [1, 1, 1, 1]]
    np.testing.assert_allclose(features(front, cut)[:, 3:], expected)
    for words, rows in ((["preprocess.pieces=0"], 32), ([], 31)):
        few = Table(numbers[:rows], (), table.numeric, ())
        assert feature_layers.fit_front_end(TableSamples(), few, told(*words)).edges == ()  # type: ignore[union-attr]
    wide = Table(np.repeat(numbers[:, :1], 65, 1), (), tuple(map(str, range(65))), ())
    assert feature_layers.fit_front_end(TableSamples(), wide, told()).edges == ()  # type: ignore[union-attr]


def make_remarks(texts: list[str]) -> tuple[Table, tuple[ColumnType, ...]]:
    table = Table(np.arange(len(texts), dtype=float)[:, None], (make_texts(texts),), ("size",), ("remark",))
    kinds = (ColumnType(name="size", kind=Kind.number), ColumnType(name="remark", kind=Kind.text))
    return table, kinds


def test_words_of_free_text_stand_beside_the_other_columns() -> None:
    table, kinds = make_remarks(["A good film!", "a bad, bad film", "", "good good day"])
    front = feature_layers.fit_front_end(TableSamples(kinds), table, told())
    assert isinstance(front, Columns)
    assert (front.categorical, front.texts) == ((), ("remark",))
    (counts,) = front.counts
    assert set(counts.vocabulary) == {"a", "film", "good"}  # of two texts at least
    assert counts.idf[0] == 0
    weights = dict(zip(counts.vocabulary, counts.idf[1:], strict=True))
    assert weights["good"] == pytest.approx(np.log(1 + 4 / 3))
    found = features(front, table)
    assert found[:, 0].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(np.linalg.norm(found[:, 1:], axis=1), [3, 3, 0, 3], rtol=1e-5)
    place = counts.vocabulary.index("good")
    assert found[3, 1:].tolist() == pytest.approx([3.0 if number == place else 0.0 for number in range(3)])


def test_free_texts_have_a_bound_together_and_may_be_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    table, kinds = make_remarks([f"{word} {word} x y z q" for word in "abcdefgh" * 2])
    two = Table(table.numbers, (*table.words, make_texts(["?!"] * 16)), ("size",), ("remark", "other"))
    monkeypatch.setattr(text_layers, "COLUMN_WORDS", 6)
    front = feature_layers.fit_front_end(
        TableSamples((*kinds, ColumnType(name="other", kind=Kind.text))), two, told()
    )
    assert isinstance(front, Columns)
    assert [len(counts.vocabulary) for counts in front.counts] == [3, 1]
    assert features(front, two)[:, -1].tolist() == [0.0] * 16


def test_free_text_without_spaces_is_cut_into_letters() -> None:
    table, kinds = make_remarks(["味道很好", "味道不好", "很好吃"])
    front = feature_layers.fit_front_end(TableSamples(kinds), table, told())
    assert isinstance(front, Columns)
    assert set(front.counts[0].vocabulary) == {"味", "道", "很", "好"}


@pytest.mark.parametrize(
    "front",
    [
        LogMel(
            rate=8000,
            samples=8000,
            window=256,
            hop=128,
            fft=512,
            mels=40,
            low_hz=60.0,
            high_hz=4000.0,
            floor_db=-80.0,
        ),
        Counts(("a", "b"), (1.0, 2.0, 3.0), 2),
        Tokens(("a",), 3),
        Tokens(("a",), 3, "character"),
        Columns(
            numeric=("a",),
            medians=(1.0,),
            categorical=("b",),
            categories=(("x", "y"),),
            types=(
                ColumnType(name="a", kind=Kind.number, missing=("na",), number=NumberFormat(suffix="kg")),
            ),
            texts=("c",),
            counts=(Counts(("u", "v"), (0.0, 1.0, 2.0), 1, "character"),),
        ),
        None,
    ],
)
def test_a_front_survives_json(front: FrontEnd | None) -> None:
    import json

    assert decode_front_end(json.loads(json.dumps(encode_front_end(front)))) == front


def test_a_front_end_of_an_earlier_release_cuts_at_spaces() -> None:
    plain = {"kind": "Counts", "vocabulary": ["a"], "idf": [1.0, 1.0], "ngrams": 1}
    assert decode_front_end(plain) == Counts(("a",), (1.0, 1.0), 1, "whitespace")


CHINESE = ["很好吃，味道不错", "不好吃，太慢了", "好吃！很快", "太差了 ok"]


def test_texts_without_spaces_become_counts_of_letters() -> None:
    front = feature_layers.fit_front_end(TextSamples(), make_texts(CHINESE), told("data=rt_polarity"))
    assert isinstance(front, Counts)
    assert front.split == "character"
    assert {"好", "好 吃", "太", "ok"[0]} <= set(front.vocabulary)
    counts = features(front, make_texts(["好吃好吃"]))[0]
    assert counts[1 + front.vocabulary.index("好")] == 2
    assert counts[1 + front.vocabulary.index("好 吃")] == 2


def test_texts_without_spaces_become_numbers_of_letters() -> None:
    settings = told("data=rt_polarity", "model=text", "vocabulary.length=3")
    front = feature_layers.fit_front_end(TextSamples(), make_texts(CHINESE), settings)
    assert isinstance(front, Tokens)
    row = features(front, make_texts(["好吃吗很"]))[0].tolist()
    assert row == [2 + front.vocabulary.index("好"), 2 + front.vocabulary.index("吃"), 1]


def test_words_with_nul_bytes_are_no_repeated_terms() -> None:
    texts = make_texts(["one\0 two", "one two\0", "one\0\0 three"])
    front = feature_layers.fit_front_end(TextSamples(), texts, told("data=rt_polarity"))
    assert features(front, texts).shape == (3, 1 + len(front.vocabulary))


def test_a_sound_of_floats_has_the_spectrogram_of_its_integers() -> None:
    waves = (np.random.default_rng(0).normal(size=(2, 4000)) * 3000).astype(np.int16)
    front = feature_layers.fit_front_end(SoundSamples(8000), waves, told())
    expected = features(front, waves)
    np.testing.assert_allclose(features(front, (waves / 2**15).astype(np.float32)), expected, atol=1e-3)
    mixed = np.stack([waves[0].astype(np.float32), (waves[1] / 2**15).astype(np.float32)])
    np.testing.assert_allclose(features(front, mixed), expected, atol=1e-3)
    still = np.zeros((1, 4000), np.float32)
    assert np.all(features(front, still) == front.floor_db)  # type: ignore[union-attr]


# ---- through the stage --------------------------------------------------------------------------------


def small(tmp_path: Path, kind: str, *more: str) -> Settings:
    root = tmp_path / "data"
    words = [f"cache_dir={tmp_path / 'cache'}", "preprocess.test=0.25", "preprocess.validation=0.25", *more]
    match kind:
        case "sounds":
            return told(
                "data=audio_folder", f"data.path={places.audio_folder(root)}", "data.seconds=0.25", *words
            )
        case "texts" | "tokens":
            model = "model=text" if kind == "tokens" else "model=mlp"
            return told("data=text_folder", f"data.path={places.text_folder(root)}", model, *words)
        case "remarks":
            sizes = [
                f"{row % 7}.5,a {'fine' if row % 2 else 'dull'} day {row},{row % 2}" for row in range(60)
            ]
            (tmp_path / "r.csv").write_text("\n".join(["size,remark,y", *sizes]))
            return told("data=csv", f"data.path={tmp_path / 'r.csv'}", "data.label=y", *words)
        case _:
            table = places.table(tmp_path / "t.csv")
            columns = ["data.label='kind of thing'", "data.columns=[size,colour]"]
            return told("data=csv", f"data.path={table}", *columns, *words)


def trained_on(prepared: Prepared) -> Any:
    return copy_rows(prepared.train.samples, np.arange(len(prepared.train)))


KINDS = ["sounds", "texts", "tokens", "table", "remarks"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_prepared_is_what_the_saved_model_makes_of_a_users_samples(tmp_path: Path, kind: str) -> None:
    settings = small(tmp_path, kind, "model.hidden=4")
    first, again = preprocess(settings), preprocess(settings)
    assert again.reused
    assert again.front == first.front
    model = keras_models.build_model(settings, again)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    assert keras_models.fits_data(loaded, again)
    network = keras_models.build_network(settings, again)
    logits = network(tf.constant(np.asarray(again.test.features, np.float32)))
    wanted = keras.ops.softmax(logits).numpy()
    np.testing.assert_allclose(make_predictor(loaded)(again.test.samples), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_front_and_scaling_know_the_training_split_only(tmp_path: Path, kind: str) -> None:
    settings = small(tmp_path, kind)
    prepared = preprocess(settings)
    types = prepared.front.types if isinstance(prepared.front, Columns) else ()
    tables = dict.fromkeys(("table", "remarks"), TableSamples(types))
    form = {"sounds": SoundSamples(8000), **tables}.get(kind, TextSamples())
    assert feature_layers.fit_front_end(form, trained_on(prepared), settings) == prepared.front
    if kind in tables:
        assert isinstance(prepared.front, Columns)
        assert prepared.front.texts == (("remark",) if kind == "remarks" else ())
        scaled = (prepared.train.features - prepared.scaling.mean) / prepared.scaling.std
        np.testing.assert_allclose(scaled[:, 0].mean(), 0, atol=1e-5)
        np.testing.assert_allclose(scaled[:, 0].std(), 1, atol=1e-5)
        np.testing.assert_array_equal(scaled[:, 1:], prepared.train.features[:, 1:])


def test_a_user_sends_sounds_of_any_length(tmp_path: Path) -> None:
    settings = small(tmp_path, "sounds", "model.hidden=4")
    prepared = preprocess(settings)
    predict = make_predictor(keras_models.build_model(settings, prepared))
    waves = np.asarray(prepared.test.samples)[:2]
    longer = np.pad(waves, ((0, 0), (0, 777)))
    np.testing.assert_allclose(predict(longer), predict(waves), atol=1e-6)
    shorter = waves.copy()
    shorter[:, 1500:] = 0
    np.testing.assert_allclose(predict(shorter[:, :1500]), predict(shorter), atol=1e-6)


def test_the_key_follows_the_front(tmp_path: Path) -> None:
    keys = {
        preprocess(small(tmp_path / str(number), "texts", *words)).key
        for number, words in enumerate(
            (
                ["vocabulary.size=9"],
                ["vocabulary.ngrams=1"],
                ["spectrogram.mels=9"],
                ["vocabulary.form=tokens"],
            )
        )
    }
    assert len(keys) == 4
    assert preprocess(small(tmp_path / "b", "texts", "spectrogram.mels=9")).key in keys


def test_scaling_of_texts_is_not_to_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"preprocess\.standardise must be auto for texts and tables"):
        preprocess(small(tmp_path, "texts", "preprocess.standardise=overall"))


def test_files_left_out_are_in_the_report(tmp_path: Path) -> None:
    settings = small(tmp_path, "sounds")
    (tmp_path / "data" / "low" / "bad.wav").write_bytes(b"no")
    assert settings.data.on_error is OnError.stop
    settings.data.on_error = OnError.skip
    report = preprocess(settings).report
    assert report.dropped["unreadable file"] == 1
    assert [Path(name).name for name in report.unreadable] == ["bad.wav"]
    assert sum(report.rows_kept.values()) + sum(report.dropped.values()) == report.rows_read == 25


def test_raw_cells_get_the_answer_of_the_prepared_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    draw = np.random.default_rng(0)
    rows = [
        (
            f"{draw.normal():.2f}".replace(".", ","),
            f"${row % 13}",
            f"2020-{row % 12 + 1:02}-01",
            "rbg"[row % 3],
        )
        for row in range(60)
    ]
    rows[7] = (" ", "-", "NA", "")
    names = ("scaling", "a/b", "a|b", "where")  # as layers are called, or may not be
    lines = [";".join((*row, "xy"[number % 2])) for number, row in enumerate(rows)]
    path.write_text("\n".join([";".join((*names, "y")), *lines]))
    words = [f"data.path={path}", "data.label=y", f"cache_dir={tmp_path / 'cache'}", "preprocess.test=0.25"]
    settings = told("data=csv", *words, "model.hidden=4")
    prepared = preprocess(settings)
    assert isinstance(prepared.front, Columns)
    assert prepared.front.dates == ("a|b",)
    model = keras_models.build_model(settings, prepared)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    cells = {name: [row[number] for row in rows] for number, name in enumerate(names)}
    answers = make_predictor(loaded)(read_batch(prepared.front.types, cells)[0])
    everything = load(settings.data, tmp_path).train.features
    np.testing.assert_allclose(answers, make_predictor(model)(everything[np.arange(60)]), atol=1e-6)
    odd = {"scaling": [1.5, None], "a/b": ["12", float("nan")], "a|b": [None, "?"], "where": [None, " new "]}
    assert np.isfinite(make_predictor(loaded)(read_batch(prepared.front.types, odd)[0])).all()


@pytest.mark.parametrize(
    "numbers",
    [
        [1.7e9 + row for row in range(9)],
        [row * 1e36 for row in range(9)],
        [1e308 + row * 5e306 for row in range(9)],
    ],
)
def test_numbers_that_float32_cannot_hold_are_told_apart(numbers: list[float]) -> None:
    train = Table(np.array(numbers)[:, None], (), ("t",), ())
    front = feature_layers.fit_front_end(TableSamples(), train, told())
    column = features(front, train)[:, 0]
    np.testing.assert_allclose(np.diff(column), np.diff(column)[0], rtol=1e-4)
    assert np.isfinite(column).all()
    assert 1 < np.abs(column).max() < 3


def test_a_date_becomes_age_season_and_weekday() -> None:
    day = 86400.0
    types = (ColumnType(name="day", kind=Kind.date, date="year-month-day"),)
    train = Table(np.array([[0.0], [1.0], [365.0]]) * day, (), ("day",), ())
    found = features(feature_layers.fit_front_end(TableSamples(types), train, told()), train)
    assert found.shape == (3, 1 + 2 + 7)
    np.testing.assert_allclose(found[2, 0] - found[0, 0], 1, rtol=1e-3)  # a year later
    np.testing.assert_allclose(found[2, 1:3], found[0, 1:3], atol=5e-3)  # the same season
    assert found[:, 3:].argmax(axis=1).tolist() == [3, 4, 4]  # Thursday, Friday, Friday
