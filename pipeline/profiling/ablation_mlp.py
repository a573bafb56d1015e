"""The compiled loop with parts of its work left out, so that what is left out can be timed.

Every variant is the loop of `engine` up to a rung of the ladder (see `breakdown`). Below `Rung.input` the
batch of the first step is used again and again. Compilers drop what nobody uses and lift out of a loop what
never changes, so gradients are carried from step to step, and under XLA the frozen samples are moved by a
number that is zero without the compiler knowing it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.profiling.breakdown import Rung
from pipeline.training import compiled_epoch, mlp_gradients, optimizer_steps
from pipeline.training.compiled_epoch import Knobs, Recipe, State
from pipeline.training.device_data import Data, Plan
from pipeline.training.loop import Inside

KEPT = 32


@lru_cache(maxsize=KEPT)
def compiled(recipe: Recipe, rung: Rung) -> Any:
    """A `tf.function` of (Data, Plan, steps to take, Knobs, State, desk) to something that needs them all."""
    loop = _with_update if rung >= Rung.update else _without_update
    return tf.function(partial(loop, recipe, rung), jit_compile=recipe.xla, autograph=False)


def caller(inside: Inside, rung: Rung) -> Callable[[int], None]:
    """Takes so many steps up to `rung` and waits for the device."""
    recipe, data, plan, told, state, desk = inside
    traced = compiled(recipe, rung).get_concrete_function(data, plan, tf.constant(0), told, state, desk)

    def take(steps: int) -> None:
        with tf.device(recipe.place):
            traced(data, plan, tf.constant(steps), told, state, desk)
        tf.test.experimental.sync_devices()

    return take


def twin(inside: Inside) -> Inside:
    """The same steps on a network of one unit a layer, one sample a batch: the kernels without their work."""
    recipe, data, plan, told, _, _ = inside
    net = replace(recipe.net, sizes=(1,) * (len(recipe.net.sizes) - 1) + (2,))
    small = replace(recipe, net=net, batch=1, changes=None)
    with tf.device(recipe.place):
        features = tf.identity(data.features[:, :1])
        labels = tf.zeros_like(data.labels)
        scaling = [tf.reshape(part, [-1])[0] for part in (data.mean, data.std)]
        order = tf.identity(plan.order[:, :1])
    parameters = [
        array for one, two in zip(net.sizes, net.sizes[1:], strict=False) for array in _filled(one, two)
    ]
    state = compiled_epoch.fresh_state(small, parameters)
    shrunk = Data(features, labels, *scaling)
    return Inside(
        small, shrunk, plan._replace(order=order), told, state, compiled_epoch.desk_for(small, state)
    )


def _filled(inputs: int, outputs: int) -> tuple[Any, Any]:
    import numpy as np

    return np.full((inputs, outputs), 0.01, np.float32), np.zeros(outputs, np.float32)


# ---- the loops --------------------------------------------------------------------------------------


def _samples(
    recipe: Recipe, rung: Rung, data: Data, plan: Plan, told: Knobs
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The batch of a step (number, total of the losses so far): fetched, or frozen below `Rung.input`."""
    if rung is Rung.input:
        return lambda step, _total: compiled_epoch.batch(recipe, data, plan, told, step)
    samples, wanted = compiled_epoch.batch(recipe, data, plan, told, tf.constant(0))
    if not recipe.xla:
        return lambda _step, _total: (samples, wanted)

    def moved(_step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        nothing = tf.minimum(tf.abs(total), tf.zeros_like(total))
        return samples + tf.cast(nothing, samples.dtype), wanted

    return moved


def _without_update(
    recipe: Recipe,
    rung: Rung,
    data: Data,
    plan: Plan,
    steps: Tensor,
    told: Knobs,
    state: State,
    desk: State | None,  # noqa: ARG001 (all loops are called alike; TensorFlow dislikes a name with _ in front)
) -> tuple[Tensor, list[Tensor]]:
    """Forward, and with `Rung.backward` the gradients, which are carried along."""
    fetch = _samples(recipe, rung, data, plan, told)

    def go(step: Tensor, total: Tensor, gradients: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        samples, wanted = fetch(step, total)
        if rung is Rung.backward:
            loss, gradients = compiled_epoch.slopes(
                recipe, plan, told, step, state.parameters, samples, wanted
            )
        else:
            masks = compiled_epoch.dropout_masks(recipe, plan, told, step)
            done = mlp_gradients.forward(recipe.net, state.parameters, samples, masks)
            loss = tf.reduce_mean(mlp_gradients.losses(recipe.net, done.logits, wanted))
        return step + 1, total + loss, gradients

    carried = [tf.zeros_like(each) for each in state.parameters] if rung is Rung.backward else []
    begin = (tf.constant(0), tf.zeros((), recipe.net.wide), carried)
    _, total, carried = tf.while_loop(lambda step, *_: step < steps, go, begin, parallel_iterations=1)
    return total, carried


def _with_update(
    recipe: Recipe,
    rung: Rung,
    data: Data,
    plan: Plan,
    steps: Tensor,
    told: Knobs,
    state: State,
    desk: State | None,
) -> tuple[Tensor, State]:
    """The whole step, on frozen samples or on fetched ones."""
    fetch = _samples(recipe, rung, data, plan, told)

    def by_value(step: Tensor, total: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        loss, gradients = compiled_epoch.slopes(
            recipe, plan, told, step, state.parameters, *fetch(step, total)
        )
        each = zip(*state, gradients, strict=True)
        pairs = [
            optimizer_steps.update(recipe.rule, *compiled_epoch.amounts(plan, told, step), *one)
            for one in each
        ]
        return step + 1, total + loss, State(*zip(*pairs, strict=True))

    def in_place(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        assert desk is not None
        parameters = [variable.read_value() for variable in desk.parameters]
        loss, gradients = compiled_epoch.slopes(recipe, plan, told, step, parameters, *fetch(step, total))
        for one in zip(*desk, gradients, strict=True):
            optimizer_steps.update_in_place(recipe.rule, *compiled_epoch.amounts(plan, told, step), *one)
        return step + 1, total + loss

    begin = (tf.constant(0), tf.zeros((), recipe.net.wide))
    if desk is None:
        _, total, state = tf.while_loop(lambda step, *_: step < steps, by_value, (*begin, state))
        return total, state
    tf.nest.map_structure(lambda variable, value: variable.assign(value), desk, state)
    _, total = tf.while_loop(lambda step, _: step < steps, in_place, begin, parallel_iterations=1)
    return total, State(*tf.nest.map_structure(lambda variable: variable.read_value(), desk))
