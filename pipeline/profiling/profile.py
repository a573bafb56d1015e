"""What a trained model costs to use: latency, throughput, arithmetic, memory, size."""

import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend import keras, tf
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch, RawSamples, take_batch
from pipeline.measures import Cost, Latency
from pipeline.models import litert
from pipeline.settings.measuring import Runtime
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from keras import Model

Predict = Callable[[Any], np.ndarray]

SECONDS_PER_SIZE = 0.2
"""How long each batch size is repeated."""
MIN_CALLS = 3
PRODUCTS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
"""Layers whose products are counted."""
MAX_SAMPLES = 1024
"""Samples that take turns in single calls; they are read from disk before the clock starts."""


def profile(
    model: "Model",
    predict: Predict,
    prepared: Prepared,
    settings: Settings,
    served: litert.ServedFile | None = None,
) -> Cost:
    """Time `predict` on test samples and measure the size of `model`, on the device that holds its weights.

    `predict`: n raw samples -> probabilities [n, classes], compiled from `model`. Timed is what a caller
    waits for: copy in, front end, scaling, forward pass, copy out. Single samples are answered by
    `profile.runtime`; `served`: its file, which is made of `model` where it is not given.

    Raises:
        BadSetting: LiteRT cannot hold the model.
    """
    features, choices = prepared.test.samples, settings.profile
    latency = compiled = measure_latency(predict, features, choices.repeats, choices.warmup)
    calls = {size: measure_batch(predict, features, size) for size in choices.batch_sizes}
    throughput = {size: 1000 * size / call.p50_ms for size, call in calls.items()}
    single, cold_ms = _make_and_ask_once(model, choices.runtime, features, served)
    if choices.runtime is not Runtime.compiled:  # throughput stays that of the compiled model
        latency = measure_latency(single, features, choices.repeats, choices.warmup)
        calls = {size: measure_batch(single, features, size) for size in choices.batch_sizes}
    memory, source = measure_peak_memory(model, predict, make_batch(features, max(choices.batch_sizes)))
    return Cost(
        latency=latency,
        compiled_latency=compiled,
        cold_ms=cold_ms,
        latency_by_batch=calls,
        throughput=throughput,
        parameters=sum(math.prod(weights.shape) for weights in model.trainable_weights),
        flops=count_flops(model),
        peak_memory_bytes=memory,
        memory_source=source,
        model_bytes=measure_saved_bytes(model),
    )


# ---- time ---------------------------------------------------------------------------------------------


def measure_latency(predict: Predict, features: RawSamples, repeats: int, warmup: int) -> Latency:
    """Return percentiles (ms) of `repeats` calls with one sample each, after `warmup` uncounted calls."""
    samples = take_single_samples(features, repeats)
    for call in range(warmup):
        predict(samples[call % len(samples)])
    nanoseconds = np.empty(repeats)
    for call in range(repeats):
        sample = samples[call % len(samples)]
        start = time.perf_counter_ns()
        predict(sample)
        nanoseconds[call] = time.perf_counter_ns() - start
    return Latency.summarise(nanoseconds / 1e6)


def take_single_samples(features: RawSamples, calls: int) -> list[Batch]:
    """Return batches of one sample, at most `calls` and at most the first 1,024; calls use them in turns."""
    count = min(calls, len(features), MAX_SAMPLES)
    batch = make_batch(features, count)
    return [take_batch(batch, slice(row, row + 1)) for row in range(count)]


def _make_and_ask_once(
    model: "Model", runtime: Runtime, features: RawSamples, served: litert.ServedFile | None
) -> tuple[Predict, float]:
    """Return what answers single samples, and the milliseconds of making it and its first answer.

    That is what the first caller waits for once the model is in memory: tracing and compiling, or loading the
    file of the runtime. The conversion to that file is done before, once for all.
    """
    sample = take_single_samples(features, 1)[0]
    content = served.content if served else None
    if content is None and runtime in litert.FILE_RUNTIMES:
        content = litert.export_file(model, runtime)
    start = time.perf_counter_ns()
    predict = litert.load_file(content) if content else litert.make_predictor_for(model, runtime)
    predict(sample)
    return predict, (time.perf_counter_ns() - start) / 1e6


