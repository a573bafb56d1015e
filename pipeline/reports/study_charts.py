"""The charts of a study's page: zoom, and hover for the command of a point."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.io  # type: ignore[import-untyped]

from pipeline.formatting import format_number
from pipeline.frontier import compute_error_floor, find_frontier, flatten
from pipeline.measures import Point
from pipeline.reports import study_pairs
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE, SKY
from pipeline.reports.study_markdown import describe_point
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint, StudyTrial
from pipeline.settings.searching.measures import Measure

# plotly.js 7 shows a button that uploads the figure, unless this switches it off.
CONFIG = {"displaylogo": False, "showSendToCloud": False}
# Errors that have a tick; dense, for zooming: plotly leaves out what has no room.
TICKS = [digit * 10.0**-decade for decade in range(1, 7) for digit in (10, 7, 5, 3, 2)]

PAIR_WIDTH, PAIR_HEIGHT = 620, 420  # pixels


def draw_frontier(results: Results) -> go.Figure:
    """Draw accuracy against device-seconds: every curve, where trials ended, the frontier, the knee.

    A frontier point has its key as custom data; the last trace, `chosen`, waits for the one that is chosen.
    """
    figure = go.Figure(layout=_make_layout(results))
    floor = compute_error_floor(results.points)
    figure.add_trace(_draw_curves(results, floor))
    for state, symbol in (("complete", "circle"), ("paused", "circle-open")):
        ended = [trial for trial in results.trials if trial.state == state and trial.points]
        figure.add_trace(
            _make_dots(
                [trial.points[-1] for trial in ended],
                [_format_end(results, trial) for trial in ended],
                floor,
                name=f"{state} trials",
                marker={"color": "#a8a8a8", "size": 7, "symbol": symbol},
            )
        )
    _add_frontier(figure, results, floor)
    diamond = {"color": ORANGE, "size": 13, "symbol": "diamond", "line": {"color": "white", "width": 1}}
    figure.add_trace(_make_dots([], [], floor, name="chosen", marker=diamond, hoverinfo="skip"))
    return figure


def _draw_curves(results: Results, floor: float) -> go.Scattergl:
    """Draw the curves of all trials as one pale line with gaps; WebGL keeps thousands of them fluid."""
    across: list[float | None] = []
    up: list[float | None] = []
    for trial in results.trials:
        if trial.has_points:
            across += [*(point.device_seconds for point in trial.curve), None]
            up += [*(max(1 - point.accuracy, floor) for point in trial.curve), None]
    line = {"color": "rgba(140, 140, 140, 0.35)", "width": 1}
    return go.Scattergl(x=across, y=up, mode="lines", name="curves", line=line, hoverinfo="skip")


def render_chart(figure: go.Figure) -> str:
    """Render the large chart as a part of a page, with plotly.js in it (5 MB)."""
    html: str = plotly.io.to_html(
        figure,
        include_plotlyjs=True,
        full_html=False,
        div_id="frontier",
        config=CONFIG,
        default_height="64vh",
    )
    return html


def render_pairs(results: Results) -> str:
    """Render a small chart for each two objectives but the first pair, which is the large one."""
    floor = compute_error_floor(results.points)
    if not results.further or not results.frontier:
        return ""
    charts = [_make_pair(results, floor, *pair) for pair in study_pairs.list_pairs(results)[1:]]
    parts = [
        plotly.io.to_html(
            chart, include_plotlyjs=False, full_html=False, div_id=f"pair-{number}", config=CONFIG
        )
        for number, chart in enumerate(charts, start=1)
    ]
    cells = "".join(f"<div>{part}</div>" for part in parts)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 20px">{cells}</div>'


def _make_pair(
    results: Results, floor: float, up: study_pairs.PairAxis, across: study_pairs.PairAxis
) -> go.Figure:
    """Make the chart of two objectives: where trials ended, the frontier over all, the line of these two."""
    of_accuracy = up.number == 0

    def make_trace(points: Sequence[Point], hovers: Sequence[str], **style: object) -> go.Scatter:
        return go.Scatter(
            x=[across.read(point) for point in points],
            y=[max(up.read(point), floor) if of_accuracy else up.read(point) for point in points],
            text=list(hovers),
            hovertemplate="%{text}<extra></extra>",
            **style,
        )

    members, ends = results.frontier, [trial for trial in results.trials if trial.points]
    points = [member.point for member in members]
    stairs = [points[index] for index in study_pairs.find_pair_frontier(points, up, across)]
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    axis = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "tickfont": {"color": GREY},
        "type": "log",
    }
    marks = _choose_ticks(results) if of_accuracy else {}
    ticks = {"autorange": "reversed", "tickvals": list(marks), "ticktext": list(marks.values())}
    figure = go.Figure(
        layout={
            "font": {"color": INK, "family": "sans-serif"},
            "plot_bgcolor": "white",
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"family": "monospace"}},
            "showlegend": False,
            "width": PAIR_WIDTH,  # while a chart is drawn, the page does not know of the next one
            "height": PAIR_HEIGHT,
            "margin": {"l": 80, "r": 30, "t": 30, "b": 60},
            "xaxis": {**axis, "dtick": "D2", "title": {"text": f"{across.heading}, log scale"}},
            "yaxis": {**axis, "title": {"text": up.heading}, **(ticks if of_accuracy else {"dtick": "D2"})},
        }
    )
    hovers = [_format_end(results, each) for each in ends]
    grey = {"color": "#a8a8a8", "size": 6}
    figure.add_trace(make_trace([each.points[-1] for each in ends], hovers, mode="markers", marker=grey))
    figure.add_trace(make_trace(stairs, [], mode="lines", line=line, hoverinfo="skip"))
    blue = {"color": BLUE, "size": 9, "line": {"color": "white", "width": 1}}
    hovers = [_format_member_hover(member) for member in members]
    figure.add_trace(make_trace(points, hovers, mode="markers", marker=blue))
    if results.knee:
        ring = {"color": ORANGE, "size": 16, "symbol": "circle-open", "line": {"width": 3}}
        figure.add_trace(make_trace([results.knee.point], [], mode="markers", marker=ring, hoverinfo="skip"))
    return figure


def _add_frontier(figure: go.Figure, results: Results, floor: float) -> None:
    members, knee = results.frontier, results.knee
    points = [member.point for member in members]
    hovers = [_format_member_hover(member) for member in members]
    marker = {"color": BLUE, "size": 10, "line": {"color": "white", "width": 1}}
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    stairs = find_frontier(flatten(points))
    others = [index for index in range(len(members)) if index not in stairs]
    if others:
        name = f"frontier by {' or '.join(kind.label for kind in results.further)}"
        pale = {"color": SKY, "size": 9, "line": {"color": BLUE, "width": 1}}
        behind = [points[index] for index in others], [hovers[index] for index in others]
        keys = [format_key(members[index]) for index in others]
        figure.add_trace(_make_dots(*behind, floor, name=name, marker=pale, customdata=keys))
    in_front = [points[index] for index in stairs], [hovers[index] for index in stairs]
    keys = [format_key(members[index]) for index in stairs]
    style: dict[str, Any] = {"mode": "lines+markers", "marker": marker, "line": line, "customdata": keys}
    figure.add_trace(_make_dots(*in_front, floor, name="frontier", **style))
    if knee:
        ring = {"color": ORANGE, "size": 18, "symbol": "circle-open", "line": {"width": 3}}
        figure.add_trace(_make_dots([knee.point], [], floor, name="knee", marker=ring, hoverinfo="skip"))


def format_key(member: FrontierPoint) -> str:
    """Format what names a frontier point on the page."""
    return f"{member.trial.number} {member.epoch}"


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


def _format_hover(measure: Measure, trial: StudyTrial, epoch: int, point: Point, command: str) -> str:
    epochs = "1 epoch" if epoch == 1 else f"{epoch} epochs"
    cost = f"{format_number(point.device_seconds)} device-seconds"
    head = f"<b>{measure.format(point.accuracy)} for {cost}</b>"
    params = [f"{key} = {value}" for key, value in trial.params.items()]
    lines = [f"trial {trial.number}, {epochs}, {trial.state}", *params, "", *wrap(command, 90)]
    return "<br>".join([head, *map(escape, lines)])


def _format_end(results: Results, trial: StudyTrial) -> str:
    """Format the hover of a trial's last point."""
    return _format_hover(results.measure, trial, len(trial.curve), trial.points[-1], trial.command)


