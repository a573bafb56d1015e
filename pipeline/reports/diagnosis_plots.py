"""Pictures of a diagnosis: where an epoch goes, the step below its roof, the way to a cheaper command line.

Blue is what is measured or kept, orange is what was not kept; everything else is grey.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.improve import Conclusion
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.formatting import format_count, format_seconds, shorten
from pipeline.measures import Point
from pipeline.profiling.breakdown import Breakdown, Part
from pipeline.profiling.roofline import AT_THE_ROOF, Roofline
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE, SKY
from pipeline.reports.style import (
    MIDDLE,
    SMALL,
    in_own_style,
    make_figure,
    render_png,
    strip_axes,
    use_log_cost,
)
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

COLOURS = {
    Part.input: "#F0E442",
    Part.forward: SKY,
    Part.backward: BLUE,
    Part.update: "#009E73",
    Part.overhead: ORANGE,
    Part.compute: BLUE,
}
"""Colours of Okabe and Ito; orange is what computes nothing."""


# ---- shares of an epoch -----------------------------------------------------------------------------


@in_own_style
def draw_breakdown(rows: Sequence[tuple[str, Breakdown]]) -> bytes:
    """Draw a stacked bar for each command line, in shares of its epoch or answer.

    Whiskers are the quartiles of the total.
    """
    first = rows[0][1]
    what = "a training epoch" if first.of == "epoch" else "one answer"
    subtitle = f"measured by ablation, median of rounds; whiskers: quartiles of the total · {first.device}"
    figure = make_figure(9, 0.95 + 0.8 * len(rows), f"Where {what} goes", subtitle)
    axes = figure.subplots()
    for row, (name, breakdown) in enumerate(rows):
        _draw_bar(axes, row, breakdown)
        label = f"{name}: {format_seconds(breakdown.whole.seconds)}"
        axes.text(0, row - 0.3, label, size=SMALL, color=INK, va="bottom", parse_math=False)
    components = [name for name in COLOURS if any(name in breakdown.parts for _, breakdown in rows)]
    handles = [Patch(color=COLOURS[name], label=name.value) for name in components]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(components), frameon=False, fontsize=SMALL
    )
    axes.set_ylim(len(rows) - 0.55, -0.65)
    axes.set_xlim(
        0, max(1.12, max(breakdown.whole.high / breakdown.whole.seconds for _, breakdown in rows) + 0.02)
    )
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    strip_axes(axes)
    axes.spines["left"].set_visible(False)
    return render_png(figure)


def _draw_bar(axes: Axes, row: int, breakdown: Breakdown) -> None:
    """Draw the components one after the other, and the total as a line with its quartiles."""
    left, total = 0.0, breakdown.whole
    for component in breakdown.parts:
        share = breakdown.share(component)
        axes.barh(row, share, 0.5, left=left, color=COLOURS[component], edgecolor="white", linewidth=0.8)
        if share >= 0.04:
            colour = INK if component in (Part.input, Part.forward) else "white"
            style: dict[str, Any] = {"ha": "center", "va": "center", "size": SMALL, "color": colour}
            axes.text(left + share / 2, row, f"{share:.0%}", **style)
        left += share
    low, high = 1 - total.low / total.seconds, total.high / total.seconds - 1
    axes.errorbar(1, row + 0.33, xerr=[[low], [high]], color=INK, fmt="|", ms=7, capsize=2.5, linewidth=1)


# ---- roofline ---------------------------------------------------------------------------------------


@in_own_style
def draw_roofline(rows: Sequence[tuple[str, Roofline]], device: str) -> bytes:
    """Draw operations per second against operations per byte, both log; a grey line leads to the roof."""
    subtitle = " · ".join(
        [*(f"{name}: {roofline.bound}, {_format_distance(roofline)}" for name, roofline in rows)]
    )
    figure = make_figure(7.2, 4.2, "A training step under the roof", subtitle)
    axes = figure.subplots()
    rooflines = [roofline for _, roofline in rows]
    low = min(roofline.intensity for roofline in rooflines) / 4
    high = max(max(roofline.intensity, roofline.peak / roofline.bandwidth) for roofline in rooflines) * 6
    _draw_roofs(axes, rooflines, low, high)
    _draw_rows(axes, rows)
    top = max(roofline.peak for roofline in rooflines)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(_compute_floor(rooflines, low), 2 * top))
    axes.set_xlabel(f"operations a byte moved · {shorten(device, 60)}", size=MIDDLE, color=INK)
    axes.set_ylabel("operations a second", size=MIDDLE, color=INK)
    for axis, unit, factor in ((axes.yaxis, " G", 1e9), (axes.xaxis, "", 1.0)):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, f=factor, u=unit: f"{value / f:g}{u}"))
    strip_axes(axes)
    return render_png(figure)


def _draw_roofs(axes: Axes, rooflines: Sequence[Roofline], low: float, high: float) -> None:
    """Draw what the machine can do at most: flat by its products, rising by its memory."""
    for peak, name in sorted({(roofline.peak, roofline.precision) for roofline in rooflines}):
        axes.plot([low, high], [peak, peak], color=GREY, linewidth=1.2)
        label = f"{name} products, {peak / 1e9:,.0f} GFLOP/s"
        axes.text(high, peak * 1.04, label, ha="right", va="bottom", size=SMALL, color=GREY)
    top = max(roofline.peak for roofline in rooflines)
    for bandwidth in sorted({roofline.bandwidth for roofline in rooflines}):
        axes.plot([low, top / bandwidth], [low * bandwidth, top], color=GREY, linewidth=1.2)
        label = f"{bandwidth / 1e9:,.0f} GB/s"
        axes.text(low * 1.1, low * 1.5 * bandwidth, label, ha="left", va="bottom", size=SMALL, color=GREY)


def _draw_rows(axes: Axes, rows: Sequence[tuple[str, Roofline]]) -> None:
    """Draw what each row does, and how far its roof is."""
    for number, (name, roofline) in enumerate(rows):
        colour = BLUE if number == len(rows) - 1 else SKY
        axes.plot(
            [roofline.intensity] * 2,
            [roofline.flops_per_second, roofline.roof],
            color=LINE,
            linewidth=2,
            zorder=1,
        )
        axes.plot(
            roofline.intensity,
            roofline.flops_per_second,
            color=colour,
            marker="o",
            ms=9,
            mec="white",
            linestyle="",
        )
        style: dict[str, Any] = {"size": SMALL, "color": INK, "parse_math": False}
        offset: dict[str, Any] = {"xytext": (9, -4), "textcoords": "offset points"}
        axes.annotate(name, (roofline.intensity, roofline.flops_per_second), **offset, **style)


def _compute_floor(rooflines: Sequence[Roofline], low: float) -> float:
    return min(
        min(roofline.flops_per_second for roofline in rooflines) / 2,
        low * min(roofline.bandwidth for roofline in rooflines),
    )


def _format_distance(roofline: Roofline) -> str:
    return f"{roofline.slowdown:.1f}x below its roof" if roofline.slowdown > AT_THE_ROOF else "at its roof"


# ---- the attempts -------------------------------------------------------------------------------------


@in_own_style
def draw_improvement(
    baseline: MeasuredCommand,
    attempts: Sequence[Attempt],
    conclusion: Conclusion,
    required_accuracy: float,
    cost_name: str,
    device: str,
    measure: Measure = ACCURACY_MEASURE,
) -> bytes:
    """Draw cost (log) and the measure from baseline to result; orange: refused, hollow orange: promising."""
    kept_attempts = [attempt for attempt in attempts if attempt.kept]
    kept_attempts = kept_attempts[: len(kept_attempts) - len(conclusion.rejected)]
    end = conclusion.result.point
    subtitle = (
        f"{_describe_gain(baseline, conclusion, measure)} · "
        f"{len(kept_attempts)} of {format_count(len(attempts), 'attempt')} kept · {shorten(device, 50)}"
    )
    figure = make_figure(10, 4.4, "The way to a cheaper command line", subtitle)
    axes, legend = figure.subplots(1, 2, width_ratios=[2.6, 1])
    others = [attempt for attempt in attempts if attempt.after and attempt not in kept_attempts]
    promising = [attempt.after.point for attempt in others if attempt.promising and attempt.after]
    refused = [attempt.after.point for attempt in others if not attempt.promising and attempt.after]
    path = [baseline.point, *[attempt.after.point for attempt in kept_attempts if attempt.after]]
    names = ["baseline", *[attempt.proposal.remedy for attempt in kept_attempts]]
    if conclusion.lengthened:
        path, names = [*path, end], [*names, "more epochs, for fresh seeds"]
    axes.axhline(required_accuracy, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    _draw_points(axes, refused, color=ORANGE, marker="x", ms=6, linestyle="")
    _draw_points(axes, promising, color=ORANGE, marker="o", mfc="none", ms=8, linestyle="")
    _draw_points(axes, path, color=BLUE, marker="o", ms=13, mec="white", linewidth=1.6)
    _number_points(axes, path)
    use_log_cost(axes, [point.device_seconds for point in (*path, *refused, *promising)])
    axes.margins(y=0.15)
    style = {"size": SMALL, "color": GREY, "va": "bottom", "ha": "right"}
    axes.annotate(
        f"{measure.label} that must be kept",
        (1, required_accuracy),
        xycoords=("axes fraction", "data"),
        **style,
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: measure.format_tick(value)))
    axes.set_xlabel(f"{cost_name}, log scale", size=MIDDLE, color=INK)
    axes.set_ylabel(f"validation {measure.label}, mean of the seeds", size=MIDDLE, color=INK)
    strip_axes(axes)
    _list_steps(
        legend,
        [f"{name}\n{format_seconds(point.device_seconds)}" for name, point in zip(names, path, strict=True)],
        {"x": ("refused", len(refused)), "o": ("promising, not proven", len(promising))},
    )
    return render_png(figure)


def _describe_gain(baseline: MeasuredCommand, conclusion: Conclusion, measure: Measure) -> str:
    change = measure.format_change(conclusion.result.point.accuracy - baseline.point.accuracy)
    return f"{conclusion.gain.format() if conclusion.gain else 'nothing pays'}, {change}"


def _number_points(axes: Axes, path: Sequence[Point]) -> None:
    for number, point in enumerate(path):
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "size": SMALL}
        axes.text(point.device_seconds, point.accuracy, str(number), **style, weight="bold")


def _list_steps(axes: Axes, names: Sequence[str], others: Mapping[str, tuple[str, int]]) -> None:
    """List what the numbers of the points stand for, then the other marks: what each means, and how many."""
    axes.set_axis_off()
    shown = [(mark, f"{name} ({count} shown)") for mark, (name, count) in others.items() if count]
    step = min(0.13, 0.94 / (len(names) + len(shown)))
    rows = [(str(number), name, BLUE) for number, name in enumerate(names)]
    rows += [(mark, name, ORANGE) for mark, name in shown]
    for number, (mark, name, colour) in enumerate(rows):
        words = "\n".join(row for line in name.splitlines() for row in wrap(line, 34))
        style: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "size": SMALL}
        axes.text(0.0, 0.98 - number * step, mark, color=colour, weight="bold", **style)
        axes.text(0.08, 0.98 - number * step, words, color=INK, parse_math=False, **style)


def _draw_points(axes: Axes, points: Sequence[Point], **style: Any) -> None:
    axes.plot([point.device_seconds for point in points], [point.accuracy for point in points], **style)
