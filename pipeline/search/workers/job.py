"""One trial of a search, as a process does it: settings in, epochs out, and how it ended.

Nothing here knows of Optuna or MLflow. A stop is a pause: the state lies beside the study, and a job for the
same configuration goes on from there and pays only the difference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.measures import Curve, Epoch, Point, Seconds
from pipeline.secrets import mask
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure
from pipeline.settings.searching.objectives import OBJECTIVES, ObjectiveKind
from pipeline.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network may not exceed; None: anything goes."""

    max_latency_ms: float | None = None
    max_parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train.

    `checkpoint`: where its state lies, None: nowhere; `read_test`: score the test split, too; `under_shift`:
    all accuracies are those of samples changed as `evaluate` says; `source`: SHA-256 (hex) of the data that
    the study is bound to, None: of any; `further`: names of the objectives to measure beside accuracy and
    device-seconds; `measure`: what the accuracies are.
    """

    number: int
    settings: Settings
    checkpoint: Path | None = None
    limits: Limits = field(default_factory=Limits)
    read_test: bool = False
    under_shift: bool = False
    source: str | None = None
    further: tuple[str, ...] = ()
    measure: Measure = ACCURACY_MEASURE

    @property
    def kinds(self) -> tuple[ObjectiveKind, ...]:
        """Return the further objectives."""
        return tuple(OBJECTIVES[name] for name in self.further)


@dataclass(frozen=True, slots=True)
class Progress:
    """An epoch that has ended; `paid_seconds`: device-seconds that the job itself has spent so far."""

    epoch: Epoch
    paid_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """How a job ended: `status` complete, paused or failed, and `reason`, why.

    A job whose data was changed since the study began was not done: its status is refused.

    `curve`, `chosen_epoch`: None where no epoch was reached; `paid_seconds`: device-seconds that the job
    spent itself; `test_accuracy` where it was asked for; `unshifted_accuracy` where the others are of changed
    samples; `output`: of a failed job what it printed last, and the traceback; `further`: name -> values
    after each epoch of each further objective, one value for all of them where it does not change;
    `metrics`: name -> (epoch, value) of what else a loop of the user's own has reported; `states`: the state
    after each epoch, where the weights that count then are those of an earlier one; else it is the curve's.
    """

    status: str
    reason: str = ""
    curve: Curve | None = None
    chosen_epoch: Epoch | None = None
    paid_seconds: float = 0.0
    seconds: Seconds = field(default_factory=Seconds)
    overhead_seconds: float = 0.0
    engine: str = ""
    parameters: int | None = None
    latency_p99_ms: float | None = None
    test_accuracy: float | None = None
    unshifted_accuracy: float | None = None
    output: str = ""
    further: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    states: tuple[Point, ...] = ()

    def mask_texts(self, words: Sequence[str]) -> "TrialOutcome":
        """Return the outcome without secrets, also those of the trial's words: a user's code may say any."""
        return replace(self, reason=mask(self.reason, *words), output=mask(self.output, *words))

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the state after each epoch."""
        return self.states or (get_states(self.curve) if self.curve else ())


def get_states(curve: Curve) -> tuple[Point, ...]:
    """Return the state after each epoch, fair or not."""
    return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in curve.epochs)


Frontier = Callable[[], Sequence[Point]]
