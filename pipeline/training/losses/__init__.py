"""What is minimised: one module a loss, named after its conf option (see README.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.settings.kinds import class_in, module_of
from pipeline.settings.model import Output
from pipeline.settings.training import ClassWeights

if TYPE_CHECKING:
    from pipeline.backend import Tensor
    from pipeline.settings.training import Loss

EPSILON = 1e-7
"""Keras' own: a probability is kept this far from 0 and 1 before its logarithm is taken."""


@dataclass(frozen=True, slots=True)
class LossFunction(ABC):
    """All that must be known of a loss; a subclass is a frozen dataclass in a module of its own.

    Its fields are what shapes the compiled code: equal ones share compiled epochs. `output`: what makes
    probabilities of logits; linear: the one logit is a quantity, and so is its target.
    """

    classes: int
    output: Output

    @property
    def is_of_quantity(self) -> bool:
        """Return whether a quantity is learned, in deviations of the training targets."""
        return self.output is Output.linear

    @classmethod
    def from_settings(cls, _loss: Any, classes: int, output: Output) -> Self:
        """Return the function for a loss's settings."""
        return cls(classes, output)

    def spread(self, smoothing: Any) -> Any:
        """Return what each class gets of a share `smoothing` of each target: evenly, as Keras does it."""
        return smoothing * (1 / self.classes)

    @abstractmethod
    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of each sample, [batch], from logits and targets [batch, classes]."""

    @abstractmethod
    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the gradient of the sum of `compute` by the logits, [batch, classes]."""

    def compute_both(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and gradient; for a loss that has one kernel for both."""
        return self.compute(logits, targets), self.compute_gradient(logits, targets)

    @abstractmethod
    def make_keras_twin(self) -> Any:
        """Return the same loss of (targets, logits), meant over a batch, for networks that Keras trains."""

    @staticmethod
    @abstractmethod
    def score(loss: Any, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Compute the loss of each sample, float64 [n], as Keras does from probabilities, not smoothed.

        `outputs`: probabilities [n, classes], or quantities [n, 1] as a network sees them; `labels`: [n], of
        quantities float64; `loss`: the settings.
        """


@dataclass(frozen=True, slots=True)
class WeightedLoss(LossFunction):
    """Another loss, `inner`, of which each sample counts `weights[class]` times."""

    inner: LossFunction
    weights: tuple[float, ...]

    def spread(self, smoothing: Any) -> Any:
        return self.inner.spread(smoothing)

    def compute(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.inner.compute(logits, targets) * self._weigh(targets)

    def compute_gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.inner.compute_gradient(logits, targets) * self._weigh(targets)[:, None]

    def compute_both(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = self.inner.compute_both(logits, targets)
        weights = self._weigh(targets)
        return losses * weights, gradient * weights[:, None]

    def make_keras_twin(self) -> Any:
        from pipeline.backend import tf

        return lambda targets, logits: tf.reduce_mean(self.compute(logits, tf.cast(targets, logits.dtype)))

    @staticmethod
    def score(loss: Any, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return loss_class(loss).score(loss, outputs, labels)

    def _weigh(self, targets: Tensor) -> Tensor:
        from pipeline.backend import tf

        # However much a target is smoothed, its class has the largest share.
        return tf.gather(tf.constant(self.weights, targets.dtype), tf.argmax(targets, 1))


def balance_classes(counts: np.ndarray) -> tuple[float, ...]:
    """Return for each class n / (classes * its rows), so that the mean weight of the rows is 1.

    `counts`: training rows of each class; a class without rows weighs 1. As scikit-learn's `balanced`
    (King and Zeng 2001, Logistic Regression in Rare Events Data).
    """
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return tuple(float(weight) for weight in weights)


def loss_class(loss: Loss) -> type[LossFunction]:
    """Return what is known of a loss before its numbers: the class in the module of its option."""
    kind: type[LossFunction] = class_in(module_of(__name__, loss), LossFunction)
    return kind


def loss_of(loss: Loss, classes: int, output: Output, labels: np.ndarray | None = None) -> LossFunction:
    """Return the loss function for a loss's settings.

    `labels`: classes of the training rows [n], which class weights need; None: nothing is weighed.
    """
    plain = loss_class(loss).from_settings(loss, classes, output)
    if loss.class_weights is ClassWeights.none or labels is None:
        return plain
    return WeightedLoss(classes, output, plain, balance_classes(np.bincount(labels, minlength=classes)))


def make_score_targets(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return what `outputs` [n, classes] should be: one-hot rows, or the quantities [n, 1] themselves."""
    return labels[:, None] if labels.dtype.kind == "f" else np.eye(outputs.shape[1])[labels]


def to_probabilities(output: Output, logits: Tensor) -> Tensor:
    """Return the outputs of a network, [batch, classes]."""
    from pipeline.backend import tf

    if output is Output.linear:
        return logits
    return tf.nn.softmax(logits) if output is Output.softmax else tf.sigmoid(logits)


def clip_probabilities(shares: np.ndarray) -> np.ndarray:
    """Keep probabilities, of any shape, away from 0 and 1: because of `EPSILON` no logarithm passes 16.1."""
    # Clipped in float32, as Keras does it: there 1 - EPSILON is 1 - 1.19e-7.
    return np.clip(shares.astype(np.float32), EPSILON, 1 - EPSILON).astype(np.float64)
