"""Categorical cross-entropy: -log of the true class's share."""

from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.training import CrossEntropy
from pipeline.training.losses import LossFunction, clip_probabilities, to_probabilities


class CrossEntropyLoss(LossFunction):
    """On softmax outputs, from logits."""

    __slots__ = ()

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        return to_probabilities(self.output, logits) - targets

    def compute_both(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=logits, labels=targets))

    def make_keras_twin(self) -> Any:
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    @staticmethod
    def score(_loss: CrossEntropy, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        shares = clip_probabilities(outputs / outputs.sum(axis=1, keepdims=True))
        return np.asarray(-np.log(shares[np.arange(len(labels)), labels]))
