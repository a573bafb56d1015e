"""An attempt: a remedy measured in turns with the command line that it would replace. Pure.

Accuracies are held against the baseline of the whole walk, so that small falls cannot add up. Costs are timed
pair by pair, old and new one right after the other, more often while the test is undecided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Protocol

from pipeline.diagnosis import paired_tests
from pipeline.diagnosis.bottleneck import Case, Proposal, Words
from pipeline.diagnosis.paired_tests import Paired
from pipeline.errors import FulcrumError
from pipeline.measures import Curve, Point
from pipeline.settings.diagnosis import Aim, Diagnose

MOST_ROUNDS = 5
"""Pairs of timings a seed, at most."""
MORE_EPOCHS = 3
"""Epochs that the other seeds get beyond those after which the first one had the accuracy."""
SLACK = 1.2
"""Of the old cost, what a new command line may spend before it is stopped as too dear."""


class Run(Protocol):
    """Measures a command line with one seed.

    It stops after `most_epochs`, or with the epoch in which the cost goes beyond `most_seconds`. A cost that
    is no sum over epochs (latency, in seconds) stands in a curve of one epoch.

    Raises:
        CostlyError: the cost went beyond where only the last epoch would have been a fair point.
        FulcrumError: it cannot be trained.
    """

    def __call__(
        self, words: Words, seed: int, most_epochs: int | None = None, most_seconds: float | None = None
    ) -> Curve: ...


class CostlyError(Exception):
    """A run went beyond the cost that it was allowed."""


class HopelessError(Exception):
    """A remedy does not lead there; the text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One command line, a curve a seed; it counts as it was after `epoch` epochs.

    `costs`: device-seconds (or seconds an answer), a seed each, or a pair of timings each.
    """

    words: Words
    curves: tuple[Curve, ...]
    epoch: int
    costs: tuple[float, ...]

    @property
    def accuracies(self) -> list[float]:
        return accuracies(self.curves, self.epoch)

    @property
    def point(self) -> Point:
        """Means over seeds and timings."""
        return Point(fmean(self.accuracies), fmean(self.costs))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A remedy that was tried on `before`; `after` is None where it could not be measured to the end.

    `before` counts after the epochs that it needed, if fewer; its costs and those of `after` belong
    together pair by pair; `accuracy` is held against the baseline; `reason`: why it was kept or reverted.
    """

    number: int
    proposal: Proposal
    words: Words
    before: Measured
    after: Measured | None
    cost: Paired | None
    accuracy: Paired | None
    kept: bool
    reason: str

    @property
    def gain(self) -> float | None:
        """How many times cheaper it was found to be."""
        return None if self.cost is None else math.exp(self.cost.mean)


