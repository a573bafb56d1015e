"""A training step under the roof of its device: what it does is counted, what it takes is measured."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.data.prepared import Prepared
from pipeline.hardware.device import claim_device
from pipeline.hardware.stopwatch import choose_clock
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.profiling.breakdown import Breakdown, Part
from pipeline.profiling.device_peaks import load_or_measure_peaks
from pipeline.profiling.network_work import count_network_work
from pipeline.profiling.roofline import DevicePeaks, Roofline, StepWork, count_step_work
from pipeline.settings.settings import Settings
from pipeline.settings.training import Adversarial, Engine
from pipeline.training import engine_choice, measured_engine
from pipeline.training.device_data import describe_network
from pipeline.training.loop import start_loop
from pipeline.training.optimizers import rule_of
from pipeline.training.perceptron.mlp_gradients import NetworkSpec

CALL_SECONDS, ROUNDS = 0.1, 5
"""Of a timed call of some steps; the best of so many rounds counts, as it does for the peaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """A step of `batch` samples by `engine`; `tried`: what was measured to choose it, in words, or "".

    `roofline`: None for a network whose layers tell too little of their work.
    """

    seconds: float
    batch: int
    engine: Engine
    tried: str
    roofline: Roofline | None


def measure_step(settings: Settings, prepared: Prepared) -> MeasuredStep:
    """Measure a step of the training that the settings describe, on new weights; some seconds.

    Raises:
        BadInput: the settings do not fit the data or the device.
    """
    device = claim_device(settings.device)
    engine, clock = engine_choice.pick_engine(settings, device, prepared), choose_clock(device)
    loop = start_loop(
        settings, prepared, keras_models.draw_initial_weights(settings, prepared), device, engine
    )
    loop.prepare(1)
    loop.compile()
    loop.warm_up()
    first = clock.time(partial(loop.run_steps, 1))
    steps = max(1, min(loop.steps, round(CALL_SECONDS / max(first, 1e-6))))
    seconds = min(clock.time(partial(loop.run_steps, steps)) for _ in range(ROUNDS)) / steps
    is_perceptron = architecture_of(settings.model).is_perceptron
    return MeasuredStep(
        seconds=seconds,
        batch=settings.train.batch_size,
        engine=engine,
        tried="" if is_perceptron else measured_engine.describe_measured(settings, device.name, engine),
        roofline=_build(settings, prepared, load_or_measure_peaks(device, settings.cache_dir), seconds),
    )


def build_roofline(
    settings: Settings, prepared: Prepared, breakdown: Breakdown, peaks: DevicePeaks
) -> Roofline | None:
    """Return the measured step under the device's peaks; None for a network whose layers tell too little."""
    seconds = breakdown.whole.seconds / breakdown.steps
    return _build(settings, prepared, peaks, seconds, breakdown.share(Part.overhead))


def _build(
    settings: Settings, prepared: Prepared, peaks: DevicePeaks, seconds: float, overhead: float = 0.0
) -> Roofline | None:
    network = describe_network(settings, prepared)
    work, precision = _count_work(settings, prepared, network), network.narrow.name
    if work is None:
        return None
    return Roofline(
        work=work,
        peak=peaks.flops.get(precision, peaks.flops["float32"]),
        bandwidth=peaks.get_bandwidth(work.resident),
        seconds=seconds,
        overhead=overhead,
        precision=precision,
    )


def _count_work(settings: Settings, prepared: Prepared, network: NetworkSpec) -> StepWork | None:
    batch, rule = settings.train.batch_size, rule_of(settings.optimizer)
    is_byte = prepared.train.features.dtype == np.uint8 and settings.preprocess.storage == "uint8"
    sizes = network.narrow.size, network.wide.size, 1 if is_byte else 4
    moves = settings.train.adversarial is not Adversarial.none
    if architecture_of(settings.model).is_perceptron:
        return count_step_work(network.sizes, batch, rule, *sizes, adversarial=moves)
    if moves:
        return None  # nobody has counted the way back to the samples
    weights = keras_models.draw_initial_weights(settings, prepared)
    return count_network_work(keras_models.build_network(settings, prepared, weights), batch, rule, *sizes)
