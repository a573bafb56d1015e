"""Random changes of images: one affine map a sample, drawn from (seed, step), sampled once.

Angles and shares are drawn evenly within the settings' bounds. What comes from outside the image is zero.
The same numbers come out on every engine and device (see `random_streams`).
"""

import math
from dataclasses import dataclass

from pipeline.backend import Tensor, tf
from pipeline.errors import BadData
from pipeline.settings.training import Augment
from pipeline.training import random_streams


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChanges:
    """What shapes the code: the image's shape, and which changes are on."""

    height: int
    width: int
    channels: int
    shift: bool
    crop: bool
    rotate: bool
    flip: bool

    @property
    def needs_interpolation(self) -> bool:
        """Return whether samples lie between pixels; a shift goes by whole pixels, a flip maps onto them."""
        return self.crop or self.rotate


def make_changes(augment: Augment, shape: tuple[int, ...]) -> ImageChanges | None:
    """Return the changes that the settings name; None where there are none.

    Raises:
        BadData: the samples are no images.
    """
    if not augment.active:
        return None
    if len(shape) not in (2, 3):
        raise BadData(
            f"augment needs images of shape [height, width] or [height, width, channels], got {list(shape)}; "
            "use augment=none"
        )
    height, width, channels = (*shape, 1)[:3]
    flags = {name: bool(getattr(augment, name)) for name in ("shift", "crop", "rotate", "flip")}
    return ImageChanges(height=height, width=width, channels=channels, **flags)


def change_images(changes: ImageChanges, amounts: Tensor, seed: Tensor, samples: Tensor) -> Tensor:
    """Return the images changed at random.

    `samples`: float [batch, pixels]; `amounts`: [shift, crop, rotate in degrees]; `seed`: int64 [2].
    """
    numbers = 2 * random_streams.draw_uniform([7, samples.shape[0]], seed) - 1
    maps = draw_affine_maps(changes, tf.cast(amounts, tf.float32), numbers)
    return _sample_images(changes, maps, samples)


def draw_affine_maps(changes: ImageChanges, amounts: Tensor, numbers: Tensor) -> Tensor:
    """Draw where each output pixel comes from: [batch, 2, 3], in pixels from the image's centre.

    `numbers`: 7 numbers a sample, even in [-1, 1).
    """
    shift, crop, rotate = amounts[0], amounts[1], amounts[2]
    ones = tf.ones_like(numbers[0])
    scale = ones - crop * (numbers[0] + 1) / 2 if changes.crop else ones
    turn = numbers[1] * rotate * (math.pi / 180) if changes.rotate else 0 * ones
    mirror = tf.where(numbers[2] < 0, -ones, ones) if changes.flip else ones
    down = _compute_offset(changes, changes.height, shift, scale, numbers[3], numbers[4])
    right = _compute_offset(changes, changes.width, shift, scale, numbers[5], numbers[6])
    cos, sin = scale * tf.cos(turn), scale * tf.sin(turn)
    rows = [tf.stack([cos, -sin * mirror, down], 1), tf.stack([sin, cos * mirror, right], 1)]
    return tf.stack(rows, 1)


def _compute_offset(
    changes: ImageChanges, side: int, shift: Tensor, scale: Tensor, by_shift: Tensor, by_crop: Tensor
) -> Tensor:
    """Return whole pixels by the shift, and where the cut-out rectangle lies within the image."""
    shifted = tf.round(by_shift * shift * side) if changes.shift else tf.zeros_like(scale)
    return shifted + by_crop * (1 - scale) * (side / 2) if changes.crop else shifted


def _sample_images(changes: ImageChanges, maps: Tensor, samples: Tensor) -> Tensor:
    """Return the images [batch, pixels] through `maps`: the nearest pixel, or between four."""
    middle_y, middle_x = (changes.height - 1) / 2, (changes.width - 1) / 2
    y, x = tf.meshgrid(tf.range(changes.height), tf.range(changes.width), indexing="ij")
    grid = tf.stack(
        [tf.reshape(y, [-1]), tf.reshape(x, [-1]), tf.ones([changes.height * changes.width], tf.int32)]
    )
    centred = tf.cast(grid, tf.float32) - tf.constant([[middle_y], [middle_x], [0.0]])
    positions = tf.matmul(
        maps, tf.broadcast_to(centred, [tf.shape(maps)[0], 3, changes.height * changes.width])
    )
    y, x = positions[:, 0] + middle_y, positions[:, 1] + middle_x
    images = tf.reshape(samples, [-1, changes.height * changes.width, changes.channels])
    if changes.needs_interpolation:
        sampled = _interpolate(changes, images, y, x)
    else:
        sampled = _get_pixels(changes, images, tf.round(y), tf.round(x))
    return tf.reshape(sampled, tf.shape(samples))


def _interpolate(changes: ImageChanges, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the bilinear interpolation of the four pixels around (y, x)."""
    top, left = tf.floor(y), tf.floor(x)
    low, right = (tf.cast(share, images.dtype)[..., None] for share in (y - top, x - left))
    upper = (
        _get_pixels(changes, images, top, left) * (1 - right)
        + _get_pixels(changes, images, top, left + 1) * right
    )
    lower = (
        _get_pixels(changes, images, top + 1, left) * (1 - right)
        + _get_pixels(changes, images, top + 1, left + 1) * right
    )
    return upper * (1 - low) + lower * low


def _get_pixels(changes: ImageChanges, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return pixels [batch, pixels, channels] at whole (y, x); zero outside the image."""
    is_inside = (y >= 0) & (y <= changes.height - 1) & (x >= 0) & (x <= changes.width - 1)
    safe_y, safe_x = tf.clip_by_value(y, 0, changes.height - 1), tf.clip_by_value(x, 0, changes.width - 1)
    positions = tf.cast(safe_y, tf.int32) * changes.width + tf.cast(safe_x, tf.int32)
    pixels = tf.gather(images, positions, batch_dims=1)
    return tf.where(is_inside[..., None], pixels, tf.zeros_like(pixels))
