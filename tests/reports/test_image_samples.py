"""Samples of any shape have their tiles. How they look was looked at."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Split
from pipeline.data.report import CleaningReport
from pipeline.evaluation.output_scores import Mistake
from pipeline.reports import image_samples
from pipeline.settings.settings import Settings
from tests.support.pictures import scored, size, table


@pytest.fixture(scope="module")
def settings() -> Settings:
    return compose(["evaluate.worst=6"]).settings


@pytest.mark.parametrize(
    "shape", [(), (1,), (5,), (999,), (4, 4), (4, 6, 1), (4, 4, 3), (4, 4, 2), (2, 3, 4, 5)]
)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_samples_of_any_shape_are_drawn(shape: tuple[int, ...], kind: type, settings: Settings) -> None:
    prepared = table(2, shape, rows=12)
    split = Split(prepared.train.features.astype(kind), prepared.train.labels)
    prepared = replace(prepared, train=split, test=split)
    assert size(image_samples.draw_samples(prepared))[0] > 900
    assert min(size(image_samples.draw_worst_mistakes(scored(prepared, settings), prepared))) > 300


def test_a_sample_that_never_changes_is_drawn() -> None:
    prepared = replace(
        table(),
        report=CleaningReport(
            rows_read=1,
            rows_kept={},
            dropped={},
            constant_features=16,
            smallest=7.0,
            largest=7.0,
            histogram={},
        ),
    )
    assert size(image_samples.draw_samples(prepared))[0] > 900


def test_each_class_has_a_row_of_its_own_samples() -> None:
    prepared = table(classes=3, rows=100)
    found = list(image_samples.select_class_tiles(prepared))
    assert [name for name, _ in found] == list(prepared.classes)
    mine = prepared.train.features[prepared.train.labels == 1]
    for tile in found[1][1]:
        assert (tile.sample == mine).all(axis=(1, 2)).any()
    assert [len(tiles) for _, tiles in found] == [image_samples.SAMPLES_PER_CLASS] * 3


def test_few_samples_are_shown_once_and_many_classes_in_part() -> None:
    assert [len(tiles) for _, tiles in image_samples.select_class_tiles(table(classes=20, rows=60))] == [
        3
    ] * image_samples.MAX_CLASSES
    assert size(image_samples.draw_samples(table(classes=20, rows=60)))[1] < 1300


def test_a_mistake_says_what_was_true_and_what_was_answered(settings: Settings) -> None:
    prepared = table()
    worst = (Mistake(7, "$bird$", "airplane", 0.9996), Mistake(3, "airplane", "cat_and_dog", 0.5))
    tiles = image_samples.select_mistake_tiles(replace(scored(prepared, settings), worst=worst), prepared)
    assert [(tile.above, tile.below) for tile in tiles] == [
        ("$bird$", "airplane  >99.9%"),
        ("airplane", "cat_and_dog  50.0%"),
    ]
    assert (tiles[0].sample == prepared.test.features[7]).all()
