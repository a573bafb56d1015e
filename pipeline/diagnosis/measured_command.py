"""A command line that was measured: its curves, one a seed, and what it cost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean
from typing import Protocol

from pipeline.diagnosis.bottleneck import Words
from pipeline.measures import Curve, Point
from pipeline.settings.command_line import Overrides


class Run(Protocol):
    """A function that measures a command line with one seed.

    It stops after `max_epochs`, or with the epoch in which the cost exceeds `max_seconds`. A cost that is no
    sum over epochs (latency, in seconds) is returned as a curve of one epoch.

    Raises:
        CostlyError: the cost exceeded its limit, and only the last epoch would have been a fair point.
        FulcrumError: it cannot be trained.
    """

    def __call__(
        self, words: Words, seed: int, max_epochs: int | None = None, max_seconds: float | None = None
    ) -> Curve: ...


class CostlyError(Exception):
    """A command line cost more than it was allowed to."""


@dataclass(frozen=True, slots=True)
class MeasuredCommand:
    """A command line and its curves, one for each seed; what counts is the state after `epoch` epochs.

    `costs`: device-seconds (or seconds of an answer), one for each seed or for each pair of timings. Those of
    an attempt are as the clock ran when the baseline was measured, see `attempt.Attempt`.
    """

    words: Words
    curves: tuple[Curve, ...]
    epoch: int
    costs: tuple[float, ...]

    @property
    def accuracies(self) -> list[float]:
        """Return the validation accuracy of each seed."""
        return list_accuracies(self.curves, self.epoch)

    @property
    def point(self) -> Point:
        """Return the mean accuracy over the seeds and the geometric mean of the costs.

        Costs are compared by their ratios, pair by pair: the ratio of two geometric means is the geometric
        mean of the ratios, so that costs and gains that are shown side by side agree.
        """
        return Point(fmean(self.accuracies), geometric_mean(self.costs))


def count_epochs(curves: Sequence[Curve]) -> int:
    """Return the number of epochs that all curves have."""
    return min(len(curve.epochs) for curve in curves)


def list_accuracies(curves: Sequence[Curve], epoch: int) -> list[float]:
    """Return the validation accuracy of each curve after `epoch` epochs, 1-based."""
    return [curve.epochs[epoch - 1].validation_accuracy for curve in curves]


def list_costs(curves: Sequence[Curve], epoch: int) -> tuple[float, ...]:
    """Return the device-seconds of the first `epoch` epochs of each curve."""
    return tuple(curve.epochs[epoch - 1].device_seconds for curve in curves)


def apply_overrides(words: Words, overrides: Words) -> Words:
    """Return `words` with `overrides` in the place of those that set the same keys.

    A word that sets a value of a group which `overrides` exchange is dropped too.
    """
    return Overrides(words).without(*Overrides(overrides).keys).with_(*overrides)
