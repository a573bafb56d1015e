"""The compiled training loop: an epoch is one call of one `tf.while_loop`.

A batch is gathered by a row of `EpochPlan.rows`; gradients are written by hand (`mlp_gradients`). Compiled by
XLA, the loop carries parameters and optimizer state as tensors; as a plain graph, it changes variables by
fused kernels. Either way a call takes a state and returns a new one. Whatever may differ between two
trials of the same shape (rates, momentum, smoothing, ...) is an argument, so that it never compiles again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.settings.settings import Settings
from pipeline.training import augmentation, mlp_gradients
from pipeline.training.adversarial.fgsm import BallTensors, move_samples
from pipeline.training.augmentation import ImageChanges
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.mlp_gradients import NetworkSpec
from pipeline.training.optimizers import UpdateRule, rule_class
from pipeline.training.privacy import noise, perceptron, sampling
from pipeline.training.privacy.account import open_account
from pipeline.training.privacy.noise import PrivacyNumbers
from pipeline.training.random_streams import derive_seed, draw_uniform

WARM_UP_SAMPLES = 2048
"""Samples on throw-away state before the clock, in three to twenty steps: the first few fault in memory."""

MAX_COMPILED = 64
"""Compiled shapes that a process keeps; the one used longest ago goes first."""


def count_warm_up_steps(batch: int, steps: int) -> int:
    """Return how many of an epoch's steps are taken before the clock runs."""
    return min(steps, max(3, min(20, WARM_UP_SAMPLES // batch)))


# ---- what an epoch is made of -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSpec:
    """Everything that shapes the compiled code of an epoch; equal specs share it.

    `rows`, `batch`, `steps`: of the training split; `scales_in_step`: samples are scaled in
    each step, not beforehand; `tf_device`: TensorFlow's name of the device; `further`: of others that share
    each batch with it; `room`: rows that a private step has room for, 0 without privacy.
    """

    network: NetworkSpec
    rule: UpdateRule
    rows: int
    batch: int
    steps: int
    changes: ImageChanges | None
    scales_in_step: bool
    uses_loss_scale: bool
    uses_dropout: bool
    xla: bool
    tf_device: str
    further: tuple[str, ...] = ()
    room: int = 0

    @property
    def places(self) -> int:
        """Return how many rows a step computes with; those of a private one may be empty."""
        return self.room or self.batch


class HyperParameters(NamedTuple):
    """Settings that do not shape the code: scalars of the wide type, but for `changes` [3], `seed` int64.

    `ball`: how far adversarial training moves samples; None: it does not, which shapes the code.
    """

    optimizer: tuple[Tensor, ...]
    smoothing: Tensor
    dropout: Tensor
    loss_scale: Tensor
    changes: Tensor
    seed: Tensor
    privacy: PrivacyNumbers | tuple[()] = ()
    ball: BallTensors | None = None


class LoopState(NamedTuple):
    """Parameters [W1, b1, ...] and, for each, the optimizer's slots."""

    parameters: tuple[Tensor, ...]
    slots: tuple[tuple[Tensor, ...], ...]


def make_state(spec: EpochSpec, weights: Sequence[np.ndarray]) -> LoopState:
    """Return a state with `weights` on the device and slots of zero."""
    with tf.device(spec.tf_device):
        parameters = tuple(tf.constant(array, spec.network.wide) for array in weights)
        slots = tuple((tf.zeros_like(parameter),) * spec.rule.slots for parameter in parameters)
    return LoopState(parameters, slots)


def make_hyper_parameters(
    settings: Settings, wide: Tensor, rows: int = 0, ball: BallTensors | None = None
) -> HyperParameters:
    """Return the settings' numbers as tensors; `rows`: of the training split, which a private one needs."""
    arguments = rule_class(settings.optimizer).get_arguments(settings.optimizer)
    augment = settings.augment
    return HyperParameters(
        tuple(tf.constant(number, wide) for number in arguments),
        tf.constant(settings.loss.label_smoothing, wide),
        tf.constant(getattr(settings.model, "dropout", 0.0), wide),
        tf.constant(settings.precision.loss_scale, wide),
        tf.constant([augment.shift, augment.crop, augment.rotate], tf.float32),
        tf.constant(settings.train.seed, tf.int64),
        _make_privacy_numbers(settings, wide, rows),
        ball,
    )


def _make_privacy_numbers(settings: Settings, wide: Tensor, rows: int) -> PrivacyNumbers | tuple[()]:
    account, privacy = open_account(settings, rows), settings.privacy
    if account is None:
        return ()
    seed = sampling.choose_seed(settings.train.seed, privacy.repeatable)
    clip_norm, multiplier = (tf.constant(number, wide) for number in (privacy.clip_norm, account.noise))
    return PrivacyNumbers(clip_norm, multiplier, tf.constant(seed, tf.int64))


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
    return state, _divide_by_steps(total, steps)


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
    return state, _divide_by_steps(total, steps)


def _divide_by_steps(total: Tensor, steps: Tensor) -> Tensor:
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
        _, gradient = network.loss.compute_both(forward_pass.logits, targets)
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


def fetch_batch(
    spec: EpochSpec, data: DeviceData, plan: EpochPlan, hyper: HyperParameters, step: Tensor
) -> tuple[Tensor, Tensor]:
    """Return scaled, changed samples [batch, inputs] and their targets [batch, classes]."""
    rows = tf.gather(plan.rows, step)
    if spec.room:
        rows = tf.maximum(rows, 0)  # an empty place computes with any row, which counts for nothing
    samples = tf.gather(data.features, rows)
    targets = mlp_gradients.make_targets(spec.network, tf.gather(data.labels, rows), hyper.smoothing)
    if spec.scales_in_step:
        samples = tf.cast(samples, spec.network.wide)
        if spec.changes:
            seed = derive_seed(hyper.seed, 0, plan.count_steps(step))
            # Many small kernels on a full batch: XLA makes one of them, also inside a plain graph.
            change = tf.function(
                partial(augmentation.change_images, spec.changes), jit_compile=True, autograph=False
            )
            samples = change(hyper.changes, seed, samples)
        samples = (samples - data.mean) / data.std
    return samples, targets


def draw_dropout_masks(
    spec: EpochSpec, plan: EpochPlan, hyper: HyperParameters, step: Tensor
) -> list[Tensor]:
    """Return for each hidden layer zeros, or factors that keep the mean, [batch, width]."""
    if not spec.uses_dropout:
        return []
    masks = []
    for layer, width in enumerate(spec.network.sizes[1:-1], start=1):
        seed = derive_seed(hyper.seed, layer, plan.count_steps(step))
        numbers = draw_uniform([spec.places, width], seed)
        mask = tf.cast(numbers >= tf.cast(hyper.dropout, tf.float32), spec.network.narrow)
        masks.append(mask / tf.cast(1 - hyper.dropout, spec.network.narrow))
    return masks
