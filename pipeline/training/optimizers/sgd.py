"""Stochastic gradient descent, plain, with momentum, or with Nesterov's momentum, as Keras defines them.

v <- momentum v - rate g, then w <- w + v (momentum) or w <- w + momentum v - rate g (Nesterov).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipeline.backend import Tensor, keras, tf
from pipeline.settings.optimizer import Sgd
from pipeline.training.optimizers import LEAST_FACTOR, UpdateRule

if TYPE_CHECKING:
    from pipeline.training.optimizers import Amounts


@dataclass(frozen=True, slots=True)
class SgdRule(UpdateRule):
    """Steps against the gradient, with or without a velocity."""

    steepest_rate: ClassVar[float] = 0.5

    momentum: bool
    nesterov: bool
    steps_by_rows: bool = False

    @classmethod
    def from_settings(cls, optimizer: Sgd) -> Self:
        momentum = optimizer.momentum
        return cls(momentum != 0, optimizer.nesterov, momentum == 0 or momentum >= LEAST_FACTOR)

    @property
    def slots(self) -> int:
        return 1 if self.momentum else 0

    @property
    def flops(self) -> int:
        return 4 if self.momentum else 2

    @staticmethod
    def get_arguments(optimizer: Sgd) -> tuple[float, ...]:
        return (optimizer.momentum,)

    @staticmethod
    def make_keras_twin(optimizer: Sgd, rate: Callable[[], Tensor], loss_scale: float | None) -> Any:
        return keras.optimizers.SGD(
            rate, optimizer.momentum, optimizer.nesterov, loss_scale_factor=loss_scale
        )

    def update(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        _decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if not self.momentum:
            return parameter - step_size * gradient, ()
        (momentum,), (velocity,), step = arguments, slots, step_size * gradient
        velocity = momentum * velocity - step
        move = momentum * velocity - step if self.nesterov else velocity
        return parameter + move, (velocity,)

    def update_by_rows(
        self,
        amounts: "Amounts",
        number: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: tf.IndexedSlices,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        arguments, step_size, _ = amounts
        rows, steps = gradient.indices[:, None], step_size * gradient.values
        if not self.momentum:
            return tf.tensor_scatter_nd_sub(parameter, rows, steps), ()
        (momentum,) = arguments
        shrunk = momentum**number
        velocity = tf.tensor_scatter_nd_sub(slots[0], rows, steps / shrunk)
        if self.nesterov:
            moved = parameter + momentum * shrunk * velocity
            return tf.tensor_scatter_nd_sub(moved, rows, steps), (velocity,)
        return parameter + shrunk * velocity, (velocity,)

    def settle(
        self, arguments: Sequence[Tensor], steps: Tensor, slots: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        return tuple(slot * arguments[0] ** steps for slot in slots)

    def update_in_place(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        _decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> None:
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=parameter.handle, alpha=step_size, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=parameter.handle,
            accum=slots[0].handle,
            lr=step_size,
            grad=gradient,
            momentum=arguments[0],
            use_nesterov=self.nesterov,
        )
