"""Batch normalisation by TensorFlow's fused kernel, in a plain graph on a CPU.

Keras writes it as some twenty operations, forward and backward, and a plain graph takes each of them in a
pass of its own over memory: more than half of the time of a small network with convolutions. The fused kernel
computes the same to rounding. XLA fuses what Keras wrote by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.backend import Tensor, keras, tf

LEAST_AXES = 3
"""Of the inputs: rows of single numbers are too few for the fused kernel to gain anything."""


def find_norm_layers(model: Any) -> list[Any]:
    """Return the layers of a network whose statistics are those that the fused kernel computes."""
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    return [
        layer
        for layer in layers.values()
        if type(layer) is keras.layers.BatchNormalization
        and not layer.synchronized
        and not getattr(layer, "renorm", False)
    ]


@contextmanager
def normalize_by_fused_kernel(layers: Sequence[Any]) -> Iterator[None]:
    """Let `layers` normalise by the fused kernel where it can do what they are asked for."""
    for layer in layers:
        layer.call = _make_call(layer, layer.call)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _make_call(layer: Any, call_keras: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        axes = len(inputs.shape)
        fits = (
            training is True
            and layer.trainable
            and mask is None
            and inputs.dtype != tf.float64
            and layer.variable_dtype == "float32"  # the kernel knows no other
            and axes >= LEAST_AXES
            and layer.axis % axes == axes - 1
        )
        if not fits:
            return call_keras(inputs, training=training, mask=mask)
        outputs = _normalize(layer, tf.cast(inputs, tf.float32))
        return tf.cast(outputs, layer.compute_dtype)

    return call


def _normalize(layer: Any, inputs: Tensor) -> Tensor:
    """Return the inputs, normalised as in training; move the layer's averages as Keras does."""
    channels = inputs.shape[-1]
    images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, [tf.shape(inputs)[0], -1, 1, channels])
    unknown = tf.zeros([0])
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=layer.gamma.value if layer.scale else tf.ones([channels]),
        offset=layer.beta.value if layer.center else tf.zeros([channels]),
        mean=unknown,
        variance=unknown,
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel's variance is that of the population the batch was drawn from, Keras' that of the batch.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    for average, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance * (count - 1) / count),
    ):
        average.assign(average.value * layer.momentum + value * (1 - layer.momentum))
    return tf.reshape(outputs, tf.shape(inputs)) if images is not inputs else outputs
