"""What is minimised, for how long, in which precision, on which loop."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require


class Policy(StrEnum):
    """Keras' names for a dtype policy."""

    float32 = "float32"
    mixed_bfloat16 = "mixed_bfloat16"
    mixed_float16 = "mixed_float16"
    float64 = "float64"


class Reduction(StrEnum):
    mean = "mean"
    sum = "sum"


class Engine(StrEnum):
    auto = "auto"
    xla = "xla"
    graph = "graph"
    keras = "keras"


@dataclass(slots=True)
class Loss:
    """What is minimised; one subclass a kind."""

    label_smoothing: float

    def __post_init__(self) -> None:
        require(0 <= self.label_smoothing < 1, "loss.label_smoothing", ">= 0 and < 1", self.label_smoothing)


@dataclass(slots=True)
class CrossEntropy(Loss):
    """Categorical cross-entropy on softmax outputs."""


@dataclass(slots=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy on sigmoid outputs; `reduction`: how a sample's classes come together."""

    reduction: Reduction


@dataclass(slots=True)
class MeanSquaredError(Loss):
    """Squared distance of outputs and one-hot targets, averaged over the classes."""


@dataclass(slots=True)
class Precision:
    """Numbers that the matrix products compute in; parameters stay float32 (float64 under float64)."""

    policy: Policy
    loss_scale: float

    def __post_init__(self) -> None:
        require(0 < self.loss_scale <= 2**24, "precision.loss_scale", "> 0 and <= 16777216", self.loss_scale)


@dataclass(slots=True)
class Train:
    """How long and in which portions."""

    epochs: int
    batch_size: int
    patience: int
    seed: int
    start_from: str | None  # typed as train.from, which Python cannot name a field

    def __post_init__(self) -> None:
        require(1 <= self.epochs <= 100_000, "train.epochs", ">= 1 and <= 100000", self.epochs)
        require(1 <= self.batch_size <= 2**20, "train.batch_size", ">= 1 and <= 1048576", self.batch_size)
        require(self.patience >= 0, "train.patience", ">= 0 (0 = off)", self.patience)
        require(0 <= self.seed < 2**31, "train.seed", ">= 0 and < 2147483648", self.seed)


@dataclass(slots=True)
class Augment:
    """Random changes of the training images, drawn anew for every sample of every epoch."""

    shift: float
    crop: float
    rotate: float
    flip: bool

    def __post_init__(self) -> None:
        require(0 <= self.shift <= 0.5, "augment.shift", ">= 0 and <= 0.5 (a share of the side)", self.shift)
        require(0 <= self.crop < 1, "augment.crop", ">= 0 and < 1 (a share of the side)", self.crop)
        require(0 <= self.rotate <= 180, "augment.rotate", ">= 0 and <= 180 (degrees)", self.rotate)

    @property
    def active(self) -> bool:
        return bool(self.shift or self.crop or self.rotate or self.flip)
