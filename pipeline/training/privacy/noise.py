"""Gaussian noise on a sum of clipped gradients, from streams of our own."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.backend import Tensor, tf
from pipeline.training.random_streams import derive_seed

STREAM = 2**20
"""The use of the random stream of the first parameter; those of dropout layers are far below."""


class PrivacyNumbers(NamedTuple):
    """Numbers that do not shape the code: clip norm and noise multiplier, wide; seed int64 of the noise."""

    clip_norm: Tensor
    noise: Tensor
    seed: Tensor


def draw_normal(count: int, seed: Tensor) -> Tensor:
    """Draw `count` float32 numbers, standard normal, by Box and Muller (1958) from Philox' bits.

    The radius comes from 32 bits and a half, so no number is beyond 6.8 deviations.
    """
    pairs = (count + 1) // 2
    bits = tf.random.stateless_uniform([2, pairs], seed, None, None, tf.uint32, alg="philox")
    shares = (tf.cast(bits, tf.float32) + 0.5) * 2.0**-32
    radius, angle = tf.sqrt(-2 * tf.math.log(shares[0])), 2 * math.pi * shares[1]
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)[:count]


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
