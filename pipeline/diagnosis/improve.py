"""Name the single point, apply a remedy, measure again, keep it only if it pays; repeat. Pure.

A walk starts at one command line and ends at a cheaper one that is as accurate, or where it started. Its end
is checked on seeds that had no say in it; where it does not hold there, the walk steps back.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pipeline.diagnosis import paired_tests
from pipeline.diagnosis.bottleneck import Case, Proposal, Remedy, Verdict, Words, diagnose
from pipeline.diagnosis.paired_attempt import Attempt, Measured, Run, Trial, accuracies, apply, costs, length
from pipeline.measures import Curve
from pipeline.settings.diagnosis import Aim, Diagnose

AFFORDABLE_SECONDS = 5.0
"""A baseline that costs no more a seed is trained again on the fresh seeds, so that they are pairs."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The baseline is measured."""

    baseline: Measured


@dataclass(frozen=True, slots=True)
class Named:
    """The single point of the command line that holds now."""

    case: Case
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Closed:
    """The end. `fresh`: accuracies of `result` on seeds that had no say; empty where nothing was kept.

    `lengthened`: those seeds did have one, in the number of epochs; `given_up`: results that did not hold
    there, last first; `why`: what ended the walk.
    """

    result: Measured
    fresh: tuple[float, ...]
    lengthened: bool
    given_up: tuple[Measured, ...]
    why: str


Event = Opened | Named | Attempt | Closed
Look = Callable[[Measured, int], Case]
"""Breaks a command line down, given how many epochs would have been enough."""


def walk(
    start: Words,
    first_seed: int,
    run: Run,
    look: Look,
    told: Diagnose,
    remedies: Sequence[Remedy],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Opened, then Named and Attempt in turns, at last Closed.

    Raises:
        FulcrumError: the baseline itself cannot be measured.
    """
    end = clock() + 60 * told.minutes
    seeds = range(first_seed, first_seed + told.seeds)
    ground = opened(start, seeds, run)
    yield Opened(ground)
    trial = Trial(told, seeds, run, ground)
    path, spent, case, why = [ground], set[str](), None, f"the budget of {told.steps} attempts is spent"
    tried = set[Words]()
    for number in range(1, told.steps + 1):
        if clock() > end:
            why = f"the budget of {told.minutes:g} minutes is spent"
            break
        if case is None:
            case = look(path[-1], trial.reached(path[-1].curves) or path[-1].epoch)
        verdict = diagnose(case, remedies, spent)
        yield Named(case, verdict)
        best = _worth_a_try(verdict, path[-1].words, tried, told.least_gain)
        if best is None:
            why = "no other remedy is expected to pay"
            break
        attempt = trial.attempt(number, best, path[-1], case)
        yield attempt
        if attempt.kept and attempt.after:
            path.append(attempt.after)
            case = None
            tried.clear()
        else:
            spent.add(best.remedy)
            tried.add(best.words)
    yield closed(trial, path, why)


def _worth_a_try(verdict: Verdict, words: Words, tried: Collection[Words], least: float) -> Proposal | None:
    """The first proposal that changes something, was not tried here under another name, and is expected to
    save more than must be saved.
    """
    worth = (each for each in verdict.proposals if each.gain * (1 - least) > 1)
    new = (each for each in worth if each.words not in tried)
    return next((each for each in new if not set(each.words) <= set(words)), None)


def opened(start: Words, seeds: range, run: Run) -> Measured:
    """The baseline, whole, once a seed."""
    curves = tuple(run(start, seed) for seed in seeds)
    last = length(curves)
    return Measured(start, curves, last, costs(curves, last))


def closed(trial: Trial, path: Sequence[Measured], why: str) -> Closed:
    """The last of `path` that fresh seeds do not speak against, with more epochs if need be.

    Its first, the baseline, needs no such check.
    """
    given_up: list[Measured] = []
    fresh = range(trial.seeds.stop, trial.seeds.stop + trial.told.seeds)
    ground = _on_fresh(trial, path[0], fresh) if len(path) > 1 else None
    for kept in reversed(path[1:]):
        curves = _long_curves(trial, kept, fresh)
        found = accuracies(curves, min(kept.epoch, length(curves)))
        if not _contradicted(trial, ground, found):
            return Closed(kept, tuple(found), False, tuple(given_up), why)
        longer = _lengthened(trial, kept, ground, curves)
        if longer is not None:
            found = accuracies(curves, longer.epoch)
            return Closed(longer, tuple(found), True, tuple(given_up), why)
        given_up.append(kept)
    return Closed(path[0], (), False, tuple(given_up), why)


def _long_curves(trial: Trial, kept: Measured, seeds: range) -> list[Curve]:
    """As many epochs as the baseline had where every epoch is fair, else just the run as it is."""
    words = kept.words
    if kept.curves[0].fair_midway and trial.told.aim is Aim.train:
        words = apply(words, (f"train.epochs={length(trial.ground.curves)}",))
    return [trial.run(words, seed) for seed in seeds]


def _lengthened(
    trial: Trial, kept: Measured, ground: Sequence[float] | None, fresh: Sequence[Curve]
) -> Measured | None:
    """`kept` with the fewest epochs more that all seeds agree to; None where that is no gain any more."""
    if kept.epoch >= length(fresh):
        return None
    curves = tuple(_long_curves(trial, kept, trial.seeds))
    for epoch in range(kept.epoch + 1, min(length(fresh), length(curves)) + 1):
        if trial.holds(curves, epoch) and not _contradicted(trial, ground, accuracies(fresh, epoch)):
            words = apply(kept.words, (f"train.epochs={epoch}",))
            longer = Measured(words, curves, epoch, costs(curves, epoch))
            test = paired_tests.cheaper(trial.ground.costs, longer.costs, trial.told.least_gain)
            return longer if test.confidence >= trial.told.confidence else None
    return None


def _on_fresh(trial: Trial, baseline: Measured, fresh: range) -> list[float] | None:
    """Accuracies of the baseline on the fresh seeds, where it is cheap enough to train it again."""
    if baseline.point.device_seconds > AFFORDABLE_SECONDS:
        return None
    return accuracies([trial.run(baseline.words, seed) for seed in fresh], baseline.epoch)


def _contradicted(trial: Trial, ground: Sequence[float] | None, found: Sequence[float]) -> bool:
    """Whether more than the tolerance is lost there, as surely as an attempt must show that it is not."""
    told = trial.told
    if ground is not None:
        test = paired_tests.as_accurate(ground, found, told.tolerance)
    else:
        test = paired_tests.apart(trial.ground.accuracies, found, -told.tolerance)
    return test.confidence < 1 - told.accuracy_confidence
