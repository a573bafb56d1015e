"""The charts of a study's page: zoom, and hover for the command of a point."""

import math
from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from pipeline.formatting import format_count, format_device_seconds
from pipeline.frontier.dominance import find_frontier, flatten
from pipeline.frontier.hypervolume import Bounds, compute_error_floor
from pipeline.measures import Point
from pipeline.reports.palette import BLUE, GREEN, GREY, INK, LINE, ORANGE, SKY
from pipeline.reports.study_markdown import describe_point
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint, StudyTrial

# plotly.js 7 shows a button that uploads the figure, unless this switches it off.
CONFIG = {"displaylogo": False, "showSendToCloud": False}
# Errors that have a tick; dense, for zooming: plotly leaves out what has no room.
LEAST_SPAN = 1.5
TICKS = [digit * 10.0**-decade for decade in range(1, 7) for digit in (10, 7, 5, 3, 2)]


def draw_frontier(results: Results, overlay: Results | None = None) -> go.Figure:
    """Draw accuracy against device-seconds: every curve, where trials ended, the frontier, the knee.

    A frontier point has its key as custom data, the end of a trial its number: the page writes what is shown
    of those, since thousands of texts would be most of its size. What there are many of is drawn by WebGL,
    from typed arrays. `overlay`: a study whose frontier is drawn, too.
    """
    figure = go.Figure(layout=_make_layout(results, overlay))
    floor = compute_error_floor(results.points)
    figure.add_trace(_draw_curves(results, floor))
    for state, symbol in (("complete", "circle"), ("paused", "circle-open")):
        ended = [trial for trial in results.trials if trial.state == state and is_drawn(trial)]
        marker = {"color": "#a8a8a8", "size": 7, "symbol": symbol}
        figure.add_trace(_draw_ends(ended, floor, name=f"{state} trials", marker=marker))
    if overlay is not None:
        _add_overlay(figure, overlay)
    _add_frontier(figure, results, floor)
    return figure


def enclose(*studies: Results) -> Bounds | None:
    """Return the window around the points of several studies; None where none has any."""
    points = [point for results in studies for point in results.points]
    return Bounds.enclose(points) if points else None


def _draw_curves(results: Results, floor: float) -> go.Scattergl:
    """Draw the curves of all trials as one pale line with gaps, in the order of the trials that are drawn."""
    across: list[float] = []
    up: list[float] = []
    for trial in results.trials:
        if is_drawn(trial):
            points = [point for point in trial.curve if math.isfinite(point.accuracy)]
            across += [*(point.device_seconds for point in points), math.nan]
            up += [*(max(1 - point.accuracy, floor) for point in points), math.nan]
    line = {"color": "rgba(140, 140, 140, 0.35)", "width": 1}
    return go.Scattergl(
        x=_pack(across),
        y=_pack(up),
        mode="lines",
        name="curves",
        line=line,
        hoverinfo="skip",
    )


def is_drawn(trial: StudyTrial) -> bool:
    """Return whether a trial has an end that can be drawn: a failed one has none."""
    return (
        bool(trial.points)
        and math.isfinite(trial.points[-1].accuracy)
        and trial.points[-1].device_seconds > 0
    )


def _draw_ends(trials: Sequence[StudyTrial], floor: float, **style: Any) -> go.Scattergl:
    """Draw where trials ended."""
    return go.Scattergl(
        x=_pack([trial.points[-1].device_seconds for trial in trials]),
        y=_pack([max(1 - trial.points[-1].accuracy, floor) for trial in trials]),
        customdata=[trial.number for trial in trials],
        mode="markers",
        hovertemplate="%{text}<extra></extra>",
        **style,
    )


def _pack(numbers: list[float]) -> np.ndarray | list[float]:
    """Return the numbers so that plotly writes them as a typed array; it cannot write an empty one."""
    return np.array(numbers, np.float32) if numbers else []


def _add_overlay(figure: go.Figure, overlay: Results) -> None:
    """Draw the frontier of a second study."""
    members, floor = overlay.frontier, compute_error_floor(overlay.points)
    stairs = [members[index] for index in find_frontier(flatten([member.point for member in members]))]
    style: dict[str, Any] = {
        "name": f"frontier of {escape(overlay.study)}",
        "mode": "lines+markers",
        "marker": {"color": GREEN, "size": 9, "symbol": "square", "line": {"color": "white", "width": 1}},
        "line": {"color": GREEN, "width": 2, "shape": "hv", "dash": "dash"},
        "customdata": [f"{overlay.study} {member.name}" for member in stairs],
    }
    hovers = [format_member_hover(member) for member in stairs]
    figure.add_trace(_make_dots([member.point for member in stairs], hovers, floor, **style))


