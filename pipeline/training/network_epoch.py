"""The compiled epoch of any Keras network: one `tf.while_loop` that calls the network itself.

Gradients come from a tape, updates from our own fused steps (`optimizers/`), order, changes of images and
masks of dropout from our own streams. As in `compiled_epoch`, XLA carries the state as tensors and a plain
graph changes variables in place; a call takes a state and returns a new one. What may differ between two
trials of one structure is an argument, so that a sweep compiles each structure once.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.training import augmentation, mlp_gradients
from pipeline.training.adversarial.fgsm import differentiate_by_samples, move_samples
from pipeline.training.augmentation import ImageChanges
from pipeline.training.compiled_epoch import HyperParameters, get_update_arguments
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.mlp_gradients import NetworkSpec, Scores
from pipeline.training.optimizers import UpdateRule, add_up_rows
from pipeline.training.privacy import network as private_network
from pipeline.training.privacy import noise, sampling
from pipeline.training.random_streams import derive_seed, drop_out_by_streams, find_dropout_layers

MAX_NETWORKS = 16
"""Compiled networks that a process keeps, each with its variables; the one used longest ago goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEpochSpec:
    """Everything that shapes the compiled code of an epoch; equal specs share it.

    `structure`: see `describe_structure`; `network`: loss, classes and types; `shape`: of a sample;
    `streams`: batches come from an iterator over the disk, not from the device; `scores_by_xla`: also without
    `xla`; `room`: rows that a private step has room for, 0 without privacy.
    """

    structure: str
    network: NetworkSpec
    rule: UpdateRule
    shape: tuple[int, ...]
    batch: int
    changes: ImageChanges | None
    streams: bool
    uses_loss_scale: bool
    xla: bool
    scores_by_xla: bool
    tf_device: str
    room: int = 0

    @property
    def places(self) -> int:
        """Return how many rows a step computes with; those of a private one may be empty."""
        return self.room or self.batch


class NetworkState(NamedTuple):
    """Trained variables, others (statistics, generators), and for each trained one the optimizer's slots."""

    trained: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    slots: tuple[tuple[Tensor, ...], ...]


class EpochInputs(NamedTuple):
    """What the steps of an epoch read; `data` or `batches`: an iterator of samples [batch, n] and labels."""

    data: DeviceData | None
    batches: Any
    plan: EpochPlan
    hyper: HyperParameters
    shares: tuple[Tensor, ...]


