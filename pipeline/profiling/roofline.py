"""The work of a training step against what the machine can do.

The roofline model is of Williams et al. 2009, doi 10.1145/1498765.1498785. Nothing is measured here: counts
come from the network's shape, what the device reaches at best from `device_peaks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pipeline.training.optimizers import UpdateRule


class Bound(StrEnum):
    """What keeps a training step from being faster."""

    compute = "compute-bound"
    memory = "memory-bound"
    overhead = "overhead-bound"


@dataclass(frozen=True, slots=True)
class StepWork:
    """The work of one step: floating-point operations, bytes moved, and bytes that every step touches again.

    `update_flops`: those of the operations that do not grow with the batch.
    """

    flops: float
    bytes: float
    resident: float
    update_flops: float = 0.0


@dataclass(frozen=True, slots=True)
class DevicePeaks:
    """What a device reaches at best.

    `flops`: a second in large matrix products, by the name of their type; `bandwidth`: bytes a second of
    a triad that touches so many bytes in all, smallest first.
    """

    device: str
    flops: Mapping[str, float]
    bandwidth: Sequence[tuple[int, float]]

    def get_bandwidth(self, resident: float) -> float:
        """Return the bytes a second at which `resident` bytes, used again and again, are moved.

        What fits a cache is moved at the speed of that cache.
        """
        return next((rate for size, rate in self.bandwidth if size >= resident), self.bandwidth[-1][1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """A step under its roof; `seconds`: measured, `overhead`: share of them that is no work, 0..1."""

    work: StepWork
    peak: float
    bandwidth: float
    seconds: float
    overhead: float
    precision: str

    @property
    def intensity(self) -> float:
        """Return the operations a byte."""
        return self.work.flops / self.work.bytes

    @property
    def flops_per_second(self) -> float:
        """Return the operations a second that the step reached."""
        return self.work.flops / self.seconds

    @property
    def peak_share(self) -> float:
        """Return the share of the peak that the step reached, 0..1."""
        return self.flops_per_second / self.peak

    @property
    def roof(self) -> float:
        """Return the operations a second that this intensity allows."""
        return min(self.peak, self.intensity * self.bandwidth)

    @property
    def slowdown(self) -> float:
        """Return how many times slower the step is than the roof allows."""
        return self.roof / self.flops_per_second

    @property
    def bound(self) -> Bound:
        """Return what limits the step: overhead where that is half of it or more, else memory or compute."""
        if self.overhead >= 0.5:
            return Bound.overhead
        return Bound.memory if self.intensity * self.bandwidth < self.peak else Bound.compute


AT_THE_ROOF = 1.05
"""A step at most so many times slower than its roof is at it; peaks are measured, so it may seem above."""


def count_step_work(
    sizes: Sequence[int],
    batch: int,
    rule: UpdateRule,
    narrow: int,
    wide: int,
    sample: int,
    adversarial: bool = False,
) -> StepWork:
    """Count the work of a step of a perceptron with layers of `sizes` units.

    Counted is what cannot be avoided: matrix products forward and backward (none back to the samples) and the
    update; every weight read once forward and once backward (not in the first layer), every parameter and
    slot read and written by the update, samples and activations once each way. A gradient that is fused
    with its update is never stored. `adversarial`: before that the samples are moved by a pass forward and
    one back to them.
    """
    products = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    parameters = sum(products) + sum(sizes[1:])
    update_flops = rule.flops * parameters
    flops = 2 * batch * (3 * sum(products) - products[0]) + update_flops
    weights = narrow * (2 * sum(products) - products[0])
    updates = wide * parameters * 2 * (1 + rule.slots)
    activations = 4 * narrow * batch * sum(sizes[1:])
    if adversarial:
        flops += 4 * batch * sum(products)
        weights += 2 * narrow * sum(products)
        activations *= 2
    moved = weights + updates + activations + sample * batch * sizes[0]
    return StepWork(
        float(flops), float(moved), float(wide * parameters * (1 + rule.slots)), float(update_flops)
    )
