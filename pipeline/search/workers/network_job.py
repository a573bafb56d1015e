"""One trial of a search that trains a network of this project, or a Keras network of the user's."""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.errors import DataChanged, Diverged, FulcrumError
from pipeline.formatting import format_count, format_number
from pipeline.hardware.device import claim_device
from pipeline.measures import Curve, Point
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.models.scores import score_answers
from pipeline.profiling.objectives import list_costs, measure_network
from pipeline.profiling.profile import measure_latency
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.pruning import judge_curve, select_rivals
from pipeline.search.workers.failure import explain_failure, is_failure
from pipeline.search.workers.job import Frontier, Job, Limits, Progress, TrialOutcome, get_states
from pipeline.settings.searching.measures import UNDER_ATTACK
from pipeline.settings.settings import Settings
from pipeline.training.adversarial.attacked_validation import AttackedValidation
from pipeline.training.kept_epoch import raise_to_kept
from pipeline.training.train import Trained
from pipeline.trial.network import check_trial, load_prepared, train_trial


def check_settings(settings: Settings, under_shift: bool) -> None:
    """Raise what `check_trial` raises."""
    check_trial(load_prepared(settings, under_shift), settings)


def run_job(job: Job, frontier: Frontier) -> Iterator[Progress | TrialOutcome]:
    """Yield each epoch as it ends, and at last how the job ended.

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

        rows = ValidationSplit.count(data.validation.labels, job.measure).rows

        def stop(curve: Curve) -> str | None:
            return _prune(curve, job, of_network, rows, frontier())

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
            states=_list_states(trained.curve, job) if trained else (),
            paid_seconds=_count_paid(error, job.settings, trained, reported),
            output="" if isinstance(error, FulcrumError) else traceback.format_exc(),
        )


def _prune(
    curve: Curve, job: Job, of_network: Mapping[str, float], rows: int, frontier: Sequence[Point]
) -> str | None:
    """Return why to stop here, or None. `rows`: of the validation split."""
    epochs_to_come = job.settings.train.epochs - curve.last.number
    known = list_costs(job.kinds, of_network, curve)
    least = [
        kind.to_cost(known[kind.name][-1]) if kind.name in known and not kind.varies else 0.0
        for kind in job.kinds
    ]
    decision = judge_curve(
        get_states(raise_to_kept(curve, job.settings.train)),
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
    attacked = job.measure.name == UNDER_ATTACK
    if job.limits.max_latency_ms or job.read_test or job.under_shift or attacked:
        predict = make_predictor(trained.build_model())
        if job.limits.max_latency_ms:
            settings = job.settings.profile
            latency = measure_latency(
                predict, trained.data.test.samples, settings.repeats, settings.warmup
            ).p99_ms
        if job.read_test:
            split = trained.data.test
            test = (
                AttackedValidation(job.settings, trained.data).measure(trained.parameters, split)
                if attacked
                else score_answers(predict(split.samples), np.asarray(split.labels), job.measure.name)
            )
        if job.under_shift or attacked:
            split = load_prepared(job.settings).validation
            unshifted = score_answers(predict(split.samples), np.asarray(split.labels))
    seconds = trained.seconds
    too_slow = _explain_too_slow(latency, job.limits)
    return TrialOutcome(
        status="failed" if too_slow else "paused" if trained.stop_reason else "complete",
        reason=too_slow or trained.stop_reason,
        curve=trained.curve,
        states=_list_states(trained.curve, job),
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


def _list_states(curve: Curve, job: Job) -> tuple[Point, ...]:
    """List the state after each epoch, by the weights that a run of so many epochs keeps.

    Nothing where each keeps its own. What is confirmed, tested and registered are those weights.
    """
    kept = raise_to_kept(curve, job.settings.train)
    return () if kept == curve else get_states(kept)


def _explain_too_large(parameters: int, limits: Limits) -> str:
    """Return why the network is infeasible, or nothing."""
    limit = limits.max_parameters
    if limit is None or parameters <= limit:
        return ""
    return f"infeasible: {format_count(parameters, 'parameter')}, search.max_parameters={limit:,}"


def _explain_too_slow(latency_ms: float | None, limits: Limits) -> str:
    """Return why the network is infeasible, or nothing."""
    limit = limits.max_latency_ms
    if limit is None or latency_ms is None or latency_ms <= limit:
        return ""
    return f"infeasible: {format_number(latency_ms)} ms for one sample (p99), search.max_latency_ms={limit:g}"


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
    return paid + (time.perf_counter() - reported) * claim_device(settings.device).held
