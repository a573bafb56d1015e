"""Random numbers inside the compiled loop: counter-based (Philox), so no state and any order.

The generator's bits are the same on every engine and device; TensorFlow's own way from bits to floats is
not, so that step is done here.
"""

from collections.abc import Sequence

from pipeline.backend import Tensor, tf


def derive_seed(seed: Tensor, use: int, step: Tensor) -> Tensor:
    """Return a seed int64 [2] of its own for each run, use and step.

    `use`: 0 for augmentation, 1 and more for the dropout of a layer.
    """
    return tf.stack([seed + (use << 32), tf.cast(step, tf.int64)])


def draw_uniform(shape: Sequence[int], seed: Tensor) -> Tensor:
    """Draw float32 numbers of `shape`, uniform in [0, 1): the upper 24 bits of each draw."""
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24
