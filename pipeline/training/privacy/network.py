"""Clipped gradients of the rows of a Keras network, without a gradient of a single row being kept.

A layer that multiplies by a matrix sees, for each row, T positions: what it gets, A [T, inputs], and the
gradient behind it, D [T, outputs]. The row's gradient is A' D; its squared norm is the sum of the products of
A A' and D D', or that of A' D itself, whichever is smaller to write (Bu, Mao and Xu 2022, arXiv 2205.10683).
A convolution is such a layer over its patches, an embedding one over its words (Lee and Kifer 2021, arXiv
2009.03106). A second backward pass, of losses weighed by how much each row is clipped, gives the sum.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.errors import BadModel
from pipeline.training.privacy.noise import clip_factors, mean_loss


class LayerCall(NamedTuple):
    """One call of a layer: what it got and what it gave, before its activation."""

    layer: Any
    inputs: Tensor
    output: Tensor


Forward = Callable[[], tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]]
"""Calls the network: losses of the rows [room], the other variables, and its penalties on weights."""


def sum_clipped_gradients(
    model: Any, trained: Sequence[Tensor], forward: Forward, present: Tensor, clip_norm: Tensor, batch: int
) -> tuple[Tensor, list[Tensor], Sequence[Tensor]]:
    """Compute the mean loss of the drawn rows, the sum of their clipped gradients, and the other variables.

    `trained`: values of the trainable variables; `present`: [room], 1 where a row was drawn, else 0.
    Penalties know no row: they are in the loss, and in the sum `batch` times, which divides it later.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(list(trained))
        with _record_calls(_list_weighted(model)) as calls:
            losses, others, penalties = forward()
    squares = _add_squares(calls, tape.gradient(losses, [call.output for call in calls]))
    factors = tf.stop_gradient(clip_factors(tf.cast(squares, losses.dtype), clip_norm, present))
    loss = mean_loss(losses, present)
    sums = [
        _to_dense(*pair) for pair in zip(tape.gradient(losses, list(trained), factors), trained, strict=True)
    ]
    for penalty in penalties:
        gradients = tape.gradient(penalty, list(trained), unconnected_gradients="zero")
        sums = [
            total + batch * tf.convert_to_tensor(each) for total, each in zip(sums, gradients, strict=True)
        ]
        loss += tf.cast(tf.reduce_sum(penalty), loss.dtype)
    return loss, sums, others


def _to_dense(gradient: Any, value: Tensor) -> Tensor:
    """Return a whole gradient: also what no row depends on gets noise, or its absence would tell."""
    return (
        tf.zeros_like(value)
        if gradient is None
        else tf.ensure_shape(tf.convert_to_tensor(gradient), value.shape)
    )


# ---- what the layers saw ------------------------------------------------------------------------------


@contextmanager
def _record_calls(layers: Sequence[Any]) -> Iterator[list[LayerCall]]:
    """Record the calls of `layers` while the block runs."""
    calls: list[LayerCall] = []
    kept = [(layer, getattr(layer, "activation", None)) for layer in layers]
    for layer in layers:
        _watch(layer, calls)
    try:
        yield calls
    finally:
        for layer, activation in kept:
            del layer.call
            if activation is not None:
                layer.activation = activation


def _watch(layer: Any, calls: list[LayerCall]) -> None:
    """Let a layer write down what it gets, and what it gives before its activation."""
    call, activation = layer.call, getattr(layer, "activation", None)
    before: list[Tensor] = []

    def activate(tensor: Tensor) -> Tensor:
        before.append(tensor)
        return activation(tensor)  # type: ignore[misc]

    def record(inputs: Tensor, **options: Any) -> Tensor:
        before.clear()
        output = call(inputs, **options)
        calls.append(LayerCall(layer, inputs, before[-1] if before else output))
        return output

    layer.call = record
    if activation is not None:
        layer.activation = activate


# ---- the norms of a layer's gradients -----------------------------------------------------------------


