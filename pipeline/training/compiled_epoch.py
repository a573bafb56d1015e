"""The compiled training loop: a whole epoch is one call of one `tf.while_loop`.

A batch is gathered by a row of `order`; gradients are written by hand (`layers`, `updates`). Compiled by
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
from pipeline.errors import BadSetting
from pipeline.hardware.device import Held, supports_bfloat16
from pipeline.settings.model import Mlp, Model
from pipeline.settings.optimizer import Adam, Sgd
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import augmentation, mlp_gradients, optimizer_steps
from pipeline.training.augmentation import Changes
from pipeline.training.device_data import Data, Plan
from pipeline.training.mlp_gradients import Net
from pipeline.training.optimizer_steps import Rule
from pipeline.training.random_streams import stream, uniform

WARM_UP_SAMPLES = 2048
"""Samples on throw-away state before the clock, in three to twenty steps: the first few fault in memory."""

GRAPH_PAYS_FROM = 2**14
"""Batch x hidden width from which a plain graph beats XLA on a CPU.

A graph starts each of its kernels by itself, some 0.1 ms a step in all, but its matrix products and updates
are 4 to 10 % faster.
"""

KEPT = 64
"""Compiled shapes that a process keeps; the one used longest ago goes first."""


# ---- which loop -------------------------------------------------------------------------------------


def choose_engine(
    device: str, policy: Policy, batch: int, model: Model, native_bfloat16: bool = True
) -> Engine:
    """The fastest loop that can train this; `device` is cpu or gpu. Measured, see benchmarks/results.

    `native_bfloat16`: the CPU multiplies bfloat16 itself (AMX, AVX-512 BF16).
    """
    if not isinstance(model, Mlp):
        return Engine.keras  # the fast loop knows the gradients of a perceptron only
    if device == "gpu":
        return Engine.xla  # one launch for many small kernels
    if policy is Policy.mixed_float16:
        return Engine.xla  # a CPU's plain kernels for float16 are some 200 times slower
    if policy is Policy.mixed_bfloat16:
        # XLA widens bfloat16 on a CPU, a graph's kernels multiply in it; where the CPU cannot, they emulate
        # it at twice the time.
        return Engine.graph if native_bfloat16 else Engine.xla
    return Engine.graph if batch * model.hidden >= GRAPH_PAYS_FROM else Engine.xla


def pick_engine(settings: Settings, held: Held, streams: bool = False) -> Engine:
    """The engine that the settings name, or the one `choose_engine` finds.

    `streams`: the training samples stay on disk.

    Raises:
        BadSetting: the engine named cannot train this model or precision on this device.
    """
    policy, model = settings.precision.policy, settings.model
    if streams and settings.engine not in (Engine.auto, Engine.keras):
        raise BadSetting(
            f"engine must be auto or keras for samples larger than data.in_memory_limit="
            f"{settings.data.in_memory_limit}, got {settings.engine}; raise the limit or use engine=keras"
        )
    if settings.engine is Engine.auto:
        if streams:
            return Engine.keras
        return choose_engine(held.kind, policy, settings.train.batch_size, model, supports_bfloat16())
    if settings.engine is not Engine.keras and not isinstance(model, Mlp):
        raise BadSetting(f"engine must be auto or keras unless model=mlp, got {settings.engine}")
    if settings.engine is Engine.graph and policy is Policy.mixed_float16 and held.kind == "cpu":
        # Without XLA float16 matrix products on a CPU run some 200 times slower.
        raise BadSetting(
            "engine must be auto, xla or keras with precision=mixed_float16 on a CPU, got graph; "
            "use precision=mixed_bfloat16 or engine=xla"
        )
    return settings.engine


def warm_up_steps(batch: int, steps: int) -> int:
    """How many of an epoch's steps are taken before the clock."""
    return min(steps, max(3, min(20, WARM_UP_SAMPLES // batch)))


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
"""A `tf.function` of (Data, Plan, steps to take, Knobs, State, desk) to (State, mean loss of the steps)."""


@lru_cache(maxsize=KEPT)
def compiled_epoch(recipe: Recipe) -> EpochFunction:
    """The epoch as one compiled function; compilation happens in its first call.

    `desk` is what `desk_for` returned.
    """
    epoch = partial(_epoch_of_values if recipe.xla else _epoch_in_place, recipe)
    return tf.function(epoch, jit_compile=recipe.xla, autograph=False)


def desk_for(recipe: Recipe, state: State) -> State | None:
    """Variables that a graph works on, so that its fused kernels can write in place; XLA needs none."""
    if recipe.xla:
        return None
    with tf.device(recipe.place):
        laid = tf.nest.map_structure(tf.Variable, state)
    return State(*laid)


def _epoch_of_values(
    recipe: Recipe, data: Data, plan: Plan, steps: Tensor, told: Knobs, state: State, _desk: None
) -> tuple[State, Tensor]:
    """The state is carried through the loop; XLA fuses each update and writes it in place itself."""

    def go(step: Tensor, total: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        loss, gradients = descent(recipe, data, plan, told, step, state.parameters)
        each = zip(*state, gradients, strict=True)
        pairs = [optimizer_steps.update(recipe.rule, *amounts(plan, told, step), *one) for one in each]
        return step + 1, total + loss, State(*zip(*pairs, strict=True))

    begin = (tf.constant(0), tf.zeros((), recipe.net.wide), state)
    _, total, state = tf.while_loop(lambda step, *_: step < steps, go, begin)
    return state, _mean(total, steps)


def _epoch_in_place(
    recipe: Recipe, data: Data, plan: Plan, steps: Tensor, told: Knobs, state: State, desk: State
) -> tuple[State, Tensor]:
    """The state is laid on the desk, changed there by fused kernels, and taken up again."""

    def go(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        parameters = [variable.read_value() for variable in desk.parameters]
        loss, gradients = descent(recipe, data, plan, told, step, parameters)
        for one in zip(*desk, gradients, strict=True):
            optimizer_steps.update_in_place(recipe.rule, *amounts(plan, told, step), *one)
        return step + 1, total + loss

    tf.nest.map_structure(lambda variable, value: variable.assign(value), desk, state)
    begin = (tf.constant(0), tf.zeros((), recipe.net.wide))
    _, total = tf.while_loop(lambda step, _: step < steps, go, begin, parallel_iterations=1)
    return State(*tf.nest.map_structure(lambda variable: variable.read_value(), desk)), _mean(total, steps)


def _mean(total: Tensor, steps: Tensor) -> Tensor:
    return total / tf.cast(tf.maximum(steps, 1), total.dtype)


def amounts(plan: Plan, told: Knobs, step: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """What `updates.update` wants to know of this step, ahead of the parameter."""
    return told.optimizer, tf.gather(plan.strides, step), tf.gather(plan.shrinks, step)


def descent(
    recipe: Recipe, data: Data, plan: Plan, told: Knobs, step: Tensor, parameters: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Mean loss of the step's batch and its gradients by the parameters."""
    samples, wanted = batch(recipe, data, plan, told, step)
    return slopes(recipe, plan, told, step, parameters, samples, wanted)


def slopes(
    recipe: Recipe,
    plan: Plan,
    told: Knobs,
    step: Tensor,
    parameters: Sequence[Tensor],
    samples: Tensor,
    wanted: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """`descent` on a batch that has been fetched."""
    net, masks = recipe.net, dropout_masks(recipe, plan, told, step)
    done = mlp_gradients.forward(net, parameters, samples, masks)
    loss, slope = mlp_gradients.loss_and_slope(net, done.logits, wanted)
    slope = slope * (told.loss_scale / recipe.batch) if recipe.loss_scaled else slope / recipe.batch
    gradients = mlp_gradients.backward(net, done, slope, masks)
    if recipe.loss_scaled:
        gradients = [gradient / told.loss_scale for gradient in gradients]
    return tf.reduce_mean(loss), gradients


def batch(recipe: Recipe, data: Data, plan: Plan, told: Knobs, step: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled, changed samples [batch, inputs] and their targets [batch, classes]."""
    rows = tf.gather(plan.order, step)
    samples = tf.gather(data.features, rows)
    wanted = mlp_gradients.targets(recipe.net, tf.gather(data.labels, rows), told.smoothing)
    if recipe.scale_late:
        samples = tf.cast(samples, recipe.net.wide)
        if recipe.changes:
            seed = stream(told.seed, 0, plan.first + tf.cast(step, tf.int64))
            # Many small kernels on a whole batch: XLA makes one of them, also inside a plain graph.
            change = tf.function(
                partial(augmentation.change, recipe.changes), jit_compile=True, autograph=False
            )
            samples = change(told.changes, seed, samples)
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
