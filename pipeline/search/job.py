"""One trial of a search, as a process does it: settings in, epochs out, and how it ended.

Nothing here knows of Optuna or MLflow. A stop is a pause: the state lies beside the study, and a job for the
same configuration goes on from there and pays only the difference.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.backend import tf
from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import decisive, preprocess
from pipeline.errors import FulcrumError
from pipeline.evaluation.evaluate import shifted, split_score
from pipeline.measures import Curve, Epoch, Point, Seconds
from pipeline.models import keras_models
from pipeline.profiling.profile import latency_of
from pipeline.search.pruning import judge
from pipeline.settings.settings import Settings
from pipeline.training import checkpoints
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.train import Trained, train

SAVED_EVERY = 5.0
"""Seconds between two checkpoints of a trial that goes on: what a kill can cost."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network may not exceed; None: anything goes."""

    max_latency_ms: float | None = None
    max_parameters: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What to train. `checkpoint`: where its state lies, None: nowhere; `test`: read the test split, too;
    `under_shift`: all accuracies are those of samples changed as `evaluate` says.
    """

    number: int
    settings: Settings
    checkpoint: Path | None = None
    limits: Limits = field(default_factory=Limits)
    test: bool = False
    under_shift: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: `state` complete, paused or failed, `reason` why; `paid_seconds`: device-seconds that
    it spent itself; `test_accuracy` where it was asked for; `unshifted_accuracy` where the others are of
    changed samples. `curve` is None where no epoch was reached.
    """

    state: str
    reason: str = ""
    curve: Curve | None = None
    kept: Epoch | None = None
    paid_seconds: float = 0.0
    seconds: Seconds = field(default_factory=Seconds)
    overhead_seconds: float = 0.0
    engine: str = ""
    parameters: int | None = None
    latency_p99_ms: float | None = None
    test_accuracy: float | None = None
    unshifted_accuracy: float | None = None

    @property
    def points(self) -> tuple[Point, ...]:
        """State after each epoch."""
        return states(self.curve) if self.curve else ()


def states(curve: Curve) -> tuple[Point, ...]:
    """The state after each epoch, fair or not."""
    return tuple(Point(epoch.validation_accuracy, epoch.device_seconds) for epoch in curve.epochs)


Frontier = Callable[[], Sequence[Point]]


def work(job: Job, frontier: Frontier) -> Iterator[Epoch | Ended]:
    """Each epoch as it ends, and at last how the job ended; `frontier`: as it is known now.

    What a configuration can do wrong (it diverges, is too large, or does not fit the data) is how it ended.
    Any other exception is a bug and comes out.
    """
    started, trained, before, verdict = time.perf_counter(), None, 0.0, ""
    try:
        prepared = prepared_for(job.settings, job.under_shift)
        parameters = keras_models.parameter_count(job.settings, prepared)
        if too_many := _too_many(parameters, job.limits):
            yield Ended("failed", too_many, parameters=parameters)
            return
        paused, keep = _paused(job), _Keeper(job)
        if paused and len(paused.curve.epochs) == job.settings.train.epochs:
            yield _was_done(paused, parameters)
            return
        before = paused.epoch.device_seconds if paused else 0.0
        for trained in train(prepared, job.settings, paused=paused):
            yield trained.curve.last
            verdict = _verdict(trained, job.settings, prepared, frontier())
            keep(trained, last=bool(verdict))
            if verdict:
                break
        assert trained is not None
        yield _ended(job, trained, verdict, before, parameters, started)
    except (FulcrumError, MemoryError, tf.errors.ResourceExhaustedError) as error:
        spent = trained.curve if trained else None
        yield Ended("failed", _reason(error), curve=spent, paid_seconds=_paid(trained, before))


