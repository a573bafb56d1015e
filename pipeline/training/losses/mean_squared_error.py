"""Mean of the squared difference of outputs and targets: of one-hot classes, or of a quantity."""

from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.model import Output
from pipeline.settings.training import MeanSquaredError
from pipeline.training.losses import LossFunction, make_score_targets, to_probabilities


class MeanSquaredErrorLoss(LossFunction):
    """On softmax, sigmoid or linear outputs."""

    __slots__ = ()

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        return tf.reduce_mean(tf.square(to_probabilities(self.output, logits) - targets), 1)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        prediction = to_probabilities(self.output, logits)
        gradient = (prediction - targets) * (2 / self.classes)  # by the prediction
        if self.output is Output.linear:
            return gradient
        if self.output is Output.sigmoid:
            return gradient * prediction * (1 - prediction)
        return prediction * (gradient - tf.reduce_sum(gradient * prediction, 1, keepdims=True))

    def make_keras_twin(self) -> Any:
        squared = keras.losses.MeanSquaredError()
        if self.output is Output.linear:
            return squared
        make_probabilities = getattr(keras.ops, self.output.value)
        return lambda targets, logits: squared(targets, make_probabilities(logits))

    @staticmethod
    def score(_loss: MeanSquaredError, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        targets = make_score_targets(outputs, labels)
        return np.asarray(((outputs.astype(np.float64) - targets) ** 2).mean(axis=1))
