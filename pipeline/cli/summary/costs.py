"""What a model costs in use, in rows: latency, throughput, size, and its training step."""

from typing import TYPE_CHECKING

from rich.markup import escape

from pipeline.cli.summary.rows import Rows
from pipeline.errors import FulcrumError
from pipeline.formatting import format_count, format_number, format_roughly, format_seconds
from pipeline.measures import Cost

if TYPE_CHECKING:
    from pipeline.models.litert import ServedFile
    from pipeline.profiling.measure_roofline import MeasuredStep


def list_costs(cost: Cost) -> Rows:
    """List latency, throughput and size."""
    latency = cost.latency
    median, slow, slowest = map(format_number, (latency.p50_ms, latency.p95_ms, latency.p99_ms))
    best = max(cost.throughput, key=lambda size: cost.throughput[size])
    return [
        (
            "latency",
            f"{median} ms median for one sample, p95 {slow}, p99 {slowest}",
        ),
        *_latency_rows(cost),
        ("throughput", f"{format_number(cost.throughput[best])} samples/s at batch {best}"),
        (
            "model",
            f"{format_count(cost.parameters, 'parameter')}, {format_number(cost.model_bytes / 1e6)} MB, "
            f"{cost.flops:,} FLOPs a sample",
        ),
    ]


def _latency_rows(cost: Cost) -> Rows:
    """Return what the first answer takes, and answers to more samples at once."""
    batches = [
        f"{format_number(calls.p50_ms)} ms for {size:,} (p99 {format_number(calls.p99_ms)})"
        for size, calls in cost.latency_by_batch.items()
        if size > 1
    ]
    cold = [f"{format_number(cost.cold_ms)} ms cold, the first answer"] if cost.cold_ms is not None else []
    return [("", f"[dim]{'; '.join([*cold, *batches])}[/]")] if cold or batches else []


def list_served(cost: Cost, served: "ServedFile | None") -> Rows:
    """Return what a file of its own answers with, beside the compiled model that it was made from."""
    if served is None or cost.compiled_latency is None:
        return []
    measure = served.measure
    accuracies = [measure.format(value) for value in (served.accuracy, served.compiled_accuracy)]
    compiled, latency = cost.compiled_latency.p50_ms, cost.latency.p50_ms
    times = format_number(compiled / latency)
    return [
        (
            escape(served.runtime),
            f"[bold]{accuracies[0]}[/] validation {measure.label}, {format_number(latency)} ms, "
            f"{format_number(len(served.content) / 1e6)} MB",
        ),
        (
            "",
            f"[dim]the compiled model: {accuracies[1]}, {format_number(compiled)} ms ({times}x)[/]",
        ),
    ]


def list_step(step: "MeasuredStep | FulcrumError") -> Rows:
    """Return what a training step takes, and how far that is from what the device can do."""
    if isinstance(step, FulcrumError):
        return [("training step", f"[dim]not measured: {escape(str(step))}[/]")]
    samples = format_count(step.batch, "sample")
    tried = f" [dim](measured: {step.tried})[/]" if step.tried else ""
    rows: Rows = [
        ("training step", f"{format_seconds(step.seconds)} for {samples}, {step.engine} loop{tried}")
    ]
    roofline = step.roofline
    if roofline is None:
        return [*rows, ("", "[dim]its layers do not tell what they compute, so it has no roofline[/]")]
    share = f"[bold]{format_roughly(roofline.peak_share)}[/] of the peak"
    speed = f"{format_number(roofline.flops_per_second / 1e9)} GFLOP/s, {share}"
    slowdown = f"{format_number(roofline.slowdown, 2)}x slower than its roof allows"
    far = slowdown if roofline.slowdown > 1 else "at its roof"
    megaflops, megabytes = (
        format_number(value / 1e6) for value in (roofline.work.flops, roofline.work.bytes)
    )
    work = f"{megaflops} MFLOP, {megabytes} MB moved at least"
    return [
        *rows,
        ("roofline", f"{speed} in {roofline.precision} products; {roofline.bound}, {far}"),
        ("", f"[dim]a step: {work}[/]"),
    ]
