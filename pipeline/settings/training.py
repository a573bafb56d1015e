"""Who trains, the loss, how long it is minimised, in which precision, on which loop."""

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.errors import BadSetting
from pipeline.settings.measuring import MOST_EPSILON
from pipeline.settings.rules import require, require_function

END_OF_SEEDS = 2**31
"""All seeds are below it."""
OF_SHELL = {"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1", "&>"}
"""Words that tell a shell what to do."""


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


class Adversarial(StrEnum):
    """Which samples training sees: those of the data, or moved against the network by fgsm."""

    none = "none"
    fgsm = "fgsm"


class Keep(StrEnum):
    """Whose weights count in the end: see `training.kept_epoch`."""

    last = "last"
    least_loss = "least_loss"


class Engine(StrEnum):
    """The training loop: compiled by XLA, as a plain TensorFlow graph, or that of Keras; `auto` chooses."""

    auto = "auto"
    xla = "xla"
    graph = "graph"
    keras = "keras"


@dataclass(slots=True)
class Trial:
    """Who trains; one subclass for each kind."""


@dataclass(slots=True)
class Network(Trial):
    """One of our networks, or a Keras network of the user's, trained on prepared data."""


@dataclass(slots=True)
class UserLoop(Trial):
    """A training loop of the user's own.

    `fair_midway`: whether the state after each epoch is one that a shorter training would have reached;
    `values`: the user's own keys, which `compose` reads from the words; nobody types it.
    """

    fair_midway: bool = field(kw_only=True)
    values: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def name(self) -> str:
        """Return a short name for people."""
        return ""

    @property
    def word(self) -> str:
        """Return the word of a command line that names the code."""
        return ""


@dataclass(slots=True)
class Function(UserLoop):
    """A generator function of the user's, `call` is its `package.module:function`."""

    call: str

    def __post_init__(self) -> None:
        require_function("trial.call", self.call)

    @property
    def name(self) -> str:
        """Return a short name for people: that of the function."""
        return self.call.partition(":")[2]

    @property
    def word(self) -> str:
        """Return the word that names the code."""
        return f"trial.call={self.call}"


@dataclass(slots=True)
class Command(UserLoop):
    """A program of the user's; `{key}` in `command` stands for the value of a key."""

    command: str

    def __post_init__(self) -> None:
        require(bool(self.command.strip()), "trial.command", "a command line", "nothing")
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise BadSetting(
                f"trial.command must be words as a shell reads them, got {self.command!r} ({error}); "
                "close the quotes"
            ) from None
        if meant := self._find_shell_word():
            raise BadSetting(
                f"trial.command must be one program, which no shell reads, got {meant} in {self.command!r}; "
                "write sh -c '...' around it, or quote what is no more than text"
            )

    def _find_shell_word(self) -> str | None:
        """Find a word that only a shell understands, where it is not quoted."""
        with suppress(ValueError):  # a quote with a backslash, which this way of reading does not know
            first, *others = shlex.split(self.command, posix=False)
            if re.match(r"[A-Za-z_]\w*=", first):  # a variable of the environment
                return first
            return next((word for word in (first, *others) if word in OF_SHELL), None)
        return None

    @property
    def name(self) -> str:
        """Return a short name for people: that of the script or of the program."""
        words = self.command.split()
        scripts = [word for word in words if re.fullmatch(r"[\w./-]+\.\w+", word)]
        return re.sub(r"[^\w.-]", "", (scripts or words)[0].rpartition("/")[2]).partition(".")[0] or "command"

    @property
    def word(self) -> str:
        """Return the word that names the code."""
        return f"trial.command={self.command}"


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
    """Mean of the squared difference of outputs and targets: of one-hot classes, or of a quantity."""


@dataclass(slots=True)
class MeanAbsoluteError(Loss):
    """Mean of the absolute difference of a quantity, in deviations of the training targets."""


@dataclass(slots=True)
class Huber(Loss):
    """Squared up to `delta` deviations of the training targets, from there on absolute; of a quantity."""

    delta: float

    def __post_init__(self) -> None:
        Loss.__post_init__(self)
        require(0 < self.delta <= 1e6, "loss.delta", "> 0 and <= 1000000 (deviations)", self.delta)


@dataclass(slots=True)
class Precision:
    """The numbers that matrix products compute with; parameters stay float32 (float64 under float64)."""

    policy: Policy
    loss_scale: float

    def __post_init__(self) -> None:
        require(0 < self.loss_scale <= 2**24, "precision.loss_scale", "> 0 and <= 16777216", self.loss_scale)


@dataclass(slots=True, kw_only=True)
class Train:
    """How long to train, in which batches, from which seed and weights, and on which samples.

    `adversarial_epsilon`: how far samples are moved, see `models.attacks.ball`.
    """

    epochs: int
    batch_size: int
    patience: int
    keep: Keep
    seed: int
    adversarial: Adversarial
    adversarial_epsilon: float
    start_from: str | None  # typed as train.from, which Python cannot name a field

    def __post_init__(self) -> None:
        require(1 <= self.epochs <= 100_000, "train.epochs", ">= 1 and <= 100000", self.epochs)
        require(1 <= self.batch_size <= 2**20, "train.batch_size", ">= 1 and <= 1048576", self.batch_size)
        require(self.patience >= 0, "train.patience", ">= 0 (0 = off)", self.patience)
        rule = "last beside train.patience, which keeps the best accuracy"
        require(not self.patience or self.keep is Keep.last, "train.keep", rule, self.keep.value)
        require(0 <= self.seed < END_OF_SEEDS, "train.seed", f">= 0 and < {END_OF_SEEDS}", self.seed)
        epsilon, rule = self.adversarial_epsilon, f">= 0 and <= {MOST_EPSILON}"
        require(0 <= epsilon <= MOST_EPSILON, "train.adversarial_epsilon", rule, epsilon)


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
