"""What goes into a run: samples on the device, their order, and the shape of the network."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared, Split
from pipeline.models import keras_models
from pipeline.models.scores import divide_squares, measure_classes, score_answers, sum_squares
from pipeline.settings.model import Activation, Output
from pipeline.settings.searching.measures import BY_ORDER
from pipeline.settings.settings import Settings
from pipeline.training.losses import loss_of
from pipeline.training.perceptron.mlp_gradients import NetworkSpec, Scores

MAX_SCORED_NUMBERS = 2**24
"""Numbers in the widest layer's output while scoring; more rows go through in portions."""


class DeviceData(NamedTuple):
    """Samples on the device: features [n, inputs], labels int32 [n], scaling () or [inputs].

    Labels that are quantities are in deviations of the training split, of the wide type.
    """

    features: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor


class EpochPlan(NamedTuple):
    """What one epoch does: rows of each batch int32 [steps, batch], and two numbers a step.

    `step_sizes`, `decay_factors`: see `UpdateRule`; `steps_before`: steps before this epoch, int64.
    """

    rows: Tensor
    step_sizes: Tensor
    decay_factors: Tensor
    steps_before: Tensor

    def count_steps(self, step: Tensor) -> Tensor:
        """Return the steps of the whole training before this step of the epoch, int64."""
        return self.steps_before + tf.cast(step, tf.int64)


def describe_network(settings: Settings, prepared: Prepared) -> NetworkSpec:
    """Return what shapes the network's code."""
    model = settings.model
    sizes = keras_models.list_layer_sizes(settings, prepared)
    activation = getattr(model, "activation", Activation.relu)
    output = getattr(model, "output", Output.softmax)
    return NetworkSpec(
        sizes=sizes,
        activation=activation,
        loss=loss_of(settings.loss, sizes[-1], output, np.asarray(prepared.train.labels)),
        policy=settings.precision.policy,
    )


def shuffle_rows(seed: int, number: int, rows: int, batch: int) -> np.ndarray:
    """Draw the rows of each batch of epoch `number`, int32 [rows // batch, batch]."""
    shuffled = np.random.default_rng([seed, 1, number]).permutation(rows).astype(np.int32)
    return shuffled[: rows // batch * batch].reshape(-1, batch)


MAX_CACHED_BYTES = 2**30
"""Samples that stay on the device for the next run on the same data."""

_cached: dict[tuple[object, ...], tuple[np.ndarray, DeviceData]] = {}


def load_cached(
    split: Split, prepared: Prepared, wide: Tensor, scaled_to: Tensor | None, tf_device: str
) -> DeviceData:
    """Load a split onto the device, and keep it for later runs of this process, as in a search."""
    scales = tuple(array.tobytes() for array in (prepared.scaling.mean, prepared.scaling.std))
    key = (id(split.features), id(split.labels), scales, prepared.target, wide, scaled_to, tf_device)
    if key not in _cached:
        with tf.device(tf_device):
            data = load_split(split, prepared, wide, scaled_to)
        # The array is kept as well: while it lives no other array has its id.
        _cached[key] = (split.features, data)
        _evict_oldest()
    return _cached[key][1]


def _evict_oldest() -> None:
    while len(_cached) > 1 and sum(_count_bytes(data) for _, data in _cached.values()) > MAX_CACHED_BYTES:
        del _cached[next(iter(_cached))]


def _count_bytes(data: DeviceData) -> int:
    return int(np.prod(data.features.shape)) * int(data.features.dtype.size)


def load_split(split: Split, prepared: Prepared, wide: Tensor, scaled_to: Tensor | None) -> DeviceData:
    """Return a split as tensors.

    `scaled_to`: the type of samples that are scaled now, once; None: they stay as they are.
    """
    features = tf.constant(np.asarray(split.features).reshape(len(split.labels), -1))
    shape = () if np.ndim(prepared.scaling.mean) == 0 else (-1,)
    mean, std = (
        tf.constant(np.reshape(array, shape), wide) for array in (prepared.scaling.mean, prepared.scaling.std)
    )
    if scaled_to:
        features = tf.cast((tf.cast(features, wide) - mean) / std, scaled_to)
    kind = tf.int32 if prepared.target is None else wide
    return DeviceData(features, tf.constant(scale_labels(split, prepared), kind), mean, std)


def scale_labels(split: Split, prepared: Prepared) -> np.ndarray:
    """Return labels as a network sees them: numbers of classes int32 [n], or quantities in deviations."""
    if prepared.target is None:
        return np.asarray(split.labels, np.int32)
    return prepared.target.scale(split.labels)


def finish_score(sums: Iterable[Scores], labels: np.ndarray, measure: str) -> tuple[float, float]:
    """Return mean loss and measure from what `sum_scores` gives of each portion of a split.

    `labels`: of the split [n], as `scale_labels` returns them: R2 of quantities, else the measure of that
    name.
    """
    losses, counts, outputs = 0.0, list[np.ndarray](), list[np.ndarray]()
    for loss, more, answers in sums:
        losses += float(loss)
        counts.append(np.asarray(more, np.float64))
        if measure in BY_ORDER:
            outputs.append(np.asarray(answers, np.float64))
    second = np.sum(counts, axis=0)
    if labels.dtype.kind == "f":
        return losses / len(labels), divide_squares(float(second), sum_squares(labels))
    if outputs:
        return losses / len(labels), score_answers(np.concatenate(outputs), labels, measure)
    there = np.bincount(labels, minlength=second.shape[1])
    return losses / len(labels), measure_classes(second[0], second[1], there, measure)


def is_streamed(settings: Settings, prepared: Prepared) -> bool:
    """Return whether samples stay on disk and are read batch by batch."""
    return prepared.train.features.nbytes > settings.data.in_memory_limit


def make_reader(
    split: Split, prepared: Prepared, kind: Tensor, batch: int
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return a function that reads rows int32 [batch] from disk: samples float32 [batch, inputs], labels.

    `kind`: of the labels, see `NetworkSpec.label_type`.
    """
    inputs = int(np.prod(split.features.shape[1:]))

    def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        samples = np.asarray(split.features[numbers], np.float32)
        labels = scale_labels(Split(samples, split.labels[numbers]), prepared)
        return samples.reshape(len(numbers), -1), labels.astype(kind.as_numpy_dtype)

    def read_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
        samples, labels = tf.numpy_function(read, [rows], (tf.float32, kind))
        return tf.ensure_shape(samples, [batch, inputs]), tf.ensure_shape(labels, [batch])

    return read_rows


def split_rows(rows: int, widest: int) -> list[slice]:
    """Return slices of rows that can be scored at once."""
    max_rows = max(1, MAX_SCORED_NUMBERS // widest)
    return [slice(start, min(start + max_rows, rows)) for start in range(0, rows, max_rows)]
