"""Random numbers inside the compiled loop: counter-based (Philox), so no state and any order.

The generator's bits are the same on every engine and device; TensorFlow's own way from bits to floats is
not, so that step is done here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from pipeline.backend import Tensor, keras, tf

global_state = keras.src.backend.common.global_state  # Keras has no public way to its generator of seeds
GLOBAL_SEED_GENERATOR = keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR
FREE_DRAWS = 2**16
"""The first number of those draws of a network that name no seed."""


def derive_seed(seed: Tensor, use: int, step: Tensor) -> Tensor:
    """Return a seed int64 [2] of its own for each run, use and step.

    `use`: 0 for augmentation, 1 and more for the dropout of a layer, from `FREE_DRAWS` on for what draws
    without a seed.
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
    """Let `layers` drop the `shares` of their inputs by masks of (`seed`, order of the calls, step).

    So does what draws without a seed, as `keras.random.normal(shape)` in a layer of the user's own: the state
    of Keras' generator for that belongs to no network, so a step that has no side effects leaves it as it is.
    """
    uses, free_uses = _Counter(1), _Counter(FREE_DRAWS)

    def make_call(share: Tensor) -> Callable[..., Tensor]:
        def call(inputs: Tensor, training: bool = False) -> Tensor:
            if not training:
                return inputs
            return _drop_out(inputs, share, derive_seed(seed, uses.count(), get_step()))

        return call

    def draw_seed() -> Tensor:
        numbers = derive_seed(seed, free_uses.count(), get_step())
        return tf.random.stateless_uniform([2], numbers, None, None, tf.int64, alg="philox")

    before = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    for layer, share in zip(layers, shares, strict=True):
        layer.call = make_call(share)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, _SeedStream(draw_seed))
    try:
        yield
    finally:
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, before)
        for layer in layers:
            del layer.call


class _Counter:
    """Counts calls within each graph: a network may be traced more than once."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._counts: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()

    def count(self) -> int:
        """Return the number of this call."""
        return next(self._counts.setdefault(tf.compat.v1.get_default_graph(), count(self._start)))


@dataclass(frozen=True, slots=True)
class _SeedStream:
    """Stands for Keras' generator of seeds where a draw names none."""

    draw: Callable[[], Tensor]

    def next(self, ordered: bool = True) -> Tensor:  # noqa: ARG002
        """Return a seed int64 [2]."""
        return self.draw()


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
