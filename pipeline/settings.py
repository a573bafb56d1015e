"""What may be told: one slotted dataclass per conf group.

Shapes and rules live here, values live in conf/. No field has a default, so a value that is missing in
conf/ is an error there. A rule that one field can break is checked in its own class, a rule between two
groups in `Settings`.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum

from pipeline.errors import BadSetting
from pipeline.rules import require as _require


class Activation(StrEnum):
    relu = "relu"
    sigmoid = "sigmoid"
    tanh = "tanh"


class Output(StrEnum):
    softmax = "softmax"
    sigmoid = "sigmoid"


class Init(StrEnum):
    glorot = "glorot"
    he = "he"
    pretrained = "pretrained"


class Policy(StrEnum):
    """Keras' names for a dtype policy."""

    float32 = "float32"
    mixed_bfloat16 = "mixed_bfloat16"
    mixed_float16 = "mixed_float16"
    float64 = "float64"


class Reduction(StrEnum):
    mean = "mean"
    sum = "sum"


class Standardise(StrEnum):
    auto = "auto"
    none = "none"
    overall = "overall"
    feature = "feature"


class Form(StrEnum):
    """What a text becomes: weighed n-grams, or the numbers of its words in their order."""

    auto = "auto"
    tfidf = "tfidf"
    tokens = "tokens"


class Shift(StrEnum):
    none = "none"
    noise = "noise"
    blur = "blur"
    contrast = "contrast"
    rotate = "rotate"
    move = "move"


class Storage(StrEnum):
    float32 = "float32"
    uint8 = "uint8"


class DeviceKind(StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Engine(StrEnum):
    auto = "auto"
    xla = "xla"
    graph = "graph"
    keras = "keras"


class Sampler(StrEnum):
    """Who proposes the next trial: `frontier` is ours, the others are Optuna's."""

    frontier = "frontier"
    tpe = "tpe"
    nsga2 = "nsga2"
    gp = "gp"
    random = "random"
    grid = "grid"
    qmc = "qmc"


class Runtime(StrEnum):
    """Who answers single samples: the compiled Keras model, Keras' own call, or LiteRT."""

    compiled = "compiled"
    keras = "keras"
    litert = "litert"
    litert_int8 = "litert_int8"


class Aim(StrEnum):
    """What a diagnosis makes cheaper: device-seconds to the accuracy reached, or p99 of one answer."""

    train = "train"
    latency = "latency"


class RecordInto(StrEnum):
    own = "own"
    model = "model"


# ---- data -------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Data:
    """Where samples come from; one subclass a kind.

    `fraction`: of each class's training rows, that are used; a smaller part lies within a larger one.
    `in_memory_limit`: bytes of training features above which rows stay on disk and stream.
    """

    fraction: float
    in_memory_limit: int

    def __post_init__(self) -> None:
        _require(0 < self.fraction <= 1, "data.fraction", "> 0 and <= 1", self.fraction)
        _require(self.in_memory_limit >= 0, "data.in_memory_limit", ">= 0 (bytes)", self.in_memory_limit)


@dataclass(slots=True)
class Digits(Data):
    """scikit-learn's 1,797 handwritten digits, 8x8; shipped with scikit-learn."""


@dataclass(slots=True)
class Mnist(Data):
    """MNIST, 60,000 + 10,000 images, 28x28; fetched once, checked by SHA-256."""


@dataclass(slots=True)
class Idx(Data):
    """Four IDX files (plain or .gz) in one folder."""

    path: str
    train_images: str
    train_labels: str
    test_images: str
    test_labels: str


@dataclass(slots=True)
class Arrays(Data):
    """An .npz file with named arrays; the two test names may be null."""

    path: str
    features: str
    labels: str
    test_features: str | None
    test_labels: str | None

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        _require(
            (self.test_features is None) == (self.test_labels is None),
            "data.test_features",
            "set together with data.test_labels",
            self.test_features,
        )


@dataclass(slots=True)
class Preprocess:
    """How samples are cleaned, scaled and split."""

    validation: float
    test: float
    normalise: bool
    standardise: Standardise
    deduplicate: bool
    storage: Storage
    seed: int

    def __post_init__(self) -> None:
        _require(0 < self.validation < 1, "preprocess.validation", "> 0 and < 1", self.validation)
        _require(0 < self.test < 1, "preprocess.test", "> 0 and < 1", self.test)
        _require(
            self.validation + self.test < 1,
            "preprocess.validation",
            f"< 1 - preprocess.test ({1 - self.test:g})",
            self.validation,
        )
        _require(0 <= self.seed < 2**31, "preprocess.seed", ">= 0 and < 2147483648", self.seed)


@dataclass(slots=True)
class Spectrogram:
    """How a sound becomes a log-mel spectrogram."""

    window_ms: float
    hop_ms: float
    mels: int
    low_hz: float
    high_hz: float | None
    floor_db: float

    def __post_init__(self) -> None:
        _require(1 <= self.window_ms <= 1000, "spectrogram.window_ms", ">= 1 and <= 1000", self.window_ms)
        _require(0 < self.hop_ms <= self.window_ms, "spectrogram.hop_ms", "> 0 and <= window_ms", self.hop_ms)
        _require(4 <= self.mels <= 512, "spectrogram.mels", ">= 4 and <= 512", self.mels)
        _require(self.low_hz >= 0, "spectrogram.low_hz", ">= 0", self.low_hz)
        _require(
            self.high_hz is None or self.high_hz > self.low_hz,
            "spectrogram.high_hz",
            "> spectrogram.low_hz, or null (half the sampling rate)",
            self.high_hz,
        )
        _require(-200 <= self.floor_db < 0, "spectrogram.floor_db", ">= -200 and < 0", self.floor_db)


@dataclass(slots=True)
class Vocabulary:
    """How a text becomes numbers."""

    form: Form
    size: int
    ngrams: int
    length: int

    def __post_init__(self) -> None:
        _require(2 <= self.size <= 1_000_000, "vocabulary.size", ">= 2 and <= 1000000", self.size)
        _require(1 <= self.ngrams <= 5, "vocabulary.ngrams", ">= 1 and <= 5", self.ngrams)
        _require(1 <= self.length <= 100_000, "vocabulary.length", ">= 1 and <= 100000", self.length)


# ---- model, loss, optimizer, schedule ------------------------------------------------------------


@dataclass(slots=True)
class Model:
    """What is trained; one subclass a kind."""


@dataclass(slots=True)
class Mlp(Model):
    """`layers` hidden layers of width `hidden`, then one unit a class."""

    hidden: int
    layers: int
    activation: Activation
    output: Output
    dropout: float
    init: Init
    pretrained: str | None

    def __post_init__(self) -> None:
        _require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
        _require(1 <= self.layers <= 64, "model.layers", ">= 1 and <= 64", self.layers)
        _require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)
        _require(
            (self.init is Init.pretrained) == (self.pretrained is not None),
            "model.pretrained",
            "set (a run id, registry URI or path) with model.init=pretrained, and only then",
            self.pretrained,
        )


