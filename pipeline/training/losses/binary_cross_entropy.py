"""Binary cross-entropy of each class, averaged over the classes or summed."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.model import Output
from pipeline.settings.training import BinaryCrossEntropy, Reduction
from pipeline.training.losses import LossFunction, clip_probabilities, to_probabilities


@dataclass(frozen=True, slots=True)
class BinaryCrossEntropyLoss(LossFunction):
    """On sigmoid outputs, from logits."""

    sums_classes: bool

    @classmethod
    def from_settings(cls, loss: BinaryCrossEntropy, classes: int, output: Output) -> Self:
        return cls(classes, output, loss.reduction is Reduction.sum)

    def spread(self, smoothing: Any) -> Any:
        return smoothing * 0.5  # over yes and no of each class

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        reduce = tf.reduce_sum if self.sums_classes else tf.reduce_mean
        return reduce(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), 1)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        difference = to_probabilities(self.output, logits) - targets
        return difference / (1 if self.sums_classes else self.classes)

    def make_keras_twin(self) -> Any:
        mean_loss = keras.losses.BinaryCrossentropy(from_logits=True)
        factor = self.classes if self.sums_classes else 1
        return lambda targets, logits: factor * mean_loss(targets, logits)

    @staticmethod
    def score(loss: BinaryCrossEntropy, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        likely = clip_probabilities(outputs)
        is_class = np.eye(outputs.shape[1], dtype=bool)[labels]
        class_losses = -np.log(np.where(is_class, likely, 1 - likely))
        reduce = np.sum if loss.reduction is Reduction.sum else np.mean
        return np.asarray(reduce(class_losses, axis=1))
