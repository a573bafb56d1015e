"""Where the seconds of a training epoch, or of one answer, went: shares that are measured, with their spread.

The ladder of ablations: the same compiled loop is timed with more and more of its work, on the real network
and on a twin of it that has one unit and one sample, so next to no arithmetic. What a rung adds on the real
network beyond what it adds on the twin is work; what the whole twin costs is overhead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from statistics import median, quantiles


class Part(StrEnum):
    """What seconds can be spent on: `compute` is of an answer, `surplus` of a run, the rest of an epoch."""

    input = "input"
    forward = "forward"
    backward = "backward"
    update = "update"
    overhead = "overhead"
    compute = "compute"
    surplus = "surplus"


class Rung(IntEnum):
    """How much of a step is done: each rung does what the one below does, and one thing more."""

    forward = 1
    backward = 2
    update = 3
    input = 4


@dataclass(frozen=True, slots=True)
class Span:
    """`seconds` (median), the quartiles `low` and `high` around it, and the method that found them."""

    seconds: float
    low: float
    high: float
    method: str

    def times(self, factor: float) -> "Span":
        """The same span so many times over."""
        return Span(self.seconds * factor, self.low * factor, self.high * factor, self.method)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """`whole`: an epoch (`of` is epoch) or one answer (`of` is answer), timed by itself; `parts` make it up.

    `beside`: seconds that are no part of it, by name; `steps`: of an epoch; `loop`: which one ran.
    """

    of: str
    whole: Span
    parts: Mapping[Part, Span]
    beside: Mapping[str, Span]
    steps: int
    loop: str
    device: str

    def share(self, part: Part) -> float:
        """Of the whole, 0..1; 0 for a part that it does not have."""
        return self.parts[part].seconds / self.whole.seconds if part in self.parts else 0.0

    @property
    def unexplained(self) -> float:
        """Share of the whole that the parts leave over; below zero where they come to more."""
        return 1 - sum(self.share(part) for part in self.parts)


def span(seconds: Sequence[float], method: str) -> Span:
    """Median and quartiles of repeated measurements."""
    low, middle, high = quantiles(seconds, n=4) if len(seconds) > 1 else [seconds[0]] * 3
    return Span(middle, low, high, method)


Ladder = Mapping[Rung, Sequence[float]]
"""Seconds of each rung in every round; the rungs of a round were timed one right after the other."""

ABLATION = "ablation: this rung less the one below, less the same on a twin of one unit"
TWIN = "the whole step on a twin of one unit and one sample"


def climbed(real: Ladder, twin: Ladder) -> dict[Part, Span]:
    """Parts from the ladders of the real network and of its twin; spreads are of the rounds."""
    heights, twin_heights = _rising(real), _rising(twin)
    parts = {Part.overhead: span(twin[Rung.input], TWIN)}
    for rung in Rung:
        gains = [
            (high - low) - (twin_high - twin_low)
            for high, low, twin_high, twin_low in zip(
                real[rung], _below(real, rung), twin[rung], _below(twin, rung), strict=True
            )
        ]
        spread = span(gains, ABLATION)
        gain = (heights[rung] - heights.get(rung - 1, 0.0)) - (
            twin_heights[rung] - twin_heights.get(rung - 1, 0.0)
        )
        parts[Part[rung.name]] = _not_negative(Span(gain, spread.low, spread.high, ABLATION))
    return {part: parts[part] for part in Part if part in parts}


def _below(ladder: Ladder, rung: Rung) -> Sequence[float]:
    return ladder[Rung(rung - 1)] if rung > 1 else [0.0] * len(ladder[rung])


def _rising(ladder: Ladder) -> dict[int, float]:
    """The median of each rung, none higher than the rungs above it.

    A rung can cost more than the next: gradients that are only carried along must be stored, where a compiler
    would have fused them with the update. Then the next one costs nothing of its own.
    """
    heights: dict[int, float] = {}
    lowest = float("inf")
    for rung in reversed(Rung):
        lowest = min(lowest, median(ladder[rung]))
        heights[rung] = lowest
    return heights


def answered(real: Sequence[float], twin: Sequence[float]) -> dict[Part, Span]:
    """Overhead and compute of one answer, from round by round seconds of a network and its twin."""
    gains = [one - other for one, other in zip(real, twin, strict=True)]
    method = "ablation: an answer less the answer of a twin of one unit"
    overhead = min(median(twin), median(real))
    return {
        Part.overhead: Span(overhead, *_quartiles(twin), "an answer of a twin of one unit"),
        Part.compute: _not_negative(span(gains, method)),
    }


def _quartiles(seconds: Sequence[float]) -> tuple[float, float]:
    found = span(seconds, "")
    return found.low, found.high


def _not_negative(found: Span) -> Span:
    """Below zero is noise around nothing."""
    return Span(max(0.0, found.seconds), max(0.0, found.low), max(0.0, found.high), found.method)
