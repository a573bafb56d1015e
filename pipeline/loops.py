"""One run of training, an epoch a call: the compiled loop, and Keras' own `fit` over the same batches.

Both take the same rows in the same order at the same rates, so they find the same weights. Only dropout
differs: Keras draws its masks itself. Rows that do not fill the last batch sit out that epoch.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from pipeline import augment, engine, models, updates
from pipeline.engine import Data, Plan, Recipe
from pipeline.errors import BadSetting
from pipeline.layers import Net, targets
from pipeline.meter import Held
from pipeline.prepared import Prepared, Split
from pipeline.quietly import Tensor, keras, tf
from pipeline.settings import (
    Adam,
    BinaryCrossEntropy,
    CrossEntropy,
    Engine,
    Mlp,
    Policy,
    Reduction,
    Settings,
    Sgd,
    Storage,
)
from pipeline.streams import stream

WARM_UP_STEPS = 20
"""Steps on throw-away state before the clock: the first few fault in memory."""

SCORED_AT_ONCE = 2**24
"""Numbers in the widest layer's output while scoring; more rows go through in portions."""


class Loop(Protocol):
    """A run in progress. Every call leaves the device at work; the meter waits for it."""

    def compile(self) -> None:
        """Make the first epoch start at once; does not change the run."""

    def warm_up(self) -> None:
        """A few steps on throw-away state."""

    def prepare(self, number: int) -> None:
        """Set the order and rates of epoch `number` (1-based)."""

    def run(self) -> Tensor:
        """Train the prepared epoch; the mean loss of its batches."""

    def score(self) -> tuple[float, float]:
        """Mean loss and accuracy on the validation split."""

    def parameters(self) -> Sequence[Tensor]:
        """[W1, b1, W2, b2, ...] as they are now; later epochs do not change what was returned."""


def start(
    settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray], held: Held, kind: Engine
) -> Loop:
    """A run at its beginning, samples on the device.

    Raises:
        BadSetting: a batch is larger than the training split.
        BadData: augmentation of samples that are no images.
    """
    check(settings, prepared)
    if kind is Engine.keras:
        return KerasLoop(settings, prepared, weights, held)
    return CompiledLoop(settings, prepared, weights, held, kind)


def check(settings: Settings, prepared: Prepared) -> None:
    """Raise what `start` raises, without a device."""
    rows = len(prepared.train.labels)
    if settings.train.batch_size > rows:
        raise BadSetting(
            f"train.batch_size must be <= {rows} (rows of the training split), "
            f"got {settings.train.batch_size}; set train.batch_size={rows} or less"
        )
    augment.changes(settings.augment, prepared.shape)


def describe(settings: Settings, prepared: Prepared) -> Net:
    """What shapes the network's code."""
    model = settings.model
    assert isinstance(model, Mlp)
    sizes = models.layer_sizes(settings, prepared)
    loss = settings.loss
    summed = isinstance(loss, BinaryCrossEntropy) and loss.reduction is Reduction.sum
    return Net(sizes, model.activation, model.output, type(loss), settings.precision.policy, summed)


