"""Huber's loss: squared for small errors, absolute for large ones (1964, doi 10.1214/aoms/1177703732)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.model import Output
from pipeline.settings.training import Huber
from pipeline.training.losses import LossFunction, make_score_targets


@dataclass(frozen=True, slots=True)
class HuberLoss(LossFunction):
    """On a linear output; `delta`: the error from which on it grows in a line."""

    delta: float

    @classmethod
    def from_settings(cls, loss: Huber, classes: int, output: Output) -> Self:
        return cls(classes, output, loss.delta)

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        error = tf.abs(logits - targets)
        near = tf.minimum(error, self.delta)
        return tf.reduce_mean(near * (error - near / 2), 1)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        return tf.clip_by_value(logits - targets, -self.delta, self.delta) / self.classes

    def make_keras_twin(self) -> Any:
        return keras.losses.Huber(self.delta)

    @staticmethod
    def score(loss: Huber, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        error = np.abs(outputs.astype(np.float64) - make_score_targets(outputs, labels))
        near = np.minimum(error, loss.delta)
        return np.asarray((near * (error - near / 2)).mean(axis=1))
