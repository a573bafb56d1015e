"""What is looked at and timed, on which device, at which price."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require


class Shift(StrEnum):
    none = "none"
    noise = "noise"
    blur = "blur"
    contrast = "contrast"
    rotate = "rotate"
    move = "move"


class DeviceKind(StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


class Runtime(StrEnum):
    """Who answers single samples: the compiled Keras model, Keras' own call, or LiteRT."""

    compiled = "compiled"
    keras = "keras"
    litert = "litert"
    litert_int8 = "litert_int8"


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
        require(known, "evaluate.severities", "a list of whole numbers from 1 to 5", self.severities)
        require(0 <= self.shift_seed < 2**31, "evaluate.shift_seed", ">= 0, < 2147483648", self.shift_seed)
        require(
            2 <= self.calibration_bins <= 1000,
            "evaluate.calibration_bins",
            ">= 2 and <= 1000",
            self.calibration_bins,
        )
        require(0 <= self.worst <= 100, "evaluate.worst", ">= 0 and <= 100", self.worst)


@dataclass(slots=True)
class Profile:
    """What is timed once training is over."""

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
    """Where the numbers are computed, how much of it a trial holds, and whether CPU cores for it alone."""

    kind: DeviceKind
    threads: int
    pin: bool

    def __post_init__(self) -> None:
        require(1 <= self.threads <= 1024, "device.threads", ">= 1 and <= 1024", self.threads)


@dataclass(slots=True)
class Price:
    """What a device-second costs."""

    per_hour: float | None
    currency: str

    def __post_init__(self) -> None:
        known = self.per_hour is None or 0 <= self.per_hour < 1e6
        require(known, "price.per_hour", ">= 0 and < 1e6, or null", self.per_hour)
        known = re.fullmatch("[a-z]{3}", self.currency) is not None
        require(known, "price.currency", "three small letters such as usd", self.currency)

    def of(self, device_seconds: float) -> float | None:
        """Money for so many device-seconds; None without a price."""
        return None if self.per_hour is None else device_seconds * self.per_hour / 3600


@dataclass(slots=True)
class Claim:
    """Figures that somebody published for these settings, to be printed beside ours."""

    source: str
    accuracy: float
    loss: float
