"""Pictures of a study as PNG bytes; their style is in `drawing`. Same data, same bytes."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.formatting import cut, percent, short
from pipeline.frontier import error_floor, knee
from pipeline.measures import Point
from pipeline.reports import label_layout
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE
from pipeline.reports.study_markdown import label
from pipeline.reports.style import MIDDLE, SMALL, make_figure, render_png, strip_axes, use_log_cost
from pipeline.search.results import Member, Results

# Errors that a log scale may show as ticks: 1, 2 and 5 of each decade, and where these are few, all.
COARSE = [digit * 10.0**-decade for decade in range(1, 8) for digit in (10, 5, 2)]
FINE = [digit * 10.0**-decade for decade in range(1, 8) for digit in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1.5)]
MOST_KEYS = 20


# ---- frontier -----------------------------------------------------------------------------------------


def frontier(results: Results) -> bytes:
    """Accuracy against device-seconds, both log: where trials ended, and the frontier with its knee."""
    figure = make_figure(9, 5.4, f"Accuracy for device-seconds, {results.study}", _told(results))
    axes = figure.subplots()
    axes.set_xlabel("device-seconds, log scale", size=MIDDLE, color=INK)
    axes.set_ylabel(f"validation {results.accuracy_name}, log scale of error", size=MIDDLE, color=INK)
    strip_axes(axes)
    if results.members():
        axes.set_xlabel(_across(results), size=MIDDLE, color=INK, parse_math=False)
        _fill(axes, figure, results)
    return render_png(figure)


def _told(results: Results) -> str:
    count, members = len(results.tried), results.members()
    trials = "1 trial" if count == 1 else f"{count:,} trials"
    if not members:
        return f"no point yet in {trials}"
    standing = "1 point stands" if len(members) == 1 else f"{len(members)} points stand"
    return f"{standing} in {trials} · ringed: the knee · grey: where a trial ended, hollow: paused"


def _across(results: Results) -> str:
    """What lies along the cost axis, and how to read the labels."""
    keys = dict.fromkeys(key.rpartition(".")[2] for each in results.tried for key in each.params)
    named = f"\npoints are named by {', '.join(keys)}, epochs" if keys else ""
    return f"device-seconds of {results.device}, log scale{cut(named, 130)}"


def _fill(axes: Axes, figure: Figure, results: Results) -> None:
    members, floor = results.members(), error_floor(results.points())
    ends = [each for each in results.tried if each.points()]
    places = [_place(each.points()[-1], floor) for each in ends]
    stairs = [_place(member.point, floor) for member in members]
    use_log_cost(axes, [cost for cost, _ in [*stairs, *places]])
    _accuracies(axes, [height for _, height in [*stairs, *places]], floor)
    for end, (cost, height) in zip(ends, places, strict=True):
        face = "white" if end.state == "paused" else "#c4c4c4"
        axes.plot(cost, height, "o", ms=4.5, mew=0.8, mec="#a8a8a8", mfc=face)
    costs, heights = zip(*stairs, strict=True)
    right = [*costs, axes.get_xlim()[1]], [*heights, heights[-1]]
    axes.plot(*right, color=BLUE, linewidth=1.6, drawstyle="steps-post", solid_joinstyle="miter")
    axes.plot(costs, heights, "o", color=BLUE, ms=7, mec="white", mew=1.2, zorder=4)
    at = knee([member.point for member in members])
    axes.plot(costs[at], heights[at], "o", mfc="none", mec=ORANGE, ms=13, mew=2, zorder=5)
    _labels(axes, figure, members, stairs, at)


def _place(point: Point, floor: float) -> tuple[float, float]:
    """Cost, and height on a log scale of error."""
    return point.device_seconds, -math.log10(max(1 - point.accuracy, floor))


def _accuracies(axes: Axes, heights: Sequence[float], floor: float) -> None:
    """Scale the axis; an accuracy of 1, if there is one, stands at the height of `floor`."""
    low, high, top = min(heights), max(heights), -math.log10(floor)
    room = 0.06 * (high - low) or 0.02
    axes.set_ylim(low - room, high + 2 * room)
    marks = {-math.log10(error): f"{100 * (1 - error):.6g}%" for error in ticks(*axes.get_ylim())}
    if high >= top:
        marks = {height: text for height, text in marks.items() if height < top - 0.5 * room} | {top: "100%"}
    axes.set_yticks(list(marks), list(marks.values()))
    axes.yaxis.set_minor_locator(NullLocator())


def ticks(low: float, high: float) -> list[float]:
    """Errors to mark between two heights: round on the log scale, or in a narrow range on a plain one."""
    for errors in (COARSE, FINE):
        inside = [error for error in errors if low <= -math.log10(error) <= high]
        if len(inside) >= 4:
            return inside
    steps = MaxNLocator(6).tick_values(1 - 10**-low, 1 - 10**-high)
    return [1 - accuracy for accuracy in steps if 10**-high <= 1 - accuracy <= 10**-low]


def _labels(
    axes: Axes, figure: Figure, members: Sequence[Member], spots: Sequence[tuple[float, float]], at: int
) -> None:
    """The label of the knee, at index `at`, first, then those of both ends, then what has room."""
    figure.draw_without_rendering()  # settles where the axes lie
    inches = axes.transData + figure.dpi_scale_trans.inverted()
    places = [(float(across), float(up)) for across, up in inches.transform(spots)]
    window, texts = axes.get_window_extent(), [label(member) for member in members]
    edges = window.x0 / figure.dpi, window.x1 / figure.dpi
    order = [at, len(members) - 1, 0, *range(len(members))]
    for index, box in label_layout.arrange(places, texts, order, edges).items():
        _name(axes, texts[index], spots[index], box, index == at)


def _name(axes: Axes, text: str, spot: tuple[float, float], box: label_layout.Box, is_knee: bool) -> None:
    side, inch = -1 if box.on_the_left else 1, 72
    axes.annotate(
        text,
        spot,
        xytext=(side * label_layout.GAP * inch, -side * 0.3 * label_layout.GAP * inch),
        textcoords="offset points",
        ha="right" if box.on_the_left else "left",
        va="bottom" if box.on_the_left else "top",
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
        weight="bold" if is_knee else "normal",
        color=INK,
        size=SMALL,
        parse_math=False,
    )


# ---- what was spent, and what mattered ------------------------------------------------------------------


def spent(results: Results) -> bytes:
    """Share of the window that the frontier dominates, against the device-seconds spent so far."""
    told = results.spent_curve()
    share, paid = (told[-1][1], told[-1][0]) if told else (0.0, 0.0)
    head = f"{percent(share)} of log cost x log error after {short(paid)} device-seconds"
    figure = make_figure(7, 3.6, f"What the study has found, {results.study}", head)
    axes = figure.subplots()
    axes.plot(
        [0.0, *(paid for paid, _ in told)],
        [0.0, *(share for _, share in told)],
        color=BLUE,
        linewidth=1.6,
        drawstyle="steps-post",
    )
    axes.set(xlim=(0, None), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_xlabel("device-seconds spent on trials", size=MIDDLE, color=INK)
    axes.set_ylabel("area under the frontier", size=MIDDLE, color=INK)
    strip_axes(axes)
    return render_png(figure)


def importance(study: str, importances: Mapping[str, Mapping[str, float]]) -> bytes:
    """Bars for each searched key, side by side for each objective.

    `importances`: objective -> key -> share 0..1 of the objective's variance that the key explains.
    """
    totals: dict[str, float] = {}
    for shares in importances.values():
        for key, share in shares.items():
            totals[key] = totals.get(key, 0.0) + share
    keys = sorted(totals, key=lambda key: (-totals[key], key))[:MOST_KEYS]
    told = "share of the differences between trials that each setting explains"
    figure = make_figure(8.4, 0.8 + 0.34 * max(2, len(keys)), f"What mattered, {study}", told)
    columns = figure.subplots(1, max(1, len(importances)), sharey=True, squeeze=False)[0]
    for axes, (objective, shares) in zip(columns, importances.items(), strict=False):
        _bars(axes, objective, keys, [shares.get(key, 0.0) for key in keys])
    return render_png(figure)


def _bars(axes: Axes, objective: str, keys: Sequence[str], shares: Sequence[float]) -> None:
    axes.barh(range(len(keys)), shares, 0.7, color=BLUE)
    for row, share in enumerate(shares):
        axes.text(share + 0.02, row, percent(share), va="center", size=SMALL, color=GREY)
    axes.set_yticks(range(len(keys)), [cut(key, 36) for key in keys], parse_math=False)
    axes.set(xlim=(0, 1.18), ylim=(len(keys) - 0.4, -0.6), xticks=[])
    axes.set_title(objective, size=MIDDLE, color=INK, loc="left")
    strip_axes(axes)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(LINE)
    axes.tick_params(axis="y", labelsize=MIDDLE, labelcolor=INK)
