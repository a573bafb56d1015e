"""The compiled training loop: an epoch is one call of one `tf.while_loop`.

A batch is gathered by a row of `EpochPlan.rows`; gradients are written by hand (`mlp_gradients`). Compiled by
XLA, the loop carries parameters and optimizer state as tensors; as a plain graph, it changes variables by
fused kernels. Either way a call takes a state and returns a new one. Whatever may differ between two
trials of the same shape (rates, momentum, smoothing, ...) is an argument, so that it never compiles again.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.models.attacks.lead import differentiate_lead
from pipeline.training.adversarial.fgsm import move_samples
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.batches import draw_dropout_masks, fetch_batch
from pipeline.training.perceptron.epoch_spec import EpochSpec, HyperParameters, LoopState
from pipeline.training.privacy import noise, perceptron, sampling

MAX_COMPILED = 64
"""Compiled shapes that a process keeps; the one used longest ago goes first."""


# ---- the loop ---------------------------------------------------------------------------------------

EpochFunction = Any
"""A `tf.function` of (DeviceData, EpochPlan, steps to take, HyperParameters, LoopState, buffers).

It returns the new state and the mean loss of the steps.
"""


@lru_cache(maxsize=MAX_COMPILED)
def compile_epoch(spec: EpochSpec) -> EpochFunction:
    """Return the epoch as one compiled function; compilation happens in its first call.

    `buffers` is what `make_buffers` returned.
    """
    epoch = partial(_run_on_values if spec.xla else _run_in_place, spec)
    return tf.function(epoch, jit_compile=spec.xla, autograph=False)


def make_buffers(spec: EpochSpec, state: LoopState) -> LoopState | None:
    """Return variables that a graph works on, so that its fused kernels write in place; XLA needs none."""
    if spec.xla:
        return None
    with tf.device(spec.tf_device):
        variables = tf.nest.map_structure(tf.Variable, state)
    return LoopState(*variables)


def _run_on_values(
    spec: EpochSpec,
    data: DeviceData,
    plan: EpochPlan,
    steps: Tensor,
    hyper: HyperParameters,
    state: LoopState,
    _buffers: None,
) -> tuple[LoopState, Tensor]:
    """Run the epoch with the state carried through the loop; XLA itself fuses and writes in place."""

    def take_step(step: Tensor, total: Tensor, state: LoopState) -> tuple[Tensor, Tensor, LoopState]:
        loss, gradients = loss_and_gradients(spec, data, plan, hyper, step, state.parameters)
        arguments = get_update_arguments(plan, hyper, step)
        updated = [spec.rule.update(*arguments, *item) for item in zip(*state, gradients, strict=True)]
        return step + 1, total + loss, LoopState(*zip(*updated, strict=True))

    start = (tf.constant(0), tf.zeros((), spec.network.wide), state)
    _, total, state = tf.while_loop(lambda step, *_: step < steps, take_step, start)
    return state, divide_by_steps(total, steps)


def _run_in_place(
    spec: EpochSpec,
    data: DeviceData,
    plan: EpochPlan,
    steps: Tensor,
    hyper: HyperParameters,
    state: LoopState,
    buffers: LoopState,
) -> tuple[LoopState, Tensor]:
    """Run the epoch on the buffers: copy the state there, change it by fused kernels, read it."""

    def take_step(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        parameters = [variable.read_value() for variable in buffers.parameters]
        loss, gradients = loss_and_gradients(spec, data, plan, hyper, step, parameters)
        arguments = get_update_arguments(plan, hyper, step)
        for item in zip(*buffers, gradients, strict=True):
            spec.rule.update_in_place(*arguments, *item)
        return step + 1, total + loss

    tf.nest.map_structure(lambda variable, value: variable.assign(value), buffers, state)
    start = (tf.constant(0), tf.zeros((), spec.network.wide))
    _, total = tf.while_loop(lambda step, _: step < steps, take_step, start, parallel_iterations=1)
    state = LoopState(*tf.nest.map_structure(lambda variable: variable.read_value(), buffers))
    return state, divide_by_steps(total, steps)


def divide_by_steps(total: Tensor, steps: Tensor) -> Tensor:
    """Return the mean of what so many steps have added up; 0 of none."""
    return total / tf.cast(tf.maximum(steps, 1), total.dtype)


def get_update_arguments(
    plan: EpochPlan, hyper: HyperParameters, step: Tensor
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Return the arguments of `UpdateRule.update` that come before the parameter."""
    return hyper.optimizer, tf.gather(plan.step_sizes, step), tf.gather(plan.decay_factors, step)


