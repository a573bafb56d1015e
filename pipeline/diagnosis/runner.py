"""Measures command lines for `improve`: trains them, breaks their epochs down, times their answers.

Trials run in this process, one after the other, so that compiled code and prepared arrays serve all of them;
those of a user's own network share another one, which they may take down, and a trial with another number of
cores needs a process of its own.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from pipeline.data.prepared import Prepared
from pipeline.diagnosis.bottleneck import Case, Words
from pipeline.diagnosis.measured_command import CostlyError, MeasuredCommand
from pipeline.errors import FulcrumError, read_reason
from pipeline.formatting import format_count
from pipeline.hardware import device
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch
from pipeline.models import keras_models, litert
from pipeline.models.litert import Predict
from pipeline.profiling import measure_breakdown, measure_roofline
from pipeline.profiling.breakdown import Breakdown
from pipeline.profiling.device_peaks import load_or_measure_peaks
from pipeline.profiling.profile import measure_latency
from pipeline.profiling.roofline import DevicePeaks
from pipeline.search.workers.failure import explain_failure, is_failure
from pipeline.settings.diagnosis import Aim
from pipeline.settings.measuring import Runtime
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings
from pipeline.training import engine_choice
from pipeline.training.kept_epoch import raise_to_kept
from pipeline.trial.network import load_prepared, train_to_end, train_trial

Compose = Callable[[Words], Settings]


def train_curve(
    settings: Settings, data: Prepared, max_epochs: int | None, max_seconds: float | None
) -> Curve:
    """Train until a limit; each epoch stands for the one whose weights count then (see `kept_epoch`).

    Raises:
        CostlyError, FulcrumError: see `measured_command.Run`.
    """

    def stop(curve: Curve) -> str | None:
        if curve.last.number == max_epochs:
            return f"no more than {format_count(max_epochs, 'epoch')} were asked for"
        at_end = curve.last.number == settings.train.epochs
        if max_seconds is None or curve.last.device_seconds <= max_seconds or at_end:
            return None
        if not curve.fair_midway:
            raise CostlyError
        return f"the bound of {format_count(max_seconds, 'device-second')} is spent"

    for trained in train_trial(data, settings, stop):
        curve = trained.curve
    return raise_to_kept(curve, settings.train)


class TrialFailed(FulcrumError):
    """A trial of a diagnosis has failed by itself; the text says why."""


@contextmanager
def explaining_failures(settings: Settings) -> Iterator[None]:
    """Raise TrialFailed, with one line of text, for what a user's own network raised."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, FulcrumError | CostlyError) or not is_failure(error, settings):
            raise
        raise TrialFailed(explain_failure(error, settings)) from None


