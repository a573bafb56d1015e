"""Measures command lines for a walk: trains them, breaks their epochs down, times their answers.

Trials run in this process, one after the other, so that compiled code and prepared arrays serve all of them;
only a trial with another number of cores needs a process of its own.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import decisive, preprocess
from pipeline.diagnosis.bottleneck import Case, Words
from pipeline.diagnosis.paired_attempt import CostlyError, Measured
from pipeline.hardware import device
from pipeline.hardware.device import Held
from pipeline.measures import Curve, Epoch
from pipeline.models import keras_models, litert
from pipeline.models.litert import Predict
from pipeline.profiling import measure_breakdown
from pipeline.profiling.breakdown import Breakdown
from pipeline.profiling.device_peaks import ceilings
from pipeline.profiling.profile import latency_of
from pipeline.profiling.roofline import Ceilings
from pipeline.settings.diagnosis import Aim
from pipeline.settings.measuring import Runtime
from pipeline.settings.settings import Settings
from pipeline.training import compiled_epoch
from pipeline.training.train import train

Compose = Callable[[Words], Settings]


def curve_of(
    settings: Settings, prepared: Prepared, most_epochs: int | None, most_seconds: float | None
) -> Curve:
    """Train; with `train.patience` each epoch stands for the best so far, whose weights a run keeps.

    Raises:
        CostlyError, FulcrumError: see `attempts.Run`.
    """
    curve = None
    for trained in train(prepared, settings):
        curve = trained.curve
        at_end = curve.last.number == settings.train.epochs
        if curve.last.number == most_epochs:
            break
        if most_seconds is not None and curve.last.device_seconds > most_seconds and not at_end:
            if not curve.fair_midway:
                raise CostlyError
            break
    assert curve is not None
    return _best_so_far(curve) if settings.train.patience else curve


def _best_so_far(curve: Curve) -> Curve:
    best, epochs = 0.0, []
    for epoch in curve.epochs:
        best = max(best, epoch.validation_accuracy)
        epochs.append(replace(epoch, validation_accuracy=best))
    return replace(curve, epochs=tuple(epochs))


class Bench:
    """What a walk runs on. `run` and `look` are what `walk` asks for, with either aim."""

    def __init__(self, compose: Compose, aim: Aim, held: Held) -> None:
        """`compose`: overrides to settings; `held`: the device of this process."""
        self._compose, self._aim, self._held = compose, aim, held
        self._prepared: dict[str, Prepared] = {}
        self._models: dict[str, Any] = {}
        self._servers: dict[str, tuple[Predict, float]] = {}

    # ---- what a walk asks for -----------------------------------------------------------------------

    def run(
        self, words: Words, seed: int, most_epochs: int | None = None, most_seconds: float | None = None
    ) -> Curve:
        """A curve of training, or of one epoch: p99 seconds of an answer."""
        settings = self._settings(words, seed)
        if self._aim is Aim.latency:
            return self._latency(settings)
        if settings.device.threads != self._held.count and self._held.kind == "cpu":
            return _elsewhere(settings, most_epochs, most_seconds)
        return curve_of(settings, self.prepared(settings), most_epochs, most_seconds)

    def look(self, here: Measured, enough: int) -> Case:
        """The case of a command line; where it holds other cores than this process, its threads are ours."""
        settings = self._settings(here.words)
        prepared = self.prepared(settings)
        local = replace(settings, device=replace(settings.device, threads=self._held.count))
        if self._aim is Aim.latency:
            found, roofline = self._answer(local, prepared), None
        else:
            found = measure_breakdown.dissect(local, prepared)
            roofline = measure_breakdown.roofline_of(local, prepared, found, self._ceilings)
        return Case(
            settings,
            self._aim,
            found,
            here.epoch,
            enough,
            len(prepared.train.labels),
            compiled_epoch.pick_engine(local, self._held),
            self._held.kind,
            roofline,
            self._ceilings,
            prepared.front is None and len(prepared.shape) in (2, 3),
        )

    def prepared(self, settings: Settings) -> Prepared:
        """The data of these settings, loaded once."""
        key = decisive(settings)
        if key not in self._prepared:
            self._prepared[key] = preprocess(settings)
        return self._prepared[key]

    def _settings(self, words: Words, seed: int | None = None) -> Settings:
        settings = self._compose(words)
        return settings if seed is None else replace(settings, train=replace(settings.train, seed=seed))

    @cached_property
    def _ceilings(self) -> Ceilings:
        return ceilings(self._held, self._compose(()).cache_dir)

    # ---- answers ------------------------------------------------------------------------------------

    def _latency(self, settings: Settings) -> Curve:
        predict, right = self._server(settings)
        features, told = self.prepared(settings).test.samples, settings.profile
        found = latency_of(predict, features, told.repeats, told.warmup)
        return Curve(self._held.name, True, (Epoch(1, found.p99_ms / 1000, 0.0, 0.0, right),))

    def _server(self, settings: Settings) -> tuple[Predict, float]:
        """Who answers, and its validation accuracy: of what is served, not of what it was made from."""
        key = repr(settings)
        if key not in self._servers:
            litert.check(settings.profile.runtime, self.prepared(settings))
            predict, split = (
                litert.answerer(self.trained(settings), settings.profile.runtime),
                self.prepared(settings).validation,
            )
            right = litert.accuracy(litert.in_portions(predict), split.samples, split.labels)
            self._servers[key] = predict, right
        return self._servers[key]

    def trained(self, settings: Settings) -> Any:
        """The Keras model that these settings train, once for all ways to serve it."""
        plain = replace(settings.profile, runtime=Runtime.compiled)
        key = repr(replace(settings, profile=plain))
        if key not in self._models:
            *_, last = train(self.prepared(settings), settings)
            self._models[key] = last.model()
        return self._models[key]

    def _answer(self, settings: Settings, prepared: Prepared) -> Breakdown:
        runtime = settings.profile.runtime
        small = litert.answerer(
            keras_models.build(measure_breakdown.twin_settings(settings), prepared), runtime
        )
        predict, repeats = litert.answerer(self.trained(settings), runtime), settings.profile.repeats
        return measure_breakdown.dissect_answer(
            predict, small, prepared, repeats, runtime.value, self._held.name
        )


# ---- another number of cores --------------------------------------------------------------------------


def _elsewhere(settings: Settings, most_epochs: int | None, most_seconds: float | None) -> Curve:
    """The same in a fresh process: TensorFlow cannot change its threads once it has computed."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_alone, settings, most_epochs, most_seconds).result()


def _alone(settings: Settings, most_epochs: int | None, most_seconds: float | None) -> Curve:
    device.claim_and_pin_device(settings.device)
    return curve_of(settings, preprocess(settings), most_epochs, most_seconds)
