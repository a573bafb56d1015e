"""Pictures of a study as PNG; `style` has their style. The same data gives the same bytes."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.formatting import format_count, format_device_seconds, format_percent, shorten
from pipeline.frontier.dominance import find_frontier, flatten
from pipeline.frontier.hypervolume import compute_error_floor
from pipeline.measures import Point
from pipeline.reports import label_layout
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE, SKY
from pipeline.reports.study_markdown import format_label
from pipeline.reports.style import (
    MIDDLE,
    SMALL,
    in_own_style,
    make_figure,
    render_png,
    strip_axes,
    use_log_cost,
)
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint
from pipeline.settings.searching.measures import Measure

# Errors that a log scale may show as ticks: 1, 2 and 5 of each decade, and where these are few, all.
COARSE = [digit * 10.0**-decade for decade in range(1, 8) for digit in (10, 5, 2)]
FINE = [digit * 10.0**-decade for decade in range(1, 8) for digit in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1.5)]
MAX_KEYS = 20


# ---- frontier -----------------------------------------------------------------------------------------


@in_own_style
def draw_frontier(results: Results) -> bytes:
    """Draw accuracy against device-seconds, both log: where trials ended, and the frontier with its knee."""
    figure = make_figure(
        9, 5.4, f"{results.measure.title} for device-seconds, {results.study}", _summarise(results)
    )
    axes = figure.subplots()
    axes.set_xlabel("device-seconds, log scale", size=MIDDLE, color=INK)
    axes.set_ylabel(f"validation {results.accuracy_name}, log scale of error", size=MIDDLE, color=INK)
    strip_axes(axes)
    if results.frontier:
        axes.set_xlabel(describe_cost_axis(results), size=MIDDLE, color=INK, parse_math=False)
        _draw_points(axes, figure, results)
    return render_png(figure)


def _summarise(results: Results) -> str:
    count, members = len(results.trials), results.frontier
    trials = format_count(count, "trial")
    if not members:
        return f"no point above chance in {trials}" if results.points else f"no point yet in {trials}"
    count_on_frontier = f"{format_count(len(members), 'point')} stand{'s' * (len(members) == 1)}"
    ringed = " · ringed: the knee" if results.knee else ""
    others = f" · pale: on it by {' or '.join(_list_further(results))}" if results.further else ""
    return f"{count_on_frontier} in {trials}{ringed}{others} · grey: where a trial ended, hollow: paused"


def _list_further(results: Results) -> list[str]:
    return [kind.label for kind in results.further]


def describe_cost_axis(results: Results) -> str:
    """Describe the cost axis, and how to read the labels."""
    keys = dict.fromkeys(key.rpartition(".")[2] for member in results.frontier for key in member.settings)
    named = f"\npoints are named by {', '.join(keys)}, epochs" if keys else ""
    return f"device-seconds of {results.device}, log scale{shorten(named, 130)}"


def _draw_points(axes: Axes, figure: Figure, results: Results) -> None:
    members, floor = results.frontier, compute_error_floor(results.points)
    ends = [trial for trial in results.trials if trial.points]
    places = [locate(trial.points[-1], floor) for trial in ends]
    stairs = [locate(member.point, floor) for member in members]
    use_log_cost(axes, [cost for cost, _ in [*stairs, *places]])
    scale_accuracy_axis(axes, [height for _, height in [*stairs, *places]], floor, results.measure)
    if places:  # one artist for all: thousands of its own would take seconds
        faces = ["white" if trial.state == "paused" else "#c4c4c4" for trial in ends]
        costs, heights = zip(*places, strict=True)
        axes.scatter(costs, heights, 4.5**2, faces, linewidths=0.8, edgecolors="#a8a8a8", zorder=2)
    # Over more objectives some members lie behind the staircase of these two.
    on_stairs = find_frontier(flatten(member.point for member in members))
    costs, heights = zip(*(stairs[index] for index in on_stairs), strict=True)
    right = [*costs, axes.get_xlim()[1]], [*heights, heights[-1]]
    axes.plot(*right, color=BLUE, linewidth=1.6, drawstyle="steps-post", solid_joinstyle="miter")
    for index in set(range(len(members))) - set(on_stairs):
        axes.plot(*stairs[index], "o", color=SKY, ms=6, mec=BLUE, mew=1.0, zorder=3)
    axes.plot(costs, heights, "o", color=BLUE, ms=7, mec="white", mew=1.2, zorder=4)
    knee = members.index(results.knee) if results.knee else None
    if knee is not None:
        axes.plot(*stairs[knee], "o", mfc="none", mec=ORANGE, ms=13, mew=2, zorder=5)
    labelled = [index for index in range(len(members)) if index in {knee, *on_stairs}]
    _draw_labels(
        axes,
        figure,
        [members[index] for index in labelled],
        [stairs[index] for index in labelled],
        None if knee is None else labelled.index(knee),
    )


def locate(point: Point, floor: float) -> tuple[float, float]:
    """Return the cost, and the height on a log scale of error."""
    return point.device_seconds, -math.log10(max(1 - point.accuracy, floor))


def scale_accuracy_axis(axes: Axes, heights: Sequence[float], floor: float, measure: Measure) -> None:
    """Scale the accuracy axis; an accuracy of 1, if there is one, stands at the height of `floor`."""
    low, high, top = min(heights), max(heights), -math.log10(floor)
    room = 0.06 * (high - low) or 0.02
    axes.set_ylim(low - room, high + 2 * room)
    marks = {-math.log10(error): measure.format_tick(1 - error) for error in choose_ticks(*axes.get_ylim())}
    if high >= top:
        marks = {height: text for height, text in marks.items() if height < top - 0.5 * room}
        marks[top] = measure.format_tick(1.0)
    axes.set_yticks(list(marks), list(marks.values()))
    axes.yaxis.set_minor_locator(NullLocator())


def choose_ticks(low: float, high: float) -> list[float]:
    """Choose the errors to mark between two heights: round errors, or round accuracies in a narrow range."""
    for errors in (COARSE, FINE):
        inside = [error for error in errors if low <= -math.log10(error) <= high]
        if len(inside) >= 4:
            return inside
    steps = MaxNLocator(6).tick_values(1 - 10**-low, 1 - 10**-high)
    return [1 - accuracy for accuracy in steps if 10**-high <= 1 - accuracy <= 10**-low]


def _draw_labels(
    axes: Axes,
    figure: Figure,
    members: Sequence[FrontierPoint],
    spots: Sequence[tuple[float, float]],
    knee: int | None,
) -> None:
    """Draw the label of the knee first, then those of both ends, then those that have room."""
    figure.draw_without_rendering()  # computes where the axes lie
    inches = axes.transData + figure.dpi_scale_trans.inverted()
    places = [(float(across), float(up)) for across, up in inches.transform(spots)]
    window, texts = axes.get_window_extent(), [format_label(member) for member in members]
    edges = window.x0 / figure.dpi, window.x1 / figure.dpi
    order = [*([] if knee is None else [knee]), len(members) - 1, 0, *range(len(members))]
    for index, box in label_layout.arrange_labels(places, texts, order, edges).items():
        _draw_label(axes, texts[index], spots[index], box, index == knee)


def _draw_label(
    axes: Axes, text: str, spot: tuple[float, float], box: label_layout.LabelBox, is_knee: bool
) -> None:
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


@in_own_style
def draw_progress(results: Results) -> bytes:
    """Draw the share of the window that the frontier dominates, against the device-seconds spent so far."""
    progress = results.compute_progress()
    share, paid = (progress[-1][1], progress[-1][0]) if progress else (0.0, 0.0)
    scales = " x ".join(f"log {name}" for name in ("cost", "error", *_list_further(results)))
    head = f"{format_percent(share)} of {scales} after {format_device_seconds(paid)}"
    figure = make_figure(7, 3.6, f"What the study has found, {results.study}", head)
    axes = figure.subplots()
    axes.plot(
        [0.0, *(paid for paid, _ in progress)],
        [0.0, *(share for _, share in progress)],
        color=BLUE,
        linewidth=1.6,
        drawstyle="steps-post",
    )
    axes.set(xlim=(0, None), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_xlabel("device-seconds spent on trials", size=MIDDLE, color=INK)
    size = "volume" if results.further else "area"
    axes.set_ylabel(f"{size} under the frontier", size=MIDDLE, color=INK)
    strip_axes(axes)
    return render_png(figure)


@in_own_style
def draw_importance(study: str, importances: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw a bar for each searched key, side by side for each objective.

    `importances`: objective -> key -> share 0..1 of the objective's variance that the key explains.
    """
    totals: dict[str, float] = {}
    for shares in importances.values():
        for key, share in shares.items():
            totals[key] = totals.get(key, 0.0) + share
    keys = sorted(totals, key=lambda key: (-totals[key], key))[:MAX_KEYS]
    subtitle = "share of the differences between trials that each setting explains"
    figure = make_figure(8.4, 0.8 + 0.34 * max(2, len(keys)), f"What mattered, {study}", subtitle)
    columns = figure.subplots(1, max(1, len(importances)), sharey=True, squeeze=False)[0]
    for axes, (objective, shares) in zip(columns, importances.items(), strict=False):
        _draw_bars(axes, objective, keys, [shares.get(key, 0.0) for key in keys])
    return render_png(figure)


def _draw_bars(axes: Axes, objective: str, keys: Sequence[str], shares: Sequence[float]) -> None:
    axes.barh(range(len(keys)), shares, 0.7, color=BLUE)
    for row, share in enumerate(shares):
        axes.text(share + 0.02, row, format_percent(share), va="center", size=SMALL, color=GREY)
    axes.set_yticks(range(len(keys)), [shorten(key, 36) for key in keys], parse_math=False)
    axes.set(xlim=(0, 1.18), ylim=(len(keys) - 0.4, -0.6), xticks=[])
    axes.set_title(objective, size=MIDDLE, color=INK, loc="left")
    strip_axes(axes)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_color(LINE)
    axes.tick_params(axis="y", labelsize=MIDDLE, labelcolor=INK)
