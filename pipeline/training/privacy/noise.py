"""Gaussian noise on a sum of clipped gradients, from streams of our own."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.backend import Tensor, tf
from pipeline.training.random_streams import derive_seed

STREAM = 2**20
"""The use of the random stream of the first parameter; those of dropout layers are far below."""


SERIES_TERMS = 7
"""Of the series for sine and cosine, enough for float32 up to a quarter of a turn."""


class PrivacyNumbers(NamedTuple):
    """Numbers that do not shape the code: clip norm and noise multiplier, wide; seed int64 of the noise."""

    clip_norm: Tensor
    noise: Tensor
    seed: Tensor


def draw_normal(count: int, seed: Tensor) -> Tensor:
    """Draw `count` float32 numbers, standard normal, by Box and Muller (1958) from Philox' bits.

    The radius comes from 32 bits and a half, so no number is beyond 6.8 deviations. The angle is 2 pi t with
    t in [-1/2, 1/2]; its sine and cosine come from those of pi t by power series, which are exact to rounding
    there: XLA calls the C library for each sine on a CPU, which took two thirds of all the noise.
    """
    pairs = (count + 1) // 2
    bits = tf.random.stateless_uniform([2, pairs], seed, None, None, tf.uint32, alg="philox")
    radius = tf.sqrt(-2 * tf.math.log((tf.cast(bits[0], tf.float32) + 0.5) * 2.0**-32))
    turn = tf.cast(tf.bitcast(bits[1], tf.int32), tf.float32) * 2.0**-32
    sine = turn * _sum_series(turn * turn, 1)
    cosine = _sum_series(turn * turn, 0)
    return tf.concat([radius * (1 - 2 * sine * sine), radius * (2 * sine * cosine)], 0)[:count]


def _sum_series(square: Tensor, first: int) -> Tensor:
    """Return cos(pi t) (`first` 0) or sin(pi t) / t (`first` 1) for `square` = t * t <= 1/4.

    The first of the left out terms is below 2e-8.
    """
    powers = range(first, first + 2 * SERIES_TERMS, 2)
    factors = [(-1) ** (power // 2) * math.pi**power / math.factorial(power) for power in powers]
    total = tf.fill(tf.shape(square), factors[-1])
    for factor in reversed(factors[:-1]):
        total = total * square + factor
    return total


def add_noise(sums: Sequence[Tensor], numbers: PrivacyNumbers, step: Tensor, batch: int) -> list[Tensor]:
    """Return the gradients that a private step takes: (sum + noise) / `batch`, one for each parameter.

    `sums`: over the drawn rows, of clipped gradients; `step`: int64, of all steps of the run; `batch`: rows
    on average, for how many were drawn is nobody's business.
    """

    # Many small kernels: XLA makes one of them, also inside a plain graph.
    def make_noise(seed: Tensor, step: Tensor, deviation: Tensor) -> list[Tensor]:
        return [
            tf.reshape(
                tf.cast(
                    draw_normal(total.shape.num_elements(), derive_seed(seed, STREAM + use, step)),
                    total.dtype,
                )
                * tf.cast(deviation, total.dtype),
                total.shape,
            )
            for use, total in enumerate(sums)
        ]

    compiled = tf.function(make_noise, jit_compile=True, autograph=False)
    noise = compiled(numbers.seed, step, numbers.noise * numbers.clip_norm)
    return [(total + drawn) / batch for total, drawn in zip(sums, noise, strict=True)]


def clip_factors(squares: Tensor, clip_norm: Tensor, present: Tensor) -> Tensor:
    """Return what each row's gradient is multiplied by so that none is longer than the clip norm, [room].

    `squares`: of the norms; `present`: 1 where a row was drawn, 0 at empty places, which count for nothing.
    """
    least, most = (tf.constant(bound, squares.dtype) for bound in (1e-30, 1.0))
    longest = tf.cast(clip_norm, squares.dtype)
    return present * tf.minimum(most, longest * tf.math.rsqrt(tf.maximum(squares, least)))


def mean_loss(losses: Tensor, present: Tensor) -> Tensor:
    """Return the mean loss of the rows that were drawn; 0 where none was."""
    return tf.reduce_sum(losses * present) / tf.maximum(tf.reduce_sum(present), tf.ones((), present.dtype))
