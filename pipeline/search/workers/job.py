"""One trial of a search, as a process does it: settings in, epochs out, and how it ended.

Nothing here knows of Optuna or MLflow. A stop is a pause: the state lies beside the study, and a job for the
same configuration goes on from there and pays only the difference.
"""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataChanged, Diverged, FulcrumError
from pipeline.evaluation.output_scores import score_outputs
from pipeline.hardware.device import claim_device
from pipeline.measures import Curve, Epoch, Point, Seconds
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.profiling.objectives import list_costs, measure_network
from pipeline.profiling.profile import measure_latency
from pipeline.search.pruning import judge_curve, select_rivals
from pipeline.search.workers.failure import explain_failure, is_failure
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure
from pipeline.settings.searching.objectives import OBJECTIVES, ObjectiveKind
from pipeline.settings.settings import Settings
from pipeline.training.train import Trained
from pipeline.trial import check_trial, load_prepared, train_trial


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network may not exceed; None: anything goes."""

    max_latency_ms: float | None = None
    max_parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train.

    `checkpoint`: where its state lies, None: nowhere; `read_test`: score the test split, too; `under_shift`:
    all accuracies are those of samples changed as `evaluate` says; `source`: SHA-256 (hex) of the data that
    the study is bound to, None: of any; `further`: names of the objectives to measure beside accuracy and
    device-seconds; `measure`: what the accuracies are.
    """

    number: int
    settings: Settings
    checkpoint: Path | None = None
    limits: Limits = field(default_factory=Limits)
    read_test: bool = False
    under_shift: bool = False
    source: str | None = None
    further: tuple[str, ...] = ()
    measure: Measure = ACCURACY_MEASURE

    @property
    def kinds(self) -> tuple[ObjectiveKind, ...]:
        """Return the further objectives."""
        return tuple(OBJECTIVES[name] for name in self.further)


