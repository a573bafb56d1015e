"""One run of training, an epoch a call: the compiled loop, or Keras' own `fit` over the same batches.

Both take the same rows in the same order at the same rates, so they find the same weights. Only dropout
differs: Keras draws its masks itself. Rows that do not fill the last batch sit out that epoch.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.hardware.device import Held
from pipeline.settings.preprocess import Storage
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, Policy
from pipeline.training import augmentation, compiled_epoch, keras_loop, mlp_gradients, optimizer_steps
from pipeline.training.compiled_epoch import Recipe
from pipeline.training.device_data import Data, Plan, describe, order, portions, resident
from pipeline.training.mlp_gradients import Net


class Loop(Protocol):
    """A run in progress. Every call leaves the device at work; the meter waits for it."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""

    def compile(self) -> None:
        """Make the first epoch start at once; does not change the run."""

    def warm_up(self) -> None:
        """A few steps on throw-away state."""

    def rehearse(self, steps: int) -> None:
        """`steps` steps of the prepared epoch on throw-away state."""

    def prepare(self, number: int) -> None:
        """Set the order and rates of epoch `number` (1-based)."""

    def run(self) -> Tensor:
        """Train the prepared epoch; the mean loss of its batches."""

    def score(self) -> tuple[float, float]:
        """Mean loss and accuracy on the validation split."""

    def parameters(self) -> Sequence[Tensor]:
        """[W1, b1, W2, b2, ...] as they are now; later epochs do not change what was returned."""

    def go_on(self, epochs: int, steps: int) -> None:
        """So many epochs and steps were taken before the first of this run."""

    def state(self) -> tuple[np.ndarray, ...]:
        """Everything that the next epoch starts from, in an order of this loop's own."""

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Go on from what `state` gave."""


def start_loop(
    settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray], held: Held, kind: Engine
) -> "CompiledLoop | keras_loop.KerasLoop":
    """A run at its beginning, samples on the device.

    Raises:
        BadSetting: a batch is larger than the training split.
        BadData: augmentation of samples that are no images.
    """
    check_loop(settings, prepared)
    if kind is Engine.keras:
        return keras_loop.KerasLoop(settings, prepared, weights, held)
    return CompiledLoop(settings, prepared, weights, held, kind)


def check_loop(settings: Settings, prepared: Prepared) -> None:
    """Raise what `start` raises, without a device."""
    rows = len(prepared.train.labels)
    if settings.train.batch_size > rows:
        raise BadSetting(
            f"train.batch_size must be <= {rows} (rows of the training split), "
            f"got {settings.train.batch_size}; set train.batch_size={rows} or less"
        )
    augmentation.changes(settings.augment, prepared.shape)


ScoreFunction = Callable[[Tensor, Tensor, Sequence[Tensor], Tensor], tuple[Tensor, Tensor]]


@lru_cache(maxsize=compiled_epoch.KEPT)
def compiled_score(net: Net, xla: bool) -> ScoreFunction:
    """A function of (features, labels, parameters, smoothing): sum of losses, number of right answers."""

    def score(
        features: Tensor, labels: Tensor, parameters: Sequence[Tensor], smoothing: Tensor
    ) -> tuple[Tensor, Tensor]:
        return mlp_gradients.tally(
            net, mlp_gradients.forward(net, parameters, features).logits, labels, smoothing
        )

    wide, sizes = net.wide, net.sizes
    parameters = [tf.TensorSpec(shape, wide) for pair in pairwise(sizes) for shape in (pair, pair[1:])]
    function: ScoreFunction = tf.function(
        score, jit_compile=xla or None, autograph=False
    ).get_concrete_function(
        tf.TensorSpec([None, sizes[0]], wide),
        tf.TensorSpec([None], tf.int32),
        parameters,
        tf.TensorSpec([], wide),
    )
    return function


class Inside(NamedTuple):
    """The arguments of a compiled epoch; see `engine.compiled_epoch`."""

    recipe: Recipe
    data: Data
    plan: Plan
    knobs: compiled_epoch.Knobs
    state: compiled_epoch.State
    desk: compiled_epoch.State | None


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
        self._epochs_before = self._steps_before = 0
        self._recipe = self._make_recipe(prepared, held, kind)
        net = self._recipe.net
        with tf.device(self._place):
            # The first product narrows its samples anyway; on the device they take half the room then.
            lie_as = None if self._recipe.scale_late else net.narrow
            self._data = resident(prepared.train, prepared, net.wide, lie_as, self._place)
            self._unseen = resident(prepared.validation, prepared, net.wide, net.wide, self._place)
            self._knobs = compiled_epoch.knobs(settings, net.wide)
        self._state = compiled_epoch.fresh_state(self._recipe, weights)
        self._desk = compiled_epoch.desk_for(self._recipe, self._state)
        steps = self._recipe.steps * settings.train.epochs
        self._rates = optimizer_steps.learning_rates(
            settings.schedule, settings.optimizer.learning_rate, steps
        )
        self._epoch = compiled_epoch.compiled_epoch(self._recipe)
        self._scored_by_xla = net.policy is Policy.mixed_float16 and held.kind == "cpu"

    def _make_recipe(self, prepared: Prepared, held: Held, kind: Engine) -> Recipe:
        settings, rows = self._settings, len(prepared.train.labels)
        changes = augmentation.changes(settings.augment, prepared.shape)
        as_bytes = settings.preprocess.storage is Storage.uint8
        return Recipe(
            net=describe(settings, prepared),
            rule=optimizer_steps.rule(settings.optimizer),
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

    @property
    def steps(self) -> int:
        return self._recipe.steps

    @property
    def inside(self) -> "Inside":
        """What the prepared epoch works on, for whoever wants to time a part of it."""
        return Inside(self._recipe, self._data, self._plan, self._knobs, self._state, self._desk)

    @cached_property
    def _score(self) -> ScoreFunction:
        return compiled_score(self._recipe.net, self._scored_by_xla)

    def compile(self) -> None:
        self.take(steps=0)
        self._score_part(slice(0, 1))  # a plain graph serves any number of rows
        if self._scored_by_xla:
            self.score()

    def warm_up(self) -> None:
        self.rehearse(compiled_epoch.warm_up_steps(self._recipe.batch, self._recipe.steps))

    def rehearse(self, steps: int) -> None:
        self.take(steps)

    def prepare(self, number: int) -> None:
        settings, recipe = self._settings, self._recipe
        first = (number - 1) * recipe.steps
        rates = self._rates[first : first + recipe.steps]
        epoch, before = self._epochs_before + number, self._steps_before + first
        with tf.device(self._place):
            self._plan = Plan(
                tf.constant(order(settings.train.seed, epoch, recipe.rows, recipe.batch)),
                tf.constant(optimizer_steps.strides(settings.optimizer, rates, before), recipe.net.wide),
                tf.constant(optimizer_steps.shrinks(settings.optimizer, rates), recipe.net.wide),
                tf.constant(before, tf.int64),
            )

    def go_on(self, epochs: int, steps: int) -> None:
        self._epochs_before, self._steps_before = epochs, steps

    def run(self) -> Tensor:
        self._state, loss = self.take(self._recipe.steps)
        return loss

    def take(self, steps: int) -> tuple[compiled_epoch.State, Tensor]:
        with tf.device(self._place):
            taken: tuple[compiled_epoch.State, Tensor] = self._traced(
                self._data, self._plan, tf.constant(steps), self._knobs, self._state, self._desk
            )
        return taken

    @cached_property
    def _traced(self) -> Any:
        return self._epoch.get_concrete_function(
            self._data, self._plan, tf.constant(0), self._knobs, self._state, self._desk
        )

    def score(self) -> tuple[float, float]:
        rows = len(self._unseen.labels)
        sums = np.zeros(2)
        for part in portions(rows, max(self._recipe.net.sizes)):
            sums += [float(each) for each in self._score_part(part)]
        return sums[0] / rows, sums[1] / rows

    def _score_part(self, part: slice) -> tuple[Tensor, Tensor]:
        features, labels, *_ = self._unseen
        with tf.device(self._place):
            return self._score(
                features[part], labels[part], list(self._state.parameters), self._knobs.smoothing
            )

    def parameters(self) -> Sequence[Tensor]:
        return self._state.parameters

    def state(self) -> tuple[np.ndarray, ...]:
        return tuple(tensor.numpy() for tensor in tf.nest.flatten(self._state))

    def restore(self, state: Sequence[np.ndarray]) -> None:
        with tf.device(self._place):
            tensors = [tf.constant(array) for array in state]
        self._state = tf.nest.pack_sequence_as(self._state, tensors)
