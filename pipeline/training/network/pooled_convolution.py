"""The activation of a convolution after the max-pooling behind it, in a plain graph on a CPU.

A function that never falls may be taken before or after the choice of the largest: the outcome is the same.
After it there are fewer numbers, four times fewer behind a 2 x 2 pooling, also for the gradient of the bias;
and the kernel that computes the gradient of the weights is a third faster without that of the bias.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.backend import Tensor, keras, tf

RISING = tuple(
    getattr(keras.activations, name)
    for name in ("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus")
)
"""Activations that never fall."""


def find_pooled_convolutions(model: Any) -> list[tuple[Any, Any]]:
    """Return the convolutions of a network that feed a max-pooling alone, each with its pooling."""
    if not _runs_its_graph(model):
        return []
    inner = [layer for layer in model.layers if _runs_its_graph(layer)]
    others = [layer for layer in model.layers if not _runs_its_graph(layer)]
    held = [part for layer in others for part in layer._flatten_layers(include_self=False)]  # called by them
    pairs = [
        (layer, layer._outbound_nodes[0].operation)
        for layer in others
        if _is_pooled_alone(layer) and not any(layer is output._keras_history[0] for output in model.outputs)
    ]
    pairs = [pair for pair in pairs if not any(part in pair for part in held)]
    return pairs + [pair for each in inner for pair in find_pooled_convolutions(each)]


def _runs_its_graph(layer: Any) -> bool:
    """Return whether it is a network that Keras calls layer by layer, not code of somebody's own."""
    is_network = isinstance(layer, keras.Model) and hasattr(layer, "outputs")
    return is_network and type(layer).call.__module__.startswith("keras.src.models.")


def _is_pooled_alone(layer: Any) -> bool:
    if type(layer) is not keras.layers.Conv2D:  # in one dimension nothing is gained
        return False
    if len(layer._inbound_nodes) != 1 or len(layer._outbound_nodes) != 1:
        return False
    pool = layer._outbound_nodes[0].operation
    return (
        type(pool) is keras.layers.MaxPooling2D
        and len(pool._inbound_nodes) == 1
        and (layer.activation is None or layer.activation in RISING)
        and layer.data_format == pool.data_format == "channels_last"
        and layer.compute_dtype == pool.compute_dtype
        and layer.activity_regularizer is None
    )


@contextmanager
def pool_before_activation(pairs: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Let each convolution leave its activation, and the gradient of its bias, to the pooling behind it."""
    for convolution, pool in pairs:
        convolution.call = _make_convolution_call(convolution)
        pool.call = _make_pooling_call(convolution, pool.call)
    try:
        yield
    finally:
        for pair in pairs:
            for layer in pair:
                del layer.call


def _make_convolution_call(convolution: Any) -> Callable[[Tensor], Tensor]:
    def call(inputs: Tensor) -> Tensor:
        outputs = convolution.convolution_op(inputs, convolution.kernel)
        if convolution.use_bias:  # the kernel adds it for nothing; its gradient would cost
            outputs = tf.nn.bias_add(outputs, tf.stop_gradient(_get_bias(convolution, outputs)))
        return outputs

    return call


def _make_pooling_call(convolution: Any, pool: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def pass_bias(outputs: Tensor, _bias: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
        """Return what `_bias` was added to before, with gradients as if it had been added here."""
        return outputs, lambda gradient: (gradient, tf.raw_ops.BiasAddGrad(out_backprop=gradient))

    def call(inputs: Tensor) -> Tensor:
        outputs = pool(inputs)
        if convolution.use_bias:
            outputs = pass_bias(outputs, _get_bias(convolution, outputs))
        return outputs if convolution.activation is None else convolution.activation(outputs)

    return call


def _get_bias(convolution: Any, outputs: Tensor) -> Tensor:
    return tf.cast(convolution.bias.value, outputs.dtype)
