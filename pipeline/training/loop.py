"""One run of training, an epoch a call: what a loop must offer, and the choice of the loop that trains.

All loops take the same rows in the same order at the same rates and drop the same numbers out, so they find
the same weights. Rows that do not fill the last batch sit out that epoch.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.backend import Tensor
from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.settings.privacy import check_asked
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training import augmentation
from pipeline.training.adversarial.fgsm import check_adversarial
from pipeline.training.engine_choice import has_gradients_by_hand
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.network.network_loop import NetworkLoop
from pipeline.training.perceptron.compiled_loop import CompiledLoop
from pipeline.training.privacy.account import open_account
from pipeline.training.privacy.network import check_network


class Loop(Protocol):
    """A run in progress. Every call leaves the device at work; the stopwatch waits for it."""

    @property
    def steps(self) -> int:
        """Return the number of steps of an epoch."""

    def compile(self) -> None:
        """Make the first epoch start at once; does not change the run."""

    def warm_up(self) -> None:
        """Take a few steps on throw-away state."""

    def prepare(self, number: int) -> None:
        """Set the order and rates of epoch `number` (1-based)."""

    def run(self) -> Tensor:
        """Train the prepared epoch; return the mean loss of its batches."""

    def score(self) -> tuple[float, float]:
        """Return mean loss and accuracy, of a quantity R2, on the validation split."""

    def get_parameters(self) -> Sequence[Tensor]:
        """Return [W1, b1, W2, b2, ...] as they are now; later epochs do not change what was returned."""

    def continue_from(self, epochs: int, steps: int) -> None:
        """Count epochs and steps from here: so many were taken before the first of this run."""

    def get_state(self) -> tuple[np.ndarray, ...]:
        """Return everything that the next epoch starts from, in an order of this loop's own."""

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Restore what `get_state` returned, to go on from there."""


def start_loop(
    settings: Settings,
    prepared: Prepared,
    weights: Sequence[np.ndarray],
    device: ClaimedDevice,
    engine: Engine,
) -> CompiledLoop | NetworkLoop | KerasLoop:
    """Return a run at its beginning, with its samples on the device.

    Raises:
        BadSetting: a batch is larger than the training split, or privacy is asked for and there is none.
        BadData: augmentation of samples that are no images, adversarial training on what is no number.
        BadModel: a network whose gradients of single rows are not known, with privacy.
    """
    check_loop(settings, prepared)
    if engine is Engine.keras:
        return KerasLoop(settings, prepared, weights, device)
    if has_gradients_by_hand(settings, prepared, engine):
        return CompiledLoop(settings, prepared, weights, device, engine)
    return NetworkLoop(settings, prepared, weights, device, engine)


def check_loop(settings: Settings, prepared: Prepared) -> None:
    """Raise what `start_loop` raises, without a device."""
    check_asked(settings.privacy)
    rows = len(prepared.train.labels)
    if settings.train.batch_size > rows:
        raise BadSetting(
            f"train.batch_size must be <= {rows} (rows of the training split), "
            f"got {settings.train.batch_size}; set train.batch_size={rows} or less"
        )
    augmentation.make_changes(settings.augment, prepared.shape)
    check_adversarial(settings, prepared)
    if open_account(settings, rows) is not None and not architecture_of(settings.model).is_perceptron:
        words = len(getattr(prepared.front, "vocabulary", ()))
        check_network(keras_models.build_network(settings, prepared), prepared.shape, words)
