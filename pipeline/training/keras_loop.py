"""Keras' own `fit` over the same batches, for models that the compiled loop cannot take."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.prepared import Prepared
from pipeline.hardware.device import Held
from pipeline.models import keras_models
from pipeline.settings.optimizer import Adam, Sgd
from pipeline.settings.settings import Settings
from pipeline.settings.training import BinaryCrossEntropy, CrossEntropy, Policy
from pipeline.training import augmentation, compiled_epoch, device_data, mlp_gradients, optimizer_steps
from pipeline.training.device_data import Plan
from pipeline.training.mlp_gradients import targets
from pipeline.training.random_streams import stream

BATCHES_AHEAD = 4
"""Batches that are read from disk while others train."""


class Inside(NamedTuple):
    """What an epoch works with: `batch` maps a step of the epoch, int64, to (samples, targets)."""

    model: Any
    optimizer: Any
    loss: Callable[[Tensor, Tensor], Tensor]
    batch: Callable[[Tensor], tuple[Tensor, Tensor]]
    xla: bool
    place: str


class KerasLoop:
    """Plain `model.fit(shuffle=False)`, one epoch a call, for what the compiled loop cannot take."""

    def __init__(
        self, settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray], held: Held
    ) -> None:
        self._settings, self._place, self._net = (
            settings,
            held.place,
            device_data.describe(settings, prepared),
        )
        self._epochs_before, self._steps_before = 0, tf.Variable(0, dtype=tf.int64, trainable=False)
        self._changes = augmentation.changes(settings.augment, prepared.shape)
        self._shape, self._rows = prepared.shape, len(prepared.train.labels)
        self._steps = self._rows // settings.train.batch_size
        self._train, self._validation = prepared.train, prepared.validation
        self._streams = device_data.streams(settings, prepared)
        with tf.device(self._place):
            if not self._streams:
                self._data = device_data.resident(prepared.train, prepared, self._net.wide, None, self._place)
            self._knobs = compiled_epoch.knobs(settings, self._net.wide)
            self._model = keras_models.network(settings, prepared, weights)
            self._optimizer = self._make_optimizer()
            self._loss = self._make_loss()
            self._xla = self._net.policy is Policy.mixed_float16 and held.kind == "cpu"
            self._model.compile(self._optimizer, self._loss, jit_compile=self._xla, auto_scale_loss=False)

    def _make_optimizer(self) -> Any:
        settings = self._settings
        rates = optimizer_steps.learning_rates(
            settings.schedule, settings.optimizer.learning_rate, self._steps * settings.train.epochs
        )
        held_rates = tf.constant(rates, self._net.wide)

        def rate() -> Tensor:
            last = len(rates) - 1  # a rehearsal after the last epoch goes on with its rate
            taken = tf.cast(optimizer.iterations.value, tf.int64) - self._steps_before
            return tf.gather(held_rates, tf.clip_by_value(taken, 0, last))

        scale = settings.precision.loss_scale if settings.precision.loss_scale != 1 else None
        match settings.optimizer:
            case Sgd(momentum=momentum, nesterov=nesterov):
                optimizer = keras.optimizers.SGD(rate, momentum, nesterov, loss_scale_factor=scale)
            case Adam(beta1=beta1, beta2=beta2, epsilon=epsilon, weight_decay=decay):
                optimizer = keras.optimizers.Adam(
                    rate, beta1, beta2, epsilon, weight_decay=decay or None, loss_scale_factor=scale
                )
            case _:
                raise NotImplementedError(type(settings.optimizer).__name__)
        return optimizer

    def _make_loss(self) -> Any:
        if self._net.loss is CrossEntropy:
            return keras.losses.CategoricalCrossentropy(from_logits=True)
        if self._net.loss is BinaryCrossEntropy:
            averaged = keras.losses.BinaryCrossentropy(from_logits=True)
            times = self._net.sizes[-1] if self._net.summed else 1
            return lambda wanted, logits: times * averaged(wanted, logits)
        to_probabilities = getattr(keras.ops, self._net.output.value)
        squared = keras.losses.MeanSquaredError()
        return lambda wanted, logits: squared(wanted, to_probabilities(logits))

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def inside(self) -> Inside:
        """What the prepared epoch works with, for whoever wants to time a part of it."""

        def batch(step: Tensor) -> tuple[Tensor, Tensor]:
            return self._batch(self._plan, step)

        return Inside(self._model, self._optimizer, self._loss, batch, self._xla, self._place)

    def compile(self) -> None:
        self._optimizer.build(self._model.trainable_variables)
        self.rehearse(1)
        self.score()

    def warm_up(self) -> None:
        self.rehearse(compiled_epoch.warm_up_steps(self._settings.train.batch_size, self._steps))

    def rehearse(self, steps: int) -> None:
        before = self.state()
        self.take(steps)
        self.restore(before)

    def take(self, steps: int) -> Tensor:
        """The first `steps` steps of the prepared epoch; mean loss."""
        return self._fit(self._epoch.take(steps))

    def prepare(self, number: int) -> None:
        seed, size = self._settings.train.seed, self._settings.train.batch_size
        first = (number - 1) * self._steps
        with tf.device(self._place):
            rows = tf.constant(device_data.order(seed, self._epochs_before + number, self._rows, size))
            self._plan = Plan(
                rows, tf.zeros(0), tf.zeros(0), tf.constant(first + int(self._steps_before), tf.int64)
            )
        self._epoch = tf.data.Dataset.range(self._steps).map(partial(self._batch, self._plan))
        if self._streams:
            self._epoch = self._epoch.prefetch(BATCHES_AHEAD)

    def go_on(self, epochs: int, steps: int) -> None:
        self._epochs_before = epochs
        self._steps_before.assign(steps)

    def _batch(self, plan: Plan, step: Tensor) -> tuple[Tensor, Tensor]:
        rows = tf.gather(plan.order, step)
        samples, labels = self._from_disk(rows) if self._streams else self._from_memory(rows)
        if self._changes:
            seed = stream(self._knobs.seed, 0, plan.first + step)
            samples = augmentation.change(self._changes, self._knobs.changes, seed, samples)
        wanted = targets(self._net, labels, self._knobs.smoothing)
        return tf.reshape(samples, [self._settings.train.batch_size, *self._shape]), wanted

    def _from_memory(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        samples = tf.gather(self._data.features, rows)
        return tf.cast(samples, tf.float32), tf.gather(self._data.labels, rows)

    def _from_disk(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The same, read from the prepared arrays; float32 [batch, inputs], int32 [batch]."""

        def read(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            samples = np.asarray(self._train.features[numbers], np.float32)
            return samples.reshape(len(numbers), -1), np.asarray(self._train.labels[numbers], np.int32)

        samples, labels = tf.numpy_function(read, [rows], (tf.float32, tf.int32))
        batch = self._settings.train.batch_size
        return tf.ensure_shape(samples, [batch, int(np.prod(self._shape))]), tf.ensure_shape(labels, [batch])

    def run(self) -> Tensor:
        return self._fit(self._epoch)

    def _fit(self, batches: Any) -> Tensor:
        with tf.device(self._place):
            return self._model.fit(batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]

    def score(self) -> tuple[float, float]:
        labels, sums = np.asarray(self._validation.labels, np.int32), np.zeros(2)
        for part in device_data.portions(len(labels), keras_models.widest(self._model)):
            samples = np.asarray(self._validation.features[part], np.float32)
            logits = self._model.predict_on_batch(samples)
            known = tf.constant(labels[part])
            sums += [
                float(each) for each in mlp_gradients.tally(self._net, logits, known, self._knobs.smoothing)
            ]
        return sums[0] / len(labels), sums[1] / len(labels)

    def parameters(self) -> Sequence[Tensor]:
        return [tf.constant(array) for array in self._model.get_weights()]

    def state(self) -> tuple[np.ndarray, ...]:
        return tuple(variable.numpy() for variable in self._changing())

    def restore(self, state: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._changing(), state, strict=True):
            variable.assign(value)

    def _changing(self) -> list[Any]:
        return [*self._model.variables, *self._optimizer.variables]
