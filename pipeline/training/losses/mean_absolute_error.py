"""Mean absolute difference of a quantity and its target."""

from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.training import MeanAbsoluteError
from pipeline.training.losses import LossFunction, make_score_targets


class MeanAbsoluteErrorLoss(LossFunction):
    """On a linear output."""

    __slots__ = ()

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        return tf.reduce_mean(tf.abs(logits - targets), 1)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        return tf.sign(logits - targets) / self.classes

    def make_keras_twin(self) -> Any:
        return keras.losses.MeanAbsoluteError()

    @staticmethod
    def score(_loss: MeanAbsoluteError, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.asarray(
            np.abs(outputs.astype(np.float64) - make_score_targets(outputs, labels)).mean(axis=1)
        )
