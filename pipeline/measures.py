"""What is measured: plain frozen values, without TensorFlow."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    """What was bought for what: `accuracy` in 0..1, `device_seconds` > 0."""

    accuracy: float
    device_seconds: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """State after epoch `number` (1-based).

    `device_seconds` is what all epochs so far cost: seconds x devices held, training steps only.
    Losses are means a sample, accuracies shares in 0..1. `contended`: others used the device
    meanwhile; `core_share`: of the core time that was wanted, what was got (None: untold); `lost_seconds`:
    device-seconds that others took from the epochs so far, which are no part of the cost.
    """

    number: int
    device_seconds: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    contended: bool = False
    core_share: float | None = None
    lost_seconds: float = 0.0

    @property
    def measured_seconds(self) -> float:
        """Device-seconds as the clock saw them, with what others took."""
        return self.device_seconds + self.lost_seconds


@dataclass(frozen=True, slots=True)
class Curve:
    """What a trial had reached after each epoch, on which device.

    `fair_midway`: whether a state before the last is a fair point (see `settings.Schedule`).
    """

    device: str
    fair_midway: bool
    epochs: tuple[Epoch, ...] = ()

    def with_epoch(self, epoch: Epoch) -> "Curve":
        return Curve(self.device, self.fair_midway, (*self.epochs, epoch))

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    def points(self) -> tuple[Point, ...]:
        """The states that may stand on a frontier: every epoch where that is fair, else the last."""
        fair = self.epochs if self.fair_midway else self.epochs[-1:]
        return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in fair)


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall seconds of a trial, by what they were spent on; `train` alone counts as device-seconds."""

    prepare: float = 0.0
    input: float = 0.0
    compile: float = 0.0
    warm_up: float = 0.0
    train: float = 0.0
    repeat: float = 0.0
    validate: float = 0.0
    evaluate: float = 0.0
    profile: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the device drew while it trained; None where it does not tell. `busy`: share of the time, 0..1."""

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision and recall of one class in 0..1 (0 where undefined); `support` = its samples."""

    name: str
    precision: float
    recall: float
    support: int


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Accuracy in 0..1 and mean loss a sample on one split of `samples` rows."""

    accuracy: float
    loss: float
    samples: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall milliseconds of one call with one sample, over `repeats` calls."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    repeats: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What the network needs to answer.

    `throughput`: samples a second by batch size. `flops`: of one sample's forward pass.
    `peak_memory_bytes`: to answer the largest batch, as `memory_source` counted it (see `stages.profile`).
    `model_bytes`: of the saved file.
    """

    latency: Latency
    throughput: dict[int, float] = field(default_factory=dict)
    parameters: int = 0
    flops: int = 0
    peak_memory_bytes: int = 0
    memory_source: str = ""
    model_bytes: int = 0
