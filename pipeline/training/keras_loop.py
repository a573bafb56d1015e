"""Keras' own `fit` over the same batches: the fallback (`engine=keras`), and what tests compare with."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.hardware.device import ClaimedDevice
from pipeline.models import keras_models
from pipeline.models.network_structure import get_widest_output
from pipeline.settings.settings import Settings
from pipeline.settings.training import Policy
from pipeline.training import augmentation, device_data
from pipeline.training.adversarial.fgsm import differentiate_by_samples, make_ball_tensors, move_samples
from pipeline.training.device_data import EpochPlan
from pipeline.training.optimizers import rule_class
from pipeline.training.perceptron import epoch_spec, mlp_gradients
from pipeline.training.perceptron.mlp_gradients import Scores, make_targets
from pipeline.training.random_streams import derive_seed, drop_out_by_streams, find_dropout_layers
from pipeline.training.schedules import learning_rates

BATCHES_AHEAD = 4
"""Batches that are read from disk while others train."""


class KerasEpochParts(NamedTuple):
    """What an epoch works with.

    `batch`: a step of the epoch, int64 -> (samples, targets); `move`: samples, targets and step -> samples as
    training sees them.
    """

    model: Any
    optimizer: Any
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: Callable[[Tensor], tuple[Tensor, Tensor]]
    move: Callable[[Tensor, Tensor, Tensor], Tensor]
    xla: bool
    tf_device: str


def make_input_options() -> Any:
    """Return the options of an epoch's batches: nothing about them is tuned while they are read.

    The end of an epoch would wait for TensorFlow's tuning thread to wake: it sleeps for 0.01 s, 0.02 s,
    0.04 s ..., so an epoch of 1.6 s held its core for 2.56 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _apply_dense(optimizer: Any) -> None:
    """Let the optimizer take the gradient of an embedding as one number for each of its weights.

    Keras takes a row for each word of the batch, and squares the rows before it adds those of one word; with
    words that come more than once that is not Adam.
    """
    apply = optimizer.apply

    def apply_dense(gradients: Sequence[Any], variables: Any = None) -> None:
        dense = [
            tf.convert_to_tensor(each) if isinstance(each, tf.IndexedSlices) else each for each in gradients
        ]
        apply(dense, variables)

    optimizer.apply = apply_dense


def _widen_penalties(model: Any, wide: Any) -> None:
    """Let penalties of layers in half precision be added to the loss, as Keras by itself does not."""
    add_up = model._aggregate_additional_loss
    model._aggregate_additional_loss = lambda loss: tf.cast(add_up(loss), wide)


