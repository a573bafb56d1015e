"""How far each feature of a sample may be moved: the ball of an attack, in the maximum norm.

The unit of epsilon is what is alike for all features of a kind of data:

- images: the range of the data, from its smallest to its largest value (0 to 255 of bytes), so that 0.1 is
  a tenth of the way from black to white; moved pixels stay within that range;
- all other numbers (columns of a table, spectrograms, arrays): the deviation of the feature on the training
  split (or of all features together, where they are scaled so), as the network sees it after scaling.

Dates and categories of a table stay as they are.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.data.features import Columns, Counts, LogMel, Tokens
from pipeline.data.prepared import Prepared
from pipeline.errors import BadData

OF_RANGE, OF_DEVIATION = "of the range of the pixels", "deviations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ball:
    """How far features [*shape] may be moved, in their own unit: arrays of shape () or [*shape].

    `radius`: in either direction, float64; `low`, `high`: the values that a feature may have, float32;
    `unit`: that of epsilon.
    """

    radius: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: str


def make_ball(prepared: Prepared, epsilon: float, key: str) -> Ball:
    """Return the ball of `epsilon` around the samples of this data; `key`: the setting that asks for it.

    Raises:
        BadData: nothing can be moved a little: texts are words, and a table may have no numbers.
    """
    front, report = prepared.front, prepared.report
    if isinstance(front, Counts | Tokens):
        raise _explain(key, "texts, whose words cannot be changed a little")
    if front is None and len(prepared.shape) in (2, 3):
        low, high = report.smallest, report.largest
        high = high if high > low else low + 1
        return Ball(
            radius=np.asarray(epsilon * (high - low)),
            low=np.asarray(low, np.float32),
            high=np.asarray(high, np.float32),
            unit=OF_RANGE,
        )
    radius = epsilon * np.asarray(prepared.scaling.std, np.float64)
    if isinstance(front, Columns):
        radius = np.broadcast_to(radius, prepared.shape) * _find_numbers(front, prepared.shape, key)
    infinity = np.asarray(np.inf, np.float32)
    return Ball(radius=radius, low=-infinity, high=infinity, unit=OF_DEVIATION)


def describe_epsilon(epsilon: float, unit: str, front: object) -> str:
    """Describe how far samples are moved, for people: `0.1 of the range of the pixels`."""
    of_what = {Columns: " of each column of numbers", LogMel: " of the decibels"}.get(type(front), "")
    return f"{epsilon:g} {unit}{of_what if unit == OF_DEVIATION else ''}"


def _find_numbers(front: Columns, shape: tuple[int, ...], key: str) -> np.ndarray:
    """Return 1 for the features of a table that are columns of numbers, or pieces of them, else 0.

    Each moves by itself, which is more than a table could be changed: no attack is missed.
    """
    if not front.numeric:
        raise _explain(key, "a table without columns of numbers")
    place, numbers = np.arange(shape[0]), len(front.numeric)
    is_piece = (place >= numbers + len(front.dates)) & (place < numbers + len(front.dates) + front.pieces)
    return ((place < numbers) | is_piece).astype(np.float64)


def _explain(key: str, what: str) -> BadData:
    return BadData(
        f"{key} must be none unless samples are images, sounds, arrays or tables with numbers, got {what}; "
        f"set {key}=none"
    )


def compute_bounds(samples: np.ndarray, ball: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Compute the least and the largest values that samples [n, *shape] may be moved to, both float32.

    The float32 sample lies between them, and neither is farther from it than the radius, whatever rounding
    does. A sample that lies outside the range of the data is not moved farther out.
    """
    middle = np.asarray(samples, np.float32)
    exact, radius = middle.astype(np.float64), ball.radius
    low, high = np.minimum(ball.low, middle), np.maximum(ball.high, middle)
    lower, upper = np.maximum(exact - radius, low), np.minimum(exact + radius, high)
    return _round(lower, upward=True), _round(upper, upward=False)


def _round(exact: np.ndarray, upward: bool) -> np.ndarray:
    """Round to float32, never in the other direction."""
    rounded = exact.astype(np.float32)
    wrong = rounded < exact if upward else rounded > exact
    return np.where(wrong, np.nextafter(rounded, np.float32(np.inf if upward else -np.inf)), rounded)