def _add_squares(calls: Sequence[LayerCall], by_outputs: Sequence[Tensor | None]) -> Tensor:
    """Compute the squared norm of each row's gradient by all trainable variables, [room]."""
    pairs = zip(calls, by_outputs, strict=True)
    return tf.add_n([_square_norms(*pair) for pair in pairs if pair[1] is not None])


def _square_norms(call: LayerCall, by_output: Tensor) -> Tensor:
    """Compute the squared norm of each row's gradient by the layer's trainable variables, [room]."""
    rows, positions, outputs = by_output.shape[0], by_output.shape[1:-1], by_output.shape[-1]
    deltas = tf.reshape(by_output, [rows, int(np.prod(positions)), outputs])
    if isinstance(call.layer, keras.layers.Embedding):
        words = tf.reshape(call.inputs, [rows, -1])
        same = tf.cast(words[:, :, None] == words[:, None, :], deltas.dtype)
        return tf.reduce_sum(same * tf.matmul(deltas, deltas, transpose_b=True), [1, 2])
    inputs = _make_patches(call) if hasattr(call.layer, "kernel_size") else call.inputs
    inputs = tf.reshape(tf.cast(inputs, deltas.dtype), [rows, deltas.shape[1], -1])
    squares = _square_products(inputs, deltas)
    if call.layer.use_bias:
        squares += tf.reduce_sum(tf.square(tf.reduce_sum(deltas, 1)), 1)
    return squares


def _square_products(inputs: Tensor, deltas: Tensor) -> Tensor:
    """Compute the squared norm of inputs' x deltas of each row, from [room, T, n] and [room, T, m]."""
    positions = inputs.shape[1]
    if positions == 1:
        squares = [tf.reduce_sum(tf.square(each[:, 0]), 1) for each in (inputs, deltas)]
        return squares[0] * squares[1]
    if 2 * positions**2 < inputs.shape[2] * deltas.shape[2]:
        grams = [tf.matmul(each, each, transpose_b=True) for each in (inputs, deltas)]
        return tf.reduce_sum(grams[0] * grams[1], [1, 2])
    return tf.reduce_sum(tf.square(tf.matmul(inputs, deltas, transpose_a=True)), [1, 2])


def _make_patches(call: LayerCall) -> Tensor:
    """Return what a convolution multiplies its kernel with, [room, ..., inputs of the kernel]."""
    layer, inputs, padding = call.layer, call.inputs, call.layer.padding
    sizes, strides, rates = (list(each) for each in (layer.kernel_size, layer.strides, layer.dilation_rate))
    if padding == "causal":  # nothing of what comes later
        inputs, padding = tf.pad(inputs, [[0, 0], [rates[0] * (sizes[0] - 1), 0], [0, 0]]), "valid"
    if len(sizes) == 1:  # over time: an image of height 1
        inputs, sizes, strides, rates = inputs[:, None], [1, *sizes], [1, *strides], [1, *rates]
    return tf.image.extract_patches(inputs, [1, *sizes, 1], [1, *strides, 1], [1, *rates, 1], padding.upper())


# ---- which networks -----------------------------------------------------------------------------------

KNOWN = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Embedding)
TOLERANCE = 1e-4
"""Difference of a row's answer that is rounding, relative to the largest."""
CLOSE = 1e-2
"""Difference of two norms that is rounding, relative to them."""
CHECKED = 6
"""Samples of a check: where rows are mixed at random, one of 720 draws leaves each where it is."""


def check_network(model: Any, shape: Sequence[int], largest: int) -> None:
    """Check that the gradient of each row of a network can be clipped by itself.

    `shape`: of a sample; `largest`: number that a sample of words may have.

    Raises:
        BadModel: a layer is not of those that are known here, or rows change each other's answers.
    """
    for layer in model._flatten_layers(include_self=False):
        if reason := _explain_unknown(layer):
            raise _explain_layer(layer, reason)
    draw = np.random.default_rng(0)
    samples = draw.integers(0, max(2, largest + 1), (CHECKED, *shape)).astype(np.float32)
    with _record_calls(_list_weighted(model)) as calls:
        first = np.asarray(model(tf.constant(samples[[0, 1]]), training=False))[0]
    for number, call in enumerate(calls):
        if any(call.layer is other.layer for other in calls[:number]):
            raise _explain_layer(call.layer, "it is used more than once")
    second = np.asarray(model(tf.constant(samples[[0, 2]]), training=False))[0]
    if np.abs(first - second).max() > TOLERANCE * max(1.0, float(np.abs(first).max())):
        raise _explain_mixing()
    _check_gradients(model, samples)


