"""One trial of a network, from settings to a measured result; run, sweep and diagnosis train through here.

    settings -> load_prepared -> check_trial -> train_trial, an item an epoch -> run_trial: score and profile

Who records it, and where, is the caller's affair: nothing here knows of Optuna, MLflow or the terminal.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import describe_data_settings, preprocess
from pipeline.evaluation.evaluate import AnyEvaluation, check_evaluation, evaluate, shift_splits
from pipeline.hardware.device import claim_device
from pipeline.measures import Cost, Epoch, Seconds, Stop
from pipeline.models import keras_models, litert
from pipeline.models.custom_check import check_custom
from pipeline.models.predictor import make_predictor
from pipeline.processes import garbage
from pipeline.profiling.profile import profile
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings
from pipeline.settings.training import Policy
from pipeline.training import checkpoints, engine_choice
from pipeline.training.checkpoint_key import get_keyed_path
from pipeline.training.loop import check_loop
from pipeline.training.train import Trained, is_finished, restore_finished, train
from pipeline.training.warm_start import Start, get_weights_of

if TYPE_CHECKING:
    import keras

T = TypeVar("T")

SAVE_EVERY_SECONDS = 5.0
"""Between two checkpoints of a trial that goes on: what a kill can cost."""

MAX_LOADED = 4
"""Prepared data sets that a process keeps open; their arrays are mapped from disk, so they are small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What one trial came to."""

    trained: Trained
    model: "keras.Model"
    seconds: Seconds
    evaluation: AnyEvaluation
    cost: Cost
    served: litert.ServedFile | None = None


def run_trial(
    data: Prepared,
    settings: Settings,
    on_epoch: Callable[[Epoch], None] | None = None,
    warm_start: Start = None,
) -> TrialResult:
    """Train to the end, then score and time the result.

    `on_epoch`: gets every epoch as it ends; `warm_start`: see `train_trial`.

    Raises:
        Diverged: the loss became NaN or infinite.
        BadInput: what `check_trial` raises.
    """
    trained = train_to_end(data, settings, on_epoch, warm_start)
    model = trained.build_model()
    predict = make_predictor(model)
    evaluation, evaluate_seconds = time_call(lambda: evaluate(predict, data, settings, model))
    served = litert.make_served_file(model, settings.profile.runtime, data.validation)
    cost, profile_seconds = time_call(lambda: profile(model, predict, data, settings, served))
    seconds = replace(trained.seconds, evaluate=evaluate_seconds, profile=profile_seconds)
    return TrialResult(
        trained=trained, model=model, seconds=seconds, evaluation=evaluation, cost=cost, served=served
    )


def train_to_end(
    data: Prepared,
    settings: Settings,
    on_epoch: Callable[[Epoch], None] | None = None,
    warm_start: Start = None,
    checkpoint: Path | None = None,
) -> Trained:
    """Train without a stop and return the last state; the arguments: see `run_trial` and `train_trial`."""
    for trained in train_trial(data, settings, checkpoint=checkpoint, warm_start=warm_start):
        if on_epoch is not None:
            on_epoch(trained.curve.last)
    return trained


def train_trial(
    data: Prepared,
    settings: Settings,
    stop: Stop | None = None,
    checkpoint: Path | None = None,
    warm_start: Start = None,
) -> Iterator[Trained]:
    """Yield the state after each epoch, at least one.

    `stop`: asked after each epoch; where it returns a reason, that is `Trained.stop_reason` of the last item:
    pruning in a sweep, a budget in a diagnosis.
    `checkpoint`: where to resume from, kept up to date every few seconds and at the end, or, where chance
    comes from a secret, before each epoch is told: else something would be known of steps in no account. The
    file's name gets the key of this training (see `checkpoint_key`), so states of other data are left alone,
    and so is the file of a longer trial. A trial that had been trained to its end there yields that end and
    costs nothing.
    `warm_start`: weights to begin with, where `model.init=pretrained`, or where another run ended.

    Raises:
        Diverged: the loss became NaN or infinite.
        BadInput: what `check_trial` raises; the folder of the checkpoint cannot be written.
    """
    garbage.collect_as_usual()
    checkpoint = get_keyed_path(checkpoint, data, settings) if checkpoint else None
    saved = checkpoints.load(checkpoint) if checkpoint else None
    if saved and len(saved.curve.epochs) > settings.train.epochs:
        checkpoint = saved = None
    if saved and is_finished(saved.curve, saved.chosen_number, settings):
        yield restore_finished(saved, data, settings)
        return
    saved_at, every = time.monotonic(), 0.0 if settings.privacy.is_secret else SAVE_EVERY_SECONDS
    for trained in train(data, settings, warm_start, saved):
        reason = stop(trained.curve) if stop else None
        ends = bool(reason) or is_finished(trained.curve, trained.chosen_epoch.number, settings)
        if checkpoint and (ends or time.monotonic() - saved_at >= every):
            checkpoints.save(checkpoint, trained.to_checkpoint())
            saved_at = time.monotonic()
        yield replace(trained, stop_reason=reason) if reason else trained
        if reason:
            return


def check_trial(data: Prepared, settings: Settings, warm_start: Start = None) -> None:
    """Raise what one of the four stages would raise, before anything is trained or recorded.

    Raises:
        BadSetting: batch, threads, engine or runtime do not fit data, process, precision or model.
        BadData: augmentation or changed samples of what is no image, an attack on what is no number.
        BadDevice: the device asked for is not there.
        BadModel: `warm_start` is missing or does not fit.
    """
    device = claim_device(settings.device)
    engine_choice.pick_engine(settings, device, data)
    check_loop(settings, data)
    check_evaluation(data, settings)
    weights = keras_models.get_start_weights(settings, data, get_weights_of(warm_start))
    if isinstance(settings.model, Custom):
        check_custom(settings, data, weights)
    runtime = settings.profile.runtime
    litert.check_runtime(runtime, data)
    is_usual = not isinstance(settings.model, Custom) and settings.precision.policy is Policy.float32
    is_usual = is_usual and data.target is None  # some quantities need float64
    if runtime in litert.FILE_RUNTIMES and not is_usual:
        # Whether a file can hold a user's layers or wide numbers nobody knows; after training it is too late.
        litert.load_file(litert.export_file(keras_models.build_model(settings, data, weights), runtime))


_received: dict[str, Prepared] = {}
"""Prepared data, by what decides on it, that another machine has made: its source is not here."""

_loaded: dict[str, Prepared] = {}
"""Prepared data of this process' trials by what decides on it, the newest last."""


def load_prepared(settings: Settings, under_shift: bool = False) -> Prepared:
    """Return the prepared data of a trial; the process keeps it open for the next trial that uses the same.

    `under_shift`: the samples are changed as `settings.evaluate` says.

    Raises:
        BadInput: as `preprocess`; the samples cannot be changed so.
    """
    key = describe_data_settings(settings) + (repr(settings.evaluate) if under_shift else "")
    if key in _received:
        return _received[key]
    if key not in _loaded:
        data = shift_splits(load_prepared(settings), settings) if under_shift else preprocess(settings)
        for oldest in list(_loaded)[: max(0, len(_loaded) - MAX_LOADED + 1)]:
            del _loaded[oldest]
        _loaded[key] = data
    return _loaded[key]


def give_prepared(settings_text: str, data: Prepared) -> None:
    """Use `data` for all trials whose `describe_data_settings` is `settings_text`."""
    _received[settings_text] = data


def forget_prepared() -> None:
    """Forget the data that this process keeps open: since the last command, files may have changed."""
    _loaded.clear()


def time_call(function: Callable[[], T]) -> tuple[T, float]:
    """Return the result of `function` and the wall seconds that it took."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start
