"""What is evaluated, predicted and timed, where, and at which price (groups of these names in conf/)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.formatting import format_number
from pipeline.settings.rules import require


class Shift(StrEnum):
    """How the samples of an evaluation are corrupted, to see what a shift of the data costs."""

    none = "none"
    noise = "noise"
    blur = "blur"
    contrast = "contrast"
    rotate = "rotate"
    move = "move"


class Membership(StrEnum):
    """How a trained model is attacked to find out which rows it was trained on."""

    none = "none"
    threshold = "threshold"
    lira = "lira"


class AdversarialAttack(StrEnum):
    """How an evaluation moves samples against the network, to see what is left of its accuracy."""

    none = "none"
    fgsm = "fgsm"
    pgd = "pgd"


MOST_EPSILON = 100
"""Of an attack, and of training against one: far more than any sample stands."""


class DeviceKind(StrEnum):
    """The device asked for; `auto` is the GPU where there is one."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Runtime(StrEnum):
    """What answers single samples: the compiled Keras model, the model called as Keras does, LiteRT, ONNX."""

    compiled = "compiled"
    keras = "keras"
    litert = "litert"
    litert_int8 = "litert_int8"
    onnx = "onnx"


@dataclass(slots=True, kw_only=True)
class Evaluate:
    """What is evaluated after training; `shadows`: models that `membership=lira` trains for comparison.

    `attack_epsilon`: see `models.attacks.ball`; `attack_steps`, `attack_restarts`: of pgd, the first of
    which starts at the sample itself and the others at a point of the ball that `shift_seed` draws;
    `groups`: the column whose values are scored each by itself.
    """

    calibration_bins: int
    worst: int
    saliency: int
    shift: Shift
    severities: list[int]
    shift_seed: int
    membership: Membership
    shadows: int
    attack: AdversarialAttack
    attack_epsilon: float
    attack_steps: int
    attack_restarts: int
    groups: str | None

    def __post_init__(self) -> None:
        valid = 4 <= self.shadows <= 256 and self.shadows % 2 == 0
        require(valid, "evaluate.shadows", "an even number >= 4 and <= 256", self.shadows)
        valid = len(self.severities) > 0 and all(1 <= severity <= 5 for severity in self.severities)
        require(valid, "evaluate.severities", "a list of whole numbers from 1 to 5", self.severities)
        require(0 <= self.shift_seed < 2**31, "evaluate.shift_seed", ">= 0, < 2147483648", self.shift_seed)
        require(
            2 <= self.calibration_bins <= 1000,
            "evaluate.calibration_bins",
            ">= 2 and <= 1000",
            self.calibration_bins,
        )
        require(0 <= self.worst <= 100, "evaluate.worst", ">= 0 and <= 100", self.worst)
        rule = f">= 0 and <= evaluate.worst={self.worst}"
        require(0 <= self.saliency <= self.worst, "evaluate.saliency", rule, self.saliency)
        self._check_attack()

    def _check_attack(self) -> None:
        rule = f">= 0 and <= {MOST_EPSILON}"
        epsilon, steps, restarts = self.attack_epsilon, self.attack_steps, self.attack_restarts
        require(0 <= epsilon <= MOST_EPSILON, "evaluate.attack_epsilon", rule, epsilon)
        require(1 <= steps <= 1000, "evaluate.attack_steps", ">= 1 and <= 1000", steps)
        require(1 <= restarts <= 100, "evaluate.attack_restarts", ">= 1 and <= 100", restarts)


PREDICTION_SUFFIXES = (".csv", ".parquet", ".jsonl")


@dataclass(slots=True)
class Predict:
    """Where predictions are written; the name's ending says in which form."""

    output: str

    def __post_init__(self) -> None:
        valid = self.output.lower().endswith(PREDICTION_SUFFIXES)
        require(valid, "predict.output", f"a file that ends in {' '.join(PREDICTION_SUFFIXES)}", self.output)


@dataclass(slots=True)
class Profile:
    """What is timed after training."""

    repeats: int
    warmup: int
    batch_sizes: list[int]
    runtime: Runtime

    def __post_init__(self) -> None:
        require(10 <= self.repeats <= 1_000_000, "profile.repeats", ">= 10 and <= 1000000", self.repeats)
        require(1 <= self.warmup <= 1_000_000, "profile.warmup", ">= 1 and <= 1000000", self.warmup)
        require(
            len(self.batch_sizes) > 0 and all(1 <= size <= 2**20 for size in self.batch_sizes),
            "profile.batch_sizes",
            "a list of whole numbers >= 1 and <= 1048576, not empty",
            self.batch_sizes,
        )


@dataclass(slots=True)
class Device:
    """The device that computes.

    `threads`: CPU cores of a trial; `pin`: whether cores or GPUs are its own; `count`: GPUs of one machine
    that share each batch of a trial.
    """

    kind: DeviceKind
    threads: int
    pin: bool
    count: int

    def __post_init__(self) -> None:
        require(1 <= self.threads <= 1024, "device.threads", ">= 1 and <= 1024", self.threads)
        require(1 <= self.count <= 64, "device.count", ">= 1 and <= 64", self.count)
        fits = self.count == 1 or self.kind is not DeviceKind.cpu
        require(fits, "device.count", "1 with device=cpu (device.threads says how many cores)", self.count)


JOULES_PER_KWH = 3.6e6


LEAST_MONEY = 0.001
"""Less than this is not worth its digits."""


@dataclass(slots=True)
class Price:
    """What one device costs: money for an hour, and carbon dioxide for its energy; null where none is set.

    `watts`: power of one device at full load, where its energy cannot be read, null: see
    `hardware.energy.WATTS`; `carbon`: grams of carbon dioxide for a kWh.
    """

    per_hour: float | None
    currency: str
    watts: float | None
    carbon: float | None

    def __post_init__(self) -> None:
        valid = self.per_hour is None or 0 <= self.per_hour < 1e6
        require(valid, "price.per_hour", ">= 0 and < 1e6, or null", self.per_hour)
        valid = re.fullmatch("[a-z]{3}", self.currency) is not None
        require(valid, "price.currency", "three small letters such as usd", self.currency)
        valid = self.watts is None or 0 < self.watts < 1e6
        require(valid, "price.watts", "> 0 and < 1e6, or null", self.watts)
        valid = self.carbon is None or 0 <= self.carbon < 1e5
        require(valid, "price.carbon", ">= 0 and < 1e5 grams per kWh, or null", self.carbon)

    def of(self, device_seconds: float) -> float | None:
        """Return what `device_seconds` cost, in `currency`; None where no price is set."""
        return None if self.per_hour is None else device_seconds * self.per_hour / 3600

    def format(self, device_seconds: float, digits: int = 2) -> str:
        """Format what `device_seconds` cost, in brackets after a space; nothing where no price is set."""
        money = self.of(device_seconds)
        if money is None:
            return ""
        is_little = 0 < money < LEAST_MONEY
        amount = f"less than {LEAST_MONEY:g}" if is_little else format_number(money, digits)
        return f" ({amount} {self.currency.upper()})"

    def weigh_carbon(self, joules: float | None) -> float | None:
        """Return the grams of carbon dioxide of that energy; None where either is unknown."""
        return None if self.carbon is None or joules is None else joules / JOULES_PER_KWH * self.carbon


@dataclass(slots=True)
class Claim:
    """Figures that somebody published for these settings; a run prints them beside its own."""

    source: str
    accuracy: float
    loss: float
