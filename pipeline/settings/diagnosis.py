"""How a diagnosis makes a command line cheaper (conf/diagnose)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require, require_name


class Aim(StrEnum):
    """What a diagnosis makes cheaper: the device-seconds of training, or the p99 latency of one answer."""

    train = "train"
    latency = "latency"


@dataclass(slots=True, kw_only=True)
class Diagnose:
    """How a command line is made cheaper, and how sure that must be.

    `confidence`: probability that no accepted attempt is noise; `accuracy_confidence`: probability that the
    accuracy fell by no more than `tolerance` (0..1); `least_gain`: share of the cost that must be saved;
    `retimed`: share of its epochs for which the old command line runs again next to each attempt.
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
        require(2 <= self.seeds <= 100, "diagnose.seeds", ">= 2 and <= 100 (pairs for a test)", self.seeds)
        require(1 <= self.steps <= 1000, "diagnose.steps", ">= 1 and <= 1000", self.steps)
        require(self.minutes > 0, "diagnose.minutes", "> 0", self.minutes)
        require(0 <= self.tolerance < 1, "diagnose.tolerance", ">= 0 and < 1 (a share)", self.tolerance)
        require(0.5 <= self.confidence < 1, "diagnose.confidence", ">= 0.5 and < 1", self.confidence)
        require(
            0.5 <= self.accuracy_confidence < 1,
            "diagnose.accuracy_confidence",
            ">= 0.5 and < 1",
            self.accuracy_confidence,
        )
        require(0 < self.least_gain < 1, "diagnose.least_gain", "> 0 and < 1 (a share)", self.least_gain)
        require(0 < self.retimed <= 1, "diagnose.retimed", "> 0 and <= 1 (a share)", self.retimed)
        valid = self.save is None or re.fullmatch(r"\w+", self.save) is not None
        require(valid, "diagnose.save", "letters, digits and _, the name of an experiment", self.save)
        require_name("diagnose.save", self.save)