def loss_and_gradients(
    spec: EpochSpec,
    data: DeviceData,
    plan: EpochPlan,
    hyper: HyperParameters,
    step: Tensor,
    parameters: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Compute the mean loss of the step's batch and its gradients by the parameters."""
    samples, targets = fetch_batch(spec, data, plan, hyper, step)
    return loss_and_gradients_of_batch(spec, plan, hyper, step, parameters, samples, targets)


def loss_and_gradients_of_batch(
    spec: EpochSpec,
    plan: EpochPlan,
    hyper: HyperParameters,
    step: Tensor,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """Compute what `loss_and_gradients` does, on a batch that has been fetched."""
    if hyper.ball is not None:
        samples = _move_samples(spec, plan, hyper, step, parameters, samples, targets)
    masks = draw_dropout_masks(spec, plan, hyper, step)
    if hyper.privacy:
        return _compute_private_gradients(spec, plan, hyper, step, parameters, samples, targets, masks)
    if not spec.further:
        return _compute_gradients(spec, hyper, parameters, samples, targets, masks)
    return _share_batch(spec, hyper, parameters, samples, targets, masks)


def _move_samples(
    spec: EpochSpec,
    plan: EpochPlan,
    hyper: HyperParameters,
    step: Tensor,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
) -> Tensor:
    """Return the samples as adversarial training sees them."""
    network = spec.network

    def compute_gradient(moved: Tensor) -> Tensor:
        forward_pass = mlp_gradients.forward(network, parameters, moved)
        gradient = differentiate_lead(forward_pass.logits, tf.argmax(targets, 1))
        return mlp_gradients.backward_to_samples(network, forward_pass, gradient)

    assert hyper.ball is not None
    number = plan.count_steps(step)
    return move_samples(hyper.ball, samples, hyper.seed, number, compute_gradient)


def _share_batch(
    spec: EpochSpec,
    hyper: HyperParameters,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
    masks: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Compute mean loss and gradients on several devices, each of which has an equal part of the rows.

    Batch and masks were drawn whole, so the numbers are those of one device, but for the order of sums.
    """
    devices = (spec.tf_device, *spec.further)
    rows = spec.batch // len(devices)
    losses: list[Tensor] = []
    gradients: list[list[Tensor]] = []
    for number, device in enumerate(devices):
        part = slice(number * rows, (number + 1) * rows)
        with tf.device(device):
            loss, shares = _compute_gradients(
                spec, hyper, parameters, samples[part], targets[part], [mask[part] for mask in masks]
            )
        losses.append(loss)
        gradients.append(shares)
    with tf.device(spec.tf_device):
        sums = [tf.add_n(list(shares)) for shares in zip(*gradients, strict=True)]
        return tf.add_n(losses) / len(devices), sums


def _compute_gradients(
    spec: EpochSpec,
    hyper: HyperParameters,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
    masks: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Compute the mean loss of these rows, and their part of the gradients of the batch's mean loss."""
    network = spec.network
    forward_pass = mlp_gradients.forward(network, parameters, samples, masks)
    loss, gradient = network.loss.compute_both(forward_pass.logits, targets)
    scale = hyper.loss_scale / spec.batch if spec.uses_loss_scale else None
    gradient = gradient / spec.batch if scale is None else gradient * scale
    gradients = mlp_gradients.backward(network, forward_pass, gradient, masks)
    if spec.uses_loss_scale:
        gradients = [gradient / hyper.loss_scale for gradient in gradients]
    return tf.reduce_mean(loss), gradients


def _compute_private_gradients(
    spec: EpochSpec,
    plan: EpochPlan,
    hyper: HyperParameters,
    step: Tensor,
    parameters: Sequence[Tensor],
    samples: Tensor,
    targets: Tensor,
    masks: Sequence[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Compute the mean loss of the drawn rows, and their clipped gradients' sum with noise, per batch."""
    assert hyper.privacy
    present = tf.cast(tf.gather(plan.rows, step) != sampling.EMPTY, spec.network.wide)
    loss, sums = perceptron.sum_clipped_gradients(
        spec.network, parameters, samples, targets, masks, present, hyper.privacy.clip_norm
    )
    number = plan.count_steps(step)
    return loss, noise.add_noise(sums, hyper.privacy, number, spec.batch)
