"""Where runs are recorded and shown (conf/tracking, conf/ui)."""

import posixpath
import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.rules import require, require_name, shorten_name


class RecordInto(StrEnum):
    """Which run evaluate and profile record into: a run of their own, or that of the model they name."""

    own = "own"
    model = "model"


EXPERIMENT_BARRED = "'\"/:"
"""An experiment is a folder beside a local database, too."""
MODEL_BARRED = "'\"/:@"
"""A registered model is referred to as models:/NAME@ALIAS and models:/NAME/VERSION."""


MAX_TAG_KEY, MAX_TAG_VALUE = 250, 8000
"""Letters that MLflow keeps of a tag."""
PARENT_TAG = "mlflow.parentRunId"
TAGS_OF_MLFLOW = (PARENT_TAG, "mlflow.user")
"""Tags of MLflow's own that a person may set: the run to nest in, and whose run it is."""
OUR_TAGS = {
    *("beaten_by", "boot_id", "code.sha256", "command", "confirmed_run", "contended", "continued_fresh"),
    *(
        "continued_from",
        "continued_optimizer",
        "cores",
        "data.key",
        "data.sha256",
        "decision",
        "device",
        "discarded",
    ),
    *("ended", "engine", "fair_midway", "final_command", "frontier", "git.commit", "git.dirty"),
    *("heartbeat", "host", "kept", "knee", "objective", "objectives", "overrides", "pid", "pid_namespace"),
    *("pid_started", "pid_started_after_boot", "plot_order", "privacy", "reason", "remedy", "risk", "role"),
    *("single_point", "single_point.sentence", "stage", "study", "study_id", "test", "trial"),
    *("trial_state", "try", "validation", "walk"),
}
"""Tags that this program sets itself, and reads."""


@dataclass(slots=True)
class Tracking:
    """Where a run is recorded on the server that MLFLOW_TRACKING_URI names, and under which name.

    `tags`: of the user's own, on every run that is opened but for those that only draw a line.
    """

    experiment: str
    run_name: str | None
    register: str | None
    tags: dict[str, str]

    def __post_init__(self) -> None:
        require_name("tracking.experiment", self.experiment, EXPERIMENT_BARRED)
        require_name("tracking.run_name", self.run_name)
        require_name("tracking.register", self.register, MODEL_BARRED)
        for key, value in self.tags.items():
            _check_tag(key, value)


def _check_tag(key: str, value: str) -> None:
    """Raise BadSetting for a tag that MLflow refuses or cuts, or that has a meaning of its own."""
    of_ours = key in OUR_TAGS or (key.startswith("mlflow.") and key not in TAGS_OF_MLFLOW)
    also = f"; of MLflow's own only {' and '.join(TAGS_OF_MLFLOW)}" if key.startswith("mlflow.") else ""
    require(not of_ours, "tracking.tags", f"tags whose keys this program does not set itself{also}", key)
    is_path = posixpath.normpath(key) == key and not key.startswith(("..", "/")) and key != "."
    valid = bool(re.fullmatch(r"[/\w.\- :]+", key)) and is_path and len(key) <= MAX_TAG_KEY
    rule = f"tags with keys of at most {MAX_TAG_KEY} letters, digits and _-. :/"
    require(valid and key.strip() == key, "tracking.tags", rule, shorten_name(key))
    rule = f"tags with values of 1 to {MAX_TAG_VALUE} letters"
    is_text = isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_TAG_VALUE
    require(is_text, "tracking.tags", rule, f"{key}: {shorten_name(str(value))}")


@dataclass(slots=True)
class Ui:
    """The address that `ui` listens on."""

    host: str
    port: int

    def __post_init__(self) -> None:
        require(1 <= self.port <= 65535, "ui.port", ">= 1 and <= 65535", self.port)