@dataclass(frozen=True, slots=True)
class Trial:
    """What holds for all attempts of a walk; `ground`: the baseline."""

    told: Diagnose
    seeds: range
    run: Run
    ground: Measured

    @property
    def wanted(self) -> float:
        """Mean accuracy that must be reached."""
        return fmean(self.ground.accuracies) - self.told.tolerance

    def attempt(self, number: int, proposal: Proposal, here: Measured, case: Case) -> Attempt:
        """Measure and judge; whatever fails is an attempt that was not kept."""
        words = self._horizon(apply(here.words, proposal.words), proposal, case)
        blank = Attempt(number, proposal, words, here, None, None, None, False, "")
        try:
            if _is_shortening(proposal, case):
                return self._judged(blank, *_shortened(here, _epochs_of(proposal)))
            needed = self._needed(here)
            return self._measured(replace(blank, before=needed), needed)
        except HopelessError as error:
            return replace(blank, reason=str(error))
        except CostlyError:
            return replace(blank, reason="costs more than the command line that it should replace")
        except FulcrumError as error:
            return replace(blank, reason=f"cannot be trained: {error}")

    def _horizon(self, words: Words, proposal: Proposal, case: Case) -> Words:
        """As many epochs as the baseline had, where any of them may turn out to be enough."""
        fixed = self.told.aim is Aim.latency or not case.settings.schedule.fair_midway
        if fixed or _sets_epochs(proposal):
            return words
        return apply(words, (f"train.epochs={length(self.ground.curves)}",))

    def _needed(self, here: Measured) -> Measured:
        """`here` without the epochs that it did not need: leaving them out is no remedy's merit."""
        epoch = self.reached(here.curves) or here.epoch
        return replace(here, epoch=epoch, costs=tuple(cost * epoch / here.epoch for cost in here.costs))

    # ---- measuring --------------------------------------------------------------------------------

    def _measured(self, blank: Attempt, here: Measured) -> Attempt:
        """Pairs of timings until the test is decided; accuracies repeat, so they are taken once."""
        befores, curves = self._first_round(blank.words, here)
        epoch = self._reached_or_hopeless(curves)
        words = blank.words
        if curves[0].fair_midway and epoch < length(curves):
            words = apply(words, (f"train.epochs={epoch}",))
        afters = list(costs(curves, epoch))
        for turn in range(1, MOST_ROUNDS + 1):
            before = replace(here, costs=tuple(befores))
            after = Measured(words, tuple(curves), epoch, tuple(afters))
            judged = self._judged(replace(blank, words=words), before, after)
            if judged.kept or turn == MOST_ROUNDS or self._looks_idle(befores, afters):
                break
            for index, seed in enumerate(self.seeds):
                old, curve = self._pair(words, here, seed, epoch, swap=(index + turn) % 2 == 1)
                befores.append(old)
                taken = min(epoch, len(curve.epochs))  # fewer where it grew too dear on the way
                afters.append(curve.epochs[taken - 1].device_seconds * epoch / taken)
        return judged

    def _first_round(self, words: Words, here: Measured) -> tuple[list[float], list[Curve]]:
        befores, curves = [], []
        most = None
        for index, seed in enumerate(self.seeds):
            old, curve = self._pair(words, here, seed, most, swap=index % 2 == 1)
            befores.append(old)
            curves.append(curve)
            if not index:
                self._still_hope(curve)
                most = self._far_enough(curve)
        return befores, curves

    def _pair(
        self, words: Words, here: Measured, seed: int, epochs: int | None, swap: bool
    ) -> tuple[float, Curve]:
        """Cost of the old command line and the curve of the new one, one right after the other."""

        def old() -> float:
            again = self.run(here.words, seed, max(1, round(self.told.retimed * here.epoch)))
            return again.last.device_seconds * here.epoch / len(again.epochs)

        def new() -> Curve:
            return self.run(words, seed, epochs, SLACK * max(here.costs))

        if swap:
            curve = new()
            return old(), curve
        return old(), new()

    def _still_hope(self, curve: Curve) -> None:
        """Give up after the first seed where it ends far below, by what seeds alone do not explain."""
        spread = stdev(self.ground.accuracies) if len(self.ground.curves) > 1 else 0.0
        best = max(epoch.validation_accuracy for epoch in curve.epochs)
        if best < self.ground.accuracies[0] - self.told.tolerance - max(3 * spread, 0.003):
            spent = curve.last.device_seconds
            raise HopelessError(
                f"far from {self.wanted:.2%}: the first seed came to {best:.2%} in {spent:.3g} s"
            )

    def _far_enough(self, curve: Curve) -> int | None:
        """Epochs that the other seeds need at most, going by the first: some more than it needed itself."""
        wanted = self.ground.accuracies[0] - self.told.tolerance
        there = (epoch.number for epoch in curve.epochs if epoch.validation_accuracy >= wanted)
        first = next(there, None)
        return None if first is None or not curve.fair_midway else first + MORE_EPOCHS

    # ---- judging ----------------------------------------------------------------------------------

    def _judged(self, attempt: Attempt, before: Measured, after: Measured) -> Attempt:
        cost = paired_tests.cheaper(before.costs, after.costs, self.told.least_gain)
        accuracy = paired_tests.as_accurate(self.ground.accuracies, after.accuracies, self.told.tolerance)
        needed = paired_tests.strict(self.told.confidence, self.told.steps * MOST_ROUNDS)
        kept = cost.confidence >= needed
        factor = f"{math.exp(abs(cost.mean)):.3g}x {'cheaper' if cost.mean >= 0 else 'dearer'}"
        sure, pairs = certainty(cost.confidence), len(after.costs)
        if kept:
            reason = (
                f"{factor} (confidence {sure}, {pairs} pairs), accuracy {100 * accuracy.mean:+.2f} points "
                f"({certainty(accuracy.confidence)} that no more than {100 * self.told.tolerance:g} are lost)"
            )
        else:
            reason = (
                f"no gain beyond noise: {factor} over {pairs} pairs, {sure} sure "
                f"of more than {self.told.least_gain:.0%}, needed {needed:.2%}"
            )
        return replace(
            attempt, before=before, after=after, cost=cost, accuracy=accuracy, kept=kept, reason=reason
        )

    def _looks_idle(self, befores: Sequence[float], afters: Sequence[float]) -> bool:
        """Whether more timings are not worth their while: nothing saved so far."""
        saved = fmean(math.log(one / two) for one, two in zip(befores, afters, strict=True))
        return saved <= -math.log1p(-self.told.least_gain)

    def reached(self, curves: Sequence[Curve]) -> int | None:
        """The first epoch after which the accuracy is that of the baseline within the tolerance, if any is.

        Only the last may be, where the schedule makes no other a fair point.
        """
        last = length(curves)
        epochs = range(1, last + 1) if curves[0].fair_midway else (last,)
        return next((epoch for epoch in epochs if self.holds(curves, epoch)), None)

    def holds(self, curves: Sequence[Curve], epoch: int) -> bool:
        """Whether no more than the tolerance is lost after `epoch` epochs, and that surely enough."""
        told = self.told
        test = paired_tests.as_accurate(self.ground.accuracies, accuracies(curves, epoch), told.tolerance)
        return test.mean >= -told.tolerance and test.confidence >= told.accuracy_confidence

    def _reached_or_hopeless(self, curves: Sequence[Curve]) -> int:
        epoch = self.reached(curves)
        if epoch is None:
            best = max(fmean(accuracies(curves, each)) for each in range(1, length(curves) + 1))
            spent = fmean(curve.last.device_seconds for curve in curves)
            raise HopelessError(
                f"did not surely reach {self.wanted:.2%}: best mean {best:.2%} in {spent:.3g} s"
            )
        return epoch