def order(seed: int, number: int, rows: int, batch: int) -> np.ndarray:
    """Rows of each batch of epoch `number`, int32 [rows // batch, batch]."""
    shuffled = np.random.default_rng([seed, 1, number]).permutation(rows).astype(np.int32)
    return shuffled[: rows // batch * batch].reshape(-1, batch)


def on_device(split: Split, prepared: Prepared, wide: Tensor, scaled: bool) -> Data:
    """A split as tensors; `scaled`: now, once, in the wide type; else the raw numbers as they are."""
    features = tf.constant(np.asarray(split.features).reshape(len(split.labels), -1))
    shape = () if np.ndim(prepared.scaling.mean) == 0 else (-1,)
    mean, std = (
        tf.constant(np.reshape(part, shape), wide) for part in (prepared.scaling.mean, prepared.scaling.std)
    )
    if scaled:
        features = (tf.cast(features, wide) - mean) / std
    return Data(features, tf.constant(np.asarray(split.labels, np.int32)), mean, std)


def portions(rows: int, widest: int) -> list[slice]:
    """Slices of rows that can be scored at once."""
    most = max(1, SCORED_AT_ONCE // widest)
    return [slice(at, min(at + most, rows)) for at in range(0, rows, most)]


class CompiledLoop:
    """The whole epoch as one compiled function; see `engine`."""

    def __init__(
        self,
        settings: Settings,
        prepared: Prepared,
        weights: Sequence[np.ndarray],
        held: Held,
        kind: Engine,
    ) -> None:
        self._settings, self._place = settings, held.place
        self._recipe = self._make_recipe(prepared, held, kind)
        net = self._recipe.net
        with tf.device(self._place):
            self._data = on_device(prepared.train, prepared, net.wide, not self._recipe.scale_late)
            self._unseen = on_device(prepared.validation, prepared, net.wide, True)
            self._knobs = engine.knobs(settings, net.wide)
        self._state = engine.fresh_state(self._recipe, weights)
        steps = self._recipe.steps * settings.train.epochs
        self._rates = updates.learning_rates(settings.schedule, settings.optimizer.learning_rate, steps)
        self._epoch = engine.compiled_epoch(self._recipe)
        half_on_cpu = net.policy is Policy.mixed_float16 and held.kind == "cpu"
        self._score = engine.compiled_score(net, half_on_cpu)

    def _make_recipe(self, prepared: Prepared, held: Held, kind: Engine) -> Recipe:
        settings, rows = self._settings, len(prepared.train.labels)
        changes = augment.changes(settings.augment, prepared.shape)
        as_bytes = settings.preprocess.storage is Storage.uint8
        return Recipe(
            net=describe(settings, prepared),
            rule=updates.rule(settings.optimizer),
            rows=rows,
            batch=settings.train.batch_size,
            steps=rows // settings.train.batch_size,
            changes=changes,
            # Zero padding is zero in raw numbers, so changed samples are scaled after the change.
            scale_late=as_bytes or changes is not None,
            loss_scaled=settings.precision.loss_scale != 1,
            dropout=bool(getattr(settings.model, "dropout", 0.0)),
            xla=kind is Engine.xla,
            place=held.place,
        )

    def compile(self) -> None:
        self._take(steps=0)
        self.score()

    def warm_up(self) -> None:
        self._take(min(WARM_UP_STEPS, self._recipe.steps))

    def prepare(self, number: int) -> None:
        settings, recipe = self._settings, self._recipe
        first = (number - 1) * recipe.steps
        rates = self._rates[first : first + recipe.steps]
        with tf.device(self._place):
            self._plan = Plan(
                tf.constant(order(settings.train.seed, number, recipe.rows, recipe.batch)),
                tf.constant(updates.strides(settings.optimizer, rates, first), recipe.net.wide),
                tf.constant(updates.shrinks(settings.optimizer, rates), recipe.net.wide),
                tf.constant(first, tf.int64),
            )

    def run(self) -> Tensor:
        self._state, loss = self._take(self._recipe.steps)
        return loss

    def _take(self, steps: int) -> tuple[engine.State, Tensor]:
        with tf.device(self._place):
            taken: tuple[engine.State, Tensor] = self._traced(
                self._data, self._plan, tf.constant(steps), self._knobs, self._state
            )
        return taken

    @cached_property
    def _traced(self) -> Any:
        return self._epoch.get_concrete_function(
            self._data, self._plan, tf.constant(0), self._knobs, self._state
        )

    def score(self) -> tuple[float, float]:
        features, labels, *_ = self._unseen
        sums = np.zeros(2)
        with tf.device(self._place):
            for part in portions(len(labels), max(self._recipe.net.sizes)):
                scored = self._score(
                    features[part], labels[part], list(self._state.parameters), self._knobs.smoothing
                )
                sums += [float(each) for each in scored]
        return sums[0] / len(labels), sums[1] / len(labels)

    def parameters(self) -> Sequence[Tensor]:
        return self._state.parameters


class KerasLoop:
    """Plain `model.fit(shuffle=False)`, one epoch a call, for what the compiled loop cannot take."""

    def __init__(
        self, settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray], held: Held
    ) -> None:
        self._settings, self._place, self._net = settings, held.place, describe(settings, prepared)
        self._changes = augment.changes(settings.augment, prepared.shape)
        self._shape, self._rows = prepared.shape, len(prepared.train.labels)
        self._steps = self._rows // settings.train.batch_size
        with tf.device(self._place):
            self._data = on_device(prepared.train, prepared, self._net.wide, scaled=False)
            self._unseen = on_device(prepared.validation, prepared, self._net.wide, scaled=False)
            self._knobs = engine.knobs(settings, self._net.wide)
            built = models.build(settings, prepared, weights)
            # Up to the logits: Keras' losses are stable from there.
            self._model = keras.Model(built.input, built.get_layer(models.LOGITS).output)
            self._optimizer = self._make_optimizer()
            half_on_cpu = self._net.policy is Policy.mixed_float16 and held.kind == "cpu"
            self._model.compile(
                self._optimizer, self._make_loss(), jit_compile=half_on_cpu, auto_scale_loss=False
            )

    def _make_optimizer(self) -> Any:
        settings = self._settings
        rates = updates.learning_rates(
            settings.schedule, settings.optimizer.learning_rate, self._steps * settings.train.epochs
        )
        held_rates = tf.constant(rates, self._net.wide)

        def rate() -> Tensor:
            return tf.gather(held_rates, optimizer.iterations.value)

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

    def compile(self) -> None:
        self._optimizer.build(self._model.trainable_variables)
        self._throw_away(1)
        self.score()

    def warm_up(self) -> None:
        self._throw_away(min(WARM_UP_STEPS, self._steps))

    def _throw_away(self, steps: int) -> None:
        changed = [*self._model.variables, *self._optimizer.variables]
        before = [variable.numpy() for variable in changed]
        self._fit(self._epoch.take(steps))
        for variable, value in zip(changed, before, strict=True):
            variable.assign(value)

    def prepare(self, number: int) -> None:
        seed, size = self._settings.train.seed, self._settings.train.batch_size
        first = (number - 1) * self._steps
        with tf.device(self._place):
            rows = tf.constant(order(seed, number, self._rows, size))
            plan = Plan(rows, tf.zeros(0), tf.zeros(0), tf.constant(first, tf.int64))
        self._epoch = tf.data.Dataset.range(self._steps).map(lambda step: self._batch(plan, step))

    def _batch(self, plan: Plan, step: Tensor) -> tuple[Tensor, Tensor]:
        rows = tf.gather(plan.order, step)
        samples = tf.cast(tf.gather(self._data.features, rows), tf.float32)
        if self._changes:
            seed = stream(self._knobs.seed, 0, plan.first + step)
            samples = augment.change(self._changes, self._knobs.changes, seed, samples)
        wanted = targets(self._net, tf.gather(self._data.labels, rows), self._knobs.smoothing)
        return tf.reshape(samples, [self._settings.train.batch_size, *self._shape]), wanted

    def run(self) -> Tensor:
        return self._fit(self._epoch)

    def _fit(self, batches: Any) -> Tensor:
        with tf.device(self._place):
            return self._model.fit(batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]

    def score(self) -> tuple[float, float]:
        features, labels, *_ = self._unseen
        sums = np.zeros(2)
        for part in portions(len(labels), max(self._net.sizes)):
            samples = tf.reshape(features[part], [-1, *self._shape])
            logits = self._model.predict_on_batch(samples)
            sums += [
                float(each) for each in engine.tally(self._net, logits, labels[part], self._knobs.smoothing)
            ]
        return sums[0] / len(labels), sums[1] / len(labels)

    def parameters(self) -> Sequence[Tensor]:
        return [tf.constant(variable.numpy()) for variable in self._model.trainable_variables]
