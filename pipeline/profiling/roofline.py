"""The work of a training step against what the machine can do.

The roofline model is of Williams et al. 2009, doi 10.1145/1498765.1498785. Pure: counts come from
the network's shape, ceilings from `ceilings.measure`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Bound(StrEnum):
    compute = "compute-bound"
    memory = "memory-bound"
    overhead = "overhead-bound"


@dataclass(frozen=True, slots=True)
class Work:
    """Of one step: floating-point operations, bytes moved, and bytes that every step touches again.

    `update_flops`: the part of the operations that does not grow with the batch.
    """

    flops: float
    bytes: float
    resident: float
    update_flops: float = 0.0


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a device reaches at best.

    `flops`: a second in large matrix products, by the name of their type; `bandwidth`: bytes a second of
    a triad that touches so many bytes in all, smallest first.
    """

    device: str
    flops: Mapping[str, float]
    bandwidth: Sequence[tuple[int, float]]

    def bytes_a_second(self, resident: float) -> float:
        """Where so many bytes are touched again and again: what fits a cache is moved at its speed."""
        return next((rate for size, rate in self.bandwidth if size >= resident), self.bandwidth[-1][1])


@dataclass(frozen=True, slots=True)
class Roofline:
    """A step under its roof; `seconds`: measured, `overhead`: share of them that is no work, 0..1."""

    work: Work
    peak: float
    bandwidth: float
    seconds: float
    overhead: float
    precision: str

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.work.flops / self.work.bytes

    @property
    def reached(self) -> float:
        """Operations a second."""
        return self.work.flops / self.seconds

    @property
    def roof(self) -> float:
        """Operations a second that this intensity allows."""
        return min(self.peak, self.intensity * self.bandwidth)

    @property
    def far(self) -> float:
        """How many times slower than the roof allows."""
        return self.roof / self.reached

    @property
    def bound(self) -> Bound:
        """By overhead where that is half of the step or more, else by what the roof is made of here."""
        if self.overhead >= 0.5:
            return Bound.overhead
        return Bound.memory if self.intensity * self.bandwidth < self.peak else Bound.compute


AT_THE_ROOF = 1.05
"""A step no farther below its roof than this is at it; ceilings are measured, so it may seem above."""
UPDATE_FLOPS = {0: 2, 1: 4, 2: 11}
"""Operations a parameter by the tensors that the optimizer remembers: SGD none, momentum one, Adam two."""


def step_work(sizes: Sequence[int], batch: int, memories: int, narrow: int, wide: int, sample: int) -> Work:
    """A step of a perceptron with layers of `sizes` units; `narrow`, `wide`, `sample`: bytes a number.

    Counted is what cannot be avoided: matrix products forward and backward (none back to the samples) and the
    update; every weight read once forward and once backward (not in the first layer), every parameter and
    memory read and written by the update, samples and activations once each way. A gradient that is fused
    with its update is never stored.
    """
    products = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    parameters = sum(products) + sum(sizes[1:])
    update_flops = UPDATE_FLOPS[memories] * parameters
    flops = 2 * batch * (3 * sum(products) - products[0]) + update_flops
    weights = narrow * (2 * sum(products) - products[0])
    updates = wide * parameters * 2 * (1 + memories)
    activations = 4 * narrow * batch * sum(sizes[1:])
    moved = weights + updates + activations + sample * batch * sizes[0]
    return Work(float(flops), float(moved), float(wide * parameters * (1 + memories)), float(update_flops))
