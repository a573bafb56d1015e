"""Random changes of images: one affine map a sample, drawn from (seed, step), sampled once.

Angles and shares are drawn evenly within the settings' bounds. What comes from outside the image is zero.
The same numbers come out on every engine and device (see `streams`).
"""

import math
from dataclasses import dataclass

from pipeline.backend import Tensor, tf
from pipeline.errors import BadData
from pipeline.settings.training import Augment
from pipeline.training import random_streams


@dataclass(frozen=True, slots=True)
class Changes:
    """What shapes the code: the image's shape, and which changes are on."""

    height: int
    width: int
    channels: int
    shift: bool
    crop: bool
    rotate: bool
    flip: bool

    @property
    def between_pixels(self) -> bool:
        """Whether samples are taken between pixels; a shift goes by whole pixels, a flip maps onto them."""
        return self.crop or self.rotate


def changes(augment: Augment, shape: tuple[int, ...]) -> Changes | None:
    """What the settings ask for; None where that is nothing.

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
    on = (bool(amount) for amount in (augment.shift, augment.crop, augment.rotate, augment.flip))
    return Changes(height, width, channels, *on)


def change(what: Changes, amounts: Tensor, seed: Tensor, samples: Tensor) -> Tensor:
    """`samples`: float [batch, pixels]; `amounts`: [shift, crop, rotate in degrees]; `seed`: int64 [2]."""
    drawn = 2 * random_streams.uniform([7, samples.shape[0]], seed) - 1
    maps = affine_maps(what, tf.cast(amounts, tf.float32), drawn)
    return _sample(what, maps, samples)


def affine_maps(what: Changes, amounts: Tensor, drawn: Tensor) -> Tensor:
    """Where each output pixel comes from: [batch, 2, 3], in pixels from the image's centre.

    `drawn`: 7 numbers a sample, even in [-1, 1).
    """
    shift, crop, rotate = amounts[0], amounts[1], amounts[2]
    one = tf.ones_like(drawn[0])
    scale = one - crop * (drawn[0] + 1) / 2 if what.crop else one
    turn = drawn[1] * rotate * (math.pi / 180) if what.rotate else 0 * one
    mirror = tf.where(drawn[2] < 0, -one, one) if what.flip else one
    down = _offset(what, what.height, shift, scale, drawn[3], drawn[4])
    right = _offset(what, what.width, shift, scale, drawn[5], drawn[6])
    cos, sin = scale * tf.cos(turn), scale * tf.sin(turn)
    rows = [tf.stack([cos, -sin * mirror, down], 1), tf.stack([sin, cos * mirror, right], 1)]
    return tf.stack(rows, 1)


def _offset(
    what: Changes, side: int, shift: Tensor, scale: Tensor, by_shift: Tensor, by_crop: Tensor
) -> Tensor:
    """A whole number of pixels by the shift, and a place for the cut-out part within the image."""
    shifted = tf.round(by_shift * shift * side) if what.shift else tf.zeros_like(scale)
    return shifted + by_crop * (1 - scale) * (side / 2) if what.crop else shifted


def _sample(what: Changes, maps: Tensor, samples: Tensor) -> Tensor:
    """The images [batch, pixels] seen through `maps`: the nearest pixel, or between four."""
    middle_y, middle_x = (what.height - 1) / 2, (what.width - 1) / 2
    y, x = tf.meshgrid(tf.range(what.height), tf.range(what.width), indexing="ij")
    grid = tf.stack([tf.reshape(y, [-1]), tf.reshape(x, [-1]), tf.ones([what.height * what.width], tf.int32)])
    centred = tf.cast(grid, tf.float32) - tf.constant([[middle_y], [middle_x], [0.0]])
    places = tf.matmul(maps, tf.broadcast_to(centred, [tf.shape(maps)[0], 3, what.height * what.width]))
    y, x = places[:, 0] + middle_y, places[:, 1] + middle_x
    images = tf.reshape(samples, [-1, what.height * what.width, what.channels])
    if what.between_pixels:
        seen = _between(what, images, y, x)
    else:
        seen = _pixels(what, images, tf.round(y), tf.round(x))
    return tf.reshape(seen, tf.shape(samples))


def _between(what: Changes, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear: the four pixels around (y, x), each by its nearness."""
    top, left = tf.floor(y), tf.floor(x)
    low, right = (tf.cast(part, images.dtype)[..., None] for part in (y - top, x - left))
    upper = _pixels(what, images, top, left) * (1 - right) + _pixels(what, images, top, left + 1) * right
    lower = (
        _pixels(what, images, top + 1, left) * (1 - right) + _pixels(what, images, top + 1, left + 1) * right
    )
    return upper * (1 - low) + lower * low


def _pixels(what: Changes, images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Pixels [batch, pixels, channels] at whole (y, x); zero outside the image."""
    inside = (y >= 0) & (y <= what.height - 1) & (x >= 0) & (x <= what.width - 1)
    safe_y, safe_x = tf.clip_by_value(y, 0, what.height - 1), tf.clip_by_value(x, 0, what.width - 1)
    places = tf.cast(safe_y, tf.int32) * what.width + tf.cast(safe_x, tf.int32)
    found = tf.gather(images, places, batch_dims=1)
    return tf.where(inside[..., None], found, tf.zeros_like(found))
