"""The steps of the optimizer on all trained variables of a network, as values or in place."""

from collections.abc import Sequence
from typing import Any

from pipeline.backend import Tensor, keras, tf
from pipeline.training.network.network_state import EpochInputs, NetworkEpochSpec, NetworkState, get_wide
from pipeline.training.perceptron.compiled_epoch import get_update_arguments

Amounts = tuple[tuple[Tensor, ...], Tensor, Tensor]
"""Arguments of an update, step size and decay factor."""
Values = tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]
"""Trained variables, and the slots of each."""


class VariableUpdates:
    """What an optimizer does to the trained variables of a network.

    Steps on weights of 16 bits are computed in float32, which their slots have, too: in bfloat16 Adam's 0.999
    is 1, in float16 the squares of most gradients are 0.

    `slots`: variables for those of each trained variable. `steps_by_rows`: whether a gradient that a batch
    gives to some rows of a table stays one of rows, see `UpdateRule.update_by_rows`.
    """

    def __init__(self, spec: NetworkEpochSpec, model: Any) -> None:
        self._rule = spec.rule
        self._trained = [variable.value for variable in model.trainable_variables]
        self._constraints = [variable.constraint for variable in model.trainable_variables]
        with tf.device(spec.tf_device):
            self.slots = [self._make_slots(variable) for variable in self._trained]
        fits = spec.xla and "CPU" in spec.tf_device and spec.rule.steps_by_rows and not spec.room
        self._tables = _find_tables(model) if fits else frozenset()
        self.steps_by_rows = bool(self._tables)
        self._by_rows = set[int]()

    def _make_slots(self, variable: Any) -> tuple[Any, ...]:
        zeros = tf.zeros(variable.shape, get_wide(variable.dtype))
        return tuple(tf.Variable(zeros, trainable=False) for _ in range(self._rule.slots))

    def update_in_place(self, inputs: EpochInputs, step: Tensor, gradients: Sequence[Tensor | None]) -> None:
        """Change the variables by one step; a gradient is None where the loss does not depend on one."""
        for variable, slots, gradient, constraint in zip(
            self._trained, self.slots, gradients, self._constraints, strict=True
        ):
            if gradient is None:
                continue
            amounts = _get_amounts(inputs, step, get_wide(variable.dtype))
            if variable.dtype != get_wide(variable.dtype):
                self._assign_narrow(amounts, variable, slots, gradient)
            elif isinstance(gradient, tf.IndexedSlices):
                self._rule.update_rows_in_place(amounts, variable, slots, gradient)
            else:
                self._rule.update_in_place(*amounts, variable, slots, gradient)
            if constraint is not None:
                variable.assign(constraint(variable.read_value()))

    def _assign_narrow(self, amounts: Amounts, variable: Any, slots: Sequence[Any], gradient: Any) -> None:
        wide, before = tf.cast(variable.read_value(), tf.float32), [slot.read_value() for slot in slots]
        gradient = tf.cast(gradient, tf.float32)
        if isinstance(gradient, tf.IndexedSlices):
            value, after = self._rule.update_rows(amounts, wide, before, gradient)
        else:
            value, after = self._rule.update(*amounts, wide, before, gradient)
        _assign(variable, slots, tf.cast(value, variable.dtype), after)

    def update(
        self,
        inputs: EpochInputs,
        step: Tensor,
        state: NetworkState,
        gradients: Sequence[Tensor | None],
        settled: Tensor,
    ) -> Values:
        """Return trained variables and slots after one step.

        `settled`: the step before which `unsettle` was called last.
        """
        trained, after = list(state.trained), list(state.slots)
        for number, gradient in enumerate(gradients):
            if gradient is None:
                continue
            narrow, slots, constraint = trained[number].dtype, after[number], self._constraints[number]
            wide = get_wide(narrow)
            value, gradient = tf.cast(trained[number], wide), tf.cast(gradient, wide)
            amounts = _get_amounts(inputs, step, wide)
            if isinstance(gradient, tf.IndexedSlices) and number in self._tables:
                self._by_rows.add(number)
                since = tf.cast(step - settled + 1, value.dtype)
                value, after[number] = self._rule.update_by_rows(amounts, since, value, slots, gradient)
            elif isinstance(gradient, tf.IndexedSlices) and self._rule.is_lazy:
                value, after[number] = self._rule.update_rows(amounts, value, slots, gradient)
            elif number in self._tables:  # which something else reads, too
                slots = self._rule.settle(amounts[0], tf.zeros((), value.dtype), slots)
                value, new = self._rule.update(*amounts, value, slots, gradient)
                after[number] = self._rule.unsettle(new)
            else:  # also rows of a table that is no layer's
                gradient = tf.convert_to_tensor(gradient)
                value, after[number] = self._rule.update(*amounts, value, slots, gradient)
            value = tf.cast(value, narrow)
            trained[number] = value if constraint is None else constraint(value)
        return tuple(trained), tuple(after)

    def unsettle(self, state: NetworkState) -> NetworkState:
        """Return the state with the slots of tables as `UpdateRule.update_by_rows` takes them."""
        slots = list(state.slots)
        for number in self._tables:
            slots[number] = self._rule.unsettle(slots[number])
        return state._replace(slots=tuple(slots))

    def settle(self, inputs: EpochInputs, steps: Tensor, state: NetworkState) -> NetworkState:
        """Return the state with slots as `UpdateRule.update` has them, so many steps after `unsettle`."""
        slots = list(state.slots)
        for number in self._tables:
            dtype = get_wide(state.trained[number].dtype)
            arguments, _, _ = _get_amounts(inputs, tf.constant(0), dtype)
            since = steps if number in self._by_rows else tf.constant(0)  # known once a step was traced
            slots[number] = self._rule.settle(arguments, tf.cast(since, dtype), slots[number])
        return state._replace(slots=tuple(slots))


def _find_tables(model: Any) -> frozenset[int]:
    """Return the numbers of those trained variables that are embeddings."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    tables = {id(variable) for layer in layers for variable in layer.trainable_variables}
    return frozenset(
        number for number, variable in enumerate(model.trainable_variables) if id(variable) in tables
    )


def _assign(variable: Any, slots: Sequence[Any], value: Tensor, after: Sequence[Tensor]) -> None:
    variable.assign(value)
    for slot, new in zip(slots, after, strict=True):
        slot.assign(new)


def _get_amounts(inputs: EpochInputs, step: Tensor, dtype: Any) -> Amounts:
    """Return what a step takes, in `dtype`."""
    arguments, step_size, decay_factor = get_update_arguments(inputs.plan, inputs.hyper, step)
    numbers = tuple(tf.cast(number, dtype) for number in arguments)
    return numbers, tf.cast(step_size, dtype), tf.cast(decay_factor, dtype)
