"""Ablation of the loops that call a Keras network: their steps as one function, up to a rung of the ladder.

What a loop needs beyond the complete function is its overhead: next to nothing where it is one function
itself, much where `fit` starts each step. The cost of starting kernels counts as work, since a network of any
kind has no twin without arithmetic.
"""

from collections.abc import Callable
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.profiling.breakdown import Rung
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.network.network_loop import NetworkLoop
from pipeline.training.network.network_state import EpochInputs


def make_step_caller(loop: KerasLoop | NetworkLoop, rung: Rung) -> Callable[[int], None]:
    """Return a function that takes n steps of the prepared epoch up to `rung` and waits for the device.

    From `Rung.update` on it changes the weights of a loop of Keras.
    """
    return _call_network(loop, rung) if isinstance(loop, NetworkLoop) else _call_keras(loop, rung)


def _call_network(loop: NetworkLoop, rung: Rung) -> Callable[[int], None]:
    network, spec = loop.network, loop.network.spec
    with tf.device(spec.tf_device):
        frozen = tuple(map(tf.identity, network.fetch_batch(loop.inputs, tf.constant(0))))

    def run_step(inputs: EpochInputs, step: Tensor, total: Tensor) -> Tensor:
        # Frozen samples depend on the step before: else a compiler takes their work out of the loop.
        batch = (
            network.fetch_batch(inputs, step) if rung is Rung.input else (frozen[0] + 0 * total, frozen[1])
        )
        variables = network.read_variables()
        if rung is Rung.forward:
            return network.compute_loss(inputs, step, *variables, batch)[0]
        loss, gradients, _ = network.compute_gradients(inputs, step, *variables, batch)
        if rung is Rung.backward:
            zeros = [_make_zero_of(gradient, loss) for gradient in gradients if gradient is not None]
            return loss + tf.add_n(zeros)
        network.updates.update_in_place(inputs, step, gradients)
        return loss

    def run_steps(inputs: EpochInputs, steps: Tensor) -> Tensor:
        def add_step(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            return step + 1, total + tf.cast(run_step(inputs, step, total), tf.float32)

        begin = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda step, _: step < steps, add_step, begin, parallel_iterations=1)[1]

    compiled = tf.function(run_steps, jit_compile=spec.xla or None, autograph=False)

    def take_steps(steps: int) -> None:
        with tf.device(spec.tf_device):
            compiled(loop.inputs, tf.constant(steps))
        tf.test.experimental.sync_devices()

    return take_steps


def _call_keras(loop: KerasLoop, rung: Rung) -> Callable[[int], None]:
    epoch = loop.epoch_parts
    with tf.device(epoch.tf_device):
        frozen = tuple(tf.identity(tensor) for tensor in epoch.batch(tf.constant(0, tf.int64)))

    def run_step(number: Tensor) -> Tensor:
        samples, targets = epoch.batch(number) if rung is Rung.input else frozen
        if rung is Rung.forward:
            return epoch.loss(targets, epoch.model(samples, training=True))
        samples = epoch.move(samples, targets, number)
        variables = epoch.model.trainable_variables
        with tf.GradientTape() as tape:
            loss = epoch.loss(targets, epoch.model(samples, training=True))
            scaled = epoch.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        if rung is Rung.backward:
            return loss + tf.add_n([_make_zero_of(gradient, loss) for gradient in gradients])
        epoch.optimizer.apply(gradients, variables)
        return loss

    def run_steps(steps: Tensor) -> Tensor:
        def add_step(number: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            return number + 1, total + tf.cast(run_step(number), tf.float32)

        begin = (tf.constant(0, tf.int64), tf.constant(0.0))
        return tf.while_loop(lambda number, _: number < steps, add_step, begin, parallel_iterations=1)[1]

    compiled = tf.function(run_steps, jit_compile=epoch.xla or None, autograph=False)

    def take_steps(steps: int) -> None:
        with tf.device(epoch.tf_device):
            compiled(tf.constant(steps, tf.int64))
        tf.test.experimental.sync_devices()

    return take_steps


def _make_zero_of(gradient: Any, like: Tensor) -> Tensor:
    """Return a zero that needs the complete gradient: a graph leaves out what nobody uses."""
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    return 0 * tf.cast(tf.reshape(values, [-1])[0], like.dtype)
