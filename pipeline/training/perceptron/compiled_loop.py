"""A run of training whose epochs are one compiled function each; see `compiled_epoch`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.hardware.device import ClaimedDevice
from pipeline.settings.preprocess import Storage
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import augmentation
from pipeline.training.adversarial.fgsm import make_ball_tensors
from pipeline.training.device_data import (
    DeviceData,
    EpochPlan,
    describe_network,
    finish_score,
    load_cached,
    scale_labels,
    split_rows,
)
from pipeline.training.optimizers import rule_of
from pipeline.training.perceptron import compiled_epoch, epoch_spec, mlp_gradients
from pipeline.training.perceptron.epoch_spec import EpochSpec
from pipeline.training.perceptron.mlp_gradients import NetworkSpec, Scores
from pipeline.training.privacy.sampling import find_room, order_rows
from pipeline.training.schedules import learning_rates

ScoreFunction = Callable[[Tensor, Tensor, Sequence[Tensor], Tensor], Scores]


@lru_cache(maxsize=compiled_epoch.MAX_COMPILED)
def compile_score(network: NetworkSpec, xla: bool) -> ScoreFunction:
    """Compile (features, labels, parameters, smoothing) -> what `sum_scores` returns."""

    def score(features: Tensor, labels: Tensor, parameters: Sequence[Tensor], smoothing: Tensor) -> Scores:
        return mlp_gradients.sum_scores(
            network, mlp_gradients.forward(network, parameters, features).logits, labels, smoothing
        )

    wide, sizes = network.wide, network.sizes
    parameters = [tf.TensorSpec(shape, wide) for pair in pairwise(sizes) for shape in (pair, pair[1:])]
    function: ScoreFunction = tf.function(
        score, jit_compile=xla or None, autograph=False
    ).get_concrete_function(
        tf.TensorSpec([None, sizes[0]], wide),
        tf.TensorSpec([None], network.label_type),
        parameters,
        tf.TensorSpec([], wide),
    )
    return function


class EpochArguments(NamedTuple):
    """The arguments of a compiled epoch; see `compile_epoch`."""

    spec: EpochSpec
    data: DeviceData
    plan: EpochPlan
    hyper_parameters: epoch_spec.HyperParameters
    state: epoch_spec.LoopState
    buffers: epoch_spec.LoopState | None


class CompiledLoop:
    """The whole epoch as one compiled function; see `compiled_epoch`."""

    def __init__(
        self,
        settings: Settings,
        prepared: Prepared,
        weights: Sequence[np.ndarray],
        device: ClaimedDevice,
        engine: Engine,
    ) -> None:
        self._settings, self._tf_device = settings, device.tf_device
        self._epochs_before = self._steps_before = 0
        self._spec = self._make_spec(prepared, device, engine)
        network = self._spec.network
        with tf.device(self._tf_device):
            # The first product narrows its samples anyway; on the device they take half the room then.
            stored_as = None if self._spec.scales_in_step else network.narrow
            self._data = load_cached(prepared.train, prepared, network.wide, stored_as, self._tf_device)
            self._unseen = load_cached(
                prepared.validation, prepared, network.wide, network.wide, self._tf_device
            )
            self._hyper_parameters = epoch_spec.make_hyper_parameters(
                settings,
                network.wide,
                self._spec.rows,
                make_ball_tensors(settings, prepared, network.wide, prepared.scaling),
            )
        self._unseen_labels = scale_labels(prepared.validation, prepared)
        self._state = epoch_spec.make_state(self._spec, weights)
        self._buffers = compiled_epoch.make_buffers(self._spec, self._state)
        steps = self._spec.steps * settings.train.epochs
        self._rates = learning_rates(settings.schedule, settings.optimizer.learning_rate, steps)
        self._epoch = compiled_epoch.compile_epoch(self._spec)
        self._scored_by_xla = network.policy is Policy.mixed_float16 and device.kind == "cpu"

    def _make_spec(self, prepared: Prepared, device: ClaimedDevice, engine: Engine) -> EpochSpec:
        settings, rows = self._settings, len(prepared.train.labels)
        changes = augmentation.make_changes(settings.augment, prepared.shape)
        as_bytes = settings.preprocess.storage is Storage.uint8
        return EpochSpec(
            network=describe_network(settings, prepared),
            rule=rule_of(settings.optimizer),
            rows=rows,
            batch=settings.train.batch_size,
            steps=rows // settings.train.batch_size,
            changes=changes,
            # Zero padding is zero in raw numbers, so changed samples are scaled after the change.
            scales_in_step=as_bytes or changes is not None,
            uses_loss_scale=settings.precision.loss_scale != 1,
            uses_dropout=bool(getattr(settings.model, "dropout", 0.0)),
            xla=engine is Engine.xla,
            tf_device=device.tf_device,
            further=device.further,
            room=find_room(rows, settings.train.batch_size) if settings.privacy.is_private else 0,
        )

    @property
    def steps(self) -> int:
        return self._spec.steps

    @property
    def epoch_arguments(self) -> "EpochArguments":
        """Return what the prepared epoch works on, for whoever wants to time a part of it."""
        return EpochArguments(
            self._spec, self._data, self._plan, self._hyper_parameters, self._state, self._buffers
        )

    @cached_property
    def _score(self) -> ScoreFunction:
        return compile_score(self._spec.network, self._scored_by_xla)

    def compile(self) -> None:
        self.run_steps(steps=0)
        self._score_rows(slice(0, 1))  # a plain graph serves any number of rows
        if self._scored_by_xla:
            self.score()

    def warm_up(self) -> None:
        self.run_steps(epoch_spec.count_warm_up_steps(self._spec.batch, self._spec.steps))

    def prepare(self, number: int) -> None:
        settings, spec = self._settings, self._spec
        first = (number - 1) * spec.steps
        rates = self._rates[first : first + spec.steps]
        epoch, before = self._epochs_before + number, self._steps_before + first
        privacy = self._hyper_parameters.privacy
        rows = order_rows(settings.train.seed, privacy, epoch, spec.rows, spec.batch, spec.room)
        with tf.device(self._tf_device):
            self._plan = EpochPlan(
                tf.constant(rows),
                tf.constant(
                    spec.rule.compute_step_sizes(settings.optimizer, rates, before), spec.network.wide
                ),
                tf.constant(spec.rule.compute_decay_factors(settings.optimizer, rates), spec.network.wide),
                tf.constant(before, tf.int64),
            )
        if spec.room and rows.shape[1] > spec.room:
            self._make_room(rows.shape[1])

    def _make_room(self, room: int) -> None:
        """Compile a private epoch for more rows a step, outside the clock."""
        self._spec = replace(self._spec, room=room)
        self._epoch = compiled_epoch.compile_epoch(self._spec)
        self.__dict__.pop("_traced", None)
        self.run_steps(steps=0)

    def continue_from(self, epochs: int, steps: int) -> None:
        self._epochs_before, self._steps_before = epochs, steps

    def run(self) -> Tensor:
        self._state, loss = self.run_steps(self._spec.steps)
        return loss

    def run_steps(self, steps: int) -> tuple[epoch_spec.LoopState, Tensor]:
        """Take the first `steps` steps of the prepared epoch; return state and mean loss after them."""
        with tf.device(self._tf_device):
            state_and_loss: tuple[epoch_spec.LoopState, Tensor] = self._traced(
                self._data, self._plan, tf.constant(steps), self._hyper_parameters, self._state, self._buffers
            )
        return state_and_loss

    @cached_property
    def _traced(self) -> Any:
        return self._epoch.get_concrete_function(
            self._data, self._plan, tf.constant(0), self._hyper_parameters, self._state, self._buffers
        )

    def score(self) -> tuple[float, float]:
        portions = split_rows(len(self._unseen.labels), max(self._spec.network.sizes))
        return finish_score(map(self._score_rows, portions), self._unseen_labels, self._settings.measure.name)

    def _score_rows(self, rows: slice) -> Scores:
        features, labels, *_ = self._unseen
        with tf.device(self._tf_device):
            return self._score(
                features[rows], labels[rows], list(self._state.parameters), self._hyper_parameters.smoothing
            )

    def get_parameters(self) -> Sequence[Tensor]:
        return self._state.parameters

    def get_state(self) -> tuple[np.ndarray, ...]:
        return tuple(tensor.numpy() for tensor in tf.nest.flatten(self._state))

    def restore(self, state: Sequence[np.ndarray]) -> None:
        with tf.device(self._tf_device):
            tensors = [tf.constant(array) for array in state]
        self._state = tf.nest.pack_sequence_as(self._state, tensors)