# ---- proposals that are measured already ------------------------------------------------------------


def _sets_epochs(proposal: Proposal) -> bool:
    return any(word.startswith("train.epochs=") for word in proposal.words)


def _is_shortening(proposal: Proposal, case: Case) -> bool:
    """The first epochs of a run at a constant rate are the run of those epochs."""
    return case.settings.schedule.fair_midway and _sets_epochs(proposal) and len(proposal.words) == 1


def _epochs_of(proposal: Proposal) -> int:
    return int(proposal.words[-1].partition("=")[2])


def _shortened(here: Measured, epochs: int) -> tuple[Measured, Measured]:
    """`here`, and what it had been after fewer epochs: each epoch costs the same, so nothing is timed."""
    words = apply(here.words, (f"train.epochs={epochs}",))
    fewer = tuple(cost * epochs / here.epoch for cost in here.costs)
    return here, Measured(words, here.curves, epochs, fewer)


# ---- curves and words -------------------------------------------------------------------------------


def length(curves: Sequence[Curve]) -> int:
    """Epochs that all curves have."""
    return min(len(curve.epochs) for curve in curves)


def accuracies(curves: Sequence[Curve], epoch: int) -> list[float]:
    """Validation accuracy of each curve after `epoch` epochs, 1-based."""
    return [curve.epochs[epoch - 1].validation_accuracy for curve in curves]


def costs(curves: Sequence[Curve], epoch: int) -> tuple[float, ...]:
    """Device-seconds of each curve's first `epoch` epochs."""
    return tuple(curve.epochs[epoch - 1].device_seconds for curve in curves)


def apply(words: Words, overrides: Words) -> Words:
    """`words` with `overrides` in the place of what set the same keys, or settings of a group exchanged."""
    return (*remaining(words, overrides), *overrides)


def remaining(words: Words, overrides: Words) -> Words:
    """Those of `words` that still hold beside `overrides`."""
    keys = {override.partition("=")[0] for override in overrides}

    def stays(word: str) -> bool:
        key = word.partition("=")[0]
        return key not in keys and key.partition(".")[0] not in keys

    return tuple(word for word in words if stays(word))


def certainty(confidence: float) -> str:
    """Never 100 %, which no test gives."""
    return ">99.9%" if confidence > 0.999 else f"{confidence:.1%}"
