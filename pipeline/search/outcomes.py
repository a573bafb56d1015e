"""What a study keeps of a trial that has ended, as plain values."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial

from pipeline.search.space import read_searched_values, strip_condition
from pipeline.search.storage.our_studies import FURTHER
from pipeline.search.storage.trial_states import SPENT
from pipeline.settings.command_line import CommandLine

if TYPE_CHECKING:  # a frontier is shown without TensorFlow
    from pipeline.search.workers.job import TrialOutcome


CONFIRM = "confirm"
"""Attribute of a row of `StudyStore.task_queue`: the trial, epoch and seed that it confirms."""


def get_trial_name(row: FrozenTrial) -> str:
    """Return the name of a row of the study, or of its task queue."""
    return f"{CONFIRM} {row.number}" if CONFIRM in row.user_attrs else str(row.number)


def make_outcome(
    command_line: CommandLine, run_id: str | None, ended: "TrialOutcome", keys: Sequence[str]
) -> dict[str, Any]:
    """Return what is kept of a trial as plain values. `keys`: those that are searched."""
    curve = ended.curve
    further = {name: list(values) for name, values in ended.further.items()}
    return {
        "state": ended.status,
        "reason": ended.reason,
        "run_id": run_id,
        "command": command_line.name_engine(ended.engine).command_line("run"),
        "params": read_searched_values(command_line, keys),
        "curve": [
            [number, round(point.device_seconds, 9), round(point.accuracy, 9)]
            for number, point in enumerate(ended.points, start=1)
        ],
        "fair_midway": command_line.settings.fair_midway,
        "paid_seconds": ended.paid_seconds,
        "device": curve.device if curve else "",
        "ended": time.time(),
        "latency_p99_ms": ended.latency_p99_ms,
        "parameters": ended.parameters,
        "test_accuracy": ended.test_accuracy,
        **({FURTHER: further} if further else {}),
    }


def make_failed_outcome(row: FrozenTrial, reason: str, command: str, run_id: str | None) -> dict[str, Any]:
    """Return the outcome of a trial that this process has not run to its end, `row`, which has failed."""
    return {
        "state": "failed",
        "reason": reason,
        "run_id": run_id,
        "command": command,
        "params": {strip_condition(name): value for name, value in row.params.items()},
        "curve": [],
        "fair_midway": False,
        "paid_seconds": row.user_attrs.get(SPENT, 0.0),
        "device": "",
        "ended": time.time(),
        "test_accuracy": None,
    }
