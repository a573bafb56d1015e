"""Random numbers inside the compiled loop: counter-based, so no state and any order.

Philox draws two keys for each step, and a hash of the keys and its place makes each number. All of them by
Philox would take longer than the rest of many a step: XLA on a CPU needs 17 nanoseconds for one, and half of
one for the hash. Bits are the same on every engine and device; TensorFlow's own way from bits to floats is
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


def draw_bits(count: int | Tensor, seed: Tensor) -> Tensor:
    """Draw uint32 numbers [count], for masks and starts, not for secrets.

    The places, multiplied by an odd number (2^32 by the golden ratio), go through two rounds of a shift and a
    product, as the last steps of MurmurHash3 do it; the factors are those that C. Wellons' search for the
    least bias has found ("lowbias32", 2018). The second key comes between the rounds: with the first alone,
    two steps would have one sequence, shifted.
    """
    keys = tf.random.stateless_uniform([2], seed, None, None, tf.uint32, alg="philox")
    mixed = tf.cast(tf.range(count), tf.uint32) * tf.constant(0x9E3779B1, tf.uint32) + keys[0]
    mixed = _fold(mixed, 16) * tf.constant(0x7FEB352D, tf.uint32)
    mixed = _fold(tf.bitwise.bitwise_xor(mixed, keys[1]), 15) * tf.constant(0x846CA68B, tf.uint32)
    return _fold(mixed, 16)


def _fold(numbers: Tensor, bits: int) -> Tensor:
    return tf.bitwise.bitwise_xor(numbers, _shift(numbers, bits))


def _shift(numbers: Tensor, bits: int) -> Tensor:
    return tf.bitwise.right_shift(numbers, tf.constant(bits, tf.uint32))


def draw_uniform(shape: Sequence[int] | Tensor, seed: Tensor) -> Tensor:
    """Draw float32 numbers of `shape`, uniform in [0, 1): the upper 24 bits of each draw."""
    bits = draw_bits(tf.reduce_prod(shape), seed)
    return tf.reshape(tf.cast(_shift(bits, 8), tf.float32) * 2.0**-24, shape)


def draw_mask(shape: Sequence[int] | Tensor, share: Tensor, seed: Tensor, dtype: Any) -> Tensor:
    """Draw a mask of `shape`: a share of it zero, the rest the factor that keeps the mean.

    The share is a multiple of 2^-24.
    """
    bar = tf.round(tf.cast(share, tf.float32) * 2.0**24)
    bits = draw_bits(tf.reduce_prod(shape), seed)  # two decisions a draw would stop XLA from using vectors
    is_kept = _shift(bits, 8) >= tf.cast(bar, tf.uint32)
    factor = 1 / (1 - bar * 2.0**-24)
    return tf.reshape(tf.cast(is_kept, dtype) * tf.cast(factor, dtype), shape)


def find_dropout_layers(model: Any) -> list[Any]:
    """Return the dropout layers whose masks come from our streams: equal on every engine and device.

    Keras' own generator serves all other layers that draw: its state is part of the model's variables. So it
    does in the cell of an RNN, where each step of a sequence has a mask of its own.
    """
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    cells = [layer.cell for layer in layers.values() if isinstance(layer, keras.layers.RNN)]
    within = {id(part) for cell in cells for part in cell._flatten_layers()}
    return [
        layer
        for number, layer in layers.items()
        if type(layer) is keras.layers.Dropout
        and layer.noise_shape is None
        and 0 < layer.rate < 1
        and number not in within
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
            seed_now = derive_seed(seed, uses.count(), get_step())
            return inputs * draw_mask(tf.shape(inputs), share, seed_now, inputs.dtype)

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
