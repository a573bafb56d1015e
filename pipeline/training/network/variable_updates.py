"""The steps of the optimizer on all trained variables of a network, as values or in place."""

from collections.abc import Sequence
from typing import Any

from pipeline.backend import Tensor, keras, tf
from pipeline.training.network.network_state import EpochInputs, NetworkEpochSpec, NetworkState
from pipeline.training.perceptron.compiled_epoch import get_update_arguments

Values = tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]
"""Trained variables, and the slots of each."""


class VariableUpdates:
    """What an optimizer does to the trained variables of a network.

    `slots`: variables for those of each trained variable. `steps_by_rows`: whether a gradient that a batch
    gives to some rows of a table stays one of rows, see `UpdateRule.update_by_rows`.
    """

    def __init__(self, spec: NetworkEpochSpec, model: Any) -> None:
        self._rule = spec.rule
        self._trained = [variable.value for variable in model.trainable_variables]
        self._constraints = [variable.constraint for variable in model.trainable_variables]
        with tf.device(spec.tf_device):
            self.slots = [self._make_slots(variable) for variable in self._trained]
        has_table = any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers())
        compiles = spec.xla and "CPU" in spec.tf_device
        self.steps_by_rows = has_table and compiles and spec.rule.steps_by_rows and not spec.room
        self._unsettled = set[int]()

    def _make_slots(self, variable: Any) -> tuple[Any, ...]:
        zeros = tf.zeros(variable.shape, variable.dtype)
        return tuple(tf.Variable(zeros, trainable=False) for _ in range(self._rule.slots))

    def update_in_place(self, inputs: EpochInputs, step: Tensor, gradients: Sequence[Tensor | None]) -> None:
        """Change the variables by one step; a gradient is None where the loss does not depend on one."""
        for variable, slots, gradient, constraint in zip(
            self._trained, self.slots, gradients, self._constraints, strict=True
        ):
            if gradient is None:
                continue
            amounts = _get_amounts(inputs, step, variable.dtype)
            if isinstance(gradient, tf.IndexedSlices) and self.steps_by_rows:
                self._assign_by_rows(amounts, variable, slots, gradient)
            elif isinstance(gradient, tf.IndexedSlices):
                self._rule.update_rows_in_place(amounts, variable, slots, gradient)
            else:
                self._rule.update_in_place(*amounts, variable, slots, gradient)
            if constraint is not None:
                variable.assign(constraint(variable.read_value()))

    def _assign_by_rows(
        self, amounts: Any, variable: Any, slots: Sequence[Any], gradient: tf.IndexedSlices
    ) -> None:
        one, before = tf.ones((), variable.dtype), [slot.read_value() for slot in slots]
        value, after = self._rule.update_by_rows(amounts, one, variable.read_value(), before, gradient)
        variable.assign(value)
        for slot, new in zip(slots, self._rule.settle(amounts[0], one, after), strict=True):
            slot.assign(new)

    def update(
        self,
        inputs: EpochInputs,
        step: Tensor,
        state: NetworkState,
        gradients: Sequence[Tensor | None],
        settled: Tensor,
    ) -> Values:
        """Return trained variables and slots after one step.

        `settled`: the step before which `settle` was called last.
        """
        trained, after = list(state.trained), list(state.slots)
        for number, gradient in enumerate(gradients):
            if gradient is None:
                continue
            value, slots, constraint = trained[number], after[number], self._constraints[number]
            amounts = _get_amounts(inputs, step, value.dtype)
            if isinstance(gradient, tf.IndexedSlices) and self.steps_by_rows:
                self._unsettled.add(number)
                since = tf.cast(step - settled + 1, value.dtype)
                value, after[number] = self._rule.update_by_rows(amounts, since, value, slots, gradient)
            elif isinstance(gradient, tf.IndexedSlices):
                value, after[number] = self._rule.update_rows(amounts, value, slots, gradient)
            else:
                value, after[number] = self._rule.update(*amounts, value, slots, gradient)
            trained[number] = value if constraint is None else constraint(value)
        return tuple(trained), tuple(after)

    def settle(self, inputs: EpochInputs, steps: Tensor, state: NetworkState) -> NetworkState:
        """Return the state with slots as `UpdateRule.update` has them, so many steps after the last time."""
        slots = list(state.slots)
        for number in self._unsettled:  # known once a step was traced
            dtype = state.trained[number].dtype
            arguments, _, _ = _get_amounts(inputs, tf.constant(0), dtype)
            slots[number] = self._rule.settle(arguments, tf.cast(steps, dtype), slots[number])
        return state._replace(slots=tuple(slots))


def _get_amounts(inputs: EpochInputs, step: Tensor, dtype: Any) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Return the arguments of an update, step size and decay factor in the type of the variable."""
    arguments, step_size, decay_factor = get_update_arguments(inputs.plan, inputs.hyper, step)
    numbers = tuple(tf.cast(number, dtype) for number in arguments)
    return numbers, tf.cast(step_size, dtype), tf.cast(decay_factor, dtype)
