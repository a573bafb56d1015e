"""One trial of a search that trains by a loop of the user's own; TensorFlow is not needed."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pipeline.errors import CacheUnusable, Diverged, FulcrumError, LoopFailed
from pipeline.hardware.device import claim_plain_device
from pipeline.measures import Curve
from pipeline.search.pruning import judge_curve, select_rivals
from pipeline.search.workers.job import Frontier, Job, Progress, TrialOutcome, get_states
from pipeline.settings.searching.objectives import ESTIMATED_ENERGY, KINDS_OF_ENERGY
from pipeline.settings.training import UserLoop
from pipeline.trial import user_code
from pipeline.trial.loop_states import LoopTrained
from pipeline.trial.reports import TEST
from pipeline.trial.user_loop import train_loop

ASSUMED_ROWS = 1000
"""Of a validation split that nobody has told us of: a forecast allows for the luck of so many."""


def run_job(job: Job, frontier: Frontier) -> Iterator[Progress | TrialOutcome]:
    """Yield each epoch as it ends, and at last how the job ended.

    Whatever the loop does wrong is how it ended. Any other exception is an error of the program.
    """
    started, trained = time.perf_counter(), None
    reported = started
    try:
        if reason := _explain_changed_code(job):
            yield TrialOutcome(status="refused", reason=reason)
            return

        def stop(curve: Curve) -> str | None:
            return _prune(curve, job, frontier)

        for trained in train_loop(job.settings, stop, job.checkpoint):
            if not trained.is_restored:
                yield Progress(trained.curve.last, trained.paid_seconds)
            reported = time.perf_counter()
        assert trained is not None
        yield _make_outcome(job, trained, started)
    except CacheUnusable:
        raise
    except FulcrumError as error:
        paid = trained.paid_seconds if trained else 0.0
        if isinstance(error, LoopFailed | Diverged):  # in an epoch that did not end
            paid += (time.perf_counter() - reported) * claim_plain_device(job.settings.device).held
        yield TrialOutcome(
            status="failed",
            reason=str(error),
            curve=trained.curve if trained else None,
            paid_seconds=paid,
            output=error.output if isinstance(error, LoopFailed) else "",
        )


def _explain_changed_code(job: Job) -> str:
    """Return why the job must not be done: its code is not that of the study; else nothing."""
    trial = job.settings.trial
    assert isinstance(trial, UserLoop)
    code = user_code.hash_code(trial)
    if job.source in (None, code):
        return ""
    return (
        f"the code was changed while the search ran: it had {str(job.source)[:12]}, now {code[:12]}; "
        "put it back, or start anew with search.study=NAME"
    )


def _prune(curve: Curve, job: Job, frontier: Frontier) -> str | None:
    """Return why to stop here, or None."""
    settings = job.settings
    rivals = select_rivals(frontier(), [0.0] * len(job.kinds))
    to_come = settings.train.epochs - curve.last.number
    decision = judge_curve(
        get_states(curve), rivals, to_come, ASSUMED_ROWS, settings.pruning, curve.fair_midway
    )
    return decision.reason if decision.stop else None


def _make_outcome(job: Job, trained: LoopTrained, started: float) -> TrialOutcome:
    further, missing = _list_further(job, trained)
    outcome = TrialOutcome(
        status="paused" if trained.stop_reason else "complete",
        reason=trained.stop_reason,
        curve=trained.curve,
        chosen_epoch=trained.curve.last,
        paid_seconds=trained.paid_seconds,
        seconds=trained.seconds,
        overhead_seconds=time.perf_counter() - started - trained.seconds.train - trained.seconds.validate,
        engine=type(job.settings.trial).__name__.lower(),
        test_accuracy=trained.test_accuracy if job.read_test else None,
        further=further,
        metrics=_collect_metrics(trained),
    )
    if missing:
        reason = f"{missing} must be reported after each epoch, got none; leave it out of search.objectives"
        return replace(outcome, status="failed", reason=reason)
    return outcome


def _list_further(job: Job, trained: LoopTrained) -> tuple[dict[str, tuple[float, ...]], str]:
    """Return the further objectives after each epoch, as the loop reports them, and one that it does not."""
    further = dict[str, tuple[float, ...]]()
    for kind in job.kinds:
        values = tuple(numbers[kind.name] for numbers in trained.numbers if kind.name in numbers)
        values = values or _list_joules(trained.curve, kind.name)
        if len(values) != len(trained.curve.epochs):
            return {}, kind.name
        further[kind.name] = values
    return further, ""


def _list_joules(curve: Curve, name: str) -> tuple[float, ...]:
    """Return what the device has drawn after each epoch where it is known; nothing of other objectives."""
    if name not in KINDS_OF_ENERGY:
        return ()
    joules = curve.list_joules(estimated=name == ESTIMATED_ENERGY)
    return tuple(value for value in joules if value is not None)


def _collect_metrics(trained: LoopTrained) -> Mapping[str, tuple[tuple[int, float], ...]]:
    """Return what else was reported, by name, with its epochs; the test split is for confirmations alone."""
    metrics = dict[str, list[tuple[int, float]]]()
    for number, numbers in enumerate(trained.numbers, start=1):
        for name, value in numbers.items():
            if name != TEST:
                metrics.setdefault(name, []).append((number, value))
    return {name: tuple(values) for name, values in metrics.items()}
