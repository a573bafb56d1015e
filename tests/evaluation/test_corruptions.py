"""Changed samples, and what is left of the accuracy on them."""

import numpy as np
import pytest

from pipeline.data.features import Counts
from pipeline.data.samples import make_texts
from pipeline.errors import BadData
from pipeline.evaluation.corruptions import ShiftedSamples, check_shift
from pipeline.evaluation.evaluate import evaluate
from pipeline.models.predictor import make_predictor
from pipeline.settings.measuring import Shift
from pipeline.training.train import train
from tests.support import tiny

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 20, 16)).astype(np.uint8)
KINDS = [kind for kind in Shift if kind is not Shift.none]


def shifted(shift: Shift, severity: int, seed: int = 0, images: np.ndarray = IMAGES) -> np.ndarray:
    return np.asarray(
        ShiftedSamples(samples=images, shift=shift, severity=severity, seed=seed, low=0, high=255)[
            0 : len(images)
        ]
    )


@pytest.mark.parametrize("shift", KINDS)
@pytest.mark.parametrize("shape", [(20, 16), (20, 16, 3)])
def test_a_higher_severity_changes_more_and_a_seed_repeats_it(shift: Shift, shape: tuple[int, ...]) -> None:
    y, x = np.mgrid[-10:10, -8:8] / np.array([5.0, 1.5]).reshape(2, 1, 1)
    bump = 255 * np.exp(-(y**2) - x**2).reshape(20, 16, *[1] * (len(shape) - 2))
    smooth = np.broadcast_to(bump, (40, *shape)).astype(np.uint8)
    away = [np.abs(shifted(shift, level, images=smooth) - smooth.astype(float)).mean() for level in (1, 3, 5)]
    assert 0 < away[0] < away[1] < away[2]
    np.testing.assert_array_equal(shifted(shift, 3), shifted(shift, 3))
    assert shifted(shift, 3).dtype == np.uint8
    if shift in (Shift.noise, Shift.rotate, Shift.move):
        assert (shifted(shift, 3, seed=1) != shifted(shift, 3)).any()


def test_a_moved_image_is_the_image_elsewhere() -> None:
    moved = shifted(Shift.move, 5)
    for before, after in zip(IMAGES, moved, strict=True):
        found = [
            np.array_equal(np.roll(before, (y, x), (0, 1))[4:-4, 4:-4], after[4:-4, 4:-4])
            for y in (-4, 0, 4)
            for x in (-3, 0, 3)
        ]
        assert sum(found) == 1


def test_texts_lose_letters() -> None:
    texts = make_texts(["a" * 1000] * 3)
    lost = [
        1000
        - np.mean(
            [
                len(each)
                for each in ShiftedSamples(
                    samples=texts, shift=Shift.noise, severity=level, seed=0, low=0, high=1
                )[0:3]
            ]
        )
        for level in (1, 5)
    ]
    assert 5 < lost[0] < 40 < 150 < lost[1] < 250


def test_what_cannot_be_changed_so_is_one_line() -> None:
    check_shift(Shift.noise, make_texts(["a"]), Counts((), (), 1))
    with pytest.raises(BadData, match=r"^evaluate\.shift must be none or noise .*, got blur with"):
        check_shift(Shift.blur, make_texts(["a"]), Counts((), (), 1))
    with pytest.raises(BadData, match="got rotate"):
        check_shift(Shift.rotate, np.zeros((3, 20)), None)


def test_evaluation_tells_what_is_left() -> None:
    data = tiny.prepared(120)
    words = "train.epochs=10 optimizer.learning_rate=0.01 evaluate.shift=noise evaluate.severities=[1,5]"
    settings = tiny.told(words)
    *_, item = train(data, settings)
    predict = make_predictor(item.build_model())
    found = evaluate(predict, data, settings)
    assert [each.severity for each in found.shifted] == [1, 5]
    assert found.accuracy_under_shift == np.mean([each.validation for each in found.shifted])
    assert found.test_accuracy_under_shift == np.mean([each.test for each in found.shifted])
    assert found.shifted[0].test >= found.shifted[1].test
    assert evaluate(predict, data, tiny.told("")).accuracy_under_shift is None
