"""An attempt: a remedy measured in turns with the command line that it would replace. Pure.

Accuracies are compared with the baseline of the whole diagnosis, so that small losses cannot add up. Costs
are timed in pairs, the old and the new command line one right after the other, until the test is decided.

A machine is faster at one time than at another. So what a remedy saves is the ratio within the pairs, and
nothing else: the seconds of an attempt are the baseline's, divided by the ratios on the way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean, stdev

from pipeline.diagnosis import paired_tests
from pipeline.diagnosis.attempt import Attempt, TimeBudget, estimate_share_to_settle, judge, looks_idle
from pipeline.diagnosis.bottleneck import Case, ProposedRemedy, Words
from pipeline.diagnosis.measured_command import (
    CostlyError,
    MeasuredCommand,
    Run,
    apply_overrides,
    count_epochs,
    list_accuracies,
    list_costs,
)
from pipeline.errors import CacheUnusable, FulcrumError
from pipeline.formatting import format_seconds
from pipeline.measures import Curve
from pipeline.settings.command_line import EPOCHS, Overrides
from pipeline.settings.diagnosis import Aim, Diagnose
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

FIRST_LOOKS = 3
"""Looks at an attempt, at most, before it must be promising: after 1, 2 and 4 pairs of each seed."""
MORE_EPOCHS = 3
"""How many epochs longer than the first seed needed the other seeds are trained."""
SLACK = 1.2
"""How many times the old cost a new command line may spend before it is stopped."""


class HopelessError(Exception):
    """A remedy does not reach the required accuracy; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRunner:
    """Measures and judges the attempts of one diagnosis, all against the same baseline."""

    settings: Diagnose
    seeds: range
    run: Run
    baseline: MeasuredCommand
    budget: TimeBudget
    measure: Measure = ACCURACY_MEASURE

    @property
    def required_accuracy(self) -> float:
        """Return the mean accuracy that must be reached."""
        return fmean(self.baseline.accuracies) - self.settings.tolerance

    def measure_and_judge(
        self, number: int, proposal: ProposedRemedy, current: MeasuredCommand, case: Case
    ) -> Attempt:
        """Measure a remedy and judge it; a remedy that fails is an attempt that is not kept."""
        words = self._extend_to_baseline(apply_overrides(current.words, proposal.words), proposal, case)
        blank = Attempt(number=number, proposal=proposal, words=words, before=current)
        try:
            if _is_shortening(proposal, case):
                shorter = _shorten(current, _parse_epochs(proposal))
                return self._judge(replace(blank, words=shorter.words, after=shorter))
            needed = self._trim_epochs(current)
            return self._measure_pairs(replace(blank, before=needed), needed)
        except HopelessError as error:
            return replace(blank, reason=str(error))
        except CostlyError:
            return replace(blank, reason="costs more than the command line that it should replace")
        except CacheUnusable:  # it is no remedy's fault
            raise
        except FulcrumError as error:
            return replace(blank, reason=f"cannot be trained: {error}")

    def _extend_to_baseline(self, words: Words, proposal: ProposedRemedy, case: Case) -> Words:
        """Set as many epochs as the baseline had, where any of them may turn out to be enough."""
        fixed = self.settings.aim is Aim.latency or not case.settings.schedule.fair_midway
        if fixed or _sets_epochs(proposal):
            return words
        return apply_overrides(words, (f"train.epochs={count_epochs(self.baseline.curves)}",))

    def _trim_epochs(self, current: MeasuredCommand) -> MeasuredCommand:
        """Drop the epochs that `current` did not need: leaving them out is no merit of a remedy."""
        epoch = self.find_enough_epochs(current.curves) or current.epoch
        return replace(
            current, epoch=epoch, costs=tuple(cost * epoch / current.epoch for cost in current.costs)
        )

    # ---- measuring --------------------------------------------------------------------------------

    def _measure_pairs(self, blank: Attempt, current: MeasuredCommand) -> Attempt:
        """Measure pairs of timings until the test is decided; accuracies repeat, so one curve gives them."""
        began = self.budget.elapsed
        olds, curves = self._measure_first_round(blank.words, current)
        epoch = self._require_enough_epochs(curves)
        words = blank.words
        if curves[0].fair_midway and epoch < count_epochs(curves):
            words = apply_overrides(words, (f"train.epochs={epoch}",))
        news = list_costs(curves, epoch)
        attempt = replace(
            blank,
            words=words,
            after=MeasuredCommand(words, tuple(curves), epoch, news),
            timings=tuple(zip(olds, news, strict=True)),
        )
        attempt = self._judge(self._set_to_baseline_clock(attempt))
        while not (attempt.kept or looks_idle(attempt)):
            if attempt.looks >= FIRST_LOOKS:
                if not attempt.promising:
                    break
                share = estimate_share_to_settle(attempt, self.settings)
                seconds = math.inf if share is None else share * (self.budget.elapsed - began)
                if not self.budget.can_spend(seconds):
                    return replace(attempt, reason=f"{attempt.reason}; {self.budget.advise(seconds)}")
            attempt = self._time_again(attempt)
        return attempt

    def _time_again(self, attempt: Attempt) -> Attempt:
        """Time as many pairs once more as an attempt has, and judge it anew."""
        assert attempt.after is not None
        epoch, timings = attempt.after.epoch, list(attempt.timings)
        for number in range(len(timings), 2 * len(timings)):
            turn, index = divmod(number, len(self.seeds))
            old, curve = self._measure_pair(
                attempt.words,
                attempt.before,
                self.seeds[index],
                epoch,
                swap=(index + turn) % 2 == 1,
                slowest=max(old for old, _ in timings),
            )
            trained = min(epoch, len(curve.epochs))  # fewer where it exceeded its limit
            timings.append((old, curve.epochs[trained - 1].device_seconds * epoch / trained))
        extended = replace(attempt, timings=tuple(timings), looks=attempt.looks + 1)
        return self._judge(self._set_to_baseline_clock(extended))

    def _set_to_baseline_clock(self, attempt: Attempt) -> Attempt:
        """Set the costs from the timings, as if the old command line still cost what it cost at first."""
        assert attempt.after is not None
        olds, news = zip(*attempt.timings, strict=True)
        scale = attempt.before.point.device_seconds / geometric_mean(olds)
        return replace(
            attempt,
            before=replace(attempt.before, costs=tuple(scale * old for old in olds)),
            after=replace(attempt.after, costs=tuple(scale * new for new in news)),
        )

    def _measure_first_round(self, words: Words, current: MeasuredCommand) -> tuple[list[float], list[Curve]]:
        olds, curves = list[float](), []
        max_epochs = None
        for index, seed in enumerate(self.seeds):
            slowest = max(*current.costs, *olds)
            old, curve = self._measure_pair(words, current, seed, max_epochs, index % 2 == 1, slowest)
            olds.append(old)
            curves.append(curve)
            if not index:
                self._raise_if_hopeless(curve)
                max_epochs = self._limit_epochs(curve)
        return olds, curves

    def _measure_pair(
        self,
        words: Words,
        current: MeasuredCommand,
        seed: int,
        epochs: int | None,
        swap: bool,
        slowest: float,
    ) -> tuple[float, Curve]:
        """Measure the cost of the old command line and the curve of the new one, right after each other.

        `swap`: the new one first; `slowest`: the largest cost of the old one so far; it limits the new one.
        """

        def measure_old() -> float:
            retimed = self.run(current.words, seed, max(1, round(self.settings.retimed * current.epoch)))
            return retimed.last.device_seconds * current.epoch / len(retimed.epochs)

        if swap:
            curve = self.run(words, seed, epochs, SLACK * slowest)
            return measure_old(), curve
        old = measure_old()
        return old, self.run(words, seed, epochs, SLACK * max(slowest, old))

    def _raise_if_hopeless(self, curve: Curve) -> None:
        """Raise after the first seed where it ends so far below that its seed alone does not explain it."""
        spread = stdev(self.baseline.accuracies) if len(self.baseline.curves) > 1 else 0.0
        best = max(epoch.validation_accuracy for epoch in curve.epochs)
        if best < self.baseline.accuracies[0] - self.settings.tolerance - max(3 * spread, 0.003):
            seconds, to_text = curve.last.device_seconds, self.measure.format
            raise HopelessError(
                f"far from {to_text(self.required_accuracy)}: the first seed came to {to_text(best)} in "
                f"{format_seconds(seconds)}"
            )

    def _limit_epochs(self, curve: Curve) -> int | None:
        """Return how many epochs the other seeds need at most: some more than the first one needed."""
        required = self.baseline.accuracies[0] - self.settings.tolerance
        enough = (epoch.number for epoch in curve.epochs if epoch.validation_accuracy >= required)
        first = next(enough, None)
        return None if first is None or not curve.fair_midway else first + MORE_EPOCHS

    # ---- judging ----------------------------------------------------------------------------------

    def _judge(self, attempt: Attempt) -> Attempt:
        return judge(attempt, self.baseline, self.settings, self.measure)

    def find_enough_epochs(self, curves: Sequence[Curve]) -> int | None:
        """Return the first epoch after which the accuracy is that of the baseline within the tolerance.

        None where there is no such epoch. Only the last epoch can be it where the schedule makes no other
        one a fair point.
        """
        last = count_epochs(curves)
        epochs = range(1, last + 1) if curves[0].fair_midway else (last,)
        return next((epoch for epoch in epochs if self.is_as_accurate(curves, epoch)), None)

    def is_as_accurate(self, curves: Sequence[Curve], epoch: int) -> bool:
        """Return whether surely no more than the tolerance is lost after `epoch` epochs."""
        settings = self.settings
        test = paired_tests.compare_accuracies(
            self.baseline.accuracies, list_accuracies(curves, epoch), settings.tolerance
        )
        return test.mean >= -settings.tolerance and test.confidence >= settings.accuracy_confidence

    def _require_enough_epochs(self, curves: Sequence[Curve]) -> int:
        epoch = self.find_enough_epochs(curves)
        if epoch is None:
            best = max(
                fmean(list_accuracies(curves, number)) for number in range(1, count_epochs(curves) + 1)
            )
            seconds = fmean(curve.last.device_seconds for curve in curves)
            to_text = self.measure.format
            raise HopelessError(
                f"did not surely reach {to_text(self.required_accuracy)}: best mean {to_text(best)} in "
                f"{format_seconds(seconds)}"
            )
        return epoch


# ---- remedies that are measured already ------------------------------------------------------------


def _sets_epochs(proposal: ProposedRemedy) -> bool:
    return EPOCHS in Overrides(proposal.words).keys


def _is_shortening(proposal: ProposedRemedy, case: Case) -> bool:
    """Return whether the remedy only shortens training at a constant rate, so its curve is known already."""
    return case.settings.schedule.fair_midway and _sets_epochs(proposal) and len(proposal.words) == 1


def _parse_epochs(proposal: ProposedRemedy) -> int:
    return int(Overrides(proposal.words).to_dict()[EPOCHS])


def _shorten(current: MeasuredCommand, epochs: int) -> MeasuredCommand:
    """Return what `current` was after fewer epochs; all epochs cost the same, so nothing is timed."""
    words = apply_overrides(current.words, (f"train.epochs={epochs}",))
    fewer = tuple(cost * epochs / current.epoch for cost in current.costs)
    return MeasuredCommand(words, current.curves, epochs, fewer)
