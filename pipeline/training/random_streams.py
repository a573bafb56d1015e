"""Random numbers inside the compiled loop: counter-based (Philox), so no state and any order.

The generator's bits are the same on every engine and device; TensorFlow's own way from bits to floats is
not, so that step is done here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from pipeline.backend import Tensor, keras, tf


def derive_seed(seed: Tensor, use: int, step: Tensor) -> Tensor:
    """Return a seed int64 [2] of its own for each run, use and step.

    `use`: 0 for augmentation, 1 and more for the dropout of a layer.
    """
    return tf.stack([seed + (use << 32), tf.cast(step, tf.int64)])


def draw_uniform(shape: Sequence[int] | Tensor, seed: Tensor) -> Tensor:
    """Draw float32 numbers of `shape`, uniform in [0, 1): the upper 24 bits of each draw."""
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def find_dropout_layers(model: Any) -> list[Any]:
    """Return the dropout layers whose masks come from our streams: equal on every engine and device.

    Keras' own generator serves all other layers that draw: its state is part of the model's variables.
    """
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    return [
        layer
        for layer in layers.values()
        if type(layer) is keras.layers.Dropout and layer.noise_shape is None and 0 < layer.rate < 1
    ]


@contextmanager
def drop_out_by_streams(
    layers: Sequence[Any], shares: Sequence[Tensor], seed: Tensor, get_step: Callable[[], Tensor]
) -> Iterator[None]:
    """Let `layers` drop the `shares` of their inputs by masks of (`seed`, order of the calls, step)."""
    # A network may be traced more than once: calls are counted within each graph.
    uses: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()

    def make_call(share: Tensor) -> Callable[..., Tensor]:
        def call(inputs: Tensor, training: bool = False) -> Tensor:
            if not training:
                return inputs
            use = next(uses.setdefault(tf.compat.v1.get_default_graph(), count(1)))
            return _drop_out(inputs, share, derive_seed(seed, use, get_step()))

        return call

    for layer, share in zip(layers, shares, strict=True):
        layer.call = make_call(share)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


def _drop_out(inputs: Tensor, share: Tensor, seed: Tensor) -> Tensor:
    """Return the inputs, a share of them zero; the others are larger, so that the mean stays.

    16 random bits decide on a number, which takes half the time of a draw for each; so the share is a
    multiple of 2^-16.
    """
    count = tf.size(inputs)
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.int32, alg="philox")
    numbers = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count]
    bar = tf.cast(tf.round(share * 2.0**16), tf.int32)
    is_kept = tf.reshape(numbers >= tf.cast(bar - 2**15, tf.int16), tf.shape(inputs))
    factor = 1 / (1 - tf.cast(bar, tf.float32) * 2.0**-16)
    return inputs * (tf.cast(is_kept, inputs.dtype) * tf.cast(factor, inputs.dtype))