class CompiledNetwork:
    """The compiled epoch and scores of all networks of one structure.

    `model`: one of them; a plain graph works on its variables.
    """

    def __init__(self, spec: NetworkEpochSpec, model: Any) -> None:
        self.spec, self.model = spec, model
        self.dropout_layers = find_dropout_layers(model)
        self._trained = [variable.value for variable in model.trainable_variables]
        self._others = [variable.value for variable in model.non_trainable_variables]
        self._constraints = [variable.constraint for variable in model.trainable_variables]
        with tf.device(spec.tf_device):
            self._slots = [self._make_slots(variable) for variable in self._trained]
        take_epoch = self._run_on_values if spec.xla else self._run_in_place
        self.epoch = tf.function(
            take_epoch, jit_compile=spec.xla or None, autograph=False, reduce_retracing=True
        )

    def _make_slots(self, variable: Any) -> tuple[Any, ...]:
        zeros = tf.zeros(variable.shape, variable.dtype)
        return tuple(tf.Variable(zeros, trainable=False) for _ in range(self.spec.rule.slots))

    # ---- one step ----------------------------------------------------------------------------------------

    def fetch_batch(self, inputs: EpochInputs, step: Tensor) -> tuple[Tensor, Tensor]:
        """Return changed samples float32 [batch, *shape] and their targets [batch, classes]."""
        spec, plan, hyper = self.spec, inputs.plan, inputs.hyper
        if spec.streams:
            samples, labels = next(inputs.batches)
        else:
            rows = tf.maximum(tf.gather(plan.rows, step), 0)  # an empty place of a private step is -1
            assert inputs.data is not None
            samples, labels = tf.gather(inputs.data.features, rows), tf.gather(inputs.data.labels, rows)
        samples = tf.cast(samples, tf.float32)
        if spec.changes:
            seed = derive_seed(hyper.seed, 0, plan.count_steps(step))
            samples = augmentation.change_images(spec.changes, hyper.changes, seed, samples)
        targets = mlp_gradients.make_targets(spec.network, labels, hyper.smoothing)
        return tf.reshape(samples, [spec.places, *spec.shape]), targets

    def compute_loss(
        self,
        inputs: EpochInputs,
        step: Tensor,
        trained: Sequence[Tensor],
        others: Sequence[Tensor],
        batch: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the mean loss of a batch, the network's own penalties added, and the other variables."""
        losses, others, penalties = self.compute_losses(inputs, step, trained, others, batch)
        loss = tf.reduce_mean(losses)
        for penalty in penalties:
            loss += tf.cast(tf.reduce_sum(penalty), loss.dtype)
        return loss, others

    def compute_losses(
        self,
        inputs: EpochInputs,
        step: Tensor,
        trained: Sequence[Tensor],
        others: Sequence[Tensor],
        batch: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
        """Return the loss of each row of a batch, the other variables and the network's own penalties."""

        def get_step() -> Tensor:
            return inputs.plan.count_steps(step)

        samples, targets = batch
        with drop_out_by_streams(self.dropout_layers, inputs.shares, inputs.hyper.seed, get_step):
            logits, others, penalties = self.model.stateless_call(
                list(trained), list(others), samples, training=True, return_losses=True
            )
        return self.spec.network.loss.compute(logits, targets), others, penalties

    def compute_gradients(
        self,
        inputs: EpochInputs,
        step: Tensor,
        trained: Sequence[Tensor],
        others: Sequence[Tensor],
        batch: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, list[Tensor | None], Sequence[Tensor]]:
        """Return loss, gradients (None: the loss does not depend on it) and the other variables."""
        if inputs.hyper.ball is not None:
            batch = (self._move_samples(inputs, step, trained, others, *batch), batch[1])
        if self.spec.room:
            return self._compute_private_gradients(inputs, step, trained, others, batch)
        scale = inputs.hyper.loss_scale if self.spec.uses_loss_scale else None
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss, others = self.compute_loss(inputs, step, trained, others, batch)
            scaled = loss if scale is None else loss * scale
        gradients = [
            self._finish_gradient(gradient, scale) for gradient in tape.gradient(scaled, list(trained))
        ]
        return loss, gradients, others

    def _compute_private_gradients(
        self,
        inputs: EpochInputs,
        step: Tensor,
        trained: Sequence[Tensor],
        others: Sequence[Tensor],
        batch: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, list[Tensor | None], Sequence[Tensor]]:
        """Return the mean loss of the drawn rows, their clipped gradients with noise, the other variables."""
        plan, privacy = inputs.plan, inputs.hyper.privacy
        assert privacy
        present = tf.cast(tf.gather(plan.rows, step) != sampling.EMPTY, self.spec.network.wide)
        loss, sums, others = private_network.sum_clipped_gradients(
            self.model,
            trained,
            lambda: self.compute_losses(inputs, step, trained, others, batch),
            present,
            privacy.clip_norm,
            self.spec.batch,
        )
        number = plan.count_steps(step)
        return loss, list(noise.add_noise(sums, privacy, number, self.spec.batch)), others

    def _finish_gradient(self, gradient: Any, scale: Tensor | None) -> Any:
        """Return a gradient without its scale: a tensor, or the rows of a table where the rule is lazy."""
        if isinstance(gradient, tf.IndexedSlices) and self.spec.rule.is_lazy:
            return add_up_rows(gradient, self.spec.xla)  # of types that need no scale
        dense = None if gradient is None else tf.convert_to_tensor(gradient)
        return dense if dense is None or scale is None else dense / tf.cast(scale, dense.dtype)

    def _move_samples(
        self,
        inputs: EpochInputs,
        step: Tensor,
        trained: Sequence[Tensor],
        others: Sequence[Tensor],
        samples: Tensor,
        targets: Tensor,
    ) -> Tensor:
        """Return the samples as adversarial training sees them."""

        def answer(moved: Tensor) -> Tensor:
            return self.model.stateless_call(list(trained), list(others), moved, training=False)[0]

        plan, hyper = inputs.plan, inputs.hyper
        assert hyper.ball is not None
        compute_gradient = differentiate_by_samples(answer, self.spec.network.loss.compute, targets)
        number = plan.count_steps(step)
        return move_samples(hyper.ball, samples, hyper.seed, number, compute_gradient)

    def read_variables(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the values of the variables: trained ones, others."""
        return [each.read_value() for each in self._trained], [each.read_value() for each in self._others]

    def update_in_place(self, inputs: EpochInputs, step: Tensor, gradients: Sequence[Tensor | None]) -> None:
        """Change the trained variables by one step of the optimizer."""
        for variable, slots, gradient, constraint in zip(
            self._trained, self._slots, gradients, self._constraints, strict=True
        ):
            if gradient is None:
                continue
            amounts = self._get_amounts(inputs, step, variable.dtype)
            if isinstance(gradient, tf.IndexedSlices):
                self.spec.rule.update_rows_in_place(amounts, variable, slots, gradient)
            else:
                self.spec.rule.update_in_place(*amounts, variable, slots, gradient)
            if constraint is not None:
                variable.assign(constraint(variable.read_value()))

    def _update(
        self, inputs: EpochInputs, step: Tensor, state: NetworkState, gradients: Sequence[Tensor | None]
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        """Return trained variables and slots after one step of the optimizer."""
        trained, after = list(state.trained), list(state.slots)
        for number, gradient in enumerate(gradients):
            if gradient is None:
                continue
            value, slots, constraint = trained[number], after[number], self._constraints[number]
            amounts = self._get_amounts(inputs, step, value.dtype)
            if isinstance(gradient, tf.IndexedSlices):
                value, after[number] = self.spec.rule.update_rows(amounts, value, slots, gradient)
            else:
                value, after[number] = self.spec.rule.update(*amounts, value, slots, gradient)
            trained[number] = value if constraint is None else constraint(value)
        return tuple(trained), tuple(after)

    @staticmethod
    def _get_amounts(
        inputs: EpochInputs, step: Tensor, dtype: Any
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Return the arguments of an update, step size and decay factor in the type of the variable."""
        arguments, step_size, decay_factor = get_update_arguments(inputs.plan, inputs.hyper, step)
        numbers = tuple(tf.cast(number, dtype) for number in arguments)
        return numbers, tf.cast(step_size, dtype), tf.cast(decay_factor, dtype)

    def trace(self, inputs: EpochInputs, state: NetworkState) -> Any:
        """Return the concrete function of the epoch, for whoever wants to look at its operations."""
        return self.epoch.get_concrete_function(inputs, tf.constant(0), state)

    # ---- all steps ---------------------------------------------------------------------------------------

    def _run_on_values(
        self, inputs: EpochInputs, steps: Tensor, state: NetworkState
    ) -> tuple[NetworkState, Tensor]:
        def take_step(
            step: Tensor, total: Tensor, state: NetworkState
        ) -> tuple[Tensor, Tensor, NetworkState]:
            batch = self.fetch_batch(inputs, step)
            loss, gradients, others = self.compute_gradients(inputs, step, state.trained, state.others, batch)
            trained, slots = self._update(inputs, step, state, gradients)
            return step + 1, total + loss, NetworkState(trained, tuple(others), slots)

        start = (tf.constant(0), tf.zeros((), self.spec.network.wide), state)
        _, total, state = tf.while_loop(lambda step, *_: step < steps, take_step, start)
        return state, _divide_by_steps(total, steps)

    def _run_in_place(
        self, inputs: EpochInputs, steps: Tensor, state: NetworkState
    ) -> tuple[NetworkState, Tensor]:
        def take_step(step: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
            batch = self.fetch_batch(inputs, step)
            trained, before = self.read_variables()
            loss, gradients, others = self.compute_gradients(inputs, step, trained, before, batch)
            for variable, old, new in zip(self._others, before, others, strict=True):
                if new is not old:
                    variable.assign(new)
            self.update_in_place(inputs, step, gradients)
            return step + 1, total + loss

        self.load(state)
        start = (tf.constant(0), tf.zeros((), self.spec.network.wide))
        _, total = tf.while_loop(lambda step, _: step < steps, take_step, start, parallel_iterations=1)
        trained, others = self.read_variables()
        slots = tuple(tuple(slot.read_value() for slot in row) for row in self._slots)
        return NetworkState(tuple(trained), tuple(others), slots), _divide_by_steps(total, steps)

    def load(self, state: NetworkState) -> None:
        """Copy a state into the variables."""
        tf.nest.map_structure(
            lambda variable, value: variable.assign(value),
            NetworkState(tuple(self._trained), tuple(self._others), tuple(self._slots)),
            state,
        )

    @cached_property
    def score(self) -> Callable[[Tensor, Tensor, Tensor], Scores]:
        """(samples [n, *shape], labels [n], smoothing) -> sums as `sum_scores`, of what is loaded."""
        network = self.spec.network

        def score(samples: Tensor, labels: Tensor, smoothing: Tensor) -> Scores:
            return mlp_gradients.sum_scores(network, self.model(samples, training=False), labels, smoothing)

        compiled: Any = tf.function(
            score,
            jit_compile=self.spec.scores_by_xla or None,
            autograph=False,
            input_signature=(
                tf.TensorSpec([None, *self.spec.shape], tf.float32),
                tf.TensorSpec([None], network.label_type),
                tf.TensorSpec([], network.wide),
            ),
        )
        return compiled  # type: ignore[no-any-return]


def _divide_by_steps(total: Tensor, steps: Tensor) -> Tensor:
    return total / tf.cast(tf.maximum(steps, 1), total.dtype)


# ---- compiled once -----------------------------------------------------------------------------------------

_compiled: OrderedDict[NetworkEpochSpec, CompiledNetwork] = OrderedDict()


def get_compiled(spec: NetworkEpochSpec, model: Any) -> CompiledNetwork:
    """Return what was compiled for this structure before, or make it with `model`; see `MAX_NETWORKS`."""
    if spec not in _compiled:
        _compiled[spec] = CompiledNetwork(spec, model)
        while len(_compiled) > MAX_NETWORKS:
            _compiled.popitem(last=False)
    _compiled.move_to_end(spec)
    return _compiled[spec]


def make_state(spec: NetworkEpochSpec, model: Any) -> NetworkState:
    """Return the state at the beginning of a run: the model's variables and slots of zero."""
    with tf.device(spec.tf_device):
        trained, others = (
            tuple(tf.constant(variable.numpy()) for variable in variables)
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        slots = tuple((tf.zeros_like(value),) * spec.rule.slots for value in trained)
    return NetworkState(trained, others, slots)


def to_arrays(state: NetworkState, model: Any, iterations: int) -> tuple[np.ndarray, ...]:
    """Return the state in the order of `KerasLoop`: the model's variables, iterations, slots."""
    values = _map_variables(model, state)
    arrays = [values[id(variable)].numpy() for variable in model.variables]
    slots = [slot.numpy() for row in state.slots for slot in row]
    return (*arrays, np.asarray(iterations, np.int64), *slots)


def from_arrays(arrays: Sequence[np.ndarray], spec: NetworkEpochSpec, model: Any) -> tuple[NetworkState, int]:
    """Return the state and the iterations that `to_arrays` had written, or `KerasLoop` had."""
    count = len(model.variables)
    by_variable = dict(zip(map(id, model.variables), arrays[:count], strict=True))
    with tf.device(spec.tf_device):
        trained, others = (
            tuple(tf.constant(by_variable[id(variable)]) for variable in variables)
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        flat = iter([tf.constant(array) for array in arrays[count + 1 :]])
    slots = tuple(tuple(next(flat) for _ in range(spec.rule.slots)) for _ in trained)
    return NetworkState(trained, others, slots), int(arrays[count])


def get_weights(state: NetworkState, model: Any) -> list[Tensor]:
    """Return the values in the order of the model's `get_weights`."""
    values = _map_variables(model, state)
    return [values[id(variable)] for variable in model.weights]


def _map_variables(model: Any, state: NetworkState) -> dict[int, Tensor]:
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return dict(zip(map(id, variables), [*state.trained, *state.others], strict=True))
