"""The charts of a study's page for more than two objectives: a small one for each two of them."""

from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from pipeline.frontier.hypervolume import compute_error_floor
from pipeline.measures import Point
from pipeline.reports import study_charts
from pipeline.reports.objective_pairs import PairAxis, find_pair_frontier, list_pairs
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE
from pipeline.search.results import Results

PAIR_WIDTH, PAIR_HEIGHT = 600, 420  # pixels


def draw_pairs(results: Results) -> list[go.Figure]:
    """Draw a small chart for each two objectives but the first pair, which is the large one."""
    if not results.further or not results.frontier:
        return []
    floor = compute_error_floor(results.points)
    return [_make_pair(results, floor, *pair) for pair in list_pairs(results)[1:]]


def _make_pair(results: Results, floor: float, up: PairAxis, across: PairAxis) -> go.Figure:
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

    members, ends = results.frontier, [trial for trial in results.trials if study_charts.is_drawn(trial)]
    points = [member.point for member in members]
    shown = [*points, *(each.points[-1] for each in ends)]

    def choose_step(axis: PairAxis) -> dict[str, str]:
        return study_charts.choose_step([axis.read(point) for point in shown])

    stairs = [points[index] for index in find_pair_frontier(points, up, across)]
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    axis = {
        "gridcolor": LINE,
        "linecolor": LINE,
        "zeroline": False,
        "tickfont": {"color": GREY},
        "type": "log",
    }
    marks = study_charts.choose_ticks(results) if of_accuracy else {}
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
            "xaxis": {**axis, **choose_step(across), "title": {"text": f"{across.heading}, log scale"}},
            "yaxis": {**axis, "title": {"text": up.heading}, **(ticks if of_accuracy else choose_step(up))},
        }
    )
    grey = {"color": "#a8a8a8", "size": 6}
    numbers = [each.number for each in ends]
    figure.add_trace(
        make_trace([each.points[-1] for each in ends], [], mode="markers", marker=grey, customdata=numbers)
    )
    figure.add_trace(make_trace(stairs, [], mode="lines", line=line, hoverinfo="skip"))
    blue = {"color": BLUE, "size": 9, "line": {"color": "white", "width": 1}}
    hovers = [study_charts.format_member_hover(member) for member in members]
    figure.add_trace(make_trace(points, hovers, mode="markers", marker=blue))
    if results.knee:
        ring = {"color": ORANGE, "size": 16, "symbol": "circle-open", "line": {"width": 3}}
        figure.add_trace(make_trace([results.knee.point], [], mode="markers", marker=ring, hoverinfo="skip"))
    return figure
