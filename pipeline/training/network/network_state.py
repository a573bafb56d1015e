"""What a compiled epoch of a network is made of, and its state as arrays in the order of Keras."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.training.augmentation import ImageChanges
from pipeline.training.device_data import DeviceData, EpochPlan
from pipeline.training.optimizers import UpdateRule
from pipeline.training.perceptron.epoch_spec import HyperParameters
from pipeline.training.perceptron.mlp_gradients import NetworkSpec


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


def get_wide(dtype: Any) -> Any:
    """Return the type of the slots of a variable of `dtype`, in which its steps are computed."""
    return tf.float32 if dtype.size < tf.float32.size else dtype


def make_state(spec: NetworkEpochSpec, model: Any) -> NetworkState:
    """Return the state at the beginning of a run: the model's variables and slots of zero."""
    with tf.device(spec.tf_device):
        trained, others = (
            tuple(tf.constant(variable.numpy()) for variable in variables)
            for variables in (model.trainable_variables, model.non_trainable_variables)
        )
        slots = tuple((tf.zeros(value.shape, get_wide(value.dtype)),) * spec.rule.slots for value in trained)
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
        slots = tuple(
            tuple(tf.cast(next(flat), get_wide(value.dtype)) for _ in range(spec.rule.slots))
            for value in trained
        )
    return NetworkState(trained, others, slots), int(arrays[count])


def get_weights(state: NetworkState, model: Any) -> list[Tensor]:
    """Return the values in the order of the model's `get_weights`."""
    values = _map_variables(model, state)
    return [values[id(variable)] for variable in model.weights]


def _map_variables(model: Any, state: NetworkState) -> dict[int, Tensor]:
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    return dict(zip(map(id, variables), [*state.trained, *state.others], strict=True))
