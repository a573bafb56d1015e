"""Adam (arXiv 1412.6980) as Keras defines it; its weight decay is decoupled (AdamW, arXiv 1711.05101).

m <- m + (1 - beta1)(g - m) and v <- v + (1 - beta2)(g^2 - v), then w <- w - rate c m / (sqrt(v) + epsilon);
c corrects the bias of both means. With `optimizer.sparse=true` it is lazy Adam: of an embedding, a step moves
only the rows that its batch has used, and m and v of all others stay as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.optimizer import Adam
from pipeline.training.optimizers import LEAST_FACTOR, UpdateRule

if TYPE_CHECKING:
    from pipeline.training.optimizers import Amounts


@dataclass(frozen=True, slots=True)
class AdamRule(UpdateRule):
    """Steps along a mean of gradients, divided by the root of a mean of their squares."""

    decays: bool
    is_sparse: bool = False
    steps_by_rows: bool = False

    @classmethod
    def from_settings(cls, optimizer: Adam) -> Self:
        has_factors = min(optimizer.beta1, optimizer.beta2) >= LEAST_FACTOR
        return cls(optimizer.weight_decay != 0, optimizer.sparse, has_factors and not optimizer.sparse)

    @property
    def is_lazy(self) -> bool:
        return self.is_sparse

    @property
    def slots(self) -> int:
        return 2

    @property
    def flops(self) -> int:
        return 11

    @staticmethod
    def get_arguments(optimizer: Adam) -> tuple[float, ...]:
        return optimizer.beta1, optimizer.beta2, optimizer.epsilon

    @staticmethod
    def compute_step_sizes(optimizer: Adam, rates: np.ndarray, steps_before: int) -> np.ndarray:
        """Return the learning rates [steps] with the bias correction of both means (the paper's part 2)."""
        number = np.arange(steps_before + 1, steps_before + 1 + len(rates), dtype=np.float64)
        return np.asarray(rates * np.sqrt(1 - optimizer.beta2**number) / (1 - optimizer.beta1**number))

    @staticmethod
    def compute_decay_factors(optimizer: Adam, rates: np.ndarray) -> np.ndarray:
        """Return learning rate times weight decay, [steps]."""
        return rates * optimizer.weight_decay

    @staticmethod
    def make_keras_twin(optimizer: Adam, rate: Callable[[], Tensor], loss_scale: float | None) -> Any:
        return keras.optimizers.Adam(
            rate,
            optimizer.beta1,
            optimizer.beta2,
            optimizer.epsilon,
            weight_decay=optimizer.weight_decay or None,
            loss_scale_factor=loss_scale,
        )

    def update(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        beta1, beta2, epsilon = arguments
        decayed = parameter - decay_factor * parameter if self.decays else parameter
        mean = slots[0] + (gradient - slots[0]) * (1 - beta1)
        square = slots[1] + (gradient * gradient - slots[1]) * (1 - beta2)
        return decayed - step_size * mean / (tf.sqrt(square) + epsilon), (mean, square)

    def update_by_rows(
        self,
        amounts: "Amounts",
        number: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: tf.IndexedSlices,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        (beta1, beta2, epsilon), step_size, decay_factor = amounts
        rows, values = gradient.indices[:, None], gradient.values
        shrunk, shrunk_root = beta1**number, tf.sqrt(beta2**number)
        mean = tf.tensor_scatter_nd_add(slots[0], rows, values * ((1 - beta1) / shrunk))
        added = values * values * ((1 - beta2) / beta2**number)
        # A row that comes again, with zeros, stays: no root here ever falls.
        grown = tf.sqrt(tf.gather(slots[1], gradient.indices) ** 2 + added)
        root = tf.tensor_scatter_nd_max(slots[1], rows, grown)
        decayed = parameter - decay_factor * parameter if self.decays else parameter
        size = step_size * shrunk / shrunk_root
        return decayed - size * mean / (root + epsilon / shrunk_root), (mean, root)

    def unsettle(self, slots: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the mean, and the root of the other, which only the rows of a batch then have to compute."""
        return slots[0], tf.sqrt(slots[1])

    def settle(
        self, arguments: Sequence[Tensor], steps: Tensor, slots: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        beta1, beta2, _ = arguments
        return slots[0] * beta1**steps, slots[1] ** 2 * beta2**steps

    def update_in_place(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> None:
        if self.decays:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=parameter.handle, alpha=decay_factor, delta=parameter.read_value()
            )
        beta1, beta2, epsilon = arguments
        zero = tf.zeros_like(step_size)  # powers of zero: the step size already holds the bias correction
        tf.raw_ops.ResourceApplyAdam(
            var=parameter.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=zero,
            beta2_power=zero,
            lr=step_size,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=gradient,
        )
