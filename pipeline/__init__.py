"""Fulcrum: finds the point where accuracy pays for its GPU-seconds.

    import fulcrum_ml as fulcrum

    study = fulcrum.sweep("data=mnist", space={"model.hidden": (16, 1024, "log")}, budget="2 min")
    study.knee().command

What is listed in `__all__` is meant to be used by other programs; it is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.cli.library.calls import open_run, open_study, run, sweep
    from pipeline.cli.library.study import Study
    from pipeline.cli.library.values import StudyPoint, TrainedRun
    from pipeline.errors import FulcrumError
    from pipeline.measures import Point
    from pipeline.trial.loop_clock import not_counted

__version__ = "0.1.0"

__all__ = [
    "FulcrumError",
    "Point",
    "Study",
    "StudyPoint",
    "TrainedRun",
    "not_counted",
    "open_run",
    "open_study",
    "run",
    "sweep",
]

_HOMES = {
    "FulcrumError": "pipeline.errors",
    "Point": "pipeline.measures",
    "TrainedRun": "pipeline.cli.library.values",
    "Study": "pipeline.cli.library.study",
    "StudyPoint": "pipeline.cli.library.values",
    "not_counted": "pipeline.trial.loop_clock",
    "open_run": "pipeline.cli.library.calls",
    "open_study": "pipeline.cli.library.calls",
    "run": "pipeline.cli.library.calls",
    "sweep": "pipeline.cli.library.calls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
