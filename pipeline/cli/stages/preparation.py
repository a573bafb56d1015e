"""What is ready before a run is opened: everything that a user can get wrong is checked by then.

So a mistake records nothing. TensorFlow and MLflow are imported inside the functions: a mistake in the
settings is told before.
"""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.cli.compose import compose, fit_to_rows
from pipeline.settings import addresses
from pipeline.settings.command_line import CommandLine
from pipeline.settings.training import Engine

if TYPE_CHECKING:
    import numpy as np

    from pipeline.data.prepared import Prepared
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.training.warm_start import Start


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is ready before a run is opened: settings, device and data; preparing took `prepare_seconds`."""

    command_line: CommandLine
    device: "ClaimedDevice"
    prepared: "Prepared"
    prepare_seconds: float


def prepare(command_line: CommandLine) -> Preparation:
    """Claim the device and prepare the data.

    Raises:
        BadInput: the store, the device or the data cannot be used; nothing is recorded.
    """
    addresses.check_store()  # before TensorFlow is imported
    from pipeline.data.preprocess import preprocess
    from pipeline.hardware import device
    from pipeline.trial.network import time_call

    claimed = device.claim_device(command_line.settings.device, pin=True)
    claimed.check()
    if warning := device.explain_unseen_gpu(command_line.settings.device.kind):
        print(f"warning: {warning}", file=sys.stderr)
    prepared, seconds = time_call(lambda: preprocess(command_line.settings))
    return Preparation(command_line, claimed, prepared, seconds)


def prepare_training(command_line: CommandLine) -> "tuple[Preparation, Start]":
    """Prepare what a training needs, and say where it begins; the command line names what was chosen for it.

    Raises:
        BadInput: as `prepare` and `check_trial`; or no run or model to go on from is there, or fits.
    """
    preparation, start = _plan_start(_fit(prepare(command_line)))
    return _name_engine(preparation, start), start


def _fit(preparation: Preparation) -> Preparation:
    """Return the preparation with epochs and batch that suit its rows, where nobody chose them."""
    fitted = fit_to_rows(preparation.command_line, len(preparation.prepared.train))
    return replace(preparation, command_line=fitted)


def _plan_start(preparation: Preparation) -> "tuple[Preparation, Start]":
    """Return where training begins; where it goes on from another run, the data get that one's scaling.

    Raises:
        BadInput: there is no such run or model, or nothing of it fits.
    """
    settings = preparation.command_line.settings
    if settings.train.start_from is None:
        return preparation, _load_start_weights(preparation.command_line)
    from pipeline.tracking import model_references
    from pipeline.training import engine_choice, warm_start

    reference = model_references.find_model(settings.train.start_from)
    model = model_references.load_model(reference)
    prepared = warm_start.take_over_scaling(model, preparation.prepared)
    state, past_cost = model_references.load_training_state(reference, preparation.device.kind)
    engine = engine_choice.pick_engine(settings, preparation.device, prepared)
    start = warm_start.plan_warm_start(model, state, past_cost, reference.run_id, settings, prepared, engine)
    if start.fresh_layers:
        print(f"train.from: {', '.join(start.fresh_layers)} did not fit and begin anew", file=sys.stderr)
    return replace(preparation, prepared=prepared), start


def _name_engine(preparation: Preparation, start: "Start") -> Preparation:
    """Check the trial, and name the engine that was chosen by measurement: the command repeats the curve.

    Raises:
        BadInput: as `check_trial`.
    """
    from pipeline.models.architectures import architecture_of
    from pipeline.training import engine_choice
    from pipeline.trial.network import check_trial

    command_line, prepared = preparation.command_line, preparation.prepared
    settings = command_line.settings
    check_trial(prepared, settings, start)
    if settings.engine is not Engine.auto or architecture_of(settings.model).is_perceptron:
        return preparation
    engine = engine_choice.pick_engine(settings, preparation.device, prepared)
    named = compose([*command_line.overrides, f"engine={engine}"])
    return replace(preparation, command_line=named)


def _load_start_weights(command_line: CommandLine) -> "list[np.ndarray] | None":
    """Return the weights of another model, where the settings say so."""
    pretrained: str | None = getattr(command_line.settings.model, "pretrained", None)
    if pretrained is None:
        return None
    from pipeline.models import keras_models
    from pipeline.tracking import model_references

    return keras_models.get_dense_weights(
        model_references.load_model(model_references.find_model(pretrained))
    )
