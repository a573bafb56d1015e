"""The further objectives of a search, measured on one trial: before it trains, or as the device counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.data.prepared import Prepared
from pipeline.errors import BadSetting
from pipeline.measures import Curve
from pipeline.models import keras_models, litert
from pipeline.models.predictor import make_predictor
from pipeline.profiling.profile import (
    make_batch,
    measure_latency,
    measure_peak_memory,
    measure_saved_bytes,
)
from pipeline.settings.measuring import Runtime
from pipeline.settings.searching.measures import UNDER_ATTACK
from pipeline.settings.searching.objectives import (
    EPSILON,
    ESTIMATED_ENERGY,
    MEASURED_ENERGY,
    OBJECTIVES,
    ObjectiveKind,
)
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from keras import Model

    from pipeline.profiling.profile import Predict

MOST_CALLS, ROUNDS = 200, 5
"""Timed calls for one latency in a search, and the rounds that they are divided into."""
OF_THE_ALLOCATOR = "allocator"


@dataclass(frozen=True)
class UntrainedNetwork:
    """A network as it is before training: what it costs to use does not depend on its weights."""

    settings: Settings
    data: Prepared

    @cached_property
    def model(self) -> "Model":
        """Return the Keras model, from raw samples to probabilities."""
        return keras_models.build_model(self.settings, self.data)

    @cached_property
    def predict(self) -> "Predict":
        """Return what answers n raw samples."""
        return make_predictor(self.model)

    def measure_latency_ms(self) -> float:
        """Return the milliseconds of one answer, by `profile.runtime`, with two significant digits.

        The least median of some rounds: others on the machine can only add to it. What is finer than two
        digits is noise, and would put every repetition of one network on the frontier.
        """
        choices = self.settings.profile
        compiled = choices.runtime is Runtime.compiled
        single = self.predict if compiled else litert.make_predictor_for(self.model, choices.runtime)
        calls = max(1, min(choices.repeats, MOST_CALLS) // ROUNDS)
        medians = [
            measure_latency(single, self.data.test.samples, calls, choices.warmup if not number else 0).p50_ms
            for number in range(ROUNDS)
        ]
        return float(f"{min(medians):.2g}")

    def count_parameters(self) -> float:
        """Return the count of the numbers that training changes."""
        return float(keras_models.count_parameters(self.settings, self.data))

    def measure_size_mb(self) -> float:
        """Return the megabytes of the saved file."""
        return measure_saved_bytes(self.model) * OBJECTIVES["size_mb"].scale

    def measure_memory_mb(self) -> float:
        """Return the megabytes to answer the largest batch of `profile.batch_sizes`.

        Raises:
            BadSetting: nobody counts them on this device.
        """
        batch = make_batch(self.data.test.samples, max(self.settings.profile.batch_sizes))
        size, source = measure_peak_memory(self.model, self.predict, batch)
        if not source.startswith(OF_THE_ALLOCATOR):
            raise BadSetting(_explain_unreadable("memory_mb", "TensorFlow counts no memory on this device"))
        return size * OBJECTIVES["memory_mb"].scale


MEASURES: Mapping[str, Callable[[UntrainedNetwork], float]] = {
    "latency_ms": UntrainedNetwork.measure_latency_ms,
    "parameters": UntrainedNetwork.count_parameters,
    "size_mb": UntrainedNetwork.measure_size_mb,
    "memory_mb": UntrainedNetwork.measure_memory_mb,
}
"""What each objective is measured by that has one value for all states of a trial."""

COUNTERS: Mapping[str, Callable[[Curve], Sequence[float | None]]] = {
    MEASURED_ENERGY: lambda curve: curve.list_joules(estimated=False),
    ESTIMATED_ENERGY: lambda curve: curve.list_joules(estimated=True),
    EPSILON: lambda curve: [epoch.epsilon for epoch in curve.epochs],
    UNDER_ATTACK: lambda curve: [epoch.accuracy_under_attack for epoch in curve.epochs],
}
"""What each objective that has a value for each epoch has come to after it."""


def measure_network(kinds: Sequence[ObjectiveKind], settings: Settings, data: Prepared) -> dict[str, float]:
    """Measure by name what is the same for all states of a trial; to be called before it trains.

    Raises:
        BadSetting: a value cannot be read on this device.
    """
    network = UntrainedNetwork(settings, data)
    return {kind.name: MEASURES[kind.name](network) for kind in kinds if not kind.is_by_epoch}


def list_costs(
    kinds: Sequence[ObjectiveKind], of_network: Mapping[str, float], curve: Curve
) -> dict[str, tuple[float, ...]]:
    """List the values of each objective after each epoch of `curve`; one value where all are the same.

    `of_network`: what `measure_network` returned. An objective of which a value is missing is left out.
    """
    values: dict[str, tuple[float, ...]] = {}
    for kind in kinds:
        if not kind.is_by_epoch:
            values[kind.name] = (of_network[kind.name],)
            continue
        counted = COUNTERS[kind.name](curve)
        known = tuple(value for value in counted if value is not None)
        if len(known) == len(counted):
            values[kind.name] = known
    return values


def _explain_unreadable(name: str, why: str) -> str:
    return f"search.objectives must be what this machine can measure, got {name}: {why}; leave {name} out"
