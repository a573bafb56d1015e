"""One trial: settings in, a measured result out. Who records it, and where, is the caller's affair."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipeline.data.prepared import Prepared
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.measures import Cost, Epoch, Seconds
from pipeline.models.keras_models import predictor
from pipeline.profiling.profile import profile
from pipeline.settings.settings import Settings
from pipeline.training.train import Start, Trained, train

if TYPE_CHECKING:
    import keras

T = TypeVar("T")


class Watcher(Protocol):
    """Sees every epoch as it ends."""

    def epoch(self, epoch: Epoch) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial came to."""

    trained: Trained
    model: "keras.Model"
    seconds: Seconds
    evaluation: Evaluation
    cost: Cost


def run_trial(prepared: Prepared, settings: Settings, watcher: Watcher, start: Start = None) -> Outcome:
    """Train, then score and time the result.

    `start`: weights to begin with, where `model.init=pretrained`, or where another run ended.

    Raises:
        Diverged: the loss became NaN or infinite.
        BadInput: the data or the start weights do not fit the settings.
    """
    trained = train_watched(prepared, settings, watcher, start)
    model = trained.model()
    predict = predictor(model)
    evaluation, evaluate_seconds = timed(lambda: evaluate(predict, prepared, settings))
    cost, profile_seconds = timed(lambda: profile(model, predict, prepared, settings))
    seconds = replace(trained.seconds, evaluate=evaluate_seconds, profile=profile_seconds)
    return Outcome(trained, model, seconds, evaluation, cost)


def train_watched(prepared: Prepared, settings: Settings, watcher: Watcher, start: Start = None) -> Trained:
    """The last state of training, after every epoch was shown to `watcher`."""
    for trained in train(prepared, settings, start):
        watcher.epoch(trained.curve.last)
    return trained


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of `work` and its wall seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start
