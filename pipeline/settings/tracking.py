"""Where runs are recorded and shown (conf/tracking, conf/ui)."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require, require_name


class RecordInto(StrEnum):
    """Which run evaluate and profile record into: a run of their own, or that of the model they name."""

    own = "own"
    model = "model"


EXPERIMENT_BARRED = "'\"/:"
"""An experiment is a folder beside a local database, too."""
MODEL_BARRED = "'\"/:@"
"""A registered model is referred to as models:/NAME@ALIAS and models:/NAME/VERSION."""


@dataclass(slots=True)
class Tracking:
    """Where a run is recorded on the server that MLFLOW_TRACKING_URI names, and under which name."""

    experiment: str
    run_name: str | None
    register: str | None

    def __post_init__(self) -> None:
        require_name("tracking.experiment", self.experiment, EXPERIMENT_BARRED)
        require_name("tracking.run_name", self.run_name)
        require_name("tracking.register", self.register, MODEL_BARRED)


@dataclass(slots=True)
class Ui:
    """The address that `ui` listens on."""

    host: str
    port: int

    def __post_init__(self) -> None:
        require(1 <= self.port <= 65535, "ui.port", ">= 1 and <= 65535", self.port)
