"""How far each feature of a sample may be moved: the ball of an attack, in the maximum norm.

The unit of epsilon is what is alike for all features of a kind of data:

- images: the range of the data, from its smallest to its largest value (0 to 255 of bytes), so that 0.1 is
  a tenth of the way from black to white; moved pixels stay within that range;
- all other numbers (columns of a table, spectrograms, arrays): the deviation of the feature on the training
  split (or of all features together, where they are scaled so), as the network sees it after scaling.

Dates and categories of a table stay as they are. The pieces of a number (`data.column_layers`) go where it
goes: a short way of a number may lead across all of them.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.features import Columns, Counts, LogMel, Tokens
from pipeline.data.prepared import Prepared, Scaling
from pipeline.errors import BadData

OF_RANGE, OF_DEVIATION = "of the range of the pixels", "deviations"


class Pieces(NamedTuple):
    """Which features of a table are pieces of which numbers, arrays or tensors [width].

    `is_piece`: bool; `numbers`: int32, the place of the number; `low`, `width`: of the piece, in the number's
    unit; `mean`, `std`: what the piece itself is scaled by.
    """

    is_piece: Tensor
    numbers: Tensor
    low: Tensor
    width: Tensor
    mean: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Ball:
    """How far features [*shape] may be moved, in their own unit: arrays of shape () or [*shape].

    `radius`: in either direction, float64; `low`, `high`: the values that a feature may have, float32;
    `unit`: that of epsilon; `pieces`: features that follow others, None where there are none.
    """

    radius: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: str
    pieces: Pieces | None = None


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
    pieces = None
    if isinstance(front, Columns):
        radius = np.broadcast_to(radius, prepared.shape) * _find_numbers(front, prepared.shape, key)
        pieces = _find_pieces(front, prepared.shape[0]) if front.pieces else None
    infinity = np.asarray(np.inf, np.float32)
    return Ball(radius=radius, low=-infinity, high=infinity, unit=OF_DEVIATION, pieces=pieces)


def describe_epsilon(epsilon: float, unit: str, front: object) -> str:
    """Describe how far samples are moved, for people: `0.1 of the range of the pixels`."""
    of_what = {Columns: " of each column of numbers", LogMel: " of the decibels"}.get(type(front), "")
    return f"{epsilon:g} {unit}{of_what if unit == OF_DEVIATION else ''}"


def _find_numbers(front: Columns, shape: tuple[int, ...], key: str) -> np.ndarray:
    """Return 1 for the features of a table that are columns of numbers, else 0."""
    if not front.numeric:
        raise _explain(key, "a table without columns of numbers")
    return (np.arange(shape[0]) < len(front.numeric)).astype(np.float64)


# ---- pieces of numbers ----------------------------------------------------------------------------------


def _find_pieces(front: Columns, width: int) -> Pieces:
    """Return which of `width` features are pieces, all in their own units."""
    cuts = [(column, *ends) for column, edges in enumerate(front.edges) for ends in itertools.pairwise(edges)]
    columns, low, high = (np.array(values) for values in zip(*cuts, strict=True))
    first = len(front.numeric) + len(front.dates)
    places = slice(first, first + len(cuts))
    is_piece, numbers = np.zeros(width, bool), np.arange(width, dtype=np.int32)
    lows, widths = np.zeros(width), np.ones(width)
    is_piece[places], numbers[places], lows[places], widths[places] = True, columns, low, high - low
    return Pieces(is_piece, numbers, lows, widths, np.zeros(width), np.ones(width))


def scale_pieces(pieces: Pieces, scaling: Scaling) -> Pieces:
    """Return the same of features that are scaled."""
    mean, std = (
        np.broadcast_to(np.asarray(array, np.float64), pieces.low.shape)
        for array in (scaling.mean, scaling.std)
    )
    of_number = mean[pieces.numbers], std[pieces.numbers]
    return pieces._replace(
        low=(pieces.low - of_number[0]) / of_number[1], width=pieces.width / of_number[1], mean=mean, std=std
    )


def to_tensors(pieces: Pieces | None, kind: Tensor) -> Pieces | None:
    """Return tensors, numbers as `kind`."""
    if pieces is None:
        return None
    is_piece, numbers, *others = pieces
    return Pieces(tf.constant(is_piece), tf.constant(numbers), *(tf.constant(each, kind) for each in others))


def follow(pieces: Pieces | None, samples: Tensor) -> Tensor:
    """Return samples [n, width] whose pieces are those of their numbers; `pieces`: tensors of their type."""
    if pieces is None:
        return samples
    shares = (tf.gather(samples, pieces.numbers, axis=1) - pieces.low) / pieces.width
    cut = (tf.clip_by_value(shares, 0, 1) - pieces.mean) / pieces.std
    return tf.where(pieces.is_piece, cut, samples)


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
