"""Which loop trains: compiled by XLA, a plain graph, or Keras' own."""

from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice, supports_bfloat16
from pipeline.models.architectures import architecture_of
from pipeline.settings.model import Model
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy

GRAPH_PAYS_FROM = 2**14
"""Batch x hidden width from which a plain graph beats XLA on a CPU.

A graph starts each of its kernels by itself, some 0.1 ms a step in all, but its matrix products and updates
are 4 to 10 % faster.
"""


def choose_engine(
    device: str, policy: Policy, batch: int, model: Model, native_bfloat16: bool = True
) -> Engine:
    """Return the fastest loop that can train this; `device` is cpu or gpu. Measured, see benchmarks/results.

    `native_bfloat16`: the CPU multiplies bfloat16 itself (AMX, AVX-512 BF16).
    """
    if not architecture_of(model).is_perceptron:
        return Engine.keras  # the fast loop knows the gradients of a perceptron only
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


def pick_engine(settings: Settings, device: ClaimedDevice, streams: bool = False) -> Engine:
    """Return the engine that the settings name, or with `auto` what `choose_engine` returns.

    `streams`: the training samples stay on disk.

    Raises:
        BadSetting: the engine named cannot train this model or precision on this device.
    """
    policy, model = settings.precision.policy, settings.model
    if device.further:
        return _pick_for_several(settings, 1 + len(device.further), streams)
    if streams and settings.engine not in (Engine.auto, Engine.keras):
        raise BadSetting(
            f"engine must be auto or keras for samples larger than data.in_memory_limit="
            f"{settings.data.in_memory_limit}, got {settings.engine}; raise the limit or use engine=keras"
        )
    if settings.engine is Engine.auto:
        if streams:
            return Engine.keras
        return choose_engine(device.kind, policy, settings.train.batch_size, model, supports_bfloat16())
    if settings.engine is not Engine.keras and not architecture_of(model).is_perceptron:
        raise BadSetting(f"engine must be auto or keras unless model=mlp, got {settings.engine}")
    if settings.engine is Engine.graph and policy is Policy.mixed_float16 and device.kind == "cpu":
        # Without XLA float16 matrix products on a CPU run some 200 times slower.
        raise BadSetting(
            "engine must be auto, xla or keras with precision=mixed_float16 on a CPU, got graph; "
            "use precision=mixed_bfloat16 or engine=xla"
        )
    return settings.engine


def _pick_for_several(settings: Settings, count: int, streams: bool) -> Engine:
    """Return the engine that shares each batch among `count` devices: XLA's code is for one.

    Raises:
        BadSetting: the model, the engine, the data or the batch cannot be shared.
    """
    ours = architecture_of(settings.model).is_perceptron and not streams
    if not ours or settings.engine not in (Engine.auto, Engine.graph):
        raise BadSetting(
            "device.count must be 1 unless model=mlp trains in memory with engine=auto or graph, "
            f"got {count}; Keras' loop and XLA's code know one device"
        )
    batch = settings.train.batch_size
    if batch % count:
        raise BadSetting(
            f"train.batch_size must be a multiple of device.count={count}, got {batch}; "
            f"use train.batch_size={batch + -batch % count}"
        )
    return Engine.graph
