"""The steps of Keras' loop as one compiled graph, up to a rung of the ladder, for a network of any kind.

What `fit` needs beyond the whole of it is overhead of the loop. What starting the graph's own kernels costs
is not told apart from their work, as a network of unknown make has no twin without arithmetic.
"""

from collections.abc import Callable
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.profiling.breakdown import Rung
from pipeline.training.keras_loop import KerasLoop


def caller(loop: KerasLoop, rung: Rung) -> Callable[[int], None]:
    """Takes so many steps of the prepared epoch up to `rung` and waits for the device; changes the run."""
    inside = loop.inside
    with tf.device(inside.place):
        frozen = tuple(tf.identity(part) for part in inside.batch(tf.constant(0, tf.int64)))

    def step(number: Tensor) -> Tensor:
        samples, wanted = inside.batch(number) if rung is Rung.input else frozen
        if rung is Rung.forward:
            return inside.loss(wanted, inside.model(samples, training=True))
        variables = inside.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = inside.loss(wanted, inside.model(samples, training=True))
            scaled = inside.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        if rung is Rung.backward:
            return loss + tf.add_n([_nothing_of(gradient, loss) for gradient in gradients])
        inside.optimizer.apply(gradients, variables)
        return loss

    def go(steps: Tensor) -> Tensor:
        def turn(number: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            return number + 1, total + tf.cast(step(number), tf.float32)

        begin = (tf.constant(0, tf.int64), tf.constant(0.0))
        return tf.while_loop(lambda number, _: number < steps, turn, begin, parallel_iterations=1)[1]

    compiled = tf.function(go, jit_compile=inside.xla or None, autograph=False)

    def take(steps: int) -> None:
        with tf.device(inside.place):
            compiled(tf.constant(steps, tf.int64))
        tf.test.experimental.sync_devices()

    return take


def _nothing_of(gradient: Any, like: Tensor) -> Tensor:
    """Zero that needs the whole gradient: a graph leaves out what nobody uses."""
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    return 0 * tf.cast(tf.reshape(values, [-1])[0], like.dtype)
