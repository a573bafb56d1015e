"""All trials of a study for other programs, and one of them by its number."""

import csv
import io
import math
import shlex
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput
from pipeline.files import expand_home, write_content
from pipeline.formatting import format_count, format_duration

if TYPE_CHECKING:
    from pipeline.measures import Point
    from pipeline.search.results import Results
    from pipeline.search.study_trial import StudyTrial


PAGE_FILE = "page"
"""Attribute of a study: the file of the page that its sweep writes, on the machine that began it last."""


def list_trials(results: "Results") -> list[dict[str, Any]]:
    """Return each trial as plain values, in order of their numbers.

    `curve`: device-seconds, accuracy and the further values by epoch, None for what is not known.
    """
    return [
        {
            "number": trial.number,
            "state": trial.state,
            "reason": trial.reason,
            "run_id": trial.run_id,
            "paid_device_seconds": trial.paid_seconds,
            "params": dict(trial.params),
            "curve": [[*map(_make_plain, _list_state(point, results))] for point in trial.curve],
            "command": trial.command,
        }
        for trial in _sort_trials(results)
    ]


def format_csv(results: "Results") -> str:
    """Return a table with a row for each trial: its last state, its searched settings, its command.

    Accuracy and cost are empty where a trial has no state; settings that a trial does not have are empty.
    """
    trials = _sort_trials(results)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    further = [kind.name for kind in results.further]
    heads = ["trial", "state", "reason", "epochs", "accuracy", "device_seconds", *further]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*heads, "paid_device_seconds", *keys, "run_id", "command"])
    for trial in trials:
        last = trial.curve[-1] if trial.curve else None
        seconds, accuracy, *values = _list_state(last, results) if last else [math.nan] * (2 + len(further))
        state = map(_make_plain, (accuracy, seconds, *values))
        params = [_write_setting(trial.params[key]) if key in trial.params else "" for key in keys]
        about = [trial.number, trial.state, trial.reason, len(trial.curve)]
        writer.writerow([*about, *state, trial.paid_seconds, *params, trial.run_id, trial.command])
    return file.getvalue().rstrip("\n")


def describe_trial(results: "Results", number: int) -> str:
    """Return what became of one trial, its settings and the command that repeats it, a line each.

    Raises:
        BadInput: the study has no such trial.
    """
    trials = {trial.number: trial for trial in results.trials}
    if number not in trials:
        there = f"{min(trials)} to {max(trials)}" if trials else "none"
        raise BadInput(
            f"the trial must be one of {there} of study {results.study}, got {number}; "
            f"see them all with: python -m pipeline frontier --study {shlex.quote(results.study)} --csv"
        )
    trial = trials[number]
    state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
    lines = [f"trial {number} of {results.study}: {state}"]
    if trial.curve:
        last = trial.curve[-1]
        lines[0] += (
            f", {results.measure.format(last.accuracy)} validation at "
            f"{format_duration(last.device_seconds)} of {trial.device} after "
            f"{format_count(len(trial.curve), 'epoch')}"
        )
    lines.append(" ".join(f"{key}={_format_value(value)}" for key, value in trial.params.items()))
    lines += [f"run {trial.run_id}"] if trial.run_id else []
    return "\n".join([*filter(None, lines), trial.command])


def write_page(
    results: "Results", file: str | None, is_opened: bool, overlay: "Results | None" = None
) -> None:
    """Write the interactive page of a study into `file`, a new folder where that is None, and say where.

    `overlay`: a study whose frontier is drawn, too.

    Raises:
        BadInput: the file cannot be written, or the accuracies of the overlay are of another measure.
    """
    from pipeline.reports.study_html import render_frontier

    if overlay is not None and overlay.objective != results.objective:
        raise BadInput(
            f"--overlay must be a study of {results.measure.label}, as {results.study} is, "
            f"got {overlay.study} of {overlay.measure.label}; name another"
        )
    path = expand_home(file) if file else Path(tempfile.mkdtemp(prefix="fulcrum-")) / f"{results.study}.html"
    try:
        write_content(path, render_frontier(results, overlay=overlay))
    except OSError as error:
        raise BadInput(
            f"--html must be a file that can be written, got {file} ({error.strerror}); name another"
        ) from None
    show_page(results.study, path, is_opened)


def show_page(study: str, path: Path, is_opened: bool) -> None:
    """Say where the page of a study is, and open it where that is asked for."""
    print(f"{study}: {path.absolute()}")
    if is_opened and not webbrowser.open(path.absolute().as_uri()):
        print("no browser was found here; open the file in one")


def _list_state(point: "Point", results: "Results") -> list[float]:
    """List device-seconds, accuracy and the further values: a share as such, not what is missing to 1."""
    values = (kind.to_value(cost) for kind, cost in zip(results.further, point.further, strict=True))
    return [point.device_seconds, point.accuracy, *values]


def _make_plain(value: float) -> float | None:
    """Return a number as JSON has it: None for what is none, as a cost that was not measured."""
    return value if math.isfinite(value) else None


def _sort_trials(results: "Results") -> "list[StudyTrial]":
    return sorted(results.trials, key=lambda trial: trial.number)


def _write_setting(value: object) -> object:
    """Return a setting as a command line has it: nothing is null, not empty."""
    return "null" if value is None else value


def _format_value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(_write_setting(value))
