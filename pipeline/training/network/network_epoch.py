"""The compiled epoch of any Keras network: one `tf.while_loop` that calls the network itself.

Gradients come from a tape, updates from our own fused steps (`optimizers/`), order, changes of images and
masks of dropout from our own streams. As in `compiled_epoch`, XLA carries the state as tensors and a plain
graph changes variables in place; a call takes a state and returns a new one. What may differ between two
trials of one structure is an argument, so that a sweep compiles each structure once.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from pipeline.backend import Tensor, tf
from pipeline.training import augmentation
from pipeline.training.adversarial.fgsm import differentiate_by_samples, move_samples
from pipeline.training.network.assigned_values import stop_gradients_of_assigned
from pipeline.training.network.batch_norm import find_norm_layers, normalize_by_fused_kernel
from pipeline.training.network.network_state import EpochInputs, NetworkEpochSpec, NetworkState
from pipeline.training.network.pooled_convolution import find_pooled_convolutions, pool_before_activation
from pipeline.training.network.row_gradients import add_up_rows, add_up_rows_once
from pipeline.training.network.variable_updates import VariableUpdates
from pipeline.training.optimizers import SETTLE_EVERY
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.compiled_epoch import divide_by_steps
from pipeline.training.perceptron.mlp_gradients import Scores
from pipeline.training.privacy import network as private_network
from pipeline.training.privacy import noise, sampling
from pipeline.training.random_streams import derive_seed, drop_out_by_streams, find_dropout_layers

MAX_NETWORKS = 16
"""Compiled networks that a process keeps, each with its variables; the one used longest ago goes first."""


class CompiledNetwork:
    """The compiled epoch and scores of all networks of one structure.

    `model`: one of them; a plain graph works on its variables.
    """

    def __init__(self, spec: NetworkEpochSpec, model: Any) -> None:
        self.spec, self.model = spec, model
        self.dropout_layers = find_dropout_layers(model)
        fuses = "CPU" in spec.tf_device and not spec.xla and not spec.room
        self._norm_layers = find_norm_layers(model) if fuses else []
        self._pooled = find_pooled_convolutions(model) if fuses else []
        self._trained = [variable.value for variable in model.trainable_variables]
        self._others = [variable.value for variable in model.non_trainable_variables]
        self.updates = VariableUpdates(spec, model)
        take_epoch = self._run_on_values if spec.xla else self._run_in_place
        self.epoch = tf.function(
            take_epoch, jit_compile=spec.xla or None, autograph=False, reduce_retracing=True
        )

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
        with (
            drop_out_by_streams(self.dropout_layers, inputs.shares, inputs.hyper.seed, get_step),
            normalize_by_fused_kernel(self._norm_layers),
            pool_before_activation(self._pooled),
            stop_gradients_of_assigned(),
        ):
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
        if isinstance(gradient, tf.IndexedSlices) and self.updates.steps_by_rows and scale is None:
            return add_up_rows_once(gradient)
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
        compute_gradient = differentiate_by_samples(answer, targets)
        number = plan.count_steps(step)
        return move_samples(hyper.ball, samples, hyper.seed, number, compute_gradient)

    def read_variables(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the values of the variables: trained ones, others."""
        return [each.read_value() for each in self._trained], [each.read_value() for each in self._others]

    def trace(self, inputs: EpochInputs, state: NetworkState) -> Any:
        """Return the concrete function of the epoch, for whoever wants to look at its operations."""
        return self.epoch.get_concrete_function(inputs, tf.constant(0), state)

    # ---- all steps ---------------------------------------------------------------------------------------

    def _run_on_values(
        self, inputs: EpochInputs, steps: Tensor, state: NetworkState
    ) -> tuple[NetworkState, Tensor]:
        def take_steps(first: Tensor, end: Tensor, total: Tensor, state: NetworkState) -> Any:
            def take_step(step: Tensor, total: Tensor, state: NetworkState) -> Any:
                batch = self.fetch_batch(inputs, step)
                loss, gradients, others = self.compute_gradients(
                    inputs, step, state.trained, state.others, batch
                )
                trained, slots = self.updates.update(inputs, step, state, gradients, first)
                return step + 1, total + loss, NetworkState(trained, tuple(others), slots)

            return tf.while_loop(lambda step, *_: step < end, take_step, (first, total, state))

        def take_and_settle(first: Tensor, total: Tensor, state: NetworkState) -> Any:
            state = self.updates.unsettle(state)
            end, total, state = take_steps(first, tf.minimum(first + SETTLE_EVERY, steps), total, state)
            return end, total, self.updates.settle(inputs, end - first, state)

        start = (tf.constant(0), tf.zeros((), self.spec.network.wide), state)
        if self.updates.steps_by_rows:
            _, total, state = tf.while_loop(lambda first, *_: first < steps, take_and_settle, start)
        else:
            _, total, state = take_steps(start[0], steps, *start[1:])
        return state, divide_by_steps(total, steps)

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
            self.updates.update_in_place(inputs, step, gradients)
            return step + 1, total + loss

        self.load(state)
        start = (tf.constant(0), tf.zeros((), self.spec.network.wide))
        _, total = tf.while_loop(lambda step, _: step < steps, take_step, start, parallel_iterations=1)
        trained, others = self.read_variables()
        slots = tuple(tuple(slot.read_value() for slot in row) for row in self.updates.slots)
        return NetworkState(tuple(trained), tuple(others), slots), divide_by_steps(total, steps)

    def load(self, state: NetworkState) -> None:
        """Copy a state into the variables."""
        tf.nest.map_structure(
            lambda variable, value: variable.assign(value),
            NetworkState(tuple(self._trained), tuple(self._others), tuple(self.updates.slots)),
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
