"""The loss, how long it is minimised, in which precision, on which loop."""

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.settings.rules import require


class Policy(StrEnum):
    """The names that Keras has for dtype policies."""

    float32 = "float32"
    mixed_bfloat16 = "mixed_bfloat16"
    mixed_float16 = "mixed_float16"
    float64 = "float64"


class Reduction(StrEnum):
    """How the losses of the classes of one sample become one number."""

    mean = "mean"
    sum = "sum"


class ClassWeights(StrEnum):
    """How much a sample's loss counts: as any other, or by how rare its class is."""

    none = "none"
    balanced = "balanced"


class Engine(StrEnum):
    """The training loop: compiled by XLA, as a plain TensorFlow graph, or that of Keras; `auto` chooses."""

    auto = "auto"
    xla = "xla"
    graph = "graph"
    keras = "keras"


@dataclass(slots=True)
class Loss:
    """What is minimised; one subclass for each kind."""

    label_smoothing: float
    class_weights: ClassWeights = field(default=ClassWeights.none, kw_only=True)

    def __post_init__(self) -> None:
        require(0 <= self.label_smoothing < 1, "loss.label_smoothing", ">= 0 and < 1", self.label_smoothing)


@dataclass(slots=True)
class CrossEntropy(Loss):
    """Categorical cross-entropy on softmax outputs."""


@dataclass(slots=True)
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy on sigmoid outputs; `reduction` says how it is reduced over the classes."""

    reduction: Reduction


@dataclass(slots=True)
class MeanSquaredError(Loss):
    """Mean over the classes of the squared difference of outputs and one-hot targets."""


@dataclass(slots=True)
class Precision:
    """The numbers that matrix products compute with; parameters stay float32 (float64 under float64)."""

    policy: Policy
    loss_scale: float

    def __post_init__(self) -> None:
        require(0 < self.loss_scale <= 2**24, "precision.loss_scale", "> 0 and <= 16777216", self.loss_scale)


@dataclass(slots=True)
class Train:
    """How long to train, in which batches, from which seed and weights."""

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
    """Random changes of the training images, drawn anew for each sample of each epoch."""

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
        """Return whether any change is switched on."""
        return bool(self.shift or self.crop or self.rotate or self.flip)