def _add_frontier(figure: go.Figure, results: Results, floor: float) -> None:
    members, knee = results.frontier, results.knee
    points = [member.point for member in members]
    hovers = [format_member_hover(member) for member in members]
    marker = {"color": BLUE, "size": 10, "line": {"color": "white", "width": 1}}
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    stairs = find_frontier(flatten(points))
    others = [index for index in range(len(members)) if index not in stairs]
    if others:
        name = f"frontier by {' or '.join(kind.label for kind in results.further)}"
        pale = {"color": SKY, "size": 9, "line": {"color": BLUE, "width": 1}}
        behind = [points[index] for index in others], [hovers[index] for index in others]
        keys = [members[index].name for index in others]
        figure.add_trace(_make_dots(*behind, floor, name=name, marker=pale, customdata=keys))
    in_front = [points[index] for index in stairs], [hovers[index] for index in stairs]
    keys = [members[index].name for index in stairs]
    style: dict[str, Any] = {"mode": "lines+markers", "marker": marker, "line": line, "customdata": keys}
    figure.add_trace(_make_dots(*in_front, floor, name="frontier", **style))
    if knee:
        ring = {"color": ORANGE, "size": 18, "symbol": "circle-open", "line": {"width": 3}}
        figure.add_trace(_make_dots([knee.point], [], floor, name="knee", marker=ring, hoverinfo="skip"))


def _make_dots(
    points: Sequence[Point], hovers: Sequence[str], floor: float, mode: str = "markers", **style: Any
) -> go.Scatter:
    return go.Scatter(
        x=[point.device_seconds for point in points],
        y=[max(1 - point.accuracy, floor) for point in points],
        mode=mode,
        text=list(hovers),
        hovertemplate="%{text}<extra></extra>" if hovers else None,
        **style,
    )


def format_member_hover(member: FrontierPoint) -> str:
    """Format the hover of a frontier point: what the search saw, then what all seeds and the test say."""
    trial, epoch = member.trial, member.epoch
    epochs = format_count(epoch, "epoch")
    cost = format_device_seconds(member.point.device_seconds)
    head = f"<b>{member.measure.format(member.point.accuracy)} for {cost}</b>"
    params = [f"{key} = {value}" for key, value in member.params.items()]
    about = [describe_point(member), f"trial {trial.number}, {epochs}, {trial.state}"]
    return "<br>".join([head, *map(escape, [*about, *params, "", *wrap(member.command, 90)])])


def choose_step(values: Sequence[float]) -> dict[str, str]:
    """Choose the ticks of a log axis of costs: at 1, 2 and 5; plotly's own where few of them lie in it."""
    positive = [value for value in values if value > 0]
    return {"dtick": "D2"} if positive and max(positive) > 5 * min(positive) else {}


def keep_wide(values: Sequence[float], is_reversed: bool = False) -> dict[str, object]:
    """Choose the ends of a log axis: plotly's own, or 1.5 times around values that are nearly one.

    Else a first trial alone lies far from itself, as it is drawn by numbers of 4 bytes and of 8.
    """
    positive = [value for value in values if value > 0]
    if not positive or max(positive) > LEAST_SPAN * min(positive):
        return {"autorange": "reversed"} if is_reversed else {}
    ends = [math.log10(min(positive) / LEAST_SPAN), math.log10(max(positive) * LEAST_SPAN)]
    return {"range": ends[::-1] if is_reversed else ends}


def choose_ticks(results: Results, overlay: Results | None = None) -> dict[float, str]:
    """Choose the ticks: error to label. An accuracy of 1, if there is one, stands at the error floor."""
    points = [*results.points, *(overlay.points if overlay else ())]
    floor = compute_error_floor(points)
    marks = {error: results.measure.format_tick(1 - error) for error in TICKS if error > 1.2 * floor}
    return marks | (
        {floor: results.measure.format_tick(1.0)} if any(point.accuracy >= 1 for point in points) else {}
    )


def _make_layout(results: Results, overlay: Results | None) -> dict[str, object]:
    marks = choose_ticks(results, overlay)
    device = f" of {results.device}" if results.frontier else ""
    points = [*results.points, *(overlay.points if overlay else ())]
    floor = compute_error_floor(points)
    axis = {"gridcolor": LINE, "linecolor": LINE, "zeroline": False, "tickfont": {"color": GREY}}
    return {
        "title": {
            "text": f"<b>{results.measure.title} for device-seconds, {escape(results.study)}</b>",
            "x": 0.02,
        },
        "font": {"color": INK, "family": "sans-serif"},
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"family": "monospace"}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 80, "r": 30, "t": 90, "b": 60},
        "xaxis": {
            **axis,
            "type": "log",
            **choose_step([point.device_seconds for point in results.points]),
            **keep_wide([point.device_seconds for point in points]),
            "title": {"text": f"device-seconds{escape(device)}, log scale"},
        },
        "yaxis": {
            **axis,
            "type": "log",
            **keep_wide([max(1 - point.accuracy, floor) for point in points], is_reversed=True),
            "title": {"text": f"validation {results.accuracy_name}, log scale of error"},
            "tickvals": list(marks),
            "ticktext": list(marks.values()),
        },
    }
