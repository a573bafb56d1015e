"""Where runs are recorded and shown (conf/tracking, conf/ui)."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require


class RecordInto(StrEnum):
    """Which run evaluate and profile record into: a run of their own, or that of the model they name."""

    own = "own"
    model = "model"


@dataclass(slots=True)
class Tracking:
    """Where a run is recorded on the server that MLFLOW_TRACKING_URI names, and under which name."""

    experiment: str
    run_name: str | None
    register: str | None


@dataclass(slots=True)
class Ui:
    """The address that `ui` listens on."""

    host: str
    port: int

    def __post_init__(self) -> None:
        require(1 <= self.port <= 65535, "ui.port", ">= 1 and <= 65535", self.port)
