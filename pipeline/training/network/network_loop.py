"""A run of training of any Keras network whose epochs are one compiled function each; see `network_epoch`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.models import keras_models
from pipeline.models.architectures.custom import format_error
from pipeline.models.network_structure import describe_structure, get_widest_output
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import augmentation, device_data
from pipeline.training.adversarial.fgsm import make_ball_tensors
from pipeline.training.device_data import EpochPlan
from pipeline.training.keras_loop import BATCHES_AHEAD, make_input_options
from pipeline.training.network import network_epoch, network_state
from pipeline.training.network.network_epoch import CompiledNetwork
from pipeline.training.network.network_state import EpochInputs, NetworkEpochSpec, NetworkState
from pipeline.training.optimizers import rule_of
from pipeline.training.perceptron import epoch_spec
from pipeline.training.perceptron.mlp_gradients import Scores
from pipeline.training.privacy.sampling import find_room, order_rows
from pipeline.training.random_streams import find_dropout_layers
from pipeline.training.schedules import learning_rates


class NetworkLoop:
    """The whole epoch as one compiled function that calls the network; see `network_epoch`."""

    def __init__(
        self,
        settings: Settings,
        prepared: Prepared,
        weights: Sequence[np.ndarray],
        device: ClaimedDevice,
        engine: Engine,
    ) -> None:
        self._settings, self._prepared, self._tf_device = settings, prepared, device.tf_device
        self._epochs_before = self._steps_before = self._iterations = 0
        self._rows = len(prepared.train.labels)
        self._steps = self._rows // settings.train.batch_size
        with tf.device(self._tf_device):
            self._model = keras_models.build_network(settings, prepared, weights)
            dropout_layers = find_dropout_layers(self._model)
            self._spec = self._make_spec(dropout_layers, device, engine)
            wide = self._spec.network.wide
            ball = make_ball_tensors(settings, prepared, tf.float32)
            self._hyper_parameters = epoch_spec.make_hyper_parameters(settings, wide, self._rows, ball)
            self._shares = tuple(tf.constant(layer.rate, tf.float32) for layer in dropout_layers)
            self._data = (
                None
                if self._spec.streams
                else device_data.load_cached(prepared.train, prepared, wide, None, self._tf_device)
            )
            self._network = network_epoch.get_compiled(self._spec, self._model)
        self._state = network_state.make_state(self._spec, self._model)
        self._rates = learning_rates(
            settings.schedule, settings.optimizer.learning_rate, self._steps * settings.train.epochs
        )

    def _make_spec(
        self, dropout_layers: Sequence[Any], device: ClaimedDevice, engine: Engine
    ) -> NetworkEpochSpec:
        settings, prepared = self._settings, self._prepared
        structure = describe_structure(self._model, dropout_layers)
        network = device_data.describe_network(settings, prepared)
        return NetworkEpochSpec(
            # What cannot be told apart from others is compiled for this run alone.
            structure=structure or f"network {id(self._model)}",
            network=network,
            rule=rule_of(settings.optimizer),
            shape=prepared.shape,
            batch=settings.train.batch_size,
            changes=augmentation.make_changes(settings.augment, prepared.shape),
            streams=device_data.is_streamed(settings, prepared),
            uses_loss_scale=settings.precision.loss_scale != 1,
            xla=engine is Engine.xla,
            scores_by_xla=network.policy is Policy.mixed_float16 and device.kind == "cpu",
            tf_device=device.tf_device,
            room=find_room(self._rows, settings.train.batch_size) if settings.privacy.is_private else 0,
        )

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def network(self) -> CompiledNetwork:
        """Return the compiled network, for whoever wants to time a part of it."""
        return self._network

    @property
    def state(self) -> NetworkState:
        """Return what the next epoch starts from."""
        return self._state

    def compile(self) -> None:
        try:
            self.run_steps(0)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not self._spec.xla:
                raise
            raise BadSetting(
                "engine must be auto, graph or keras for a network with an operation that XLA does not know, "
                f"got xla ({format_error(error)}); use engine=graph"
            ) from None
        self._score_rows(slice(0, 1))  # a plain graph serves any number of rows
        if self._spec.scores_by_xla:
            self.score()

    def warm_up(self) -> None:
        self.run_steps(epoch_spec.count_warm_up_steps(self._spec.batch, self._steps))

    def prepare(self, number: int) -> None:
        settings, rule, wide = self._settings, self._spec.rule, self._spec.network.wide
        first = (number - 1) * self._steps
        rates = self._rates[first : first + self._steps]
        epoch, before = self._epochs_before + number, self._steps_before + first
        privacy, spec = self._hyper_parameters.privacy, self._spec
        rows = order_rows(settings.train.seed, privacy, epoch, self._rows, spec.batch, spec.room)
        with tf.device(self._tf_device):
            self._plan = EpochPlan(
                tf.constant(rows),
                tf.constant(rule.compute_step_sizes(settings.optimizer, rates, before), wide),
                tf.constant(rule.compute_decay_factors(settings.optimizer, rates), wide),
                tf.constant(before, tf.int64),
            )
        if spec.room and rows.shape[1] > spec.room:
            self._make_room(rows.shape[1])

    def _make_room(self, room: int) -> None:
        """Compile a private epoch for more rows a step, outside the clock."""
        self._spec = replace(self._spec, room=room)
        self._network = network_epoch.get_compiled(self._spec, self._model)
        self.__dict__.pop("_read", None)
        self.run_steps(0)

    @property
    def inputs(self) -> EpochInputs:
        """Return what the prepared epoch reads, from its first batch on."""
        batches = iter(self._stream) if self._spec.streams else None
        return EpochInputs(self._data, batches, self._plan, self._hyper_parameters, self._shares)

    @property
    def _stream(self) -> Any:
        rows = tf.data.Dataset.from_tensor_slices(self._plan.rows)
        return rows.map(self._read).with_options(make_input_options()).prefetch(BATCHES_AHEAD)

    @cached_property
    def _read(self) -> Any:
        kind = self._spec.network.label_type
        return device_data.make_reader(self._prepared.train, self._prepared, kind, self._spec.places)

    @cached_property
    def _unseen_labels(self) -> np.ndarray:
        return device_data.scale_labels(self._prepared.validation, self._prepared)

    def continue_from(self, epochs: int, steps: int) -> None:
        self._epochs_before, self._steps_before = epochs, steps

    def run(self) -> Tensor:
        self._state, loss = self.run_steps(self._steps)
        self._iterations += self._steps
        return loss

    def run_steps(self, steps: int) -> tuple[NetworkState, Tensor]:
        """Take the first `steps` steps of the prepared epoch; return state and mean loss after them."""
        with tf.device(self._tf_device):
            state_and_loss: tuple[NetworkState, Tensor] = self._network.epoch(
                self.inputs, tf.constant(steps), self._state
            )
        return state_and_loss

    def score(self) -> tuple[float, float]:
        rows = len(self._prepared.validation.labels)
        portions = device_data.split_rows(rows, get_widest_output(self._model))
        return device_data.finish_score(
            map(self._score_rows, portions), self._unseen_labels, self._settings.measure.name
        )

    def _score_rows(self, rows: slice) -> Scores:
        validation = self._prepared.validation
        samples = np.asarray(validation.features[rows], np.float32)
        labels = self._unseen_labels[rows]
        with tf.device(self._tf_device):
            self._network.load(self._state)
            return self._network.score(
                tf.constant(samples),
                tf.constant(labels, self._spec.network.label_type),
                self._hyper_parameters.smoothing,
            )

    def get_parameters(self) -> Sequence[Tensor]:
        return network_state.get_weights(self._state, self._model)

    def get_state(self) -> tuple[np.ndarray, ...]:
        return network_state.to_arrays(self._state, self._model, self._iterations)

    def restore(self, state: Sequence[np.ndarray]) -> None:
        self._state, self._iterations = network_state.from_arrays(state, self._spec, self._model)
