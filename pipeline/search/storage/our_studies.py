"""What a study, its rows and its objectives look like where this product has made them."""

from collections.abc import Mapping
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from pipeline.settings.searching.measures import ACCURACY_MEASURE, find_measure
from pipeline.settings.searching.objectives import COST, FIRST, OBJECTIVES

OWNER, ONCE, OUTCOME, ABOUT = "owner", "once", "outcome", "about"

STUDY_ATTRS: dict[str, type] = {
    **dict.fromkeys((ABOUT, "data", "tracking", "validation"), dict),
    "identity": str,
    "named": str,
    "page": str,
    "unit": list,
}
"""What a study of ours may have as attributes, and their types; another program may use the same words."""

DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
"""Accuracy, device-seconds; a study may have further objectives behind them."""

FURTHER = "further"
"""In an outcome: name -> values after each epoch, or one for all, of each objective beside the first two."""

METRIC_NAMES = "study:metric_names"
"""Optuna's own attribute of a study: what its objectives are called in plots and tables."""

TASK_KEY = "fulcrum:task:"
"""Begins the names of a study's system attributes that are tasks: see `task_rows`."""

OBJECTIVE_NAMES = "objectives"
"""In what is written down about a study: the names of its objectives, where there are more than two."""


def explain_foreign(storage: Any, study_id: int) -> str | None:
    """Explain why a study is none of ours: another program made it, or writes into it; None for ours."""
    directions = [StudyDirection(direction) for direction in storage.get_study_directions(study_id)]
    if directions[: len(DIRECTIONS)] != DIRECTIONS:
        names = ", ".join(direction.name.lower() for direction in directions)
        return f"its directions are {names}, ours are maximize, minimize"
    attrs = storage.get_study_user_attrs(study_id)
    for key, kind in STUDY_ATTRS.items():
        if not isinstance(attrs.get(key, kind()), kind):
            return f"its attribute {key} is not what we write there"
    if not attrs.get("identity", "0").isalnum():  # it names a folder
        return "its attribute identity is not what we write there"
    if ABOUT in attrs:
        return None
    rows = storage.get_all_trials(study_id, deepcopy=False)
    if not all(map(is_our_row, rows)):
        return "its trials have no outcome of ours"
    return None if rows else "another program has begun it"


def make_directions(about: Mapping[str, Any] | None) -> list[StudyDirection]:
    """Make the directions of a study from what is written down about it; see `OBJECTIVES`."""
    names = (about or {}).get(OBJECTIVE_NAMES, FIRST)
    further = [OBJECTIVES[name].maximise for name in names[len(FIRST) :]]
    return DIRECTIONS + [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in further]


def name_metrics(about: Mapping[str, Any]) -> list[str]:
    """Name the objectives of a study for Optuna's own plots and tables."""
    further = about.get(OBJECTIVE_NAMES, FIRST)[len(FIRST) :]
    accuracy = find_measure(about.get("objective", ACCURACY_MEASURE.name)).label
    return [accuracy, OBJECTIVES[COST].heading, *(OBJECTIVES[name].heading for name in further)]


def is_our_row(row: FrozenTrial) -> bool:
    """Return whether this product made the row; another program may use one of the words for its own.

    Every trial of ours has one of the three from its first moment, also in studies of version 0.1.0.
    """
    owner, once, outcome = (row.user_attrs.get(key) for key in (OWNER, ONCE, OUTCOME))
    has_outcome = isinstance(outcome, dict) and "curve" in outcome
    return has_outcome or isinstance(owner, dict) or isinstance(once, str)
