"""The breakdown: measured shares of the seconds of a training epoch, or of one answer, with their spread.

The ladder of ablations: the same compiled loop is timed with more and more of its work, on the real network
and on a twin of it that has one unit and one sample, so next to no arithmetic. What a rung adds on the real
network beyond what it adds on the twin is work; what the complete step costs on the twin is overhead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from statistics import median, quantiles


class Part(StrEnum):
    """A component of time: `compute` is of an answer, `surplus` of a run, all others of an epoch."""

    input = "input"
    forward = "forward"
    backward = "backward"
    update = "update"
    overhead = "overhead"
    compute = "compute"
    surplus = "surplus"


class Rung(IntEnum):
    """How much of a step is done: each rung does one thing more than the rung below it."""

    forward = 1
    backward = 2
    update = 3
    input = 4


@dataclass(frozen=True, slots=True)
class Span:
    """A measured time: `seconds` (median), its quartiles `low` and `high`, and the method, in words."""

    seconds: float
    low: float
    high: float
    method: str

    def scale(self, factor: float) -> "Span":
        """Return this span with all seconds x `factor`."""
        return Span(self.seconds * factor, self.low * factor, self.high * factor, self.method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Where the seconds of an epoch (`of` is "epoch") or of one answer (`of` is "answer") go.

    `whole`: the time of all of it, measured by itself; `parts`: its components; `beside`: other seconds of a
    run, by name, as those of compilation; `steps`: of an epoch; `loop`: the training loop that ran.
    """

    of: str
    whole: Span
    parts: Mapping[Part, Span]
    beside: Mapping[str, Span]
    steps: int
    loop: str
    device: str

    def share(self, part: Part) -> float:
        """Return the share of a component in the whole, 0..1; 0 for one that it does not have."""
        return self.parts[part].seconds / self.whole.seconds if part in self.parts else 0.0

    @property
    def unexplained(self) -> float:
        """Return the share of the whole that no component explains; below zero where they add up to more."""
        return 1 - sum(map(self.share, self.parts))


def summarise_seconds(seconds: Sequence[float], method: str) -> Span:
    """Return median and quartiles of repeated measurements."""
    low, middle, high = quantiles(seconds, n=4) if len(seconds) > 1 else [seconds[0]] * 3
    return Span(middle, low, high, method)


Ladder = Mapping[Rung, Sequence[float]]
"""Seconds of each rung in every round; the rungs of a round were timed one right after the other."""

ABLATION = "ablation: this rung less the one below, less the same on a twin of one unit"
TWIN = "the whole step on a twin of one unit and one sample"


def split_epoch(real: Ladder, twin: Ladder) -> dict[Part, Span]:
    """Split an epoch into the seconds of overhead, forward, backward, update and input.

    `real`, `twin`: the ladders of the network and of its twin, in seconds of an epoch; quartiles are those of
    the rounds.
    """
    heights, twin_heights = _find_heights(real), _find_heights(twin)
    spans = {Part.overhead: summarise_seconds(twin[Rung.input], TWIN)}
    for rung in Rung:
        gains = [
            (high - low) - (twin_high - twin_low)
            for high, low, twin_high, twin_low in zip(
                real[rung], _get_rung_below(real, rung), twin[rung], _get_rung_below(twin, rung), strict=True
            )
        ]
        spread = summarise_seconds(gains, ABLATION)
        gain = (heights[rung] - heights.get(rung - 1, 0.0)) - (
            twin_heights[rung] - twin_heights.get(rung - 1, 0.0)
        )
        spans[Part[rung.name]] = _clip_negative(Span(gain, spread.low, spread.high, ABLATION))
    return {component: spans[component] for component in Part if component in spans}


def _get_rung_below(ladder: Ladder, rung: Rung) -> Sequence[float]:
    return ladder[Rung(rung - 1)] if rung > 1 else [0.0] * len(ladder[rung])


def _find_heights(ladder: Ladder) -> dict[int, float]:
    """Return the median of each rung, lowered to that of a rung above it where that is less.

    A rung can cost more than the next: gradients that are only carried along must be stored, where a compiler
    would have fused them with the update. Then the next rung counts as free.
    """
    heights: dict[int, float] = {}
    lowest = float("inf")
    for rung in reversed(Rung):
        lowest = min(lowest, median(ladder[rung]))
        heights[rung] = lowest
    return heights


def split_answer(real: Sequence[float], twin: Sequence[float]) -> dict[Part, Span]:
    """Split the seconds of one answer into overhead and compute, by those of a network and its twin.

    `real`, `twin`: a number for each round, measured one right after the other.
    """
    gains = [seconds - twin_seconds for seconds, twin_seconds in zip(real, twin, strict=True)]
    method = "ablation: an answer less the answer of a twin of one unit"
    overhead = min(median(twin), median(real))
    return {
        Part.overhead: Span(overhead, *_quartiles(twin), "an answer of a twin of one unit"),
        Part.compute: _clip_negative(summarise_seconds(gains, method)),
    }


def _quartiles(seconds: Sequence[float]) -> tuple[float, float]:
    span = summarise_seconds(seconds, "")
    return span.low, span.high


def _clip_negative(span: Span) -> Span:
    """Raise what is below zero to zero: it is noise around nothing."""
    return Span(max(0.0, span.seconds), max(0.0, span.low), max(0.0, span.high), span.method)
