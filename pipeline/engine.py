"""The compiled training loop: a whole epoch is one call.

Parameters and optimizer state are carried through a `tf.while_loop` as tensors, the batch is gathered by a
row of `order`, gradients are written by hand (`layers`, `updates`). Whatever may differ between two trials
of the same shape (rates, momentum, smoothing, ...) is an argument, so that it never compiles again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pipeline import augment, layers, updates
from pipeline.augment import Changes
from pipeline.errors import BadSetting
from pipeline.layers import Net
from pipeline.meter import Held
from pipeline.quietly import Tensor, tf
from pipeline.settings import Adam, Engine, Mlp, Model, Policy, Settings, Sgd
from pipeline.streams import stream, uniform
from pipeline.updates import Rule

KEPT = 64
"""Compiled shapes that a process keeps; the one used longest ago goes first."""


# ---- which loop -------------------------------------------------------------------------------------


def choose_engine(device: str, policy: Policy, batch: int, model: Model) -> Engine:
    """The fastest loop that can train this; `device` is cpu or gpu."""
    if not isinstance(model, Mlp):
        return Engine.keras  # the fast loop knows the gradients of a perceptron only
    if device == "gpu":
        return Engine.xla  # one launch for many small kernels
    if policy is Policy.mixed_bfloat16 and batch >= 128:
        return Engine.graph  # XLA widens bfloat16 on a CPU, oneDNN multiplies in it
    return Engine.xla


def pick_engine(settings: Settings, held: Held) -> Engine:
    """The engine that the settings name, or the one `choose_engine` finds.

    Raises:
        BadSetting: the engine named cannot train this model or precision on this device.
    """
    policy, model = settings.precision.policy, settings.model
    if settings.engine is Engine.auto:
        return choose_engine(held.kind, policy, settings.train.batch_size, model)
    if settings.engine is not Engine.keras and not isinstance(model, Mlp):
        raise BadSetting(f"engine must be auto or keras unless model=mlp, got {settings.engine}")
    if settings.engine is Engine.graph and policy is Policy.mixed_float16 and held.kind == "cpu":
        # Without XLA float16 matrix products on a CPU run some 200 times slower.
        raise BadSetting(
            "engine must be auto, xla or keras with precision=mixed_float16 on a CPU, got graph; "
            "use precision=mixed_bfloat16 or engine=xla"
        )
    return settings.engine


# ---- what an epoch is made of -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes the compiled code of an epoch; equal recipes share it.

    `rows`, `batch`, `steps`: of the training split; `scale_late`: raw samples are scaled in each step;
    `loss_scaled`: the gradient is; `dropout`: there is some; `place`: TensorFlow's name of the device.
    """

    net: Net
    rule: Rule
    rows: int
    batch: int
    steps: int
    changes: Changes | None
    scale_late: bool
    loss_scaled: bool
    dropout: bool
    xla: bool
    place: str


class Data(NamedTuple):
    """Samples on the device: features [n, inputs], labels int32 [n], scaling () or [inputs]."""

    features: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor


class Plan(NamedTuple):
    """What one epoch does: rows of each batch int32 [steps, batch], and two numbers a step.

    `strides`, `shrinks`: see `updates`; `first`: steps of the run before this epoch, int64.
    """

    order: Tensor
    strides: Tensor
    shrinks: Tensor
    first: Tensor


class Knobs(NamedTuple):
    """Settings that do not shape the code: scalars of the wide type, but for `changes` [3], `seed` int64."""

    optimizer: tuple[Tensor, ...]
    smoothing: Tensor
    dropout: Tensor
    loss_scale: Tensor
    changes: Tensor
    seed: Tensor


class State(NamedTuple):
    """Parameters [W1, b1, ...] and, for each, what the optimizer remembers."""

    parameters: tuple[Tensor, ...]
    memory: tuple[tuple[Tensor, ...], ...]


def fresh_state(recipe: Recipe, weights: Sequence[np.ndarray]) -> State:
    """Weights on the device, memories zero."""
    with tf.device(recipe.place):
        parameters = tuple(tf.constant(array, recipe.net.wide) for array in weights)
        memory = tuple((tf.zeros_like(each),) * recipe.rule.memories for each in parameters)
    return State(parameters, memory)


def knobs(settings: Settings, wide: Tensor) -> Knobs:
    """The settings' numbers as tensors."""
    match settings.optimizer:
        case Sgd(momentum=momentum):
            amounts = [momentum]
        case Adam(beta1=beta1, beta2=beta2, epsilon=epsilon):
            amounts = [beta1, beta2, epsilon]
        case _:
            raise NotImplementedError(type(settings.optimizer).__name__)
    change = settings.augment
    return Knobs(
        tuple(tf.constant(amount, wide) for amount in amounts),
        tf.constant(settings.loss.label_smoothing, wide),
        tf.constant(getattr(settings.model, "dropout", 0.0), wide),
        tf.constant(settings.precision.loss_scale, wide),
        tf.constant([change.shift, change.crop, change.rotate], tf.float32),
        tf.constant(settings.train.seed, tf.int64),
    )


# ---- the loop ---------------------------------------------------------------------------------------

EpochFunction = Any
"""A `tf.function` of (Data, Plan, Tensor, Knobs, State) to (State, Tensor)."""