@dataclass(slots=True)
class Cnn(Model):
    """`blocks` of convolution and pooling, the filters doubling, then one hidden layer; for images."""

    filters: int
    blocks: int
    hidden: int
    activation: Activation
    output: Output
    dropout: float

    def __post_init__(self) -> None:
        _require(1 <= self.filters <= 4096, "model.filters", ">= 1 and <= 4096", self.filters)
        _require(1 <= self.blocks <= 8, "model.blocks", ">= 1 and <= 8", self.blocks)
        _require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)
        _require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)


@dataclass(slots=True)
class Text(Model):
    """Embedding of `width`, mean and maximum over the words, one hidden layer; for texts."""

    width: int
    hidden: int
    activation: Activation
    output: Output
    dropout: float

    def __post_init__(self) -> None:
        _require(1 <= self.width <= 65536, "model.width", ">= 1 and <= 65536", self.width)
        _require(0 <= self.hidden <= 65536, "model.hidden", ">= 0 (none) and <= 65536", self.hidden)
        _require(0 <= self.dropout < 1, "model.dropout", ">= 0 and < 1", self.dropout)


@dataclass(slots=True)
class Custom(Model):
    """A user's own network: `build` is `package.module:function`; `hidden` is for it to use."""

    build: str
    hidden: int
    output: Output

    def __post_init__(self) -> None:
        known = re.fullmatch(r"[\w.]+:\w+", self.build) is not None
        _require(known, "model.build", "package.module:function", self.build)
        _require(1 <= self.hidden <= 65536, "model.hidden", ">= 1 and <= 65536", self.hidden)


@dataclass(slots=True)
class Loss:
    """What is minimised; one subclass a kind."""

    label_smoothing: float

    def __post_init__(self) -> None:
        _require(0 <= self.label_smoothing < 1, "loss.label_smoothing", ">= 0 and < 1", self.label_smoothing)


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
class Optimizer:
    """How parameters move; one subclass a kind."""

    learning_rate: float

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < 1e6, "optimizer.learning_rate", "> 0 and < 1e6", self.learning_rate)


