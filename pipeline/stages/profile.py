"""What a trained model costs to use: latency, throughput, size, arithmetic, memory."""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.measures import Cost, Latency
from pipeline.prepared import Prepared
from pipeline.quietly import keras, tf
from pipeline.settings import Settings

if TYPE_CHECKING:
    from keras import Model

Predict = Callable[[np.ndarray], np.ndarray]
SECONDS_A_BATCH_SIZE = 0.2


def profile(model: "Model", predict: Predict, prepared: Prepared, settings: Settings) -> Cost:
    """Time `predict` on test samples and weigh `model`.

    `predict`: raw features [n, *shape] -> probabilities [n, classes], with everything a caller waits for:
    copy in, scaling, forward pass, copy out.
    """
    features = prepared.test.features
    latency = latency_of(predict, features, settings.profile.repeats, settings.profile.warmup)
    throughput = {size: throughput_of(predict, features, size) for size in settings.profile.batch_sizes}
    return Cost(
        latency=latency,
        throughput=throughput,
        parameters=int(sum(np.prod(weights.shape) for weights in model.trainable_weights)),
        flops=flops_of(model),
        peak_memory_bytes=peak_memory(),
        model_bytes=saved_bytes(model),
    )


def latency_of(predict: Predict, features: np.ndarray, repeats: int, warmup: int) -> Latency:
    """Percentiles of single calls, another sample each time."""
    samples = [np.asarray(features[row % len(features)])[None] for row in range(min(repeats, len(features)))]
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


def throughput_of(predict: Predict, features: np.ndarray, size: int) -> float:
    """Samples a second in calls of `size` rows; the median call of about 0.2 s of calls, three at least."""
    rows = np.resize(np.arange(len(features)), size)
    batch = np.ascontiguousarray(features[rows])
    predict(batch)
    spent: list[float] = []
    while sum(spent) < SECONDS_A_BATCH_SIZE or len(spent) < 3:
        start = time.perf_counter()
        predict(batch)
        spent.append(time.perf_counter() - start)
    return size / float(np.median(spent))


def flops_of(model: "Model") -> int:
    """Multiplications and additions of the matrix products of one sample; activations and biases are left out.

    Dense: 2 x inputs x outputs.
    """
    dense = (layer.kernel.shape for layer in model.layers if isinstance(layer, keras.layers.Dense))
    return sum(2 * int(inputs) * int(outputs) for inputs, outputs in dense)


def peak_memory() -> int:
    """Highest memory so far in bytes: on a GPU what TensorFlow took there, else of the whole process."""
    if tf.config.list_logical_devices("GPU"):
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def saved_bytes(model: "Model") -> int:
    """Size of the model as a .keras file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.stat().st_size
