"""What must be the same for all trials of a study: written down with the first one, checked ever after."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import BadSetting
from pipeline.formatting import shorten
from pipeline.search.storage.our_studies import (
    ABOUT,
    METRIC_NAMES,
    OBJECTIVE_NAMES,
    make_directions,
    name_metrics,
)
from pipeline.secrets import mask_all
from pipeline.settings.searching.objectives import FIRST

SETTINGS = "settings"
MAX_TEXT = 160
"""Letters of a setting in a message."""


def bind_settings(storage: Any, study_id: int, name: str, about: Mapping[str, Any]) -> None:
    """Write down `about` in a study that has nothing yet, else check that it is what was written down.

    Raises:
        BadSetting: the study was begun with another space, other settings or another device.
    """
    recorded = storage.get_study_user_attrs(study_id).get(ABOUT)
    directions = len(storage.get_study_directions(study_id))
    if not recorded and directions == len(make_directions(about)):
        storage.set_study_user_attr(study_id, ABOUT, dict(about))
        _name_metrics(storage, study_id, about)
        return
    two = {OBJECTIVE_NAMES: list(FIRST)}  # studies of just these do not say so
    about = two | dict(about)
    recorded = two | (recorded or {**about, OBJECTIVE_NAMES: f"{directions} of them"})
    about, recorded = _mask_settings(about), _mask_settings(recorded)
    differing = [key for key in about if recorded.get(key) != about[key]]
    if differing:
        key = differing[0]
        before, now = (shorten(str(values.get(key)), MAX_TEXT) for values in (recorded, about))
        raise BadSetting(
            f"search.study={name} was begun with {key} {before}, got {now}; "
            "start anew with search.study=NAME, or leave it as it was"
        )
    # Of a new study, or of one that was killed before.
    _name_metrics(storage, study_id, about)


def _mask_settings(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mask the secrets of the settings, which earlier releases wrote down as they were typed."""
    return {**about, SETTINGS: mask_all(about[SETTINGS])} if SETTINGS in about else about


def _name_metrics(storage: Any, study_id: int, about: Mapping[str, Any]) -> None:
    """Name the objectives for Optuna's own plots and dashboard, where they have no names yet."""
    if METRIC_NAMES not in storage.get_study_system_attrs(study_id):
        storage.set_study_system_attr(study_id, METRIC_NAMES, name_metrics(about))
