"""An attempt as a value: what was measured, and its one verdict by the interval of its gain. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.diagnosis import paired_tests
from pipeline.diagnosis.bottleneck import ProposedRemedy, Words
from pipeline.diagnosis.measured_command import MeasuredCommand, count_epochs
from pipeline.diagnosis.paired_tests import PairedTest
from pipeline.formatting import format_count, format_number
from pipeline.settings.diagnosis import Diagnose
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

MAX_LOOKS = 12
"""Looks at an attempt, at most, however much time there is."""
ROUNDED = 0.005
"""A factor that is nearer to 1 is not shown as one."""


class Decision(StrEnum):
    """What became of a remedy."""

    accepted = "kept"
    refused = "refused"
    promising = "promising"
    """It would pass a single test, but not yet one of the many that a diagnosis makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A remedy that was tried on `before`; `after` is None where it could not be measured to the end.

    `before` counts with the epochs that it needed, if these are fewer than it had. Its costs and those of
    `after` are pairs, as the clock ran when the baseline was measured; `timings`: the same pairs as they were
    measured; `accuracy` compares with the baseline; `looks`: how often the pairs were tested; `needed`: the
    confidence that the last look needed; `reason`: why the remedy was kept or not.
    """

    number: int
    proposal: ProposedRemedy
    words: Words
    before: MeasuredCommand
    after: MeasuredCommand | None = None
    cost: PairedTest | None = None
    accuracy: PairedTest | None = None
    kept: bool = False
    promising: bool = False
    reason: str = ""
    timings: tuple[tuple[float, float], ...] = ()
    looks: int = 1
    needed: float = 1.0

    @property
    def decision(self) -> Decision:
        """Return what became of the remedy."""
        if self.kept:
            return Decision.accepted
        return Decision.promising if self.promising else Decision.refused

    @property
    def gain(self) -> float | None:
        """Return how many times cheaper the measurement says it is, or None."""
        return None if self.cost is None else math.exp(self.cost.mean)

    @property
    def gain_interval(self) -> tuple[float, float] | None:
        """Return the interval of the gain; the remedy is kept where all of it is more than was asked for."""
        if self.cost is None:
            return None
        return self.cost.compute_factors(self.needed)


# ---- the verdict ---------------------------------------------------------------------------------------


def judge(
    attempt: Attempt, baseline: MeasuredCommand, settings: Diagnose, measure: Measure = ACCURACY_MEASURE
) -> Attempt:
    """Decide by the interval of the gain: kept, promising or refused, and say why.

    Costs are compared with those before the attempt, accuracies with the baseline of the whole diagnosis.
    """
    assert attempt.after is not None
    cost = paired_tests.compare_costs(attempt.before.costs, attempt.after.costs, settings.least_gain)
    accuracy = paired_tests.compare_accuracies(
        baseline.accuracies, attempt.after.accuracies, settings.tolerance
    )
    needed = paired_tests.correct_for_look(settings.confidence, settings.steps, attempt.looks)
    judged = replace(
        attempt,
        cost=cost,
        accuracy=accuracy,
        needed=needed,
        kept=cost.confidence >= needed,
        promising=settings.confidence <= cost.confidence < needed,
    )
    return replace(judged, reason=_explain(judged, settings, measure))


def _explain(attempt: Attempt, settings: Diagnose, measure: Measure) -> str:
    assert attempt.cost is not None
    assert attempt.accuracy is not None
    low, high = attempt.cost.compute_interval(attempt.needed)
    gain = f"{format_gain(low, high, attempt.cost.mean)}, {_describe_pairs(attempt)}"
    margin = math.exp(attempt.cost.margin)
    match attempt.decision:
        case Decision.accepted:
            return (
                f"{gain}; {measure.label} {measure.format_change(attempt.accuracy.mean)} "
                f"({format_confidence(attempt.accuracy.confidence)} that no more than "
                f"{float(measure.format_width(settings.tolerance)):g} are lost)"
            )
        case Decision.promising:
            return f"promising, not proven: {gain}"
        case _:
            return f"no gain beyond noise: {gain}; all of the interval must be above {margin:.3g}x"


def _describe_pairs(attempt: Attempt) -> str:
    """Describe what the gain was measured on."""
    if not attempt.timings:
        return "epochs left out, nothing timed"
    epochs, needed = count_epochs(attempt.before.curves), attempt.before.epoch
    against = f" against the {needed} of {epochs} epochs that were needed" if needed < epochs else ""
    return f"{format_count(len(attempt.timings), 'pair')}{against}"


def estimate_share_to_settle(attempt: Attempt, settings: Diagnose) -> float | None:
    """Estimate how many times as many pairs as it has a promising attempt still needs; None: too many."""
    assert attempt.cost is not None
    pairs = len(attempt.timings)
    looks = range(attempt.looks + 1, MAX_LOOKS + 1)
    needed = [paired_tests.correct_for_look(settings.confidence, settings.steps, look) for look in looks]
    total = paired_tests.estimate_pairs(attempt.cost, pairs, needed)
    return None if total is None else total / pairs - 1


def looks_idle(attempt: Attempt) -> bool:
    """Return whether nothing is saved so far, so that more timings would be wasted."""
    assert attempt.cost is not None
    return attempt.cost.mean <= attempt.cost.margin


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The minutes that a diagnosis may take, and how many seconds have passed."""

    clock: Callable[[], float]
    began: float
    minutes: float

    @property
    def elapsed(self) -> float:
        """Return the seconds since the diagnosis began."""
        return self.clock() - self.began

    @property
    def left(self) -> float:
        """Return the seconds that are left, below 0 where more has passed."""
        return 60 * self.minutes - self.elapsed

    def can_spend(self, seconds: float) -> bool:
        """Return whether a promising remedy may take so long: half of what is left, for others come after."""
        return 2 * seconds <= self.left

    def advise(self, seconds: float) -> str:
        """Return how many minutes would have allowed so many more seconds, as the setting to type."""
        if math.isinf(seconds):
            return "no reasonable time would settle it"
        minutes = max(math.ceil((self.elapsed + 2 * seconds) / 60), math.floor(self.minutes) + 1)
        return f"diagnose.minutes={minutes} would settle it"