def measure_batch(predict: Predict, features: RawSamples, size: int) -> Latency:
    """Return percentiles (ms) of calls of `size` rows: of some 0.2 s of calls, three at least.

    Throughput is by their median, so that one call during which the machine did something else does not
    count for many.
    """
    batch = make_batch(features, size)
    predict(batch)  # compiles
    nanoseconds: list[int] = []
    while len(nanoseconds) < MIN_CALLS or sum(nanoseconds) < SECONDS_PER_SIZE * 1e9:
        start = time.perf_counter_ns()
        predict(batch)
        nanoseconds.append(time.perf_counter_ns() - start)
    return Latency.summarise(np.array(nanoseconds) / 1e6)


def make_batch(features: RawSamples, size: int) -> Batch:
    """Copy the first `size` rows into memory; start over where there are too few."""
    batch: Batch = keras.tree.map_structure(np.ascontiguousarray, features[np.arange(size) % len(features)])
    return batch


# ---- arithmetic, memory, size -------------------------------------------------------------------------


def count_flops(model: "Model") -> int:
    """Count multiplications and additions in the products of one sample: two for each weight and position.

    Counted: Dense (a kernel of inputs x outputs, one position) and convolutions (a kernel of height x width x
    channels x filters, at each position of the output), at each call, in nested models and other layers, too.
    Not counted: biases, activations, scaling, pooling, softmax, and layers of any other kind. In a perceptron
    those are some units a neuron.
    """
    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    return sum(count_layer_flops(*call) for call in _trace_calls(model, layers.values()))


def _trace_calls(model: "Model", layers: Iterable[Any]) -> list[tuple[Any, tuple[int | None, ...]]]:
    """Return each call of the layers for one sample, with the shape of what it gives.

    Layers that call others in a way of their own tell of no shape before they are called.
    """
    calls = list[tuple[Any, tuple[int | None, ...]]]()

    def make_call(layer: Any, call_keras: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            output = call_keras(*values, **named)
            calls.append((layer, tuple(output.shape)))
            return output

        return call

    traced = [layer for layer in layers if isinstance(layer, PRODUCTS)]
    for layer in traced:
        layer.call = make_call(layer, layer.call)
    try:
        sample = keras.tree.map_structure(_describe_sample, model.input)
        tf.function(lambda rows: model(rows, training=False), autograph=False).get_concrete_function(sample)
    finally:
        for layer in traced:
            del layer.call
    return calls


def _describe_sample(tensor: Any) -> Any:
    return tf.TensorSpec([1, *tensor.shape[1:]], tensor.dtype)


def count_layer_flops(layer: Any, output: tuple[int | None, ...]) -> int:
    """Count those of one call of a layer, see `count_flops`; 0 for other kinds.

    `output`: the shape of what it gives; a side of any length counts as one.
    """
    if not isinstance(layer, PRODUCTS):
        return 0
    is_last = isinstance(layer, keras.layers.Dense) or layer.data_format == "channels_last"
    places = output[1:-1] if is_last else output[2:]
    sizes: tuple[int | None, ...] = (*layer.kernel.shape, *places)
    return 2 * math.prod(size or 1 for size in sizes)


def measure_peak_memory(model: "Model", predict: Predict, batch: Batch) -> tuple[int, str]:
    """Return the bytes needed to answer `batch`, and who counted them.

    Counted by TensorFlow's allocator on the device that holds the weights: the weights, and what one call
    takes at its peak beyond the memory that was in use before. So training data that is still there does not
    count, nor does the interpreter. On a CPU the allocator does not count tensors up to 256 KiB either (as of
    TensorFlow 2.21), which matters for small networks and batches. Where it keeps no count: the highest
    memory of the process since its start.
    """
    device = _get_device(model)
    predict(batch)  # compiles
    try:
        tf.config.experimental.reset_memory_stats(device)
        standing = tf.config.experimental.get_memory_info(device)["current"]
        predict(batch)
        peak = tf.config.experimental.get_memory_info(device)["peak"]
    except (ValueError, tf.errors.OpError):
        return read_process_peak(), "whole process"
    weights = sum(math.prod(array.shape) * tf.as_dtype(array.dtype).size for array in model.variables)
    limits = ", tensors over 256 KiB" if device.startswith("CPU") else ""
    return weights + max(0, peak - standing), f"allocator of {device}{limits}"


def _get_device(model: "Model") -> str:
    """Return the device of the weights, as `CPU:0` or `GPU:0`."""
    if not model.variables:
        return "CPU:0"
    spec = tf.DeviceSpec.from_string(model.variables[0].value.device)
    return f"{spec.device_type}:{spec.device_index}"


def read_process_peak() -> int:
    """Return the highest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_saved_bytes(model: "Model") -> int:
    """Return the bytes of the model as a .keras file, weights and description."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.stat().st_size
