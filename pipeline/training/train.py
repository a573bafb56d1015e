"""Training as an iterator: one item an epoch; recording and saving are the caller's lines (see `trial`)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.errors import Diverged
from pipeline.hardware.device import claim_device
from pipeline.hardware.stopwatch import Stopwatch
from pipeline.measures import Curve, Epoch, PowerDraw, Seconds
from pipeline.models import keras_models
from pipeline.settings.kinds import option_name
from pipeline.settings.searching.measures import UNDER_ATTACK
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import engine_choice
from pipeline.training.adversarial.attacked_validation import AttackedValidation
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.kept_epoch import choose_epoch, is_better
from pipeline.training.loop import Loop, start_loop
from pipeline.training.privacy.account import PrivacySpent, open_account, sum_up
from pipeline.training.warm_start import (
    PastCost,
    Start,
    TrainingState,
    WarmStart,
    get_loop_kind,
    get_weights_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The state after an epoch; `curve`: every epoch so far; `seconds`: what they took, by purpose.

    `engine`: what ran (xla, graph or keras); `device`: its name; `chosen_epoch`: the epoch that the weights
    are of (see `kept_epoch`); `best`: the epoch whose weights may count yet, and those where they do not
    count now; `energy`: of all epochs so far;
    `earlier_device_seconds`: what the curve had cost before this training began; `stop_reason`: why the trial
    is stopped here, if it is. `curve` counts from the first epoch, also where training went on from a
    checkpoint; `seconds` and `energy` do not.
    """

    curve: Curve
    seconds: Seconds
    engine: str
    device: str
    chosen_epoch: Epoch
    parameters: Sequence[Tensor]
    settings: Settings
    data: Prepared
    energy: PowerDraw
    loop: Loop | None = None
    best: tuple[int, Sequence[Tensor]] = (0, ())
    earlier_device_seconds: float = 0.0
    stop_reason: str = ""

    @property
    def is_restored(self) -> bool:
        """Return whether this is the end of a trial that was trained before; nothing was trained now."""
        return self.loop is None

    @property
    def paid_seconds(self) -> float:
        """Return the device-seconds that this training itself has cost."""
        return self.curve.last.device_seconds - self.earlier_device_seconds

    def get_weights(self) -> list[np.ndarray]:
        """Return [W1, b1, W2, b2, ...], W [inputs, outputs]; float32, or float64 under that precision."""
        return [parameter.numpy() for parameter in self.parameters]

    @property
    def privacy(self) -> PrivacySpent | None:
        """Return what all epochs have spent of the privacy of the training rows; None without privacy.

        All count, also those after the chosen one: which one was chosen tells of them.
        """
        return sum_up(self.settings, len(self.data.train), self.curve.last.number)

    def build_model(self) -> Any:
        """Return a Keras model with these weights, from raw samples to probabilities."""
        return keras_models.build_model(self.settings, self.data, self.get_weights())

    def to_training_state(self, start: Start) -> TrainingState | None:
        """Return what another run can go on from; None where the chosen weights are not the last.

        `start`: where this training began.
        """
        assert self.loop is not None
        if self.chosen_epoch.number != self.curve.last.number:
            return None
        epochs, steps = (start.epochs, start.steps) if isinstance(start, WarmStart) else (0, 0)
        number = self.curve.last.number
        return TrainingState(
            self.loop.get_state(),
            get_loop_kind(self.settings, self.data, Engine(self.engine)),
            option_name(type(self.settings.optimizer)),
            epochs + number,
            steps + number * self.loop.steps,
        )

    def to_checkpoint(self) -> Checkpoint:
        """Return what goes on from here; to be asked for before the next epoch begins."""
        assert self.loop is not None
        state, parameters = self.loop.get_state(), tuple(self.get_weights())
        best_number, best_parameters = self.best
        return Checkpoint(
            curve=self.curve,
            state=state,
            chosen_number=self.chosen_epoch.number,
            parameters=parameters,
            best_number=best_number,
            best_parameters=tuple(parameter.numpy() for parameter in best_parameters),
        )


def train(
    data: Prepared, settings: Settings, start: Start = None, checkpoint: Checkpoint | None = None
) -> Iterator[Trained]:
    """Train epoch by epoch and yield the state after each; stop early by `train.patience`.

    `start`: weights to begin with, as `Trained.get_weights` returns them, needed with
    `model.init=pretrained`; or where another run ended, which adds what that cost.
    `checkpoint`: the same run at an earlier epoch, on the same engine; training goes on as if it had never
    stopped, and the cost so far is part of the curve.

    Raises:
        BadSetting: the batch, threads or engine do not fit data, process, precision or model.
        BadData: augmentation of samples that are no images.
        BadDevice: the device asked for is not there.
        BadModel: `start` is missing or does not fit; with privacy, a network whose rows cannot be told apart.
        Diverged: a loss became NaN or infinite.
    """
    watch = Stopwatch(claim_device(settings.device), watts=settings.price.watts)
    engine = engine_choice.pick_engine(settings, watch.device, data)
    loop = _prepare_loop(data, settings, start, watch, engine)
    curve, best, best_parameters = _begin_curve(loop, watch, settings, start, checkpoint)
    account = open_account(settings, len(data.train))
    attack = AttackedValidation(settings, data) if settings.search.measures_attack else None
    for number in range(len(curve.epochs) + 1, settings.train.epochs + 1):
        epoch = _add_earlier_cost(_train_epoch(loop, watch, settings, number, attack), start, checkpoint)
        if account is not None:
            epoch = replace(epoch, epsilon=account.compute_epsilon(number))
        curve = curve.with_epoch(epoch)
        parameters = loop.get_parameters()
        if best is None or is_better(epoch, best, settings.train):
            best, best_parameters = epoch, parameters
        chosen = choose_epoch(best, epoch, settings.train)
        yield Trained(
            curve=curve,
            seconds=watch.seconds,
            engine=engine.value,
            device=watch.device.name,
            chosen_epoch=chosen,
            parameters=best_parameters if chosen is best else parameters,
            best=(best.number, () if chosen is best else best_parameters),
            settings=settings,
            data=data,
            energy=watch.drawn,
            loop=loop,
            earlier_device_seconds=_get_earlier_cost(start, checkpoint),
        )
        if is_finished(curve, chosen.number, settings):
            return


