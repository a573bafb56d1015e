"""Adversarial training by FGSM from a random start (Wong et al. 2020, arXiv 2001.03994).

Before each step, every sample of the batch is moved to a random point of its ball, then by 1.25 epsilon in
the direction in which its class loses to the others (`models.attacks.lead`), and back into the ball; a loss
of smoothed targets would make sure answers surer. The gradient of the weights is that of these samples. The
random numbers are those of `random_streams`, so all loops move samples alike. What the network answers on the
way is in inference mode, without dropout. It costs one more forward and backward pass a step, which the clock
counts as training.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared, Scaling
from pipeline.models.attacks.ball import Pieces, follow, make_ball, scale_pieces, to_tensors
from pipeline.models.attacks.lead import differentiate_lead
from pipeline.settings.settings import Settings
from pipeline.settings.training import Adversarial
from pipeline.training.random_streams import derive_seed, draw_uniform

ADVERSARIAL_KEY = "train.adversarial"
USE = 1 << 20
"""Of `derive_seed`: no network has so many layers with dropout."""
STEP = 1.25
"""Epsilons of the step from the random start."""


class BallTensors(NamedTuple):
    """See `models.attacks.ball.Ball`: tensors of shape () or that of the samples, in the samples' unit."""

    radius: Tensor
    low: Tensor
    high: Tensor
    pieces: Pieces | None = None


def make_ball_tensors(
    settings: Settings, prepared: Prepared, kind: Tensor, scaling: Scaling | None = None
) -> BallTensors | None:
    """Return how far training moves samples, None where it does not.

    `kind`: the type of the samples; `scaling`: of samples [n, inputs] that are scaled, None: they are [n,
    *shape] in the source's units.

    Raises:
        BadData: the samples cannot be moved a little.
    """
    if settings.train.adversarial is Adversarial.none:
        return None
    ball = make_ball(prepared, settings.train.adversarial_epsilon, ADVERSARIAL_KEY)
    radius, low, high = (np.asarray(array, np.float64) for array in (ball.radius, ball.low, ball.high))
    pieces = ball.pieces
    if scaling is not None:
        mean, std = (np.asarray(array, np.float64) for array in (scaling.mean, scaling.std))
        scaled = radius / std, (low - mean) / std, (high - mean) / std
        radius, low, high = (array.reshape(-1) if array.ndim else array for array in scaled)
        pieces = scale_pieces(pieces, scaling) if pieces else None
    return BallTensors(
        tf.constant(radius, kind), tf.constant(low, kind), tf.constant(high, kind), to_tensors(pieces, kind)
    )


def check_adversarial(settings: Settings, prepared: Prepared) -> None:
    """Check before anything runs that training can move these samples.

    Raises:
        BadData: it cannot.
    """
    if settings.train.adversarial is not Adversarial.none:
        make_ball(prepared, settings.train.adversarial_epsilon, ADVERSARIAL_KEY)


def move_samples(
    ball: BallTensors,
    samples: Tensor,
    seed: Tensor,
    step: Tensor,
    compute_gradient: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the samples [batch, ...] as training sees them, of the ball's type.

    `seed`, `step`: of the run and since its beginning; `compute_gradient`: moved samples -> gradient of
    the others' lead over each one's class by it; its length does not matter.
    """
    samples = tf.cast(samples, ball.radius.dtype)
    lower = tf.maximum(samples - ball.radius, tf.minimum(ball.low, samples))
    upper = tf.minimum(samples + ball.radius, tf.maximum(ball.high, samples))
    numbers = tf.cast(draw_uniform(samples.shape, derive_seed(seed, USE, step)), samples.dtype)
    start = tf.clip_by_value(samples + ball.radius * (2 * numbers - 1), lower, upper)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(start)
        whole = follow(ball.pieces, start)
    by_whole = tf.cast(compute_gradient(whole), samples.dtype)
    direction = tf.sign(tf.convert_to_tensor(tape.gradient(whole, start, by_whole)))
    moved = tf.clip_by_value(start + STEP * ball.radius * direction, lower, upper)
    return tf.stop_gradient(follow(ball.pieces, moved))


def differentiate_by_samples(
    answer: Callable[[Tensor], Tensor], targets: Tensor
) -> Callable[[Tensor], Tensor]:
    """Return what `move_samples` needs of a network that a tape differentiates.

    `answer`: samples -> logits; `targets`: one for each class, the largest being that of the right one.
    """

    def compute_gradient(samples: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(samples)
            logits = answer(samples)
        # Each sample's gradient is its own, whatever the others are.
        return tf.convert_to_tensor(
            tape.gradient(logits, samples, differentiate_lead(logits, tf.argmax(targets, 1)))
        )

    return compute_gradient
