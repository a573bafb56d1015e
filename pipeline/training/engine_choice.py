"""Which loop trains: compiled by XLA, a plain graph, or Keras' own."""

from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice, supports_bfloat16
from pipeline.models.architectures import architecture_of
from pipeline.models.custom_check import find_reason_for_keras
from pipeline.settings.model import Custom, Model
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import device_data, measured_engine

GRAPH_PAYS_FROM = 2**14
"""Batch x hidden width from which a plain graph beats XLA on a CPU.

A graph starts each of its kernels by itself, some 0.1 ms a step in all, but its matrix products and updates
are 4 to 10 % faster.
"""


def choose_engine(
    device: str, policy: Policy, batch: int, model: Model, native_bfloat16: bool = True
) -> Engine:
    """Return the fastest loop for a perceptron; `device` is cpu or gpu. Measured, see benchmarks/results.

    `native_bfloat16`: the CPU multiplies bfloat16 itself (AMX, AVX-512 BF16).
    """
    if device == "gpu":
        return Engine.xla  # one launch for many small kernels
    if policy is Policy.mixed_float16:
        return Engine.xla  # a CPU's plain kernels for float16 are some 200 times slower
    if policy is Policy.mixed_bfloat16:
        # XLA widens bfloat16 on a CPU, a graph's kernels multiply in it; where the CPU cannot, they emulate
        # it at twice the time.
        return Engine.graph if native_bfloat16 else Engine.xla
    width = max(architecture_of(model).list_hidden_sizes(model), default=0)
    return Engine.graph if batch * width >= GRAPH_PAYS_FROM else Engine.xla


def pick_engine(settings: Settings, device: ClaimedDevice, prepared: Prepared) -> Engine:
    """Return the engine that the settings name, or with `auto` the fastest one that can train this.

    Raises:
        BadSetting: the engine named cannot train this model or precision on this device.
        BadInput: the network cannot be built.
    """
    streams = device_data.is_streamed(settings, prepared)
    if device.further:
        return _pick_for_several(settings, 1 + len(device.further), streams)
    reason = find_reason_for_keras(settings, prepared) if isinstance(settings.model, Custom) else ""
    if settings.engine is not Engine.auto:
        _check_engine(settings, device, streams, reason)
        return settings.engine
    policy, architecture = settings.precision.policy, architecture_of(settings.model)
    if reason:
        return Engine.keras
    if architecture.is_perceptron and not streams:
        size = settings.train.batch_size
        return choose_engine(device.kind, policy, size, settings.model, supports_bfloat16())
    if policy is Policy.mixed_float16 and device.kind == "cpu":
        return Engine.keras  # its steps are compiled by XLA one by one; a graph's float16 is too slow
    if streams or (architecture.convolves and device.kind == "cpu"):
        return Engine.graph
    return measured_engine.choose_measured(settings, prepared, device)


def _check_engine(settings: Settings, device: ClaimedDevice, streams: bool, reason: str) -> None:
    """Raise what is wrong with the engine that the settings name; `reason`: see `find_reason_for_keras`."""
    engine = settings.engine
    if reason and engine is not Engine.keras:
        raise BadSetting(
            f"engine must be auto or keras for a network {reason}, got {engine.value}; use engine=keras"
        )
    if streams and engine is Engine.xla:
        raise BadSetting(
            f"engine must be auto, graph or keras for samples larger than data.in_memory_limit="
            f"{settings.data.in_memory_limit}, got xla; raise the limit or use engine=graph"
        )
    if engine is Engine.xla and device.kind == "cpu" and architecture_of(settings.model).convolves:
        # Inside a loop XLA needs some 20 times as long for a convolution on a CPU.
        raise BadSetting(
            "engine must be auto, graph or keras with convolutions on a CPU, got xla; use engine=graph"
        )
    if engine is Engine.graph and settings.precision.policy is Policy.mixed_float16 and device.kind == "cpu":
        # Without XLA float16 matrix products on a CPU run some 200 times slower.
        raise BadSetting(
            "engine must be auto, xla or keras with precision=mixed_float16 on a CPU, got graph; "
            "use precision=mixed_bfloat16 or engine=auto"
        )


def _pick_for_several(settings: Settings, count: int, streams: bool) -> Engine:
    """Return the engine that shares each batch among `count` devices: XLA's code is for one.

    Raises:
        BadSetting: the model, the engine, the data or the batch cannot be shared.
    """
    ours = architecture_of(settings.model).is_perceptron and not streams
    if not ours or settings.engine not in (Engine.auto, Engine.graph):
        raise BadSetting(
            "device.count must be 1 unless model=mlp trains in memory with engine=auto or graph, "
            f"got {count}; all other loops know one device"
        )
    batch = settings.train.batch_size
    if batch % count:
        raise BadSetting(
            f"train.batch_size must be a multiple of device.count={count}, got {batch}; "
            f"use train.batch_size={batch + -batch % count}"
        )
    return Engine.graph


def has_gradients_by_hand(settings: Settings, prepared: Prepared, engine: Engine) -> bool:
    """Return whether `CompiledLoop` trains: a perceptron whose samples lie on the device."""
    is_perceptron = architecture_of(settings.model).is_perceptron
    return engine is not Engine.keras and is_perceptron and not device_data.is_streamed(settings, prepared)