class KerasLoop:
    """Plain `model.fit(shuffle=False)`, one epoch a call."""

    def __init__(
        self, settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray], device: ClaimedDevice
    ) -> None:
        self._settings, self._tf_device = settings, device.tf_device
        self._network = device_data.describe_network(settings, prepared)
        self._epochs_before, self._steps_before = 0, tf.Variable(0, dtype=tf.int64, trainable=False)
        self._changes = augmentation.make_changes(settings.augment, prepared.shape)
        self._shape, self._rows = prepared.shape, len(prepared.train.labels)
        self._steps = self._rows // settings.train.batch_size
        self._validation = prepared.validation
        self._unseen_labels = device_data.scale_labels(prepared.validation, prepared)
        self._streams = device_data.is_streamed(settings, prepared)
        self._read = device_data.make_reader(
            prepared.train, prepared, self._network.label_type, settings.train.batch_size
        )
        with tf.device(self._tf_device):
            if not self._streams:
                self._data = device_data.load_cached(
                    prepared.train, prepared, self._network.wide, None, self._tf_device
                )
            ball = make_ball_tensors(settings, prepared, tf.float32)
            self._hyper_parameters = epoch_spec.make_hyper_parameters(settings, self._network.wide, ball=ball)
            self._model = keras_models.build_network(settings, prepared, weights)
            self._dropout_layers = find_dropout_layers(self._model)
            self._shares = [tf.constant(layer.rate, tf.float32) for layer in self._dropout_layers]
            self._optimizer = self._make_optimizer()
            self._loss = self._network.loss.make_keras_twin()
            self._xla = self._network.policy is Policy.mixed_float16 and device.kind == "cpu"
            self._model.compile(self._optimizer, self._loss, jit_compile=self._xla, auto_scale_loss=False)
            _widen_penalties(self._model, self._network.wide)
            if ball is not None:
                self._train_on_moved_samples()

    def _train_on_moved_samples(self) -> None:
        """Let Keras' step train on the samples as adversarial training sees them."""
        take_step = self._model.train_step

        def train_step(batch: tuple[Tensor, Tensor]) -> Any:
            samples, targets = batch
            step = tf.cast(self._optimizer.iterations.value, tf.int64)
            return take_step((self._move_samples(samples, targets, step), targets))

        self._model.train_step = train_step

    def _move_samples(self, samples: Tensor, targets: Tensor, step: Tensor) -> Tensor:
        """Return the samples as training sees them at this step since the beginning."""
        hyper = self._hyper_parameters
        if hyper.ball is None:
            return samples
        compute_gradient = differentiate_by_samples(lambda moved: self._model(moved, training=False), targets)
        return move_samples(hyper.ball, samples, hyper.seed, step, compute_gradient)

    def _make_optimizer(self) -> Any:
        settings = self._settings
        rates = learning_rates(
            settings.schedule, settings.optimizer.learning_rate, self._steps * settings.train.epochs
        )
        rates_on_device = tf.constant(rates, self._network.wide)

        def get_rate() -> Tensor:
            last = len(rates) - 1  # a rehearsal after the last epoch goes on with its rate
            steps_taken = tf.cast(optimizer.iterations.value, tf.int64) - self._steps_before
            return tf.gather(rates_on_device, tf.clip_by_value(steps_taken, 0, last))

        scale = settings.precision.loss_scale if settings.precision.loss_scale != 1 else None
        optimizer = rule_class(settings.optimizer).make_keras_twin(settings.optimizer, get_rate, scale)
        _apply_dense(optimizer)
        return optimizer

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def epoch_parts(self) -> KerasEpochParts:
        """Return what the prepared epoch works with, for whoever wants to time a part of it."""

        def batch(step: Tensor) -> tuple[Tensor, Tensor]:
            return self._batch(self._plan, step)

        return KerasEpochParts(
            self._model, self._optimizer, self._loss, batch, self._move_samples, self._xla, self._tf_device
        )

    def compile(self) -> None:
        self._optimizer.build(self._model.trainable_variables)
        self._rehearse(1)
        self.score()

    def warm_up(self) -> None:
        self._rehearse(epoch_spec.count_warm_up_steps(self._settings.train.batch_size, self._steps))

    def _rehearse(self, steps: int) -> None:
        before = self.get_state()
        self.run_steps(steps)
        self.restore(before)

    def run_steps(self, steps: int) -> Tensor:
        """Take the first `steps` steps of the prepared epoch; return their mean loss."""
        return self._fit(self._epoch.take(steps))

    def prepare(self, number: int) -> None:
        seed, size = self._settings.train.seed, self._settings.train.batch_size
        first = (number - 1) * self._steps
        with tf.device(self._tf_device):
            rows = tf.constant(device_data.shuffle_rows(seed, self._epochs_before + number, self._rows, size))
            self._plan = EpochPlan(
                rows, tf.zeros(0), tf.zeros(0), tf.constant(first + int(self._steps_before), tf.int64)
            )
        epoch = tf.data.Dataset.range(self._steps).map(partial(self._batch, self._plan))
        self._epoch = epoch.with_options(make_input_options())
        if self._streams:
            self._epoch = self._epoch.prefetch(BATCHES_AHEAD)

    def continue_from(self, epochs: int, steps: int) -> None:
        self._epochs_before = epochs
        self._steps_before.assign(steps)

    def _batch(self, plan: EpochPlan, step: Tensor) -> tuple[Tensor, Tensor]:
        rows = tf.gather(plan.rows, step)
        samples, labels = self._read(rows) if self._streams else self._from_memory(rows)
        if self._changes:
            seed = derive_seed(self._hyper_parameters.seed, 0, plan.steps_before + step)
            samples = augmentation.change_images(self._changes, self._hyper_parameters.changes, seed, samples)
        targets = make_targets(self._network, labels, self._hyper_parameters.smoothing)
        return tf.reshape(samples, [self._settings.train.batch_size, *self._shape]), targets

    def _from_memory(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        samples = tf.gather(self._data.features, rows)
        return tf.cast(samples, tf.float32), tf.gather(self._data.labels, rows)

    def run(self) -> Tensor:
        return self._fit(self._epoch)

    def _fit(self, batches: Any) -> Tensor:
        def get_step() -> Tensor:
            return tf.cast(self._optimizer.iterations.value, tf.int64)

        seed = self._hyper_parameters.seed
        with (
            tf.device(self._tf_device),
            drop_out_by_streams(self._dropout_layers, self._shares, seed, get_step),
        ):
            return self._model.fit(batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]

    def score(self) -> tuple[float, float]:
        labels = self._unseen_labels
        portions = device_data.split_rows(len(labels), get_widest_output(self._model))
        before = [(variable, variable.numpy()) for variable in self._model.non_trainable_variables]
        score = device_data.finish_score(map(self._score_rows, portions), labels, self._settings.measure.name)
        for variable, value in before:  # an LSTM with dropout draws masks also where it drops nothing
            variable.assign(value)
        return score

    def _score_rows(self, rows: slice) -> Scores:
        logits = self._model.predict_on_batch(np.asarray(self._validation.features[rows], np.float32))
        answers = tf.constant(self._unseen_labels[rows], self._network.label_type)
        return mlp_gradients.sum_scores(
            self._network, tf.constant(logits), answers, self._hyper_parameters.smoothing
        )

    def get_parameters(self) -> Sequence[Tensor]:
        return [tf.constant(array) for array in self._model.get_weights()]

    def get_state(self) -> tuple[np.ndarray, ...]:
        return tuple(variable.numpy() for variable in self._get_variables())

    def restore(self, state: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._get_variables(), state, strict=True):
            variable.assign(value)

    def _get_variables(self) -> list[Any]:
        return [*self._model.variables, *self._optimizer.variables]
