"""Corruptions: samples that are noisy, blurred, pale, rotated or moved, in five severities.

The idea is that of Hendrycks and Dietterich 2019 (arXiv 1903.12261); the levels are our own, by the side of
the image and the range of the data. Everything is seeded.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.data.features import FrontEnd, LogMel
from pipeline.data.samples import Batch, RawSamples, Table
from pipeline.errors import BadData
from pipeline.settings.measuring import Shift

NOISE = (
    0.04,
    0.08,
    0.12,
    0.18,
    0.26,
)  # deviation, as a share of the range; see `span_of`
SOUND_NOISE = (0.001, 0.002, 0.004, 0.008, 0.016)  # share of full scale to full scale: -54 to -30 dB
BLUR = (0.02, 0.03, 0.04, 0.06, 0.08)  # deviation, as a share of the smaller side
CONTRAST = (0.75, 0.6, 0.45, 0.3, 0.15)  # what is left of the distance to the image's mean
ROTATE = (8, 16, 24, 32, 40)  # degrees, to either side
MOVE = (0.04, 0.08, 0.12, 0.16, 0.2)  # share of each side, in any direction
LETTERS = (0.02, 0.04, 0.08, 0.12, 0.2)  # share of the letters that are lost (noise on texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedSamples:
    """Changed samples, made when a slice of rows is read; equal slices give equal samples.

    `samples`: those of the data; `severity`: 1 to 5; `low`, `high`: the range of the data; `sound`: they are
    waveforms.
    """

    samples: RawSamples
    shift: Shift
    severity: int
    seed: int
    low: float
    high: float
    sound: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: slice) -> Batch:
        draw = np.random.default_rng([self.seed, self.severity, rows.start or 0])
        batch = self.samples[rows]
        if isinstance(batch, dict):
            raise TypeError("tables")
        if batch.dtype == object:
            return _drop_letters(batch, LETTERS[self.severity - 1], draw)
        changed = self._change(batch.astype(np.float32), draw)
        if batch.dtype.kind in "iu":
            info = np.iinfo(batch.dtype)
            changed = np.rint(changed).clip(info.min, info.max)
        return changed.astype(batch.dtype)

    def _change(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        level, span = self.severity - 1, self.high - self.low
        match self.shift:
            case Shift.noise:
                noise = SOUND_NOISE if self.sound else NOISE
                noisy = images + draw.normal(0, noise[level] * span, images.shape)
                return np.asarray(noisy.clip(self.low, self.high))
            case Shift.contrast:
                mean = images.reshape(len(images), -1).mean(axis=1).reshape(-1, *[1] * (images.ndim - 1))
                return np.asarray(mean + CONTRAST[level] * (images - mean))
            case Shift.blur:
                return _blur(images, BLUR[level])
            case Shift.rotate:
                return _rotate(images, ROTATE[level] * draw.choice([-1.0, 1.0], len(images)))
            case _:
                ways = draw.choice([-1.0, 0.0, 1.0], (len(images), 2))
                return _move(images, MOVE[level] * ways)


def check_shift(shift: Shift, samples: RawSamples, front: FrontEnd | None) -> None:
    """Check that `shift` can be made on these samples: noise on all but tables, the others on images alone.

    Raises:
        BadData: it cannot.
    """
    images = front is None and isinstance(samples, np.ndarray) and samples.ndim in (3, 4)
    if shift is Shift.none or images or (shift is Shift.noise and not isinstance(samples, Table)):
        return
    what = "a table" if isinstance(samples, Table) else f"samples of shape {list(samples.shape[1:])}"
    raise BadData(
        f"evaluate.shift must be none or noise for samples that are no images (none for tables), "
        f"got {shift} with {what}; set evaluate.shift=none"
    )


def get_value_range(front: FrontEnd | None, smallest: float, largest: float) -> tuple[float, float]:
    """Return the range (low, high) that the levels refer to: that of the data; full scale for sounds."""
    if isinstance(front, LogMel):
        return -(2.0**15), 2.0**15 - 1
    return smallest, largest if largest > smallest else smallest + 1


def _blur(images: np.ndarray, share: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

    deviation = share * min(images.shape[1:3])
    axes = [0.0, deviation, deviation, 0.0][: images.ndim]
    return np.asarray(gaussian_filter(images, axes, mode="nearest"))


def _rotate(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    from scipy.ndimage import rotate

    turned = [
        rotate(image, angle, axes=(1, 0), reshape=False, order=1)
        for image, angle in zip(images, degrees, strict=True)
    ]
    return np.stack(turned)


def _move(images: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Move images by full pixels; what comes in from outside is zero."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:3]
    for row, (down, right) in enumerate(shares):
        y, x = round(down * height), round(right * width)
        target = (slice(max(0, y), height + min(0, y)), slice(max(0, x), width + min(0, x)))
        source = (slice(max(0, -y), height + min(0, -y)), slice(max(0, -x), width + min(0, -x)))
        moved[row][target] = images[row][source]
    return moved


def _drop_letters(texts: np.ndarray, share: float, draw: np.random.Generator) -> np.ndarray:
    shortened = np.empty(len(texts), object)
    for row, text in enumerate(texts):
        keeps = draw.random(len(text)) >= share
        shortened[row] = "".join(letter for letter, keep in zip(text, keeps, strict=True) if keep)
    return shortened
