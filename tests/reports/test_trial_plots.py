"""Pictures are PNGs of the expected size that follow the data. How they look was looked at."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from pipeline import formatting
from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Report, Scaling, Split
from pipeline.evaluation.evaluate import Evaluation, Mistake, evaluate
from pipeline.measures import Curve, Epoch
from pipeline.reports import image_samples, palette, run_pictures, style, trial_plots
from pipeline.settings.settings import Settings

NAMES = ("airplane", "$bird$", "cat_and_dog", "d", "a name that goes on and on")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return compose(["evaluate.worst=6"]).settings


def table(classes: int = 3, shape: tuple[int, ...] = (4, 4), rows: int = 60) -> Prepared:
    """Bytes; the same rows in every split."""
    draw = np.random.default_rng(0)
    labels = np.arange(rows, dtype=np.int32) % classes
    split = Split(draw.integers(0, 256, (rows, *shape)).astype(np.uint8), labels)
    report = Report(3 * rows, {}, {}, 0, 0.0, 255.0, {})
    scaling = Scaling(np.zeros((), np.float32), np.ones((), np.float32))
    names = tuple(NAMES[at] if at < len(NAMES) else f"class {at}" for at in range(classes))
    return Prepared(split, split, split, names, shape, scaling, report, "s", "k", Path(), False)


def scored(prepared: Prepared, settings: Settings, seed: int = 0) -> Evaluation:
    """Answers at random, the right one somewhat likelier."""
    draw, labels = np.random.default_rng(seed), prepared.test.labels
    answers = draw.dirichlet(np.ones(len(prepared.classes)), len(labels)).astype(np.float32)
    answers[np.arange(len(labels)), labels] += 0.4
    return evaluate(lambda _: answers / answers.sum(axis=1, keepdims=True), prepared, settings)


def curve(*accuracies: float, seconds: float = 0.1) -> Curve:
    epochs = (Epoch(at, at * seconds, 0.5, 0.5, accuracy) for at, accuracy in enumerate(accuracies, start=1))
    return Curve("a CPU, 1 core", True, tuple(epochs))


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def ink(png: bytes, colour: str) -> int:
    """Pixels of about that colour."""
    pixels = image.imread(io.BytesIO(png))[..., :3]
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return int((np.abs(pixels - wanted).max(axis=-1) < 0.02).sum())


# ---- all of them --------------------------------------------------------------------------------------


def test_every_picture_of_an_evaluation(settings: Settings) -> None:
    prepared = table()
    found = run_pictures.of_evaluation(scored(prepared, settings), prepared)
    assert set(found) == {
        f"pictures/{name}.png" for name in ("confusion_matrix", "calibration", "worst_mistakes")
    }
    assert all(min(size(png)) > 300 for png in found.values())


def test_without_mistakes_there_is_no_picture_of_them(settings: Settings) -> None:
    prepared = table()
    flawless = replace(scored(prepared, settings), worst=())
    assert "pictures/worst_mistakes.png" not in run_pictures.of_evaluation(flawless, prepared)


def test_the_same_data_give_the_same_bytes_and_others_do_not(settings: Settings) -> None:
    prepared = table()
    one, other = scored(prepared, settings, 0), scored(prepared, settings, 1)
    first = run_pictures.of_evaluation(one, prepared)
    assert first == run_pictures.of_evaluation(one, prepared)
    for name, png in run_pictures.of_evaluation(other, prepared).items():
        assert png != first[name], name


# ---- learning curves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1e-5, 0.1, 1e4])
@pytest.mark.parametrize("epochs", [1, 3, 50])
def test_curves_of_any_length_and_price(epochs: int, seconds: float) -> None:
    png = trial_plots.learning_curves(curve(*np.linspace(0.5, 0.9, epochs), seconds=seconds))
    assert size(png) == (9 * style.DPI, int((3.4 + style.HEAD) * style.DPI))
    assert ink(png, palette.BLUE) > 100


def test_curves_follow_accuracy_and_seconds() -> None:
    assert trial_plots.learning_curves(curve(0.8, 0.9)) != trial_plots.learning_curves(curve(0.8, 0.95))
    assert trial_plots.learning_curves(curve(0.8, 0.9)) != trial_plots.learning_curves(
        curve(0.8, 0.9, seconds=0.3)
    )


# ---- confusion matrix ---------------------------------------------------------------------------------


def test_shares_are_of_the_true_class() -> None:
    shares = trial_plots.row_shares([[3, 1, 0], [0, 0, 0], [1, 1, 2]])
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0.25, 0.5]])


def test_more_classes_take_more_room_up_to_a_limit(settings: Settings) -> None:
    sizes = []
    for classes in (2, 10, 20, 21, 60):
        prepared = table(classes, rows=120)
        sizes.append(size(trial_plots.confusion_matrix(scored(prepared, settings), prepared.classes)))
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[3] == sizes[4]
    assert max(map(max, sizes)) < 2000


def test_right_is_blue_and_wrong_is_orange(settings: Settings) -> None:
    right = replace(scored(table(2), settings), confusion=((30, 0), (0, 30)))
    wrong = replace(right, confusion=((0, 30), (30, 0)))
    of_right, of_wrong = (trial_plots.confusion_matrix(each, ("no", "yes")) for each in (right, wrong))
    assert ink(of_right, palette.BLUE) > 50_000 > ink(of_right, palette.ORANGE) == 0
    assert ink(of_wrong, palette.ORANGE) > 50_000 > ink(of_wrong, palette.BLUE) == 0


# ---- calibration --------------------------------------------------------------------------------------


def test_only_the_distance_of_confidence_and_accuracy_is_orange(settings: Settings) -> None:
    base = scored(table(), settings)
    honest = [replace(each, accuracy=each.confidence) for each in base.bins]
    boasting = [replace(each, accuracy=each.confidence / 2) for each in base.bins]
    assert ink(trial_plots.calibration(replace(base, bins=tuple(honest))), palette.ORANGE) == 0
    assert ink(trial_plots.calibration(replace(base, bins=tuple(boasting))), palette.ORANGE) > 1000


# ---- samples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(), (1,), (5,), (999,), (4, 4), (4, 6, 1), (4, 4, 3), (4, 4, 2), (2, 3, 4, 5)]
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_samples_of_any_shape_are_drawn(shape: tuple[int, ...], kind: type, settings: Settings) -> None:
    prepared = table(2, shape, rows=12)
    split = Split(prepared.train.features.astype(kind), prepared.train.labels)
    prepared = replace(prepared, train=split, test=split)
    assert size(image_samples.samples(prepared))[0] > 900
    assert min(size(image_samples.worst_mistakes(scored(prepared, settings), prepared))) > 300


def test_a_sample_that_never_changes_is_drawn() -> None:
    prepared = replace(table(), report=Report(1, {}, {}, 16, 7.0, 7.0, {}))
    assert size(image_samples.samples(prepared))[0] > 900


def test_each_class_has_a_row_of_its_own_samples() -> None:
    prepared = table(classes=3, rows=100)
    found = list(image_samples.class_tiles(prepared))
    assert [name for name, _ in found] == list(prepared.classes)
    mine = prepared.train.features[prepared.train.labels == 1]
    for tile in found[1][1]:
        assert (tile.sample == mine).all(axis=(1, 2)).any()
    assert [len(tiles) for _, tiles in found] == [image_samples.EACH_SHOWN] * 3


def test_few_samples_are_shown_once_and_many_classes_in_part() -> None:
    assert [len(tiles) for _, tiles in image_samples.class_tiles(table(classes=20, rows=60))] == [
        3
    ] * image_samples.MOST_SHOWN
    assert size(image_samples.samples(table(classes=20, rows=60)))[1] < 1300


def test_a_mistake_says_what_was_true_and_what_was_answered(settings: Settings) -> None:
    prepared = table()
    worst = (Mistake(7, "$bird$", "airplane", 0.9996), Mistake(3, "airplane", "cat_and_dog", 0.5))
    tiles = image_samples.mistake_tiles(replace(scored(prepared, settings), worst=worst), prepared)
    assert [(tile.above, tile.below) for tile in tiles] == [
        ("$bird$", "airplane  >99.9%"),
        ("airplane", "cat_and_dog  50.0%"),
    ]
    assert (tiles[0].sample == prepared.test.features[7]).all()


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.0004, "<0.1%"), (0.9996, ">99.9%"), (0.5, "50.0%"), (0.9985, "99.9%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert formatting.percent(share) == text
