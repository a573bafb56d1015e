"""How an optimizer moves parameters: one module an optimizer, named after its conf option (see README.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pipeline.settings.kinds import class_in, module_of
from pipeline.settings.optimizer import Optimizer

if TYPE_CHECKING:
    from pipeline.backend import Tensor, tf

    Amounts = tuple[Sequence[Tensor], Tensor, Tensor]


SETTLE_EVERY = 16
"""Steps by rows after which slots are settled: what grows by a factor a step stays within float32."""
LEAST_FACTOR = 0.2
"""Of a mean, so that what is added grows by 10^11 at most."""


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

    @property
    def is_lazy(self) -> bool:
        """Whether only those rows of an embedding move that a batch has used; all others stay as they are."""
        return False

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

    @property
    def steps_by_rows(self) -> bool:
        """Whether `update_by_rows` takes the step of `update` at less cost, most rows having no gradient."""
        return False

    def update_by_rows(
        self,
        amounts: Amounts,
        number: Tensor,
        parameter: Tensor,
        slots: Sequence[Tensor],
        gradient: tf.IndexedSlices,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return a parameter and its slots after a step, the same as `update` to rounding.

        A mean of gradients shrinks by one factor a step wherever there is none. So it is left as large as it
        was, and what is added is made larger by as much; that spares two passes over memory, and the zeros
        of a dense gradient. `slots`: as `unsettle` or the step before has left them; `number`: of this step
        since `unsettle`, from 1 to `SETTLE_EVERY`; `gradient`: of each row once, see
        `row_gradients.add_up_rows_once`.
        """
        raise NotImplementedError

    def unsettle(self, slots: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the slots as `update_by_rows` takes them, from those of `update`."""
        return tuple(slots)

    def settle(
        self, _arguments: Sequence[Tensor], _steps: Tensor, slots: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Return the slots as `update` would have them, so many steps by rows after `unsettle`."""
        return tuple(slots)

    def update_rows(
        self, amounts: Amounts, parameter: Tensor, slots: Sequence[Tensor], gradient: tf.IndexedSlices
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return a parameter and its slots after a step of some of their rows alone.

        `amounts`: the first three arguments of `update`; `gradient`: rows that come more than once have the
        same values each time, see `row_gradients.add_up_rows`.
        """
        from pipeline.backend import tf

        rows = gradient.indices
        values, *slot_rows = (tf.gather(table, rows) for table in (parameter, *slots))
        changed, changed_slots = self.update(*amounts, values, slot_rows, gradient.values)

        def replace_rows(table: Tensor, new_rows: Tensor) -> Tensor:
            return tf.tensor_scatter_nd_update(table, rows[:, None], new_rows)

        return replace_rows(parameter, changed), tuple(map(replace_rows, slots, changed_slots))

    def update_rows_in_place(
        self, amounts: Amounts, parameter: Tensor, slots: Sequence[Tensor], gradient: tf.IndexedSlices
    ) -> None:
        """Take the same step on `tf.Variable`s."""
        from pipeline.backend import tf

        rows = gradient.indices
        values, *slot_rows = (tf.gather(table, rows) for table in (parameter, *slots))
        changed, changed_slots = self.update(*amounts, values, slot_rows, gradient.values)
        for variable, new_rows in zip((parameter, *slots), (changed, *changed_slots), strict=True):
            variable.scatter_update(tf.IndexedSlices(new_rows, rows))


def rule_class(optimizer: Optimizer) -> type[UpdateRule]:
    """Return what is known of an optimizer before its numbers: the class in the module of its option."""
    kind: type[UpdateRule] = class_in(module_of(__name__, optimizer), UpdateRule)
    return kind


def rule_of(optimizer: Optimizer) -> UpdateRule:
    """Return the update rule for an optimizer's settings."""
    return rule_class(optimizer).from_settings(optimizer)
