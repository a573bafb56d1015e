"""Pictures of what lies behind the scores: important columns of a table, and subgroups."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from pipeline.evaluation.inspection import Inspection
from pipeline.evaluation.permutation_importance import ColumnImportance
from pipeline.evaluation.subgroups import Subgroups
from pipeline.formatting import format_count, format_number, shorten
from pipeline.reports.palette import BLUE, GREY, INK, ORANGE
from pipeline.reports.style import MIDDLE, SMALL, in_own_style, make_figure, render_png, strip_axes

MOST_BARS = 20
BAR_INCHES = 0.26


def draw_inspection(inspection: Inspection, measure: str) -> dict[str, bytes]:
    """Draw an inspection: PNG by file name; `measure`: what columns are important for (accuracy, R2)."""
    pictures = {}
    if inspection.importances:
        pictures["pictures/column_importance.png"] = draw_importances(inspection.importances, measure)
    if inspection.subgroups is not None:
        pictures["pictures/subgroups.png"] = draw_subgroups(inspection.subgroups)
    return pictures


@in_own_style
def draw_importances(importances: tuple[ColumnImportance, ...], measure: str) -> bytes:
    """Draw what the score loses when each column is shuffled, with the deviation over the shuffles."""
    shown = importances[:MOST_BARS]
    more = f"{len(shown)} of {len(importances)} columns · " if len(shown) < len(importances) else ""
    text = f"{more}loss of validation {measure} when one column is shuffled · lines: deviation"
    figure = make_figure(7.2, _measure_height(len(shown)), "Permutation importance", text)
    axes = figure.subplots()
    heights = np.arange(len(shown))
    axes.barh(heights, [column.loss for column in shown], 0.7, color=BLUE)
    axes.errorbar(
        [column.loss for column in shown],
        heights,
        xerr=[column.deviation for column in shown],
        fmt="none",
        ecolor=INK,
        elinewidth=1,
    )
    _name_bars(axes, [column.name for column in shown])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"loss of {measure}", size=MIDDLE, color=INK)
    if measure != "R2":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
        axes.set_xlabel(f"loss of {measure}, points", size=MIDDLE, color=INK)
    return render_png(figure)


@in_own_style
def draw_subgroups(subgroups: Subgroups) -> bytes:
    """Draw the score of each group with its interval, the worst first, and that of all rows."""
    shown, all_groups = subgroups.groups[:MOST_BARS], len(subgroups.groups)
    figure_name = "mean absolute error" if subgroups.is_error else "accuracy"
    more = f"the worst {len(shown)} of {all_groups} groups · " if len(shown) < all_groups else ""
    text = f"{more}lines: 95 % intervals · dashed: all rows · orange: clearly worse than these"
    title = f"Test {figure_name} by {shorten(subgroups.column, 40)}"
    figure = make_figure(7.2, _measure_height(len(shown)), title, text)
    axes = figure.subplots()
    for height, group in enumerate(shown):
        colour = ORANGE if group.is_worse else BLUE
        axes.plot(
            [group.score.low, group.score.high],
            [height, height],
            color=colour,
            linewidth=2,
            solid_capstyle="butt",
        )
        axes.plot([group.score.value], [height], "o", color=colour, markersize=6)
        axes.annotate(
            f"{format_count(group.rows, 'row')}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            size=SMALL,
            color=GREY,
            va="center",
        )
    axes.axvline(subgroups.overall, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    _name_bars(axes, [group.name for group in shown])
    axes.set_xlabel(figure_name, size=MIDDLE, color=INK)
    form = format_number if subgroups.is_error else _format_share
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    return render_png(figure)


def _format_share(share: float) -> str:
    return f"{100 * share:g}%"


def _measure_height(bars: int) -> float:
    return 0.8 + BAR_INCHES * max(3, bars)


def _name_bars(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), [shorten(name, 28) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    strip_axes(axes)
    axes.tick_params(axis="y", labelcolor=INK)