def _check_gradients(model: Any, samples: np.ndarray) -> None:
    """Check on some samples what a step takes for granted, however the network was put together.

    In training no row has a part in the other's answer, and the norms that are computed here are those of
    the gradients that a tape finds: weights may also be used beside their layers.
    """
    kinds = model.trainable_variables, model.non_trainable_variables
    trained, others = ([variable.value for variable in variables] for variables in kinds)
    rows = tf.constant(samples)
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch([rows, *trained])
        with _record_calls(_list_weighted(model)) as calls:
            answers, _ = model.stateless_call(trained, others, rows, training=True)
        flat = tf.reshape(answers, [len(samples), -1])
        losses = tf.linalg.matvec(flat, tf.range(1, flat.shape[1] + 1, dtype=flat.dtype))
        of_rows = tf.unstack(losses)
    outputs = [call.output for call in calls]
    squares = np.asarray(_add_squares(calls, tape.gradient(losses, outputs)))
    for number, loss in enumerate(of_rows):
        by_rows = [gradient for gradient in tape.gradient(loss, [rows, *outputs]) if gradient is not None]
        if any(np.delete(gradient, number, 0).any() for gradient in by_rows):
            raise _explain_mixing()
        by_weights = [gradient for gradient in tape.gradient(loss, trained) if gradient is not None]
        norm = float(tf.linalg.global_norm(list(map(tf.convert_to_tensor, by_weights))))
        norm_here = math.sqrt(squares[number])
        if abs(norm_here - norm) > CLOSE * norm:
            raise BadModel(
                "privacy=dp_sgd needs layers whose gradient is known row by row, got a network that uses "
                "weights beside their layers (as shared or low-rank ones), so that a norm of "
                f"{norm:.3g} was taken for {norm_here:.3g}; let each layer have weights of its own"
            )


def _explain_mixing() -> BadModel:
    return BadModel(
        "privacy=dp_sgd needs a network that answers to each row by itself, got one in which rows of a "
        "batch change each other's answers; leave out what is computed over the batch"
    )


def _explain_layer(layer: Any, reason: str) -> BadModel:
    return BadModel(
        f"privacy=dp_sgd needs layers whose gradient is known row by row, got {layer.name} "
        f"({reason}); use {', '.join(kind.__name__ for kind in KNOWN)} and layers without weights"
    )


def _explain_unknown(layer: Any) -> str:
    """Return why a layer's gradients cannot be clipped row by row; nothing where they can."""
    kind = type(layer)
    if isinstance(layer, keras.layers.BatchNormalization):
        return "BatchNormalization mixes the rows of a batch"
    if getattr(layer, "activity_regularizer", None) is not None:
        return "its penalty on outputs belongs to no row"
    if not layer.trainable_variables or isinstance(layer, keras.Model | keras.layers.InputLayer):
        return "" if kind.__module__.startswith("keras.") else "a layer of your own"
    if kind not in KNOWN:
        return kind.__name__
    if (layer.compute_dtype, layer.variable_dtype) != ("float32", "float32"):  # as of `precision`
        return f"its precision is {layer.dtype_policy.name}: set precision=float32, and no dtype in it"
    if getattr(layer, "groups", 1) != 1 or getattr(layer, "data_format", "channels_last") != "channels_last":
        return "a convolution in groups, or with channels first"
    activation = getattr(layer, "activation", None)
    return "its activation has weights" if isinstance(activation, keras.layers.Layer) else ""


def _list_weighted(model: Any) -> list[Any]:
    """List the layers that have trainable variables of their own."""
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    return [layer for layer in layers.values() if layer.trainable_variables and type(layer) in KNOWN]