@lru_cache(maxsize=KEPT)
def compiled_epoch(recipe: Recipe) -> EpochFunction:
    """The epoch as one compiled function of (data, plan, steps to take, knobs, state).

    It returns the new state and the mean loss of those steps. Compilation happens in its first call.
    """

    def epoch(data: Data, plan: Plan, steps: Tensor, told: Knobs, state: State) -> tuple[State, Tensor]:
        def more(step: Tensor, _loss: Tensor, _state: State) -> Tensor:
            return step < steps

        def go(step: Tensor, loss: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
            samples, wanted = batch(recipe, data, plan, told, step)
            masks = dropout_masks(recipe, plan, told, step)
            batch_loss, gradients = descent(recipe, told, state, samples, wanted, masks)
            return step + 1, loss + batch_loss, moved(recipe, plan, told, state, gradients, step)

        begin = (tf.constant(0), tf.zeros((), recipe.net.wide), state)
        _, total, state = tf.while_loop(more, go, begin, parallel_iterations=1)
        return state, total / tf.cast(tf.maximum(steps, 1), total.dtype)

    return tf.function(epoch, jit_compile=recipe.xla, autograph=False)


def batch(recipe: Recipe, data: Data, plan: Plan, told: Knobs, step: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled, changed samples [batch, inputs] and their targets [batch, classes]."""
    rows = tf.gather(plan.order, step)
    samples = tf.gather(data.features, rows)
    wanted = layers.targets(recipe.net, tf.gather(data.labels, rows), told.smoothing)
    if recipe.scale_late:
        samples = tf.cast(samples, recipe.net.wide)
        if recipe.changes:
            seed = stream(told.seed, 0, plan.first + tf.cast(step, tf.int64))
            samples = augment.change(recipe.changes, told.changes, seed, samples)
        samples = (samples - data.mean) / data.std
    return samples, wanted


def dropout_masks(recipe: Recipe, plan: Plan, told: Knobs, step: Tensor) -> list[Tensor]:
    """For each hidden layer [batch, width]: zero, or what keeps the mean; none without dropout."""
    if not recipe.dropout:
        return []
    masks = []
    for layer, width in enumerate(recipe.net.sizes[1:-1], start=1):
        seed = stream(told.seed, layer, plan.first + tf.cast(step, tf.int64))
        drawn = uniform([recipe.batch, width], seed)
        kept = tf.cast(drawn >= tf.cast(told.dropout, tf.float32), recipe.net.narrow)
        masks.append(kept / tf.cast(1 - told.dropout, recipe.net.narrow))
    return masks


def descent(
    recipe: Recipe, told: Knobs, state: State, samples: Tensor, wanted: Tensor, masks: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Mean loss of a batch and its gradients by the parameters."""
    net = recipe.net
    done = layers.forward(net, state.parameters, samples, masks)
    slope = layers.loss_slope(net, done.logits, wanted) / recipe.batch
    if recipe.loss_scaled:
        slope *= told.loss_scale
    gradients = layers.backward(net, done, slope, masks)
    if recipe.loss_scaled:
        gradients = [gradient / told.loss_scale for gradient in gradients]
    return tf.reduce_mean(layers.losses(net, done.logits, wanted)), gradients


def moved(
    recipe: Recipe, plan: Plan, told: Knobs, state: State, gradients: list[Tensor], step: Tensor
) -> State:
    """The state after the optimizer's step."""
    stride, shrink = tf.gather(plan.strides, step), tf.gather(plan.shrinks, step)
    pairs = [
        updates.update(recipe.rule, told.optimizer, stride, shrink, parameter, memory, gradient)
        for parameter, memory, gradient in zip(*state, gradients, strict=True)
    ]
    return State(tuple(parameter for parameter, _ in pairs), tuple(memory for _, memory in pairs))


# ---- validation -------------------------------------------------------------------------------------

ScoreFunction = Callable[[Tensor, Tensor, Sequence[Tensor], Tensor], tuple[Tensor, Tensor]]


@lru_cache(maxsize=KEPT)
def compiled_score(net: Net, xla: bool) -> ScoreFunction:
    """A function of (features, labels, parameters, smoothing): sum of losses, number of right answers."""

    def score(
        features: Tensor, labels: Tensor, parameters: Sequence[Tensor], smoothing: Tensor
    ) -> tuple[Tensor, Tensor]:
        return tally(net, layers.forward(net, parameters, features).logits, labels, smoothing)

    wide, sizes = net.wide, net.sizes
    parameters = [tf.TensorSpec(shape, wide) for pair in pairwise(sizes) for shape in (pair, pair[1:])]
    function: ScoreFunction = tf.function(
        score, jit_compile=xla or None, autograph=False
    ).get_concrete_function(
        tf.TensorSpec([None, sizes[0]], wide),
        tf.TensorSpec([None], tf.int32),
        parameters,
        tf.TensorSpec([], wide),
    )
    return function


def tally(net: Net, logits: Tensor, labels: Tensor, smoothing: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of losses and number of right answers of logits [n, classes]."""
    right = tf.argmax(logits, 1, tf.int32) == labels
    losses = layers.losses(net, logits, layers.targets(net, labels, smoothing))
    return tf.reduce_sum(losses), tf.math.count_nonzero(right)