def is_finished(curve: Curve, chosen_number: int, settings: Settings) -> bool:
    """Return whether training ends after the last epoch of `curve`: all are done, or patience has ended."""
    number, patience = curve.last.number, settings.train.patience
    return number >= settings.train.epochs or bool(patience and number - chosen_number >= patience)


def restore_finished(checkpoint: Checkpoint, data: Prepared, settings: Settings) -> Trained:
    """Return the end of a trial that was trained before; it costs nothing now."""
    return Trained(
        curve=checkpoint.curve,
        seconds=Seconds(),
        engine="",
        device=checkpoint.curve.device,
        chosen_epoch=checkpoint.chosen_epoch,
        parameters=[tf.constant(array) for array in checkpoint.parameters],
        settings=settings,
        data=data,
        energy=PowerDraw(),
        earlier_device_seconds=checkpoint.curve.last.device_seconds,
    )


def _prepare_loop(data: Prepared, settings: Settings, start: Start, watch: Stopwatch, engine: Engine) -> Loop:
    """Return a run that is compiled and warm; its first epoch is prepared."""
    with watch.time("input"):
        weights = keras_models.get_start_weights(settings, data, get_weights_of(start))
        loop = start_loop(settings, data, weights, watch.device, engine)
        if isinstance(start, WarmStart):
            loop.continue_from(start.epochs, start.steps)
        loop.prepare(1)
    with watch.time("compile"):
        loop.compile()
    with watch.time("warm_up"):
        loop.warm_up()
    return loop


def _begin_curve(
    loop: Loop, watch: Stopwatch, settings: Settings, start: Start, checkpoint: Checkpoint | None
) -> tuple[Curve, Epoch | None, Sequence[Tensor]]:
    """Restore the loop, and return the curve so far, its best epoch and the weights of that."""
    if checkpoint is not None:
        loop.restore(checkpoint.state)
        best, arrays = checkpoint.best_epoch, checkpoint.best_parameters or checkpoint.parameters
        return checkpoint.curve, best, [tf.constant(array) for array in arrays]
    if isinstance(start, WarmStart) and start.training_state is not None:
        loop.restore(start.training_state.state)
    return Curve(watch.device.name, settings.fair_midway), None, loop.get_parameters()


def _get_earlier_cost(start: Start, checkpoint: Checkpoint | None) -> float:
    """Return the device-seconds that were spent before this training began."""
    if checkpoint is not None:
        return checkpoint.curve.last.device_seconds
    return start.past_cost.device_seconds if isinstance(start, WarmStart) else 0.0


def _add_earlier_cost(epoch: Epoch, start: Start, checkpoint: Checkpoint | None) -> Epoch:
    """Return the epoch with what was spent before the pause, or by the run that this one goes on from."""
    earlier: Epoch | PastCost = start.past_cost if isinstance(start, WarmStart) else PastCost()
    lost = 0.0
    if checkpoint is not None:
        earlier = checkpoint.curve.last
        lost = earlier.lost_seconds
    unknown = earlier.joules is None or epoch.joules is None
    return replace(
        epoch,
        device_seconds=earlier.device_seconds + epoch.device_seconds,
        lost_seconds=lost + epoch.lost_seconds,
        joules=None if unknown else earlier.joules + epoch.joules,  # type: ignore[operator]
        joules_estimated=earlier.joules_estimated or epoch.joules_estimated,
    )


def _train_epoch(
    loop: Loop, watch: Stopwatch, settings: Settings, number: int, attack: AttackedValidation | None
) -> Epoch:
    """Train one epoch and score it.

    Raises:
        Diverged: a loss became NaN or infinite.
    """
    with watch.time("input"):
        loop.prepare(number)
    with watch.time_epoch():
        loss = loop.run()
    with watch.time("validate"):
        validation_loss, accuracy = loop.score()
        under_attack = attack.measure(loop.get_parameters()) if attack else None
        if under_attack is not None and settings.measure.name == UNDER_ATTACK:
            accuracy = under_attack
    for name, value in (("train", float(loss)), ("validation", validation_loss)):
        if not math.isfinite(value + accuracy):  # squares overflow before their roots do
            raise Diverged(_explain_divergence(name, value, number, settings), watch.device_seconds)
    return Epoch(
        number=number,
        device_seconds=watch.device_seconds,
        train_loss=float(loss),
        validation_loss=validation_loss,
        validation_accuracy=accuracy,
        contended=watch.verdict.contended,
        core_share=watch.verdict.share,
        lost_seconds=watch.lost_seconds,
        joules=watch.drawn.joules,
        joules_estimated=watch.drawn.estimated,
        accuracy_under_attack=under_attack,
    )


def _explain_divergence(name: str, value: float, number: int, settings: Settings) -> str:
    rate = settings.optimizer.learning_rate
    half = settings.precision.policy is Policy.mixed_float16
    also = f" or precision.loss_scale (now {settings.precision.loss_scale:g})" if half else ""
    return (
        f"the {name} loss must stay finite, got {value} in epoch {number}; "
        f"set a smaller optimizer.learning_rate (now {rate:g}){also}"
    )
