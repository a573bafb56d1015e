"""Each change by hand on small images; the same stream in every engine is tested in test_engine."""

import numpy as np
import pytest

from pipeline.backend import tf
from pipeline.errors import BadData
from pipeline.settings.training import Augment
from pipeline.training import augmentation
from pipeline.training.augmentation import ImageChanges

SIDE = 5
IMAGES = np.random.default_rng(0).uniform(1, 2, (300, SIDE, SIDE, 2)).astype(np.float32)


def changed(told: Augment, images: np.ndarray = IMAGES, step: int = 7) -> np.ndarray:
    what = augmentation.make_changes(told, images.shape[1:])
    assert what is not None
    amounts = tf.constant([told.shift, told.crop, told.rotate], tf.float32)
    flat = tf.constant(images.reshape(len(images), -1))
    return (
        augmentation.change_images(what, amounts, tf.constant([3, step], tf.int64), flat)
        .numpy()
        .reshape(images.shape)
    )


def test_nothing_asked_is_nothing_done() -> None:
    assert augmentation.make_changes(Augment(0.0, 0.0, 0.0, False), (3,)) is None


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2, 2), ()])
def test_only_images_can_change(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadData, match=r"^augment needs images .* use augment=none$"):
        augmentation.make_changes(Augment(0.1, 0.0, 0.0, False), shape)


def test_flip_mirrors_about_half() -> None:
    seen = changed(Augment(0.0, 0.0, 0.0, True))
    same = (seen == IMAGES).all((1, 2, 3))
    mirrored = (seen == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 0.35 < mirrored.mean() < 0.65


def test_shift_moves_by_whole_pixels_and_fills_with_zero() -> None:
    seen = changed(Augment(0.4, 0.0, 0.0, False))
    moves = set()
    for image, moved in zip(IMAGES, seen, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        fits = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if (moved == padded[down : down + SIDE, right : right + SIDE]).all()
        ]
        assert len(fits) == 1
        moves.update(fits)
    assert len(moves) == 25


def maps(what: ImageChanges, told: list[float], drawn: list[float]) -> np.ndarray:
    return augmentation.draw_affine_maps(
        what, tf.constant(told, tf.float32), tf.constant(drawn, tf.float32)[:, None]
    ).numpy()[0]


def test_quarter_turn() -> None:
    what = ImageChanges(height=SIDE, width=SIDE, channels=2, shift=False, crop=False, rotate=True, flip=False)
    turn = maps(what, [0, 0, 90], [0, 1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(turn, [[0, -1, 0], [1, 0, 0]], atol=1e-6)
    seen = augmentation._sample_images(what, tf.constant(turn)[None], tf.constant(IMAGES[:1].reshape(1, -1)))
    np.testing.assert_allclose(seen.numpy().reshape(SIDE, SIDE, 2), np.rot90(IMAGES[0], -1), atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    what = ImageChanges(height=1, width=3, channels=1, shift=False, crop=True, rotate=False, flip=False)
    beside = tf.constant([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]])
    seen = augmentation._sample_images(what, beside, tf.constant([[2.0, 4.0, 8.0]]))
    np.testing.assert_allclose(seen, [[3.0, 6.0, 4.0]])


@pytest.mark.parametrize("place", [-1.0, 0.0, 1.0])
def test_crop_scales_a_part_within_the_image(place: float) -> None:
    what = ImageChanges(height=8, width=8, channels=1, shift=False, crop=True, rotate=False, flip=False)
    found = maps(what, [0, 0.5, 0], [1, 0, 0, 0, place, 0, place])
    corners = found @ np.array([[-4, -4, 1], [4, 4, 1]]).T  # edges of the output, from its centre
    np.testing.assert_allclose(corners.T[0], [-2 + 2 * place] * 2, atol=1e-6)
    np.testing.assert_allclose(corners.T[1], [2 + 2 * place] * 2, atol=1e-6)


def test_every_step_draws_anew() -> None:
    told = Augment(0.0, 0.2, 15.0, False)
    assert not np.allclose(changed(told, step=1), changed(told, step=2))
    np.testing.assert_array_equal(changed(told, step=1), changed(told, step=1))
