"""How an optimizer moves parameters: one module an optimizer, named after its conf option (see README.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pipeline.settings.kinds import class_in, module_of
from pipeline.settings.optimizer import Optimizer

if TYPE_CHECKING:
    from pipeline.backend import Tensor


class UpdateRule(ABC):
    """All that must be known of an optimizer; a subclass is a frozen dataclass in a module of its own.

    Its fields are what shapes the compiled code of an update: equal rules share compiled epochs. Numbers that
    differ between trials of one shape, such as a momentum, are the update's `arguments`.
    """

    steepest_rate: ClassVar[float] = 0.01
    """The learning rate that no remedy goes beyond."""

    @classmethod
    @abstractmethod
    def from_settings(cls, optimizer: Any) -> Self:
        """Return the rule for an optimizer's settings."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """The tensors kept for a parameter, of its shape and zero at first."""

    @property
    @abstractmethod
    def flops(self) -> int:
        """The floating-point operations of an update, for each number of a parameter."""

    @staticmethod
    def get_arguments(_optimizer: Any) -> tuple[float, ...]:
        """Return the numbers of the settings that an update needs beside its step size and decay factor."""
        return ()

    @staticmethod
    def compute_step_sizes(_optimizer: Any, rates: np.ndarray, _steps_before: int) -> np.ndarray:
        """Return what each step multiplies its direction by, [steps]: the learning rate.

        `rates`: learning rates [steps]; `steps_before`: steps that the run took before these.
        """
        return rates

    @staticmethod
    def compute_decay_factors(_optimizer: Any, rates: np.ndarray) -> np.ndarray:
        """Return the share of itself that each step takes from every parameter, [steps]: none."""
        return np.zeros_like(rates)

    @staticmethod
    @abstractmethod
    def make_keras_twin(optimizer: Any, rate: Callable[[], Tensor], loss_scale: float | None) -> Any:
        """Return the Keras optimizer that takes the same steps, for networks that Keras trains."""

    @abstractmethod
    def update(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return a parameter and its slots after one step; XLA fuses it into a pass over memory."""

    @abstractmethod
    def update_in_place(
        self,
        arguments: Sequence[Tensor],
        step_size: Tensor,
        decay_factor: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: Tensor,
    ) -> None:
        """Take the same step on `tf.Variable`s by TensorFlow's fused kernels: one pass outside XLA."""


def rule_class(optimizer: Optimizer) -> type[UpdateRule]:
    """Return what is known of an optimizer before its numbers: the class in the module of its option."""
    kind: type[UpdateRule] = class_in(module_of(__name__, optimizer), UpdateRule)
    return kind


def rule_of(optimizer: Optimizer) -> UpdateRule:
    """Return the update rule for an optimizer's settings."""
    return rule_class(optimizer).from_settings(optimizer)