class _Keeper:
    """Saves a trial's state every few seconds, and at its end."""

    def __init__(self, job: Job) -> None:
        self._path, self._epochs = job.checkpoint, job.settings.train.epochs
        self._saved = time.monotonic()

    def __call__(self, trained: Trained, last: bool) -> None:
        last = last or trained.curve.last.number == self._epochs
        if self._path and (last or time.monotonic() - self._saved > SAVED_EVERY):
            checkpoints.save(self._path, trained.checkpoint())
            self._saved = time.monotonic()


def _paused(job: Job) -> Checkpoint | None:
    """The state that the trial goes on from, if there is one that it passes through."""
    found = checkpoints.load(job.checkpoint) if job.checkpoint else None
    return found if found and len(found.curve.epochs) <= job.settings.train.epochs else None


def _was_done(paused: Checkpoint, parameters: int) -> Ended:
    """Of a trial whose last epoch was saved, but not told: a kill came between."""
    kept = paused.curve.epochs[paused.kept - 1]
    return Ended("complete", curve=paused.curve, kept=kept, parameters=parameters)


def _verdict(trained: Trained, settings: Settings, prepared: Prepared, known: Sequence[Point]) -> str:
    """Why to stop here; nothing: go on."""
    curve, rows = trained.curve, len(prepared.validation)
    to_come = settings.train.epochs - curve.last.number
    verdict = judge(states(curve), known, to_come, rows, settings.pruning, curve.fair_midway)
    return verdict.reason if verdict.stop else ""


def _ended(job: Job, trained: Trained, verdict: str, before: float, parameters: int, started: float) -> Ended:
    latency = test = unshifted = None
    if job.limits.max_latency_ms or job.test or job.under_shift:
        predict = keras_models.predictor(trained.model())
        if job.limits.max_latency_ms:
            told = job.settings.profile
            latency = latency_of(predict, trained.prepared.test.samples, told.repeats, told.warmup).p99_ms
        if job.test:
            split = trained.prepared.test
            test = split_score(predict(split.samples), split.labels, job.settings.loss).accuracy
        if job.under_shift:
            split = prepared_for(job.settings).validation
            unshifted = split_score(predict(split.samples), split.labels, job.settings.loss).accuracy
    seconds = trained.seconds
    too_slow = _too_slow(latency, job.limits)
    return Ended(
        "failed" if too_slow else "paused" if verdict else "complete",
        too_slow or verdict,
        trained.curve,
        trained.kept,
        _paid(trained, before),
        seconds,
        time.perf_counter() - started - seconds.train - seconds.compile - seconds.warm_up,
        trained.engine,
        parameters,
        latency,
        test,
        unshifted,
    )


def _paid(trained: Trained | None, before: float) -> float:
    return trained.curve.last.device_seconds - before if trained else 0.0


def _too_many(parameters: int, limits: Limits) -> str:
    most = limits.max_parameters
    if most is None or parameters <= most:
        return ""
    return f"infeasible: {parameters:,} parameters, search.max_parameters={most:,}"


def _too_slow(latency: float | None, limits: Limits) -> str:
    most = limits.max_latency_ms
    if most is None or latency is None or latency <= most:
        return ""
    return f"infeasible: {latency:.3g} ms for one sample (p99), search.max_latency_ms={most:g}"


def _reason(error: BaseException) -> str:
    if isinstance(error, FulcrumError):
        return str(error)
    return f"out of memory: {next(iter(str(error).splitlines()), type(error).__name__)[:200]}"


_kept: dict[str, Prepared] = {}
"""Prepared data of this process' trials, the newest last; arrays are mapped from disk, so it is small."""


def prepared_for(settings: Settings, under_shift: bool = False) -> Prepared:
    """The prepared data, kept in this process for the next trial that uses the same.

    Raises:
        BadInput: as `stages.preprocess.preprocess`; the samples cannot be changed so.
    """
    key = decisive(settings) + (repr(settings.evaluate) if under_shift else "")
    if key not in _kept:
        found = shifted(prepared_for(settings), settings) if under_shift else preprocess(settings)
        for oldest in list(_kept)[: max(0, len(_kept) - 3)]:
            del _kept[oldest]
        _kept[key] = found
    return _kept[key]
