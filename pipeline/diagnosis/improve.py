"""Improve a command line: name its single point, try a remedy, measure, keep it only if it pays. Pure.

It starts at a baseline and ends at a cheaper command line that is as accurate, or at the baseline. The result
is checked with fresh seeds that no decision used; where it does not hold there, an earlier result is taken.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pipeline.diagnosis import paired_tests
from pipeline.diagnosis.attempt import Attempt, TimeBudget, TotalGain, compute_total_gain
from pipeline.diagnosis.bottleneck import Bottleneck, Case, ProposedRemedy, Remedy, Words, find_bottleneck
from pipeline.diagnosis.measured_command import (
    MeasuredCommand,
    Run,
    apply_overrides,
    count_epochs,
    list_accuracies,
    list_costs,
)
from pipeline.diagnosis.paired_attempt import AttemptRunner
from pipeline.formatting import format_count
from pipeline.measures import Curve
from pipeline.settings.diagnosis import Aim, Diagnose
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

AFFORDABLE_SECONDS = 5.0
"""A baseline that costs no more for each seed is trained again with the fresh seeds, which then are pairs."""


@dataclass(frozen=True, slots=True)
class BaselineMeasured:
    """The event that the baseline is measured."""

    baseline: MeasuredCommand


@dataclass(frozen=True, slots=True)
class SinglePointNamed:
    """The event that the single point of the current command line is known."""

    case: Case
    bottleneck: Bottleneck


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The end of a diagnosis.

    `fresh_accuracies`: of `result` with seeds that no decision used; empty where nothing was kept;
    `lengthened`: those seeds did decide one thing, the number of epochs; `rejected`: results that did not
    hold there, last first; `gain`: what `result` saves by the pairs of all attempts that it is made of, None
    where nothing was kept; `reason`: why the diagnosis ended.
    """

    result: MeasuredCommand
    fresh_accuracies: tuple[float, ...]
    lengthened: bool
    rejected: tuple[MeasuredCommand, ...]
    reason: str
    gain: TotalGain | None = None


def count_kept(attempts: Collection[Attempt], conclusion: Conclusion) -> int:
    """Count the attempts that the result is made of: those that were kept, and held on fresh seeds."""
    return sum(attempt.kept for attempt in attempts) - len(conclusion.rejected)


Event = BaselineMeasured | SinglePointNamed | Attempt | Conclusion
BreakDown = Callable[[MeasuredCommand, int], Case]
"""A function that breaks down the cost of a command line, given how many epochs would have been enough."""


def improve(
    start: Words,
    first_seed: int,
    run: Run,
    break_down: BreakDown,
    settings: Diagnose,
    remedies: Sequence[Remedy],
    clock: Callable[[], float] = time.monotonic,
    measure: Measure = ACCURACY_MEASURE,
) -> Iterator[Event]:
    """Yield BaselineMeasured, then SinglePointNamed and Attempt in turns, at last Conclusion.

    Raises:
        FulcrumError: the baseline itself cannot be measured.
    """
    budget = TimeBudget(clock, clock(), settings.minutes)
    seeds = range(first_seed, first_seed + settings.seeds)
    baseline = measure_baseline(start, seeds, run)
    yield BaselineMeasured(baseline)
    runner = AttemptRunner(
        settings=settings, seeds=seeds, run=run, baseline=baseline, budget=budget, measure=measure
    )
    accepted, current, case = list[Attempt](), baseline, None
    failed, tried_words = set[str](), set[Words]()
    reason = f"the budget of {format_count(settings.steps, 'attempt')} is spent"
    for number in range(1, settings.steps + 1):
        if case is None:
            case = break_down(current, runner.find_enough_epochs(current.curves) or current.epoch)
        bottleneck = find_bottleneck(case, remedies, failed)
        yield SinglePointNamed(case, bottleneck)  # also where the baseline alone took all of the time
        if budget.left < 0:
            reason = f"the budget of {format_count(settings.minutes, 'minute')} is spent"
            break
        best = _choose_remedy(bottleneck, current.words, tried_words, settings.least_gain)
        if best is None:
            reason = "no other remedy is expected to pay"
            break
        attempt = runner.measure_and_judge(number, best, current, case)
        yield attempt
        if attempt.kept and attempt.after:
            accepted.append(attempt)
            current, case = attempt.after, None
            tried_words.clear()
        else:
            failed.add(best.remedy)
            tried_words.add(best.words)
    yield check_on_fresh_seeds(runner, accepted, reason)