@dataclass(slots=True)
class Sgd(Optimizer):
    """Stochastic gradient descent, with Keras' momentum and Nesterov forms."""

    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        _require(0 <= self.momentum < 1, "optimizer.momentum", ">= 0 and < 1", self.momentum)
        _require(
            not self.nesterov or self.momentum > 0,
            "optimizer.nesterov",
            "false unless optimizer.momentum > 0",
            self.nesterov,
        )


@dataclass(slots=True)
class Adam(Optimizer):
    """Adam (arXiv 1412.6980); weight decay is decoupled (arXiv 1711.05101)."""

    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        _require(0 <= self.beta1 < 1, "optimizer.beta1", ">= 0 and < 1", self.beta1)
        _require(0 <= self.beta2 < 1, "optimizer.beta2", ">= 0 and < 1", self.beta2)
        _require(0 < self.epsilon < 1, "optimizer.epsilon", "> 0 and < 1", self.epsilon)
        _require(0 <= self.weight_decay < 1, "optimizer.weight_decay", ">= 0 and < 1", self.weight_decay)


@dataclass(slots=True)
class Schedule:
    """How the learning rate changes over the steps of a run; one subclass a kind."""

    @property
    def fair_midway(self) -> bool:
        """Whether a state before the last epoch is a fair point: nobody would train longer to reach it."""
        return False


@dataclass(slots=True)
class Constant(Schedule):
    """The same rate at every step."""

    @property
    def fair_midway(self) -> bool:
        return True


@dataclass(slots=True)
class Cosine(Schedule):
    """Half a cosine from the rate to `final` times the rate (arXiv 1608.03983, without restarts)."""

    final: float

    def __post_init__(self) -> None:
        _require(0 <= self.final <= 1, "schedule.final", ">= 0 and <= 1", self.final)


@dataclass(slots=True)
class WarmupLinear(Schedule):
    """Linear rise over the first `warmup` share of the steps, then linear fall to `final` times the rate."""

    warmup: float
    final: float

    def __post_init__(self) -> None:
        _require(0 <= self.warmup < 1, "schedule.warmup", ">= 0 and < 1 (a share of the steps)", self.warmup)
        _require(0 <= self.final <= 1, "schedule.final", ">= 0 and <= 1", self.final)


# ---- training and measuring -----------------------------------------------------------------------


@dataclass(slots=True)
class Precision:
    """Numbers that the matrix products compute in; parameters stay float32 (float64 under float64)."""

    policy: Policy
    loss_scale: float

    def __post_init__(self) -> None:
        _require(0 < self.loss_scale <= 2**24, "precision.loss_scale", "> 0 and <= 16777216", self.loss_scale)


@dataclass(slots=True)
class Train:
    """How long and in which portions."""

    epochs: int
    batch_size: int
    patience: int
    seed: int
    start_from: str | None  # typed as train.from, which Python cannot name a field

    def __post_init__(self) -> None:
        _require(1 <= self.epochs <= 100_000, "train.epochs", ">= 1 and <= 100000", self.epochs)
        _require(1 <= self.batch_size <= 2**20, "train.batch_size", ">= 1 and <= 1048576", self.batch_size)
        _require(self.patience >= 0, "train.patience", ">= 0 (0 = off)", self.patience)
        _require(0 <= self.seed < 2**31, "train.seed", ">= 0 and < 2147483648", self.seed)


@dataclass(slots=True)
class Augment:
    """Random changes of the training images, drawn anew for every sample of every epoch."""

    shift: float
    crop: float
    rotate: float
    flip: bool

    def __post_init__(self) -> None:
        _require(0 <= self.shift <= 0.5, "augment.shift", ">= 0 and <= 0.5 (a share of the side)", self.shift)
        _require(0 <= self.crop < 1, "augment.crop", ">= 0 and < 1 (a share of the side)", self.crop)
        _require(0 <= self.rotate <= 180, "augment.rotate", ">= 0 and <= 180 (degrees)", self.rotate)

    @property
    def active(self) -> bool:
        return bool(self.shift or self.crop or self.rotate or self.flip)


@dataclass(slots=True)
class Evaluate:
    """What is looked at once training is over."""

    calibration_bins: int
    worst: int
    shift: Shift
    severities: list[int]
    shift_seed: int

    def __post_init__(self) -> None:
        known = len(self.severities) > 0 and all(1 <= each <= 5 for each in self.severities)
        _require(known, "evaluate.severities", "a list of whole numbers from 1 to 5", self.severities)
        _require(0 <= self.shift_seed < 2**31, "evaluate.shift_seed", ">= 0, < 2147483648", self.shift_seed)
        _require(
            2 <= self.calibration_bins <= 1000,
            "evaluate.calibration_bins",
            ">= 2 and <= 1000",
            self.calibration_bins,
        )
        _require(0 <= self.worst <= 100, "evaluate.worst", ">= 0 and <= 100", self.worst)