def _format_member_hover(member: FrontierPoint) -> str:
    """Format the hover of a frontier point: what the search saw, then what all seeds and the test say."""
    text = _format_hover(member.measure, member.trial, member.epoch, member.point, member.command)
    head, _, rest = text.partition("<br>")
    return f"{head}<br>{escape(describe_point(member))}<br>{rest}"


def _choose_ticks(results: Results) -> dict[float, str]:
    """Choose the ticks: error to label. An accuracy of 1, if there is one, stands at the error floor."""
    floor, points = compute_error_floor(results.points), results.points
    marks = {error: results.measure.format_tick(1 - error) for error in TICKS if error > 1.2 * floor}
    return marks | (
        {floor: results.measure.format_tick(1.0)} if any(point.accuracy >= 1 for point in points) else {}
    )


def _make_layout(results: Results) -> dict[str, object]:
    marks = _choose_ticks(results)
    device = f" of {results.device}" if results.frontier else ""
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
            "dtick": "D2",
            "title": {"text": f"device-seconds{escape(device)}, log scale"},
        },
        "yaxis": {
            **axis,
            "type": "log",
            "autorange": "reversed",
            "title": {"text": f"validation {results.accuracy_name}, log scale of error"},
            "tickvals": list(marks),
            "ticktext": list(marks.values()),
        },
    }