def _choose_remedy(
    bottleneck: Bottleneck, words: Words, tried: Collection[Words], min_gain: float
) -> ProposedRemedy | None:
    """Choose the first remedy that changes something and is expected to save more than `min_gain`.

    A remedy whose overrides were `tried` on this command line under another name is passed over.
    """
    worthwhile = (proposal for proposal in bottleneck.proposals if proposal.gain * (1 - min_gain) > 1)
    untried = (proposal for proposal in worthwhile if proposal.words not in tried)
    return next((proposal for proposal in untried if not set(proposal.words) <= set(words)), None)


def measure_baseline(start: Words, seeds: range, run: Run) -> MeasuredCommand:
    """Measure the baseline with each seed, to its last epoch."""
    curves = tuple(run(start, seed) for seed in seeds)
    last = count_epochs(curves)
    return MeasuredCommand(start, curves, last, list_costs(curves, last))


def check_on_fresh_seeds(runner: AttemptRunner, accepted: Sequence[Attempt], reason: str) -> Conclusion:
    """Return the last of the attempts that were kept that fresh seeds do not contradict.

    It may get more epochs if need be. The baseline, which is left where none holds, needs no such check.
    """
    rejected: list[MeasuredCommand] = []
    fresh = range(runner.seeds.stop, runner.seeds.stop + runner.settings.seeds)
    baseline = _train_baseline_on_fresh(runner, fresh) if accepted else None
    for count in range(len(accepted), 0, -1):
        candidate = accepted[count - 1].after
        assert candidate is not None
        curves = _train_long(runner, candidate, fresh)
        result: MeasuredCommand | None = candidate
        fresh_accuracies = list_accuracies(curves, min(candidate.epoch, count_epochs(curves)))
        if _is_contradicted(runner, baseline, fresh_accuracies):
            result = _lengthen(runner, accepted[:count], baseline, curves)
        if result is not None:
            return Conclusion(
                result=result,
                fresh_accuracies=tuple(list_accuracies(curves, min(result.epoch, count_epochs(curves)))),
                lengthened=result is not candidate,
                rejected=tuple(rejected),
                reason=reason,
                gain=compute_total_gain(runner.baseline, accepted[:count], result, runner.settings),
            )
        rejected.append(candidate)
    return Conclusion(
        result=runner.baseline,
        fresh_accuracies=(),
        lengthened=False,
        rejected=tuple(rejected),
        reason=reason,
    )


def _train_long(runner: AttemptRunner, candidate: MeasuredCommand, seeds: range) -> list[Curve]:
    """Train as many epochs as the baseline had where each epoch is a fair point, else as many as are set."""
    words = candidate.words
    if candidate.curves[0].fair_midway and runner.settings.aim is Aim.train:
        words = apply_overrides(words, (f"train.epochs={count_epochs(runner.baseline.curves)}",))
    return [runner.run(words, seed) for seed in seeds]


def _lengthen(
    runner: AttemptRunner,
    accepted: Sequence[Attempt],
    baseline: Sequence[float] | None,
    fresh: Sequence[Curve],
) -> MeasuredCommand | None:
    """Return the last of `accepted` with the fewest more epochs that all seeds need; None without a gain."""
    candidate = accepted[-1].after
    assert candidate is not None
    if candidate.epoch >= count_epochs(fresh):
        return None
    curves = tuple(_train_long(runner, candidate, runner.seeds))
    for epoch in range(candidate.epoch + 1, min(count_epochs(fresh), count_epochs(curves)) + 1):
        if runner.is_as_accurate(curves, epoch) and not _is_contradicted(
            runner, baseline, list_accuracies(fresh, epoch)
        ):
            words = apply_overrides(candidate.words, (f"train.epochs={epoch}",))
            costs = tuple(cost * epoch / candidate.epoch for cost in candidate.costs)
            longer = MeasuredCommand(words, curves, epoch, costs)
            gain = compute_total_gain(runner.baseline, accepted, longer, runner.settings)
            return longer if gain.confidence >= runner.settings.confidence else None
    return None


def _train_baseline_on_fresh(runner: AttemptRunner, fresh: range) -> list[float] | None:
    """Return accuracies of the baseline with the fresh seeds; None where training it again is too dear."""
    baseline = runner.baseline
    if baseline.point.device_seconds > AFFORDABLE_SECONDS:
        return None
    return list_accuracies([runner.run(baseline.words, seed) for seed in fresh], baseline.epoch)


def _is_contradicted(
    runner: AttemptRunner, baseline: Sequence[float] | None, accuracies: Sequence[float]
) -> bool:
    """Return whether the fresh seeds lost more than the tolerance.

    That must be as sure as an attempt must be of the opposite.
    """
    settings = runner.settings
    if baseline is not None:
        test = paired_tests.compare_accuracies(baseline, accuracies, settings.tolerance)
    else:
        test = paired_tests.run_unpaired_test(runner.baseline.accuracies, accuracies, -settings.tolerance)
    return test.confidence < 1 - settings.accuracy_confidence