@dataclass(slots=True)
class Profile:
    """What is timed once training is over."""

    repeats: int
    warmup: int
    batch_sizes: list[int]
    runtime: Runtime

    def __post_init__(self) -> None:
        _require(10 <= self.repeats <= 1_000_000, "profile.repeats", ">= 10 and <= 1000000", self.repeats)
        _require(1 <= self.warmup <= 1_000_000, "profile.warmup", ">= 1 and <= 1000000", self.warmup)
        _require(
            len(self.batch_sizes) > 0 and all(1 <= size <= 2**20 for size in self.batch_sizes),
            "profile.batch_sizes",
            "a list of whole numbers >= 1 and <= 1048576, not empty",
            self.batch_sizes,
        )


@dataclass(slots=True)
class Diagnose:
    """How a command line is made cheaper, and how sure that must be.

    `confidence`: that none of the attempts kept is noise; `accuracy_confidence`: that the accuracy fell by no
    more than `tolerance` (0..1); `least_gain`: share of the cost that must be saved; `retimed`: share of its
    epochs for which the old command line runs again beside each attempt.
    """

    aim: Aim
    seeds: int
    steps: int
    minutes: float
    tolerance: float
    confidence: float
    accuracy_confidence: float
    least_gain: float
    retimed: float
    save: str | None

    def __post_init__(self) -> None:
        _require(2 <= self.seeds <= 100, "diagnose.seeds", ">= 2 and <= 100 (pairs for a test)", self.seeds)
        _require(1 <= self.steps <= 1000, "diagnose.steps", ">= 1 and <= 1000", self.steps)
        _require(self.minutes > 0, "diagnose.minutes", "> 0", self.minutes)
        _require(0 <= self.tolerance < 1, "diagnose.tolerance", ">= 0 and < 1 (a share)", self.tolerance)
        _require(0.5 <= self.confidence < 1, "diagnose.confidence", ">= 0.5 and < 1", self.confidence)
        _require(
            0.5 <= self.accuracy_confidence < 1,
            "diagnose.accuracy_confidence",
            ">= 0.5 and < 1",
            self.accuracy_confidence,
        )
        _require(0 < self.least_gain < 1, "diagnose.least_gain", "> 0 and < 1 (a share)", self.least_gain)
        _require(0 < self.retimed <= 1, "diagnose.retimed", "> 0 and <= 1 (a share)", self.retimed)
        fits = self.save is None or re.fullmatch(r"\w+", self.save) is not None
        _require(fits, "diagnose.save", "letters, digits and _, the name of an experiment", self.save)


@dataclass(slots=True)
class Device:
    """Where the numbers are computed, how much of it a trial holds, and whether CPU cores for it alone."""

    kind: DeviceKind
    threads: int
    pin: bool

    def __post_init__(self) -> None:
        _require(1 <= self.threads <= 1024, "device.threads", ">= 1 and <= 1024", self.threads)


@dataclass(slots=True)
class Price:
    """What a device-second costs."""

    per_hour: float | None
    currency: str

    def __post_init__(self) -> None:
        known = self.per_hour is None or 0 <= self.per_hour < 1e6
        _require(known, "price.per_hour", ">= 0 and < 1e6, or null", self.per_hour)
        known = re.fullmatch("[a-z]{3}", self.currency) is not None
        _require(known, "price.currency", "three small letters such as usd", self.currency)

    def of(self, device_seconds: float) -> float | None:
        """Money for so many device-seconds; None without a price."""
        return None if self.per_hour is None else device_seconds * self.per_hour / 3600


# ---- searching --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pruning:
    """When a search pauses a trial; see `pipeline.pruning`."""

    enabled: bool
    optimism: float
    least_epochs: int

    def __post_init__(self) -> None:
        _require(1 <= self.optimism <= 100, "pruning.optimism", ">= 1 and <= 100", self.optimism)
        known = 1 <= self.least_epochs <= 100_000
        _require(known, "pruning.least_epochs", ">= 1 and <= 100000", self.least_epochs)


class Objective(StrEnum):
    """What counts as accuracy in a search."""

    accuracy = "accuracy"
    accuracy_under_shift = "accuracy_under_shift"


