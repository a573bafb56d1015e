"""Ablation of the compiled loop: variants that leave out some of its work, so that this work can be timed.

Each variant is the loop of `compiled_epoch` up to a rung of the ladder (see `breakdown`). Below `Rung.input`
every step uses the batch of the first step. Compilers drop results that nobody uses and move out of a loop
what never changes. So gradients are carried from step to step, and under XLA a number is added to the frozen
samples that is zero, which the compiler cannot know.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.profiling.breakdown import Rung
from pipeline.training.adversarial.fgsm import BallTensors
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.perceptron import batches, compiled_epoch, epoch_spec, mlp_gradients
from pipeline.training.perceptron.compiled_loop import EpochArguments
from pipeline.training.perceptron.epoch_spec import EpochSpec, HyperParameters, LoopState

MAX_COMPILED = 32


@lru_cache(maxsize=MAX_COMPILED)
def compile_rung(spec: EpochSpec, rung: Rung) -> Any:
    """Return a `tf.function` of (DeviceData, EpochPlan, steps, HyperParameters, LoopState, buffers)."""
    return tf.function(partial(_run_steps, spec, rung), jit_compile=spec.xla, autograph=False)


def make_step_caller(arguments: EpochArguments, rung: Rung) -> Callable[[int], None]:
    """Return a function that takes n steps up to `rung` and waits for the device."""
    spec, data, plan, hyper, state, buffers = arguments
    traced = compile_rung(spec, rung).get_concrete_function(data, plan, tf.constant(0), hyper, state, buffers)

    def take_steps(steps: int) -> None:
        with tf.device(spec.tf_device):
            traced(data, plan, tf.constant(steps), hyper, state, buffers)
        tf.test.experimental.sync_devices()

    return take_steps


def make_twin(arguments: EpochArguments) -> EpochArguments:
    """Return the same steps for a network of one unit a layer and one sample a batch.

    They start the same kernels, with next to no arithmetic in them.
    """
    spec, data, plan, hyper, _, _ = arguments
    network = replace(spec.network, sizes=(1,) * (len(spec.network.sizes) - 1) + (2,))
    small = replace(spec, network=network, batch=1, changes=None)
    with tf.device(spec.tf_device):
        features = tf.identity(data.features[:, :1])
        labels = tf.zeros_like(data.labels)
        scaling = [tf.reshape(numbers, [-1])[0] for numbers in (data.mean, data.std)]
        rows = tf.identity(plan.rows[:, :1])
    parameters = [
        array for inputs, outputs in pairwise(network.sizes) for array in _make_layer(inputs, outputs)
    ]
    state = epoch_spec.make_state(small, parameters)
    shrunk = DeviceData(features, labels, *scaling)
    if hyper.ball is not None:
        hyper = hyper._replace(ball=BallTensors(*(tf.reshape(tensor, [-1])[0] for tensor in hyper.ball[:3])))
    return EpochArguments(
        small, shrunk, plan._replace(rows=rows), hyper, state, compiled_epoch.make_buffers(small, state)
    )


def _make_layer(inputs: int, outputs: int) -> tuple[Any, Any]:
    import numpy as np

    return np.full((inputs, outputs), 0.01, np.float32), np.zeros(outputs, np.float32)


Fetch = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# ---- the loops --------------------------------------------------------------------------------------


def _make_fetch(
    spec: EpochSpec, rung: Rung, data: DeviceData, plan: EpochPlan, hyper: HyperParameters
) -> Fetch:
    """Return a function from (step, total of the losses so far) to a batch (samples, targets).

    The batch is fetched with `Rung.input`; below it is always the first one.
    """
    if rung is Rung.input:
        return lambda step, _total: batches.fetch_batch(spec, data, plan, hyper, step)
    samples, targets = batches.fetch_batch(spec, data, plan, hyper, tf.constant(0))
    if not spec.xla:
        return lambda _step, _total: (samples, targets)

    def add_zero(_step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        zero = tf.minimum(tf.abs(total), tf.zeros_like(total))
        return samples + tf.cast(zero, samples.dtype), targets

    return add_zero


def _run_steps(
    spec: EpochSpec,
    rung: Rung,
    data: DeviceData,
    plan: EpochPlan,
    steps: Tensor,
    hyper: HyperParameters,
    state: LoopState,
    buffers: LoopState | None,
) -> Any:
    """Run `steps` steps up to `rung`; return tensors that need all of their work."""
    fetch = _make_fetch(spec, rung, data, plan, hyper)
    if rung >= Rung.update:
        return _run_with_update(spec, plan, steps, hyper, fetch, state, buffers)
    return _run_without_update(spec, rung, plan, steps, hyper, fetch, state.parameters)


def _run_without_update(
    spec: EpochSpec,
    rung: Rung,
    plan: EpochPlan,
    steps: Tensor,
    hyper: HyperParameters,
    fetch: Fetch,
    parameters: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Run the forward pass of each step, and with `Rung.backward` compute gradients and carry them along."""

    def run_step(step: Tensor, total: Tensor, gradients: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        samples, targets = fetch(step, total)
        if rung is Rung.backward:
            loss, gradients = compiled_epoch.loss_and_gradients_of_batch(
                spec, plan, hyper, step, parameters, samples, targets
            )
        else:
            masks = batches.draw_dropout_masks(spec, plan, hyper, step)
            outcome = mlp_gradients.forward(spec.network, parameters, samples, masks)
            loss = tf.reduce_mean(spec.network.loss.compute(outcome.logits, targets))
        return step + 1, total + loss, gradients

    carried = [tf.zeros_like(array) for array in parameters] if rung is Rung.backward else []
    begin = (tf.constant(0), tf.zeros((), spec.network.wide), carried)
    _, total, carried = tf.while_loop(lambda step, *_: step < steps, run_step, begin, parallel_iterations=1)
    return total, carried


def _run_with_update(
    spec: EpochSpec,
    plan: EpochPlan,
    steps: Tensor,
    hyper: HyperParameters,
    fetch: Fetch,
    state: LoopState,
    buffers: LoopState | None,
) -> tuple[Tensor, LoopState]:
    """Run complete steps, on frozen samples or on fetched ones."""

    def by_value(step: Tensor, total: Tensor, state: LoopState) -> tuple[Tensor, Tensor, LoopState]:
        loss, gradients = compiled_epoch.loss_and_gradients_of_batch(
            spec, plan, hyper, step, state.parameters, *fetch(step, total)
        )
        arguments = compiled_epoch.get_update_arguments(plan, hyper, step)
        tensors = zip(*state, gradients, strict=True)
        pairs = [spec.rule.update(*arguments, *of_parameter) for of_parameter in tensors]
        return step + 1, total + loss, LoopState(*zip(*pairs, strict=True))

    def in_place(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        assert buffers is not None
        parameters = [variable.read_value() for variable in buffers.parameters]
        loss, gradients = compiled_epoch.loss_and_gradients_of_batch(
            spec, plan, hyper, step, parameters, *fetch(step, total)
        )
        for tensors in zip(*buffers, gradients, strict=True):
            spec.rule.update_in_place(*compiled_epoch.get_update_arguments(plan, hyper, step), *tensors)
        return step + 1, total + loss

    begin = (tf.constant(0), tf.zeros((), spec.network.wide))
    if buffers is None:
        _, total, state = tf.while_loop(lambda step, *_: step < steps, by_value, (*begin, state))
        return total, state
    tf.nest.map_structure(lambda variable, value: variable.assign(value), buffers, state)
    _, total = tf.while_loop(lambda step, _: step < steps, in_place, begin, parallel_iterations=1)
    return total, LoopState(*tf.nest.map_structure(lambda variable: variable.read_value(), buffers))