@dataclass(frozen=True, slots=True)
class Progress:
    """An epoch that has ended; `paid_seconds`: device-seconds that the job itself has spent so far."""

    epoch: Epoch
    paid_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """How a job ended: `status` complete, paused or failed, and `reason`, why.

    A job whose data was changed since the study began was not done: its status is refused.

    `curve`, `chosen_epoch`: None where no epoch was reached; `paid_seconds`: device-seconds that the job
    spent itself; `test_accuracy` where it was asked for; `unshifted_accuracy` where the others are of changed
    samples; `output`: of a failed job what it printed last, and the traceback; `further`: name -> values
    after each epoch of each further objective, one value for all of them where it does not change.
    """

    status: str
    reason: str = ""
    curve: Curve | None = None
    chosen_epoch: Epoch | None = None
    paid_seconds: float = 0.0
    seconds: Seconds = field(default_factory=Seconds)
    overhead_seconds: float = 0.0
    engine: str = ""
    parameters: int | None = None
    latency_p99_ms: float | None = None
    test_accuracy: float | None = None
    unshifted_accuracy: float | None = None
    output: str = ""
    further: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the state after each epoch."""
        return get_states(self.curve) if self.curve else ()


def get_states(curve: Curve) -> tuple[Point, ...]:
    """Return the state after each epoch, fair or not."""
    return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in curve.epochs)


def check_settings(settings: Settings, under_shift: bool) -> None:
    """Raise what every trial of a search would raise before it trains.

    Raises:
        BadInput: see `check_trial`.
    """
    check_trial(load_prepared(settings, under_shift), settings)


Frontier = Callable[[], Sequence[Point]]


def run_job(job: Job, frontier: Frontier) -> Iterator[Progress | TrialOutcome]:
    """Yield each epoch as it ends, and at last how the job ended; `frontier`: as it is known now.

    What a configuration can do wrong (it diverges, is too large, or does not fit the data) is how it ended,
    and so is whatever a user's own network raises. Any other exception is an error of the program and is
    raised.
    """
    started, trained = time.perf_counter(), None
    reported = started
    try:
        data = load_prepared(job.settings, job.under_shift)
        if job.source not in (None, data.source_sha256):
            raise DataChanged(
                f"the data was changed while the search ran: it had {str(job.source)[:12]}, now "
                f"{data.source_sha256[:12]}; put it back, or start anew with search.study=NAME"
            )
        parameters = keras_models.count_parameters(job.settings, data)
        if too_large := _explain_too_large(parameters, job.limits):
            yield TrialOutcome(status="failed", reason=too_large, parameters=parameters)
            return

        of_network = measure_network(job.kinds, job.settings, data)

        def stop(curve: Curve) -> str | None:
            return _prune(curve, job, of_network, len(data.validation), frontier())

        for trained in train_trial(data, job.settings, stop, job.checkpoint):
            if not trained.is_restored:
                yield Progress(trained.curve.last, trained.paid_seconds)
            reported = time.perf_counter()
        assert trained is not None
        further = list_costs(job.kinds, of_network, trained.curve)
        yield replace(_measure_outcome(job, trained, parameters, started), **_add_further(job, further))
    except DataChanged as error:
        yield TrialOutcome(status="refused", reason=str(error))
    except BaseException as error:
        if not is_failure(error, job.settings):
            raise
        yield TrialOutcome(
            status="failed",
            reason=explain_failure(error, job.settings),
            curve=trained.curve if trained else None,
            paid_seconds=_count_paid(error, job.settings, trained, reported),
            output="" if isinstance(error, FulcrumError) else traceback.format_exc(),
        )


def _prune(
    curve: Curve, job: Job, of_network: Mapping[str, float], rows: int, frontier: Sequence[Point]
) -> str | None:
    """Return why to stop here, or None. `rows`: of the validation split."""
    epochs_to_come = job.settings.train.epochs - curve.last.number
    known = list_costs(job.kinds, of_network, curve)
    least = [kind.to_cost(known[kind.name][-1]) if kind.name in known else 0.0 for kind in job.kinds]
    decision = judge_curve(
        get_states(curve),
        select_rivals(frontier, least),
        epochs_to_come,
        rows,
        job.settings.pruning,
        curve.fair_midway,
        job.measure,
    )
    return decision.reason if decision.stop else None


def _add_further(job: Job, further: Mapping[str, tuple[float, ...]]) -> dict[str, Any]:
    """Return what the further objectives change of an outcome: it has failed where one was not measured."""
    missing = [name for name in job.further if name not in further]
    if not missing:
        return {"further": further}
    reason = f"{' and '.join(missing)} could not be read; leave it out of search.objectives"
    return {"status": "failed", "reason": reason}


def _measure_outcome(job: Job, trained: Trained, parameters: int, started: float) -> TrialOutcome:
    """Measure what limits and job ask for, and return how the job ended. `started`: its perf_counter."""
    latency = test = unshifted = None
    if job.limits.max_latency_ms or job.read_test or job.under_shift:
        predict = make_predictor(trained.build_model())
        if job.limits.max_latency_ms:
            settings = job.settings.profile
            latency = measure_latency(
                predict, trained.data.test.samples, settings.repeats, settings.warmup
            ).p99_ms
        if job.read_test:
            split = trained.data.test
            test = score_outputs(predict(split.samples), split.labels, job.settings.loss).accuracy
        if job.under_shift:
            split = load_prepared(job.settings).validation
            unshifted = score_outputs(predict(split.samples), split.labels, job.settings.loss).accuracy
    seconds = trained.seconds
    too_slow = _explain_too_slow(latency, job.limits)
    return TrialOutcome(
        status="failed" if too_slow else "paused" if trained.stop_reason else "complete",
        reason=too_slow or trained.stop_reason,
        curve=trained.curve,
        chosen_epoch=trained.chosen_epoch,
        paid_seconds=trained.paid_seconds,
        seconds=seconds,
        overhead_seconds=time.perf_counter() - started - seconds.train - seconds.compile - seconds.warm_up,
        engine=trained.engine,
        parameters=parameters,
        latency_p99_ms=latency,
        test_accuracy=test,
        unshifted_accuracy=unshifted,
    )


def _explain_too_large(parameters: int, limits: Limits) -> str:
    """Return why the network is infeasible, or nothing."""
    limit = limits.max_parameters
    if limit is None or parameters <= limit:
        return ""
    return f"infeasible: {parameters:,} parameters, search.max_parameters={limit:,}"


def _explain_too_slow(latency_ms: float | None, limits: Limits) -> str:
    """Return why the network is infeasible, or nothing."""
    limit = limits.max_latency_ms
    if limit is None or latency_ms is None or latency_ms <= limit:
        return ""
    return f"infeasible: {latency_ms:.3g} ms for one sample (p99), search.max_latency_ms={limit:g}"


def _count_paid(error: BaseException, settings: Settings, trained: Trained | None, reported: float) -> float:
    """Return the device-seconds that a failed job has spent, as far as they are known.

    Of an epoch that did not end these are all seconds since `reported`, when the last one ended or the job
    began (perf_counter).
    """
    paid = trained.paid_seconds if trained else 0.0
    if isinstance(error, Diverged):
        return max(paid, error.device_seconds)
    if isinstance(error, FulcrumError):  # told before or after training, not in it
        return paid
    return paid + (time.perf_counter() - reported) * claim_device(settings.device).count
