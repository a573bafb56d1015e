"""An attempt: a remedy measured in turns with the command line that it would replace. Pure.

Accuracies are compared with the baseline of the whole diagnosis, so that small losses cannot add up. Costs
are timed in pairs, the old and the new command line one right after the other, until the test is decided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from pipeline.diagnosis import paired_tests
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
from pipeline.diagnosis.paired_tests import PairedTest
from pipeline.errors import FulcrumError
from pipeline.measures import Curve
from pipeline.settings.command_line import EPOCHS, Overrides
from pipeline.settings.diagnosis import Aim, Diagnose

MAX_ROUNDS = 5
"""Pairs of timings of each seed, at most."""
MORE_EPOCHS = 3
"""How many epochs longer than the first seed needed the other seeds are trained."""
SLACK = 1.2
"""How many times the old cost a new command line may spend before it is stopped."""


class HopelessError(Exception):
    """A remedy does not reach the required accuracy; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A remedy that was tried on `before`; `after` is None where it could not be measured to the end.

    `before` counts with the epochs that it needed, if these are fewer than it had; its costs and those of
    `after` are pairs; `accuracy` compares with the baseline; `reason`: why the remedy was kept or reverted.
    """

    number: int
    proposal: ProposedRemedy
    words: Words
    before: MeasuredCommand
    after: MeasuredCommand | None
    cost: PairedTest | None
    accuracy: PairedTest | None
    kept: bool
    reason: str

    @property
    def gain(self) -> float | None:
        """Return how many times cheaper the measurement says it is, or None."""
        return None if self.cost is None else math.exp(self.cost.mean)


@dataclass(frozen=True, slots=True)
class AttemptRunner:
    """Measures and judges the attempts of one diagnosis, all against the same baseline."""

    settings: Diagnose
    seeds: range
    run: Run
    baseline: MeasuredCommand

    @property
    def required_accuracy(self) -> float:
        """Return the mean accuracy that must be reached."""
        return fmean(self.baseline.accuracies) - self.settings.tolerance

    def measure_and_judge(
        self, number: int, proposal: ProposedRemedy, current: MeasuredCommand, case: Case
    ) -> Attempt:
        """Measure a remedy and judge it; a remedy that fails is an attempt that is not kept."""
        words = self._extend_to_baseline(apply_overrides(current.words, proposal.words), proposal, case)
        blank = Attempt(
            number=number,
            proposal=proposal,
            words=words,
            before=current,
            after=None,
            cost=None,
            accuracy=None,
            kept=False,
            reason="",
        )
        try:
            if _is_shortening(proposal, case):
                return self._judge(blank, *_shorten(current, _parse_epochs(proposal)))
            needed = self._trim_epochs(current)
            return self._measure_pairs(replace(blank, before=needed), needed)
        except HopelessError as error:
            return replace(blank, reason=str(error))
        except CostlyError:
            return replace(blank, reason="costs more than the command line that it should replace")
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
        befores, curves = self._measure_first_round(blank.words, current)
        epoch = self._require_enough_epochs(curves)
        words = blank.words
        if curves[0].fair_midway and epoch < count_epochs(curves):
            words = apply_overrides(words, (f"train.epochs={epoch}",))
        afters = list(list_costs(curves, epoch))
        for turn in range(1, MAX_ROUNDS + 1):
            before = replace(current, costs=tuple(befores))
            after = MeasuredCommand(words, tuple(curves), epoch, tuple(afters))
            judged = self._judge(replace(blank, words=words), before, after)
            if judged.kept or turn == MAX_ROUNDS or self._looks_idle(befores, afters):
                break
            for index, seed in enumerate(self.seeds):
                old, curve = self._measure_pair(words, current, seed, epoch, swap=(index + turn) % 2 == 1)
                befores.append(old)
                trained = min(epoch, len(curve.epochs))  # fewer where it exceeded its limit
                afters.append(curve.epochs[trained - 1].device_seconds * epoch / trained)
        return judged

    def _measure_first_round(self, words: Words, current: MeasuredCommand) -> tuple[list[float], list[Curve]]:
        befores, curves = [], []
        max_epochs = None
        for index, seed in enumerate(self.seeds):
            old, curve = self._measure_pair(words, current, seed, max_epochs, swap=index % 2 == 1)
            befores.append(old)
            curves.append(curve)
            if not index:
                self._raise_if_hopeless(curve)
                max_epochs = self._limit_epochs(curve)
        return befores, curves

    def _measure_pair(
        self, words: Words, current: MeasuredCommand, seed: int, epochs: int | None, swap: bool
    ) -> tuple[float, Curve]:
        """Measure the cost of the old command line and the curve of the new one, right after each other."""

        def measure_old() -> float:
            retimed = self.run(current.words, seed, max(1, round(self.settings.retimed * current.epoch)))
            return retimed.last.device_seconds * current.epoch / len(retimed.epochs)

        def measure_new() -> Curve:
            return self.run(words, seed, epochs, SLACK * max(current.costs))

        if swap:
            curve = measure_new()
            return measure_old(), curve
        return measure_old(), measure_new()

    def _raise_if_hopeless(self, curve: Curve) -> None:
        """Raise after the first seed where it ends so far below that its seed alone does not explain it."""
        spread = stdev(self.baseline.accuracies) if len(self.baseline.curves) > 1 else 0.0
        best = max(epoch.validation_accuracy for epoch in curve.epochs)
        if best < self.baseline.accuracies[0] - self.settings.tolerance - max(3 * spread, 0.003):
            seconds = curve.last.device_seconds
            raise HopelessError(
                f"far from {self.required_accuracy:.2%}: the first seed came to {best:.2%} in {seconds:.3g} s"
            )

    def _limit_epochs(self, curve: Curve) -> int | None:
        """Return how many epochs the other seeds need at most: some more than the first one needed."""
        required = self.baseline.accuracies[0] - self.settings.tolerance
        enough = (epoch.number for epoch in curve.epochs if epoch.validation_accuracy >= required)
        first = next(enough, None)
        return None if first is None or not curve.fair_midway else first + MORE_EPOCHS

    # ---- judging ----------------------------------------------------------------------------------

    def _judge(self, attempt: Attempt, before: MeasuredCommand, after: MeasuredCommand) -> Attempt:
        cost = paired_tests.compare_costs(before.costs, after.costs, self.settings.least_gain)
        accuracy = paired_tests.compare_accuracies(
            self.baseline.accuracies, after.accuracies, self.settings.tolerance
        )
        needed = paired_tests.correct_confidence(self.settings.confidence, self.settings.steps * MAX_ROUNDS)
        keep = cost.confidence >= needed
        factor = f"{math.exp(abs(cost.mean)):.3g}x {'cheaper' if cost.mean >= 0 else 'dearer'}"
        sure, pairs = format_confidence(cost.confidence), len(after.costs)
        if keep:
            reason = (
                f"{factor} (confidence {sure}, {pairs} pairs), accuracy {100 * accuracy.mean:+.2f} points "
                f"({format_confidence(accuracy.confidence)} that no more than "
                f"{100 * self.settings.tolerance:g} are lost)"
            )
        else:
            reason = (
                f"no gain beyond noise: {factor} over {pairs} pairs, {sure} sure "
                f"of more than {self.settings.least_gain:.0%}, needed {needed:.2%}"
            )
        return replace(
            attempt, before=before, after=after, cost=cost, accuracy=accuracy, kept=keep, reason=reason
        )

    def _looks_idle(self, befores: Sequence[float], afters: Sequence[float]) -> bool:
        """Return whether nothing is saved so far, so that more timings would be wasted."""
        saved = fmean(math.log(old / new) for old, new in zip(befores, afters, strict=True))
        return saved <= -math.log1p(-self.settings.least_gain)

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
            raise HopelessError(
                f"did not surely reach {self.required_accuracy:.2%}: best mean {best:.2%} in {seconds:.3g} s"
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


def _shorten(current: MeasuredCommand, epochs: int) -> tuple[MeasuredCommand, MeasuredCommand]:
    """Return `current`, and what it was after fewer epochs; all epochs cost the same, so nothing is timed."""
    words = apply_overrides(current.words, (f"train.epochs={epochs}",))
    fewer = tuple(cost * epochs / current.epoch for cost in current.costs)
    return current, MeasuredCommand(words, current.curves, epochs, fewer)


def format_confidence(confidence: float) -> str:
    """Format a confidence 0..1 in percent, never as 100 %, which no test gives."""
    return ">99.9%" if confidence > 0.999 else f"{confidence:.1%}"
