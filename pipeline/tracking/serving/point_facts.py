"""What a study knows of a point of its frontier, for the card of its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PointFacts:
    """What a study knows of a point.

    `command`: what trains to it; `note`: a line of its figures; `spent`: what the training of its weights has
    cost, by metric; `accuracy`: of the point itself, by its own seed alone.
    """

    command: str
    note: str
    is_confirmed: bool
    spent: Mapping[str, float] = field(default_factory=dict)
    accuracy: float | None = None
