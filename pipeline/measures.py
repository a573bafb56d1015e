"""Measured values: plain and frozen, without TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEAST_SECONDS = 1e-9
"""The least cost that there is: costs are compared by their ratio, so nothing on the clock is this much."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was reached for which cost: `accuracy` in 0..1, `device_seconds` > 0.

    `further`: the costs by the other objectives of a search, in their order, each the smaller the better;
    NaN where one is not known.
    """

    accuracy: float
    device_seconds: float
    further: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The state after epoch `number` (1-based).

    Of a quantity, R2 stands in the place of accuracy here and in `Point`.

    `device_seconds`: what all epochs so far cost: seconds x devices, training steps only. Losses are means
    over samples, accuracies shares in 0..1. `contended`: whether other processes used the device meanwhile;
    `core_share`: which share of the requested core time was received (None: unknown); `lost_seconds`:
    device-seconds that others took from the epochs so far; they are no part of the cost. `joules`: what the
    device drew in the training steps of all epochs so far (None: unknown); `joules_estimated`: nothing could
    be read, so that is the power of the device at full load x the seconds of its use. `epsilon`: what all
    epochs so far have spent of the privacy of the training rows (None: nobody counts).
    `accuracy_under_attack`: of the validation split, where a search asks for it.
    """

    number: int
    device_seconds: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    contended: bool = False
    core_share: float | None = None
    lost_seconds: float = 0.0
    joules: float | None = None
    joules_estimated: bool = False
    epsilon: float | None = None
    accuracy_under_attack: float | None = None

    @property
    def measured_seconds(self) -> float:
        """Return the device-seconds as the clock measured them, with those that others took."""
        return self.device_seconds + self.lost_seconds


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial had reached after each epoch, and on which device.

    `fair_midway`: whether a state before the last is a fair point (see `settings.optimizer.Schedule`).
    """

    device: str
    fair_midway: bool
    epochs: tuple[Epoch, ...] = ()

    def with_epoch(self, epoch: Epoch) -> "Curve":
        """Return this curve with one more epoch."""
        return Curve(self.device, self.fair_midway, (*self.epochs, epoch))

    @property
    def last(self) -> Epoch:
        """Return the last epoch."""
        return self.epochs[-1]

    def list_joules(self, estimated: bool) -> list[float | None]:
        """List the joules after each epoch; None where there is no measurement, or no estimate."""
        return [epoch.joules if epoch.joules_estimated is estimated else None for epoch in self.epochs]

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the states that may stand on a frontier: all epochs where that is fair, else the last."""
        fair = self.epochs if self.fair_midway else self.epochs[-1:]
        return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in fair)


Stop = Callable[[Curve], str | None]
"""The reason to stop training after the last epoch of the curve, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Wall seconds of a trial by purpose; only `train` counts as device-seconds."""

    prepare: float = 0.0
    input: float = 0.0
    compile: float = 0.0
    warm_up: float = 0.0
    train: float = 0.0
    validate: float = 0.0
    evaluate: float = 0.0
    profile: float = 0.0


@dataclass(frozen=True, slots=True)
class PowerDraw:
    """Power that the device drew while it trained; None where it is unknown.

    `busy`: the share 0..1 of the time in which it computed; `estimated`: joules and watts are not measured.
    """

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision and recall of one class in 0..1 (0 where undefined); `support` = its samples."""

    name: str
    precision: float
    recall: float
    support: int


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Accuracy in 0..1 and mean loss on one split of `samples` rows."""

    accuracy: float
    loss: float
    samples: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall milliseconds of one call with one sample or one batch, over `repeats` calls."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    repeats: int

    @classmethod
    def summarise(cls, milliseconds: "np.ndarray") -> "Latency":
        """Return the percentiles of the times of single calls [n]."""
        import numpy as np

        p50, p95, p99 = (float(value) for value in np.percentile(milliseconds, [50, 95, 99]))
        return cls(p50, p95, p99, len(milliseconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the network needs to answer.

    `latency`: of one sample, of what `profile.runtime` answers with; `compiled_latency`: of the compiled
    Keras model; `cold_ms`: of the very first answer, from the making of what answers; both are None in
    records of earlier releases; `latency_by_batch`: of calls with so many samples; `throughput`: samples per
    second by batch size; `flops`: of the forward pass of one sample; `peak_memory_bytes`: to answer the
    largest batch, as `memory_source` counted it (see
    `profiling.profile`); `model_bytes`: of the saved file.
    """

    latency: Latency
    compiled_latency: Latency | None = None
    cold_ms: float | None = None
    latency_by_batch: dict[int, Latency] = field(default_factory=dict)
    throughput: dict[int, float] = field(default_factory=dict)
    parameters: int = 0
    flops: int = 0
    peak_memory_bytes: int = 0
    memory_source: str = ""
    model_bytes: int = 0