class TrialRunner:
    """What a diagnosis runs on. `run` and `make_case` are what `improve` asks for, with either aim."""

    def __init__(self, compose: Compose, aim: Aim, claimed_device: ClaimedDevice) -> None:
        """`compose`: overrides to settings; `claimed_device`: the device of this process."""
        self._compose, self._aim, self._device = compose, aim, claimed_device
        self._models: dict[str, Any] = {}
        self._servers: dict[str, tuple[Predict, float]] = {}
        self._guest = GuestProcess()

    # ---- what `improve` asks for -----------------------------------------------------------------------

    def run(
        self, words: Words, seed: int, max_epochs: int | None = None, max_seconds: float | None = None
    ) -> Curve:
        """Return a curve of training, or with aim=latency of one epoch: p99 seconds of an answer.

        Raises:
            TrialFailed: a user's own network raised something, or the process of the trial ended.
        """
        settings = self._compose_settings(words, seed)
        with explaining_failures(settings):
            return self._measure(settings, max_epochs, max_seconds)

    def _measure(self, settings: Settings, max_epochs: int | None, max_seconds: float | None) -> Curve:
        if self._aim is Aim.latency:
            return self._measure_latency(settings)
        if settings.device.threads != self._device.count and self._device.kind == "cpu":
            return _train_in_fresh_process(settings, max_epochs, max_seconds)
        if isinstance(settings.model, Custom) and self._device.kind == "cpu":
            return self._guest.train(settings, max_epochs, max_seconds)
        return train_curve(settings, load_prepared(settings), max_epochs, max_seconds)

    def make_case(self, measured: MeasuredCommand, enough_epochs: int) -> Case:
        """Return the case of a command line; where it claims other cores than this process, it gets ours."""
        settings = self._compose_settings(measured.words)
        prepared = load_prepared(settings)
        local = replace(settings, device=replace(settings.device, threads=self._device.count))
        if self._aim is Aim.latency:
            breakdown, roofline = self._dissect_answer(local, prepared), None
        else:
            breakdown = measure_breakdown.measure_epoch(local, prepared)
            roofline = measure_roofline.build_roofline(local, prepared, breakdown, self._ceilings)
        return Case(
            settings=settings,
            aim=self._aim,
            breakdown=breakdown,
            epochs=measured.epoch,
            enough_epochs=enough_epochs,
            rows=len(prepared.train.labels),
            loop=engine_choice.pick_engine(local, self._device, prepared),
            kind=self._device.kind,
            roofline=roofline,
            ceilings=self._ceilings,
            images=prepared.front is None and len(prepared.shape) in (2, 3),
        )

    def _compose_settings(self, words: Words, seed: int | None = None) -> Settings:
        settings = self._compose(words)
        return settings if seed is None else replace(settings, train=replace(settings.train, seed=seed))

    @cached_property
    def _ceilings(self) -> DevicePeaks:
        return load_or_measure_peaks(self._device, self._compose(()).cache_dir)

    # ---- answers ------------------------------------------------------------------------------------

    def _measure_latency(self, settings: Settings) -> Curve:
        predict, accuracy = self._get_server(settings)
        samples, profile = load_prepared(settings).test.samples, settings.profile
        latency = measure_latency(predict, samples, profile.repeats, profile.warmup)
        return Curve(
            self._device.name,
            True,
            (
                Epoch(
                    number=1,
                    device_seconds=latency.p99_ms / 1000,
                    train_loss=0.0,
                    validation_loss=0.0,
                    validation_accuracy=accuracy,
                ),
            ),
        )

    def _get_server(self, settings: Settings) -> tuple[Predict, float]:
        """Return who answers, and its validation accuracy: of what is served, not of its source."""
        key = repr(settings)
        if key not in self._servers:
            litert.check_runtime(settings.profile.runtime, load_prepared(settings))
            predict, split = (
                litert.make_predictor_for(self.get_model(settings), settings.profile.runtime),
                load_prepared(settings).validation,
            )
            accuracy = litert.measure_accuracy(
                litert.predict_in_portions(predict), split.samples, split.labels
            )
            self._servers[key] = predict, accuracy
        return self._servers[key]

    def get_model(self, settings: Settings) -> Any:
        """Return the Keras model that these settings train, once for all ways to serve it."""
        plain = replace(settings.profile, runtime=Runtime.compiled)
        key = repr(replace(settings, profile=plain))
        if key not in self._models:
            self._models[key] = train_to_end(load_prepared(settings), settings).build_model()
        return self._models[key]

    def _dissect_answer(self, settings: Settings, prepared: Prepared) -> Breakdown:
        runtime = settings.profile.runtime
        small = litert.make_predictor_for(
            keras_models.build_model(measure_breakdown.make_twin_settings(settings), prepared), runtime
        )
        predict, repeats = (
            litert.make_predictor_for(self.get_model(settings), runtime),
            settings.profile.repeats,
        )
        return measure_breakdown.measure_answer(
            predict, small, prepared, repeats, runtime.value, self._device.name
        )


# ---- other processes ----------------------------------------------------------------------------------


class GuestProcess:
    """A process in which a user's own networks train; one that ends is replaced at the next trial."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def train(self, settings: Settings, max_epochs: int | None, max_seconds: float | None) -> Curve:
        """Train there.

        Raises:
            TrialFailed: the process ended, as by a segmentation fault.
        """
        if self._pool is None:
            try:
                self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            except OSError as error:
                raise FulcrumError(
                    "a trial in a process of its own needs /dev/shm, which cannot be used "
                    f"({read_reason(error)}); mount one, such as an emptyDir of medium Memory on Kubernetes"
                ) from None
        try:
            return self._pool.submit(_train_on_claimed_cores, settings, max_epochs, max_seconds).result()
        except BrokenProcessPool:
            self.end()
            raise TrialFailed("the process of the trial ended before the trial did") from None

    def end(self) -> None:
        """End the process, if there is one."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None


def _train_in_fresh_process(settings: Settings, max_epochs: int | None, max_seconds: float | None) -> Curve:
    """Train in a fresh process: TensorFlow cannot change its threads once it has computed."""
    guest = GuestProcess()
    try:
        return guest.train(settings, max_epochs, max_seconds)
    finally:
        guest.end()


def _train_on_claimed_cores(settings: Settings, max_epochs: int | None, max_seconds: float | None) -> Curve:
    device.claim_device(settings.device, pin=True)
    with explaining_failures(settings):  # here, as not every exception can travel to another process
        return train_curve(settings, load_prepared(settings), max_epochs, max_seconds)
