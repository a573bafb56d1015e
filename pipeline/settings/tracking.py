"""Where runs are recorded and shown."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require


class RecordInto(StrEnum):
    own = "own"
    model = "model"


@dataclass(slots=True)
class Tracking:
    """Where a run is recorded, beside MLFLOW_TRACKING_URI."""

    experiment: str
    run_name: str | None
    register: str | None


@dataclass(slots=True)
class Ui:
    """Where `ui` listens."""

    host: str
    port: int

    def __post_init__(self) -> None:
        require(1 <= self.port <= 65535, "ui.port", ">= 1 and <= 65535", self.port)
