"""What a trained model costs to use: latency, throughput, arithmetic, memory, size."""

import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend import keras, tf
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch, Raw, take_batch
from pipeline.measures import Cost, Latency
from pipeline.models import litert
from pipeline.settings.measuring import Runtime
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from keras import Model

Predict = Callable[[Any], np.ndarray]

SECONDS_A_SIZE = 0.2
"""How long each batch size is repeated."""
FEWEST_CALLS = 3
MOST_SAMPLES = 1024
"""Samples that take turns in single calls; they are read from disk before the clock starts."""


def profile(model: "Model", predict: Predict, prepared: Prepared, settings: Settings) -> Cost:
    """Time `predict` on test samples and weigh `model`, on the device that holds its weights.

    `predict`: what a user can send, n samples -> probabilities [n, classes], compiled from `model`. Timed is
    what a caller waits for: copy in, front end, scaling, forward pass, copy out. Single samples are answered
    by `profile.runtime`.
    """
    features, told = prepared.test.samples, settings.profile
    single = predict if told.runtime is Runtime.compiled else litert.answerer(model, told.runtime)
    latency = latency_of(single, features, told.repeats, told.warmup)
    throughput = {size: throughput_of(predict, features, size) for size in told.batch_sizes}
    memory, source = peak_memory(model, predict, batch_of(features, max(told.batch_sizes)))
    return Cost(
        latency=latency,
        throughput=throughput,
        parameters=sum(math.prod(weights.shape) for weights in model.trainable_weights),
        flops=flops_of(model),
        peak_memory_bytes=memory,
        memory_source=source,
        model_bytes=saved_bytes(model),
    )


# ---- time ---------------------------------------------------------------------------------------------


def latency_of(predict: Predict, features: Raw, repeats: int, warmup: int) -> Latency:
    """Percentiles over `repeats` single calls, each with the next sample, after `warmup` uncounted ones."""
    samples = singles(features, repeats)
    for call in range(warmup):
        predict(samples[call % len(samples)])
    spent = np.empty(repeats)
    for call in range(repeats):
        sample = samples[call % len(samples)]
        start = time.perf_counter_ns()
        predict(sample)
        spent[call] = time.perf_counter_ns() - start
    p50, p95, p99 = np.percentile(spent / 1e6, [50, 95, 99])
    return Latency(float(p50), float(p95), float(p99), repeats)


def singles(features: Raw, calls: int) -> list[Batch]:
    """Samples for so many calls, one each; those of the first 1,024 take turns."""
    most = min(calls, len(features), MOST_SAMPLES)
    batch = batch_of(features, most)
    return [take_batch(batch, slice(row, row + 1)) for row in range(most)]


def throughput_of(predict: Predict, features: Raw, size: int) -> float:
    """Samples a second in calls of `size` rows: by the median of some 0.2 s of calls, three at least.

    The median, so that one call during which the machine did something else does not count for many.
    """
    batch = batch_of(features, size)
    predict(batch)  # compiles
    spent: list[int] = []
    while len(spent) < FEWEST_CALLS or sum(spent) < SECONDS_A_SIZE * 1e9:
        start = time.perf_counter_ns()
        predict(batch)
        spent.append(time.perf_counter_ns() - start)
    return size / (float(np.median(spent)) / 1e9)


def batch_of(features: Raw, size: int) -> Batch:
    """The first `size` rows in memory, from the start again where there are too few."""
    batch: Batch = keras.tree.map_structure(np.ascontiguousarray, features[np.arange(size) % len(features)])
    return batch


# ---- arithmetic, memory, size -------------------------------------------------------------------------


def flops_of(model: "Model") -> int:
    """Multiplications and additions in the products of one sample: two for each weight and place.

    Counted: Dense (a kernel of inputs x outputs, one place) and convolutions (a kernel of height x width x
    channels x filters, at each place of the output), in nested models, too. Not counted: biases, activations,
    scaling, pooling, softmax, and layers of any other kind. In a perceptron those are some units a neuron.
    """
    return sum(_products(layer) for layer in model._flatten_layers(include_self=False))


def _products(layer: Any) -> int:
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(map(int, layer.kernel.shape + layer.output.shape[1:-1]))
    if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Conv3D):
        places = layer.output.shape[1:-1] if layer.data_format == "channels_last" else layer.output.shape[2:]
        return 2 * math.prod(map(int, layer.kernel.shape + places))
    return 0


def peak_memory(model: "Model", predict: Predict, batch: Batch) -> tuple[int, str]:
    """Bytes needed to answer `batch`, and who counted them.

    Counted by TensorFlow's allocator on the device that holds the weights: the weights, and what was taken
    beyond the standing memory at the peak of one call. So training data that still lies there is left out,
    and so is the interpreter. On a CPU it leaves out tensors up to 256 KiB as well (seen with TensorFlow
    2.21), which matters for small networks and batches. Where it keeps no count: the highest memory of the
    whole process since its start.
    """
    device = _device_of(model)
    predict(batch)  # compiles
    try:
        tf.config.experimental.reset_memory_stats(device)
        standing = tf.config.experimental.get_memory_info(device)["current"]
        predict(batch)
        peak = tf.config.experimental.get_memory_info(device)["peak"]
    except (ValueError, tf.errors.OpError):
        return process_peak(), "whole process"
    weights = sum(math.prod(each.shape) * tf.as_dtype(each.dtype).size for each in model.variables)
    limits = ", tensors over 256 KiB" if device.startswith("CPU") else ""
    return weights + max(0, peak - standing), f"allocator of {device}{limits}"


def _device_of(model: "Model") -> str:
    """`CPU:0`, `GPU:0`."""
    spec = tf.DeviceSpec.from_string(model.variables[0].value.device)
    return f"{spec.device_type}:{spec.device_index}"


def process_peak() -> int:
    """Highest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def saved_bytes(model: "Model") -> int:
    """Size of the model as a .keras file, weights and description."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.stat().st_size
