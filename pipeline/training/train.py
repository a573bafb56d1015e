"""Training as an iterator: one item an epoch; recording, pruning and saving are the caller's lines."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.errors import Diverged
from pipeline.evaluation import corruptions
from pipeline.hardware.device import Stopwatch, claim_device
from pipeline.measures import Curve, Drawn, Epoch, Seconds
from pipeline.models import keras_models
from pipeline.settings.settings import Settings, option_name
from pipeline.settings.training import Engine, Policy
from pipeline.training import compiled_epoch, device_data, warm_start
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.loop import Loop, check_loop, start_loop
from pipeline.training.warm_start import Left, Onward

Start = list[np.ndarray] | Onward | None


@dataclass(frozen=True, slots=True)
class Trained:
    """The state after an epoch; `curve`: every epoch so far; `seconds`: what they took, by purpose.

    `engine`: what ran (xla, graph or keras); `device`: its name; `kept`: the epoch that the weights are of,
    which is the last one, or with `train.patience` the best so far; `drawn`: energy of all epochs so far.
    `curve` counts from the first epoch, also where training went on from a checkpoint; `seconds` and `drawn`
    do not.
    """

    curve: Curve
    seconds: Seconds
    engine: str
    device: str
    kept: Epoch
    parameters: Sequence[Tensor]
    settings: Settings
    prepared: Prepared
    drawn: Drawn
    loop: Loop | None = None

    def weights(self) -> list[np.ndarray]:
        """[W1, b1, W2, b2, ...], W [inputs, outputs]; float32, or float64 under that precision."""
        return [parameter.numpy() for parameter in self.parameters]

    def model(self) -> Any:
        """A Keras model with these weights, from raw samples to probabilities; see `models.build`."""
        return keras_models.build(self.settings, self.prepared, self.weights())

    def left(self, start: Start) -> Left | None:
        """What another run can go on from; None where the weights that are kept are not the last."""
        assert self.loop is not None
        if self.kept.number != self.curve.last.number:
            return None
        epochs, steps = (start.epochs, start.steps) if isinstance(start, Onward) else (0, 0)
        optimizer = option_name(type(self.settings.optimizer))
        number = self.curve.last.number
        loop = warm_start.loop_of(Engine(self.engine))
        return Left(self.loop.state(), loop, optimizer, epochs + number, steps + number * self.loop.steps)

    def checkpoint(self) -> Checkpoint:
        """What goes on from here; to be asked for before the next epoch begins."""
        assert self.loop is not None
        return Checkpoint(self.curve, self.loop.state(), self.kept.number, tuple(self.weights()))


def train(
    prepared: Prepared,
    settings: Settings,
    start: Start = None,
    paused: Checkpoint | None = None,
) -> Iterator[Trained]:
    """Train epoch by epoch; stop early by `train.patience`.

    `start`: weights to begin with, as `Trained.weights` gives them, needed with `model.init=pretrained`; or
    where another run ended, which adds what that cost.
    `paused`: the same run at an earlier epoch, on the same engine; it goes on as if it had never stopped, and
    its cost so far is part of the curve.

    Raises:
        BadSetting: the batch, threads or engine do not fit data, process, precision or model.
        BadData: augmentation of samples that are no images.
        BadDevice: the device asked for is not there.
        BadModel: `start` is missing or does not fit.
        Diverged: a loss became NaN or infinite.
    """
    watch = Stopwatch(claim_device(settings.device))
    kind = compiled_epoch.pick_engine(settings, watch.held, device_data.streams(settings, prepared))
    loop = _ready(prepared, settings, start, watch, kind)
    curve, kept, parameters = _beginning(loop, watch, settings, start, paused)
    for number in range(len(curve.epochs) + 1, settings.train.epochs + 1):
        epoch = _after(paused or start, _epoch(loop, watch, settings, number))
        curve = curve.with_epoch(epoch)
        if kept is None or not settings.train.patience or _better(epoch, kept):
            kept, parameters = epoch, loop.parameters()
        yield Trained(
            curve,
            watch.seconds,
            kind.value,
            watch.held.name,
            kept,
            parameters,
            settings,
            prepared,
            watch.drawn,
            loop,
        )
        if settings.train.patience and number - kept.number >= settings.train.patience:
            return


def check(prepared: Prepared, settings: Settings, start: Start = None) -> None:
    """Raise what `train` would raise before its first epoch, and do nothing else."""
    held = claim_device(settings.device)
    compiled_epoch.pick_engine(settings, held, device_data.streams(settings, prepared))
    check_loop(settings, prepared)
    corruptions.check(settings.evaluate.shift, prepared.test.samples, prepared.front)
    keras_models.start_weights(settings, prepared, _weights_of(start))


def _weights_of(start: Start) -> list[np.ndarray] | None:
    return start.weights if isinstance(start, Onward) else start


def _ready(
    prepared: Prepared,
    settings: Settings,
    start: Start,
    watch: Stopwatch,
    kind: Engine,
) -> Loop:
    """A run that is compiled and warm; its first epoch is prepared."""
    with watch.on("input"):
        weights = keras_models.start_weights(settings, prepared, _weights_of(start))
        loop = start_loop(settings, prepared, weights, watch.held, kind)
        if isinstance(start, Onward):
            loop.go_on(start.epochs, start.steps)
        loop.prepare(1)
    with watch.on("compile"):
        loop.compile()
    with watch.on("warm_up"):
        loop.warm_up()
    return loop


def _beginning(
    loop: Loop, watch: Stopwatch, settings: Settings, start: Start, paused: Checkpoint | None
) -> tuple[Curve, Epoch | None, Sequence[Tensor]]:
    """The curve so far, and what is kept of it."""
    if paused is None:
        if isinstance(start, Onward) and start.left is not None:
            loop.restore(start.left.state)
        return Curve(watch.held.name, settings.schedule.fair_midway), None, loop.parameters()
    loop.restore(paused.state)
    kept = paused.curve.epochs[paused.kept - 1]
    return paused.curve, kept, [tf.constant(array) for array in paused.parameters]


def _after(paused: "Checkpoint | Start", epoch: Epoch) -> Epoch:
    """The epoch with what was spent before the pause, or by the run that this one goes on from."""
    if isinstance(paused, Onward):
        return replace(epoch, device_seconds=paused.device_seconds + epoch.device_seconds)
    if not isinstance(paused, Checkpoint):
        return epoch
    return replace(
        epoch,
        device_seconds=paused.epoch.device_seconds + epoch.device_seconds,
        lost_seconds=paused.epoch.lost_seconds + epoch.lost_seconds,
    )


def _epoch(loop: Loop, watch: Stopwatch, settings: Settings, number: int) -> Epoch:
    with watch.on("input"):
        loop.prepare(number)
    with watch.on_epoch():
        loss = loop.run()
    with watch.on("repeat"):
        watch.repeat(loop.rehearse, loop.steps)
    with watch.on("validate"):
        validation_loss, accuracy = loop.score()
    for name, value in (("train", float(loss)), ("validation", validation_loss)):
        if not math.isfinite(value):
            raise Diverged(_diverged(name, value, number, settings))
    return Epoch(
        number,
        watch.device_seconds,
        float(loss),
        validation_loss,
        accuracy,
        watch.verdict.contended,
        watch.verdict.share,
        watch.lost_seconds,
    )


def _diverged(name: str, value: float, number: int, settings: Settings) -> str:
    rate = settings.optimizer.learning_rate
    half = settings.precision.policy is Policy.mixed_float16
    also = f" or precision.loss_scale (now {settings.precision.loss_scale:g})" if half else ""
    return (
        f"the {name} loss must stay finite, got {value} in epoch {number}; "
        f"set a smaller optimizer.learning_rate (now {rate:g}){also}"
    )


def _better(epoch: Epoch, than: Epoch) -> bool:
    return epoch.validation_accuracy > than.validation_accuracy
