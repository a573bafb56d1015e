"""What a compiled epoch of a perceptron is made of: what shapes its code, its numbers, its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.settings.settings import Settings
from pipeline.training.adversarial.fgsm import BallTensors
from pipeline.training.augmentation import ImageChanges
from pipeline.training.optimizers import UpdateRule, rule_class
from pipeline.training.perceptron.mlp_gradients import NetworkSpec
from pipeline.training.privacy import sampling
from pipeline.training.privacy.account import open_account
from pipeline.training.privacy.noise import PrivacyNumbers

WARM_UP_SAMPLES = 2048
"""Samples on throw-away state before the clock, in three to twenty steps: the first few fault in memory."""


def count_warm_up_steps(batch: int, steps: int) -> int:
    """Return how many of an epoch's steps are taken before the clock runs."""
    return min(steps, max(3, min(20, WARM_UP_SAMPLES // batch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSpec:
    """Everything that shapes the compiled code of an epoch; equal specs share it.

    `rows`, `batch`, `steps`: of the training split; `scales_in_step`: samples are scaled in
    each step, not beforehand; `tf_device`: TensorFlow's name of the device; `further`: of others that share
    each batch with it; `room`: rows that a private step has room for, 0 without privacy.
    """

    network: NetworkSpec
    rule: UpdateRule
    rows: int
    batch: int
    steps: int
    changes: ImageChanges | None
    scales_in_step: bool
    uses_loss_scale: bool
    uses_dropout: bool
    xla: bool
    tf_device: str
    further: tuple[str, ...] = ()
    room: int = 0

    @property
    def places(self) -> int:
        """Return how many rows a step computes with; those of a private one may be empty."""
        return self.room or self.batch


class HyperParameters(NamedTuple):
    """Settings that do not shape the code: scalars of the wide type, but for `changes` [3], `seed` int64.

    `ball`: how far adversarial training moves samples; None: it does not, which shapes the code.
    """

    optimizer: tuple[Tensor, ...]
    smoothing: Tensor
    dropout: Tensor
    loss_scale: Tensor
    changes: Tensor
    seed: Tensor
    privacy: PrivacyNumbers | tuple[()] = ()
    ball: BallTensors | None = None


class LoopState(NamedTuple):
    """Parameters [W1, b1, ...] and, for each, the optimizer's slots."""

    parameters: tuple[Tensor, ...]
    slots: tuple[tuple[Tensor, ...], ...]


def make_state(spec: EpochSpec, weights: Sequence[np.ndarray]) -> LoopState:
    """Return a state with `weights` on the device and slots of zero."""
    with tf.device(spec.tf_device):
        parameters = tuple(tf.constant(array, spec.network.wide) for array in weights)
        slots = tuple((tf.zeros_like(parameter),) * spec.rule.slots for parameter in parameters)
    return LoopState(parameters, slots)


def make_hyper_parameters(
    settings: Settings, wide: Tensor, rows: int = 0, ball: BallTensors | None = None
) -> HyperParameters:
    """Return the settings' numbers as tensors; `rows`: of the training split, which a private one needs."""
    arguments = rule_class(settings.optimizer).get_arguments(settings.optimizer)
    augment = settings.augment
    return HyperParameters(
        tuple(tf.constant(number, wide) for number in arguments),
        tf.constant(settings.loss.label_smoothing, wide),
        tf.constant(getattr(settings.model, "dropout", 0.0), wide),
        tf.constant(settings.precision.loss_scale, wide),
        tf.constant([augment.shift, augment.crop, augment.rotate], tf.float32),
        tf.constant(settings.train.seed, tf.int64),
        _make_privacy_numbers(settings, wide, rows),
        ball,
    )


def _make_privacy_numbers(settings: Settings, wide: Tensor, rows: int) -> PrivacyNumbers | tuple[()]:
    account, privacy = open_account(settings, rows), settings.privacy
    if account is None:
        return ()
    seed = sampling.choose_seed(settings.train.seed, privacy.repeatable)
    clip_norm, multiplier = (tf.constant(number, wide) for number in (privacy.clip_norm, account.noise))
    return PrivacyNumbers(clip_norm, multiplier, tf.constant(seed, tf.int64))
