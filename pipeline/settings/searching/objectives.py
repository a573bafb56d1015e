"""The objectives of a search: an entry of `OBJECTIVES` each, with unit, direction and source of its values.

The first two are those of every study; the others can stand beside them, in any order.
"""

from dataclasses import dataclass

from pipeline.formatting import format_number, format_score
from pipeline.settings.searching.measures import UNDER_ATTACK


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveKind:
    """One thing that a search improves.

    `label`, `unit`: as tables and pictures name it; `maximise`: whether more is better, of a share 0..1;
    `source`: where its values come from; `metric`: their name in MLflow; `scale`: how many units of the
    objective are one of the metric; `grows`: whether it adds up from epoch to epoch; `varies`: whether it
    goes up and down instead; else all states of a trial have one value, which is measured before training.
    """

    name: str
    label: str
    unit: str
    source: str
    metric: str
    scale: float = 1.0
    maximise: bool = False
    grows: bool = False
    varies: bool = False

    @property
    def is_by_epoch(self) -> bool:
        """Return whether it has another value after each epoch."""
        return self.grows or self.varies

    @property
    def heading(self) -> str:
        """Return label and unit, for a column or an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def to_cost(self, value: float) -> float:
        """Return a value as a cost, the smaller the better: of a share what is missing to 1."""
        return 1 - value if self.maximise else value

    def to_value(self, cost: float) -> float:
        """Return the value that has this cost."""
        return 1 - cost if self.maximise else cost

    def format(self, cost: float, with_unit: bool = True) -> str:
        """Format a cost as its value."""
        value = self.to_value(cost)
        number = format_score(value) if self.maximise else format_number(value)
        return f"{number} {self.unit}" if with_unit and self.unit else number


ACCURACY, COST, EPSILON = "accuracy", "cost", "epsilon"
FIRST = (ACCURACY, COST)

OBJECTIVES = {
    objective.name: objective
    for objective in (
        ObjectiveKind(
            name=ACCURACY,
            label="accuracy",
            unit="",
            source="the validation split; search.objective says whether its samples are changed",
            metric="accuracy",
            maximise=True,
        ),
        ObjectiveKind(
            name=COST,
            label="device-seconds",
            unit="",
            source="the clock of the device that trains",
            metric="cpu_seconds or gpu_seconds",
            grows=True,
        ),
        ObjectiveKind(
            name="latency_ms",
            label="latency",
            unit="ms",
            source="answers to one sample each: the least median of five rounds",
            metric="profile/latency_p50_ms",
        ),
        ObjectiveKind(
            name="parameters",
            label="parameters",
            unit="",
            source="the network as it is built",
            metric="profile/parameters",
        ),
        ObjectiveKind(
            name="size_mb",
            label="model size",
            unit="MB",
            source="the saved file of the network",
            metric="profile/model_bytes",
            scale=1e-6,
        ),
        ObjectiveKind(
            name="memory_mb",
            label="memory",
            unit="MB",
            source="TensorFlow's allocator, at its peak while the largest of profile.batch_sizes is answered",
            metric="profile/peak_memory_bytes",
            scale=1e-6,
        ),
        ObjectiveKind(
            name="energy_joules",
            label="energy",
            unit="J",
            source="the counters of the device that trains (RAPL, NVML), while it takes training steps",
            metric="train/energy_joules",
            grows=True,
        ),
        ObjectiveKind(
            name="estimated_joules",
            label="estimated energy",
            unit="J",
            source="price.watts x the seconds of its use, where the device that trains tells no energy",
            metric="train/estimated_joules",
            grows=True,
        ),
        ObjectiveKind(
            name=EPSILON,
            label="epsilon",
            unit="",
            source="the account of the private steps (privacy=dp_sgd), for privacy.delta",
            metric=EPSILON,
            grows=True,
        ),
        ObjectiveKind(
            name=UNDER_ATTACK,
            label="accuracy under attack",
            unit="",
            source="the validation split, moved against the network as evaluate.attack says",
            metric=UNDER_ATTACK,
            maximise=True,
            varies=True,
        ),
    )
}
FURTHER = tuple(name for name in OBJECTIVES if name not in FIRST)
"""Objectives that may stand beside accuracy and cost."""
ENERGY = "energy"
"""Stands for whichever of the next two the device that trains can give."""
MEASURED_ENERGY, ESTIMATED_ENERGY = KINDS_OF_ENERGY = ("energy_joules", "estimated_joules")
MOST = 4
"""Objectives of one search: with more, almost nothing dominates anything."""
