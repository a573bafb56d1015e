"""One trial of a training loop of the user's own: the page of `trial=function` and `trial=command`.

    settings -> check_loop -> train_loop, an item an epoch: measured by our clock, checked, and saved

Neither TensorFlow nor any other framework is imported here; the loop brings its own.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pipeline import signals
from pipeline.errors import LoopFailed
from pipeline.hardware.device import ClaimedDevice, claim_plain_device
from pipeline.measures import Curve, Epoch, PowerDraw, Seconds, Stop
from pipeline.processes import garbage
from pipeline.settings.kinds import module_of
from pipeline.settings.settings import Settings
from pipeline.settings.training import Function, UserLoop
from pipeline.trial import loop_states, user_code
from pipeline.trial.loop_settings import make_settings
from pipeline.trial.loop_states import LoopTrained, SavedLoop
from pipeline.trial.reports import LOSSES, Report

SAVE_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCost:
    """What all epochs of a loop so far have cost; the fields: see `Epoch`, `Seconds` and `PowerDraw`."""

    device_seconds: float
    seconds: Seconds
    contended: bool = False
    core_share: float | None = None
    lost_seconds: float = 0.0
    energy: PowerDraw = field(default_factory=PowerDraw)


class RunningLoop(Protocol):
    """A loop of the user's own in progress: what each kind of them must offer."""

    def advance(self, number: int) -> Report | None:
        """Train epoch `number` and return what the loop reports of it; None where it has ended.

        Raises:
            LoopFailed: the loop raises, or reports what is no accuracy.
            Diverged: it reports NaN or infinity.
        """

    def measure(self) -> LoopCost:
        """Return what it has cost so far."""

    def close(self) -> None:
        """End it, and all that it has started."""


def check_loop(settings: Settings) -> str:
    """Check a loop before anything is trained or recorded; return the SHA-256 (hex) of its code.

    Raises:
        BadSetting: there is no such function, or its settings refuse the values.
        BadDevice: the device asked for is not there.
    """
    trial = settings.trial
    assert isinstance(trial, UserLoop)
    claim_plain_device(settings.device)
    if isinstance(trial, Function):
        make_settings(trial.call, trial.values, {"epochs": 1, "seed": 0, "state": None})
    return user_code.hash_code(trial)


def train_loop(
    settings: Settings, stop: Stop | None = None, checkpoint: Path | None = None
) -> Iterator[LoopTrained]:
    """Yield the state after each epoch, at least one.

    `stop`, `checkpoint`: as for `network.train_trial`; a loop that reports no state begins anew.

    Raises:
        LoopFailed: the loop raises, ends without an accuracy, or reports what is none.
        Diverged: it reports NaN or infinity.
        BadInput: what `check_loop` raises; the folder of the checkpoint cannot be written.
    """
    garbage.collect_as_usual()
    device = claim_plain_device(settings.device)
    path = loop_states.get_keyed_path(checkpoint, settings, device) if checkpoint else None
    saved = loop_states.load(path) if path else None
    if saved and len(saved.trained.curve.epochs) > settings.train.epochs:
        path = saved = None
    if saved and (saved.trained.ended or len(saved.trained.curve.epochs) == settings.train.epochs):
        yield saved.restore()
        return
    if saved and saved.state is None:
        saved = None
    yield from _train(settings, device, stop, path, saved)


def can_report_model(settings: Settings) -> bool:
    """Return whether such a loop can report a model: a program prints lines."""
    return isinstance(settings.trial, Function)


def train_for_model(settings: Settings, checkpoint: Path) -> LoopTrained | None:
    """Return the end of a training with the model that the loop reports; None where it reports none.

    A training that was cut short stands where this one ends, but its loop was told of more epochs: one that
    reports its model in the last of them has not yet done so, and is trained again.
    """
    path = loop_states.get_keyed_path(checkpoint, settings, claim_plain_device(settings.device))
    saved = loop_states.load(path)
    if saved and saved.trained.model is None and not saved.awaits_model:
        return None
    *_, trained = train_loop(settings, checkpoint=checkpoint)
    if saved and trained.is_restored and trained.model is None:
        *_, trained = train_loop(settings)
        if trained.model is None:  # so that the next start does not try again
            loop_states.save(path, replace(saved, awaits_model=False))
    return trained if trained.model is not None else None


def _train(
    settings: Settings, device: ClaimedDevice, stop: Stop | None, path: Path | None, saved: SavedLoop | None
) -> Iterator[LoopTrained]:
    trained = (
        saved.trained if saved else LoopTrained(curve=Curve(device.name, settings.fair_midway), numbers=())
    )
    first, saved_at = len(trained.curve.epochs) + 1, time.monotonic()
    with (
        signals.hold_back(),  # what is started is ended, wherever a signal falls
        closing(_start(settings, device, saved.state if saved else None)) as loop,
        signals.let_through(),
    ):
        for number in range(first, settings.train.epochs + 1):
            report = loop.advance(number)
            if report is None:
                if number == 1:
                    raise LoopFailed(_explain_silence(settings))
                trained = replace(trained, ended=True)
                loop_states.save(path, SavedLoop(trained, None))
                if saved and number == first:
                    yield SavedLoop(trained, None).restore()
                return
            trained = _add_epoch(trained, report, number, loop.measure(), saved)
            reason = stop(trained.curve) if stop else None
            trained = replace(trained, stop_reason=reason or "")
            is_due = bool(reason) or time.monotonic() - saved_at > SAVE_EVERY_SECONDS
            if number == settings.train.epochs or (report.state is not None and is_due):
                loop_states.save(path, SavedLoop(trained, report.state, number < settings.train.epochs))
                saved_at = time.monotonic()
            yield trained
            if reason:
                return


def _start(settings: Settings, device: ClaimedDevice, state: Any) -> RunningLoop:
    running: RunningLoop = module_of("pipeline.trial", settings.trial).start(settings, device, state)
    return running


def _explain_silence(settings: Settings) -> str:
    trial = settings.trial
    assert isinstance(trial, UserLoop)
    if isinstance(trial, Function):
        return f"{trial.word} must yield an accuracy after each epoch, got none; write yield in its loop"
    return (
        f"{trial.word} must print a line of JSON with an accuracy after each epoch, got none; "
        'print {"epoch": 1, "accuracy": 0.9}'
    )


def _add_epoch(
    trained: LoopTrained, report: Report, number: int, cost: LoopCost, saved: SavedLoop | None
) -> LoopTrained:
    """Return the state with one more epoch; what was spent before a pause is part of its curve."""
    before = saved.trained.curve.last if saved else None
    earlier = before.device_seconds if before else 0.0
    joules = cost.energy.joules
    if before is not None:
        joules = None if joules is None or before.joules is None else joules + before.joules
    estimated = cost.energy.estimated or bool(before and before.joules_estimated)
    train_loss, validation_loss = map(report.get_loss, LOSSES)
    epoch = Epoch(
        number=number,
        device_seconds=earlier + cost.device_seconds,
        train_loss=train_loss,
        validation_loss=validation_loss,
        validation_accuracy=report.accuracy,
        contended=cost.contended,
        core_share=cost.core_share,
        lost_seconds=(before.lost_seconds if before else 0.0) + cost.lost_seconds,
        joules=joules,
        joules_estimated=estimated,
    )
    others = {name: value for name, value in report.numbers.items() if name not in LOSSES}
    return LoopTrained(
        curve=trained.curve.with_epoch(epoch),
        numbers=(*trained.numbers, others),
        model=report.model,
        seconds=cost.seconds,
        energy=cost.energy,
        earlier_device_seconds=earlier,
    )