@dataclass(slots=True)
class Search:
    """What a sweep varies, how it chooses, and when it ends.

    `space`: what one would type after `--multirun`; `when`: more of it where a condition `key=value` holds;
    `objective`: on validation samples as they are, or changed as `evaluate` says;
    `trials`: a total, so a study that is taken up again tops up; `enqueue`: command lines tried first;
    `from_diagnosis`: the run of a diagnosis, whose last command line is tried first and searched around;
    `confirm`: new seeds that each point of the frontier is trained with at the end.
    """

    space: list[str]
    when: dict[str, list[str]]
    sampler: Sampler
    objective: Objective
    trials: int
    budget_device_seconds: float | None
    timeout: float | None
    workers: int
    storage: str | None
    study: str | None
    seed: int
    enqueue: list[str]
    from_diagnosis: str | None
    confirm: int
    max_latency_ms: float | None
    max_parameters: int | None

    def __post_init__(self) -> None:
        _require(1 <= self.trials <= 1_000_000, "search.trials", ">= 1 and <= 1000000", self.trials)
        _require(1 <= self.workers <= 1024, "search.workers", ">= 1 and <= 1024", self.workers)
        _require(0 <= self.seed < 2**31, "search.seed", ">= 0 and < 2147483648", self.seed)
        _require(0 <= self.confirm <= 100, "search.confirm", ">= 0 (0 = off) and <= 100", self.confirm)
        for name in ("budget_device_seconds", "timeout", "max_latency_ms", "max_parameters"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"search.{name}", "> 0, or null", value)
        named = self.study is None or re.fullmatch(r"[^'\"/:]+", self.study) is not None
        _require(named, "search.study", "a name without quotes, / or :, or null", self.study or "nothing")

    @property
    def under_shift(self) -> bool:
        return self.objective is Objective.accuracy_under_shift


# ---- around a trial -------------------------------------------------------------------------------


@dataclass(slots=True)
class Tracking:
    """Where a run is recorded, beside MLFLOW_TRACKING_URI."""

    experiment: str
    run_name: str | None
    register: str | None


@dataclass(slots=True)
class Ui:
    """Where `ui` listens."""

    host: str
    port: int

    def __post_init__(self) -> None:
        _require(1 <= self.port <= 65535, "ui.port", ">= 1 and <= 65535", self.port)


@dataclass(slots=True)
class Claim:
    """Figures that somebody published for these settings, to be printed beside ours."""

    source: str
    accuracy: float
    loss: float


@dataclass(slots=True)
class Settings:
    """One trial, whole."""

    data: Data
    preprocess: Preprocess
    spectrogram: Spectrogram
    vocabulary: Vocabulary
    model: Model
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    precision: Precision
    train: Train
    augment: Augment
    evaluate: Evaluate
    profile: Profile
    diagnose: Diagnose
    device: Device
    price: Price
    tracking: Tracking
    ui: Ui
    search: Search
    pruning: Pruning
    engine: Engine
    data_dir: str
    cache_dir: str
    trained: str | None
    record: RecordInto
    claim: Claim | None

    def __post_init__(self) -> None:
        self._check_output_fits_loss()
        _require(
            self.record is RecordInto.own or self.trained is not None,
            "record",
            "own unless trained=... names a run",
            self.record,
        )

    def _check_output_fits_loss(self) -> None:
        output = getattr(self.model, "output", None)
        if isinstance(self.loss, CrossEntropy) and output is Output.sigmoid:
            raise BadSetting(
                "loss=cross_entropy needs model.output=softmax, got sigmoid; "
                "use loss=binary_cross_entropy or model.output=softmax"
            )
        if isinstance(self.loss, BinaryCrossEntropy) and output is Output.softmax:
            raise BadSetting(
                "loss=binary_cross_entropy needs model.output=sigmoid, got softmax; "
                "use loss=cross_entropy or model.output=sigmoid"
            )


@dataclass(frozen=True, slots=True)
class Told:
    """What the user said: settings, the option chosen in each group, and the words that say so."""

    settings: Settings
    choices: dict[str, str]
    overrides: tuple[str, ...]

    def command_line(self, command: str) -> str:
        """The one line that repeats this."""
        return shlex.join(["python", "-m", "pipeline", command, *self.overrides])


def option_name(kind: type) -> str:
    """The conf option that a class stands for: `WarmupLinear` -> `warmup_linear`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def flatten(section: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted keys and plain values of a settings tree, depth first, in field order."""
    for field in fields(section):  # type: ignore[arg-type]
        key, value = f"{prefix}{field.name}", getattr(section, field.name)
        if is_dataclass(value):
            yield from flatten(value, f"{key}.")
        else:
            yield key, value.value if isinstance(value, Enum) else value