# ---- all of them together ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalGain:
    """How many times cheaper the result is than the baseline, by pairs alone, with its interval.

    `times` is the product of `by_pairs`, what the attempts saved within their pairs, and `by_epochs`, for
    epochs that were not needed. The interval is as sure as that of the attempts. `confidence`: that it saves
    more than was asked for.
    """

    times: float
    low: float
    high: float
    confidence: float
    by_pairs: float

    @property
    def by_epochs(self) -> float:
        """Return the factor that is due to fewer epochs, or to more of them: below 1."""
        return self.times / self.by_pairs

    def format(self) -> str:
        """Return the factor with its interval, and what it is made of where that is more than pairs."""
        times, low, high = map(format_number, (self.times, self.low, self.high))
        text = f"{times}x cheaper ({low}x to {high}x)"
        if abs(self.by_epochs - 1) < ROUNDED or abs(self.by_pairs - 1) < ROUNDED:
            return text
        pairs, epochs = map(format_number, (self.by_pairs, self.by_epochs))
        return f"{text}: {pairs}x by pairs, {epochs}x by the number of epochs"


def compute_total_gain(
    baseline: MeasuredCommand, accepted: Sequence[Attempt], result: MeasuredCommand, settings: Diagnose
) -> TotalGain:
    """Compute what `result`, made of these attempts, saves: the product of what each saved within its pairs.

    Epochs that were left out or added are a factor without an error, since all epochs cost the same.
    """
    times = baseline.point.device_seconds / result.point.device_seconds
    margin = -math.log1p(-settings.least_gain)
    tests = [attempt.cost for attempt in accepted if attempt.cost is not None]
    total = paired_tests.chain_tests(tests, math.log(times), margin)
    low, high = total.compute_factors(max(attempt.needed for attempt in accepted))
    timed = math.fsum(attempt.cost.mean for attempt in accepted if attempt.cost and attempt.timings)
    return TotalGain(times=times, low=low, high=high, confidence=total.confidence, by_pairs=math.exp(timed))


# ---- words ---------------------------------------------------------------------------------------------


def format_gain(low: float, high: float, mean: float) -> str:
    """Format the log of a factor saved and its interval: `2.11x cheaper (1.62x to 2.75x)`."""
    if mean < 0:
        return f"{format_number(math.exp(-mean))}x dearer ({_format_factor(-high)} to {_format_factor(-low)})"
    return f"{format_number(math.exp(mean))}x cheaper ({_format_factor(low)} to {_format_factor(high)})"


def _format_factor(log: float) -> str:
    """Format a factor with three digits; beyond a thousand the pairs say nothing."""
    if abs(log) > math.log(1000):
        return ">1000x" if log > 0 else "<0.001x"
    return f"{format_number(math.exp(log))}x"


def format_confidence(confidence: float) -> str:
    """Format a confidence 0..1 in percent, never as 100 %, which no test gives."""
    return ">99.9%" if confidence > 0.999 else f"{confidence:.1%}"
