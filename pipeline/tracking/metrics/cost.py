"""What a model and its training step cost, as metrics."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.measures import Cost, Epoch
from pipeline.settings.measuring import Price
from pipeline.tracking.metrics.names import name_energy

if TYPE_CHECKING:
    from pipeline.profiling.measure_roofline import MeasuredStep

Values = dict[str, float | None]


def list_cost_metrics(cost: Cost) -> Iterator[tuple[int, Values]]:
    """Yield a step and metrics of that step: the size of the batch, or 0 for what has none."""
    latency, compiled = cost.latency, cost.compiled_latency
    if compiled and compiled != latency:
        yield 0, {"profile/compiled_latency_p50_ms": compiled.p50_ms}
    yield (
        0,
        {
            "profile/latency_p50_ms": latency.p50_ms,
            "profile/latency_p95_ms": latency.p95_ms,
            "profile/latency_p99_ms": latency.p99_ms,
            "profile/cold_ms": cost.cold_ms,
            "profile/parameters": cost.parameters,
            "profile/flops": cost.flops,
            "profile/peak_memory_bytes": cost.peak_memory_bytes,
            "profile/model_bytes": cost.model_bytes,
        },
    )
    for size, calls in cost.latency_by_batch.items():
        values = {"p50": calls.p50_ms, "p99": calls.p99_ms}
        yield size, {f"profile/latency_{name}_by_batch_ms": value for name, value in values.items()}
    for size, throughput in cost.throughput.items():
        yield size, {"profile/throughput_by_batch": throughput}


def list_spent(epoch: Epoch, cost_metric: str, price: Price) -> dict[str, float]:
    """Return what a training up to an epoch has cost, as far as it is known.

    `cost_metric`: cpu_seconds or gpu_seconds.
    """
    energy = name_energy(epoch.joules, epoch.joules_estimated, price)
    money = price.of(epoch.device_seconds)
    values = {cost_metric: epoch.device_seconds, **energy, f"cost_{price.currency}": money}
    return {name: value for name, value in values.items() if value is not None}


def list_step_metrics(step: "MeasuredStep") -> Values:
    """Return what a training step takes, and its place under the roof of the device where it has one."""
    values: Values = {"profile/step_seconds": step.seconds}
    if step.roofline is not None:
        work = step.roofline.work
        figures = {"flops": work.flops, "bytes": work.bytes, "peak_share": step.roofline.peak_share}
        values |= {f"profile/step_{name}": value for name, value in figures.items()}
    return values
