"""What was planted in prepared splits is reported, by kind of samples; clean ones give no line."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.features import Columns, Counts, LogMel
from pipeline.data.prepared import RowPlaces, Split
from pipeline.data.quality import check, columns
from pipeline.data.quality.check import check_quality, look_through
from pipeline.data.quality.report import decode_quality, describe_quality, encode_quality
from pipeline.data.samples import Table, make_texts
from tests.support import tiny

CLASSES = ("a", "b")
SPLITS = ("train", "validation", "test")


def make_table(rows: int, seed: int, shift: float = 0.0, leak: bool = False) -> Split:
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(rows, 4)) + np.array([shift, 0, 0, 0])
    labels = (numbers[:, 1] + numbers[:, 2] > 0).astype(np.int32)
    if leak:
        numbers[:, 3] = labels + 0.1 * draw.random(rows)
    colours = make_texts(draw.choice(["red", "green"], rows))
    names = ("size", "width", "age", "paid")
    features = np.column_stack([numbers, np.zeros(rows)]).astype(np.float32)
    places = np.arange(rows) + 2
    return Split(
        features, labels, Table(numbers, (colours,), names, ("colour",)), places=RowPlaces(places, "line")
    )


FRONT = Columns(
    numeric=("size", "width", "age", "paid"), medians=(0.0,) * 4, categorical=("colour",), categories=((),)
)


def describe(splits: dict[str, Split], front: object = None) -> list[str]:
    report = check_quality(splits, CLASSES, front)  # type: ignore[arg-type]
    assert decode_quality(encode_quality(report)) == report
    return list(describe_quality(report))


def test_a_clean_table_gives_no_line() -> None:
    splits = {"train": make_table(600, 0), "validation": make_table(200, 1), "test": make_table(200, 2)}
    assert describe(splits, FRONT) == []


def test_what_was_planted_in_a_table_is_told() -> None:
    train, validation, test = (
        make_table(600, 0, leak=True),
        make_table(200, 1, leak=True),
        make_table(200, 2, 1.5, True),
    )
    assert isinstance(test.raw, Table)
    assert isinstance(train.raw, Table)
    test.raw.numbers[:9] = train.raw.numbers[:9] * 1.0001
    words = make_texts([*train.raw.words[0][np.arange(9)], *test.raw.words[0][np.arange(9, 200)]])
    copied = Split(
        test.features,
        np.concatenate([1 - train.labels[:2], train.labels[2:9], test.labels[9:]]),
        Table(test.raw.numbers, (words,), test.raw.numeric, test.raw.categorical),
        places=test.places,
    )
    lines = describe({"train": train, "validation": validation, "test": copied}, FRONT)
    assert (
        "9 of 200 test rows nearly repeat a training row, 2 of them with another label, which flatters "
        "the score (line 2 and line 2)" in lines
    )
    assert any(
        line.startswith("the test split is unlike the training split in 1 of 5 columns: size (PSI ")
        for line in lines
    )
    assert any(line.startswith("column paid alone tells the class of ") for line in lines)
    assert not any("validation split is unlike" in line for line in lines)


def test_a_split_with_other_labels_is_told_also_where_its_columns_are_alike() -> None:
    splits = {
        name: make_table(rows, seed)
        for seed, (name, rows) in enumerate(zip(SPLITS, (600, 200, 200), strict=True))
    }
    one_class = replace(splits["validation"], labels=np.zeros(200, np.int32))
    lines = describe({**splits, "validation": one_class}, FRONT)
    assert [line.partition(" (PSI ")[0] for line in lines] == [
        "the validation split is unlike the training split in its labels"
    ]
    draw = np.random.default_rng(0)
    of_quantity = {
        name: replace(split, labels=draw.normal(size=len(split))) for name, split in splits.items()
    }
    later = replace(splits["test"], labels=draw.normal(size=200) + 1)
    (line,) = describe_quality(check_quality({**of_quantity, "test": later}, (), FRONT))
    assert line.startswith("the test split is unlike the training split in its labels (PSI ")


def test_wrong_labels_and_rare_classes_are_told() -> None:
    train = make_table(600, 0)
    labels = (train.features[:, 1] > 0.9).astype(np.int32)
    train = Split(train.features, labels, train.raw, places=train.places)
    few = {"validation": make_table(100, 1), "test": make_table(100, 2)}
    labels[np.argsort(-np.abs(train.features[:, 1]))[:12]] ^= 1
    report = check_quality({"train": train, **few}, CLASSES, FRONT)
    assert report.suspects is not None
    wrong = set(np.argsort(-np.abs(train.features[:, 1]))[:12].tolist())
    assert len(wrong & {suspect.row for suspect in report.suspects.suspects}) >= 10
    assert report.suspects.suspects[0].location == f"line {report.suspects.suspects[0].row + 2}"
    labels[labels == 1] = 0
    labels[:6] = 1
    assert any("6 training rows of b, 594 of a" in line for line in describe({"train": train, **few}, FRONT))


def test_one_class_of_few_rows_does_not_end_the_search_for_wrong_labels() -> None:
    """What of it was left out is said; so is where nobody looked at all: `not found` would be no news."""
    train = make_table(600, 0)
    labels = (train.features[:, 1] > 0.9).astype(np.int32)
    wrong = np.argsort(-np.abs(train.features[:, 1]))[:12]
    labels[wrong] ^= 1
    labels[np.argmin(np.abs(train.features[:, 1]))] = 2
    splits = {
        "train": Split(train.features, labels, train.raw, places=train.places),
        "validation": make_table(100, 1),
        "test": make_table(100, 2),
    }
    report = check_quality(splits, (*CLASSES, "rare"), FRONT)
    assert report.suspects is not None
    assert len({*wrong.tolist()} & {suspect.row for suspect in report.suspects.suspects}) >= 10
    assert report.left_out == ("1 train label of 1 class with fewer than 5",)
    assert report.asked == ["near duplicates across splits", "drift", "leaks", "wrong labels"]
    labels[:] = np.random.default_rng(0).integers(0, 2, 600)
    report = check_quality(splits, CLASSES, FRONT)
    assert report.not_asked == {"wrong labels": "simple models learn too little of these classes"}
    labels[:] = np.arange(600) // 4
    report = check_quality(splits, tuple(map(str, range(150))), FRONT)
    assert report.not_asked == {"wrong labels": "there are more than 100 classes"}
    assert report.asked == ["near duplicates across splits", "drift", "leaks"]
    labels[:] = np.minimum(labels, 1) * (np.arange(600) > 595)
    report = check_quality(splits, CLASSES, FRONT)
    assert report.not_asked == {"wrong labels": "no two classes have 5 rows"}


@pytest.mark.parametrize("shape", [(128, 1), (1, 96), (20, 2), (3, 3, 3)])
def test_copies_of_series_and_of_tiny_images_are_found(shape: tuple[int, ...]) -> None:
    """A hash of so few pixels is that of many other rows, too."""
    draw = np.random.default_rng(0)
    splits = {}
    for name, rows in zip(SPLITS, (1500, 200, 200), strict=True):
        series = draw.normal(size=(rows, *shape)).cumsum(axis=1)
        splits[name] = Split(series.astype(np.float32), draw.integers(0, 2, rows).astype(np.int32))
    splits["test"].features[:80] = splits["train"].features[500:580] * 1.0001
    validation, test = check_quality(splits, CLASSES, None).twins
    assert (validation.count, test.count) == (0, 80)
    assert test.is_telling
    assert [example.train_location for example in test.examples[:2]] == [
        splits["train"].name_place(number) for number in (500, 501)
    ]


def make_images(rows: int, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, rows).astype(np.int32)
    images = draw.integers(0, 60, (rows, 12, 12)).astype(np.uint8)
    images[labels == 1, :6] += 120
    return Split(images, labels, places=RowPlaces(make_texts([f"set/{seed}/{n}.png" for n in range(rows)])))


def test_images_are_compared_by_what_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, test = make_images(150, 0), make_images(60, 1), make_images(60, 2)
    assert describe({"train": train, "validation": validation, "test": test}) == []
    dark = np.concatenate([train.features[:5] // 2, test.features[5:] // 2])
    copied = Split(dark, np.concatenate([train.labels[:5], test.labels[5:]]), places=test.places)
    lines = describe({"train": train, "validation": validation, "test": copied})
    assert "5 of 60 test rows nearly repeat a training row, which flatters the score " in lines[0]
    assert any("unlike the training split in" in line and "brightness (PSI" in line for line in lines)
    # What is too much to look at is said.
    monkeypatch.setattr(check, "MOST_ROWS", {"train": 50, "validation": 50, "test": 50})
    monkeypatch.setattr(columns, "MOST_NUMBERS", 40 * 144)
    report = check_quality({"train": train, "validation": validation, "test": test}, CLASSES, None)
    assert report.rows == {"train": 40, "validation": 40, "test": 40}
    assert report.left_out[0] == "110 of 150 train rows"


def test_texts_sounds_and_vectors_have_their_own_measures() -> None:
    draw = np.random.default_rng(0)
    words = [f"word{number}" for number in range(60)]
    front = Counts(tuple(words), (1.0,) * 61, 1)

    def make(rows: int, extra: str = "") -> Split:
        lines = [" ".join([*draw.choice(words, 20), *([extra] * 9 if extra else [])]) for _ in range(rows)]
        counts = np.array([[0] + [line.split().count(word) for word in words] for line in lines], np.uint8)
        return Split(counts, (counts[:, 1] > 0).astype(np.int32), make_texts(lines))

    splits = {"train": make(200), "validation": make(60), "test": make(60, "unheard")}
    lines = describe(splits, front)
    assert any("test split is unlike" in line and "unknown_words (PSI" in line for line in lines)
    assert not any("validation split" in line for line in lines)

    mel = LogMel(
        rate=8000, samples=800, window=200, hop=100, fft=256, mels=8, low_hz=0, high_hz=4000, floor_db=-80
    )

    def record(rows: int, loud: float) -> Split:
        waves = (loud * draw.normal(size=(rows, 800))).astype(np.int16)
        return Split(
            draw.normal(size=(rows, 8, 7)).astype(np.float32), np.arange(rows, dtype=np.int32) % 2, waves
        )

    sounds = {"train": record(60, 3000), "validation": record(40, 3000), "test": record(40, 100)}
    assert any("loudness_db (PSI" in line for line in describe(sounds, mel))

    wide = {
        name: Split(draw.normal(size=(60, 1000)), np.arange(60) % 2)
        for name in ("train", "validation", "test")
    }
    wide["test"] = Split(wide["test"].features + 2, wide["test"].labels)
    assert any(
        "test split is unlike the training split in 200 of 200 columns" in line for line in describe(wide)
    )


@pytest.mark.parametrize("least", [1, 3])
def test_words_that_are_known_from_a_training_text_itself_are_no_drift(least: int) -> None:
    """They are in the vocabulary, while those of a new text are not; models compare new texts in this way."""
    draw = np.random.default_rng(0)

    def write(rows: int) -> list[str]:
        return [" ".join(f"word{number}" for number in draw.integers(0, 1500, 15)) for _ in range(rows)]

    lines = {"train": write(300), "validation": write(60), "test": write(60)}
    counted = Counter(word for line in lines["train"] for word in line.split())
    vocabulary = tuple(word for word, count in counted.items() if count >= least)
    front = Counts(vocabulary, (1.0,) * (len(vocabulary) + 1), 1)
    splits = {
        name: Split(np.zeros((len(some), 1)), draw.random(len(some)), make_texts(some))
        for name, some in lines.items()
    }
    assert not [line for line in describe_quality(check_quality(splits, (), front)) if "unlike" in line]
    trained = columns.measure_training(splits["train"], np.arange(300), front)["unknown_words"]
    new = columns.measure_columns(np.array(write(2000), object), front)["unknown_words"]
    assert trained.mean() == pytest.approx(new.mean(), abs=0.03)


def test_quantities_have_neither_classes_nor_suspects() -> None:
    splits = {
        name: Split(part.features, part.raw.numbers[:, 1], part.raw)  # type: ignore[union-attr]
        for name, part in {
            "train": make_table(60, 0),
            "validation": make_table(30, 1),
            "test": make_table(30, 2),
        }.items()
    }
    report = check_quality(splits, (), FRONT)
    assert (report.smallest, report.suspects, report.telling) == (None, None, ())
    assert report.not_asked == dict.fromkeys(("leaks", "wrong labels"), "labels are quantities")
    assert list(describe_quality(report)) == []


def test_an_entry_of_the_cache_is_looked_through_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "0123"
    directory.mkdir()
    prepared = replace(tiny.prepared(), key="0123", directory=directory)
    report = look_through(prepared)
    assert decode_quality((directory / "quality.json").read_text()) == report
    monkeypatch.setattr(check, "check_quality", lambda *_: pytest.fail("looked through again"))
    assert look_through(prepared) == report
    monkeypatch.undo()
    (directory / "quality.json").write_text("[]")  # of a release that wrote something else
    assert look_through(prepared) == report
    shifted = replace(prepared, key="other", test=Split(prepared.test.features[:9], prepared.test.labels[:9]))
    assert look_through(shifted) != report
    assert decode_quality((directory / "quality.json").read_text()) == report


def test_rows_that_come_in_turns_are_looked_at_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check.MOST_ROWS, "test", 500)
    draw = np.random.default_rng(1)

    def take_turns(rows: int) -> Split:
        sensor = np.arange(rows) % 4
        return Split(np.column_stack([sensor, draw.random((rows, 2))]).astype(np.float32), draw.random(rows))

    splits = {"train": take_turns(500), "validation": take_turns(500), "test": take_turns(2000)}
    assert list(describe_quality(check_quality(splits, (), None))) == []
