"""What goes into a run: samples on the device, their order, and the shape of the network."""

from typing import NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared, Split
from pipeline.models import keras_models
from pipeline.settings.model import Activation, Mlp, Output
from pipeline.settings.settings import Settings
from pipeline.settings.training import BinaryCrossEntropy, Reduction
from pipeline.training.mlp_gradients import Net

SCORED_AT_ONCE = 2**24
"""Numbers in the widest layer's output while scoring; more rows go through in portions."""


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


def describe(settings: Settings, prepared: Prepared) -> Net:
    """What shapes the network's code."""
    model, loss = settings.model, settings.loss
    sizes = keras_models.layer_sizes(settings, prepared)
    summed = isinstance(loss, BinaryCrossEntropy) and loss.reduction is Reduction.sum
    activation = model.activation if isinstance(model, Mlp) else Activation.relu  # Keras knows its own
    output = getattr(model, "output", Output.softmax)
    return Net(sizes, activation, output, type(loss), settings.precision.policy, summed)


def order(seed: int, number: int, rows: int, batch: int) -> np.ndarray:
    """Rows of each batch of epoch `number`, int32 [rows // batch, batch]."""
    shuffled = np.random.default_rng([seed, 1, number]).permutation(rows).astype(np.int32)
    return shuffled[: rows // batch * batch].reshape(-1, batch)


KEPT_BYTES = 2**30
"""Samples that stay on the device for the next run on the same data."""

_kept: dict[tuple[object, ...], tuple[np.ndarray, Data]] = {}


def resident(split: Split, prepared: Prepared, wide: Tensor, scaled_to: Tensor | None, place: str) -> Data:
    """`on_device` at `place`, kept for later runs of this process, as in a search."""
    scales = tuple(part.tobytes() for part in (prepared.scaling.mean, prepared.scaling.std))
    key = (id(split.features), id(split.labels), scales, wide, scaled_to, place)
    if key not in _kept:
        with tf.device(place):
            data = on_device(split, prepared, wide, scaled_to)
        # The array is kept as well: while it lives nobody else has its id.
        _kept[key] = (split.features, data)
        _forget_oldest()
    return _kept[key][1]


def _forget_oldest() -> None:
    while len(_kept) > 1 and sum(_bytes(data) for _, data in _kept.values()) > KEPT_BYTES:
        del _kept[next(iter(_kept))]


def _bytes(data: Data) -> int:
    return int(np.prod(data.features.shape)) * int(data.features.dtype.size)


def on_device(split: Split, prepared: Prepared, wide: Tensor, scaled_to: Tensor | None) -> Data:
    """A split as tensors. `scaled_to`: the type of samples that are scaled now, once; None: they stay raw."""
    features = tf.constant(np.asarray(split.features).reshape(len(split.labels), -1))
    shape = () if np.ndim(prepared.scaling.mean) == 0 else (-1,)
    mean, std = (
        tf.constant(np.reshape(part, shape), wide) for part in (prepared.scaling.mean, prepared.scaling.std)
    )
    if scaled_to:
        features = tf.cast((tf.cast(features, wide) - mean) / std, scaled_to)
    return Data(features, tf.constant(np.asarray(split.labels, np.int32)), mean, std)


def streams(settings: Settings, prepared: Prepared) -> bool:
    """Whether samples stay on disk and are read batch by batch."""
    return prepared.train.features.nbytes > settings.data.in_memory_limit


def portions(rows: int, widest: int) -> list[slice]:
    """Slices of rows that can be scored at once."""
    most = max(1, SCORED_AT_ONCE // widest)
    return [slice(at, min(at + most, rows)) for at in range(0, rows, most)]
