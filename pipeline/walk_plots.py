"""Pictures of a diagnosis: where an epoch goes, the step under its roof, the walk over cost and accuracy.

Style as in `plots`: blue is what is measured or kept, orange what was reverted, other ink is grey.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from pipeline import drawing
from pipeline.attempts import Attempt, Measured
from pipeline.breakdown import Breakdown, Part
from pipeline.drawing import MIDDLE, SMALL
from pipeline.measures import Point
from pipeline.palette import BLUE, GREY, INK, LINE, ORANGE, SKY
from pipeline.roofline import Roofline
from pipeline.walk import Closed
from pipeline.wording import cut, short

COLOURS = {
    Part.input: "#F0E442",
    Part.forward: SKY,
    Part.backward: BLUE,
    Part.update: "#009E73",
    Part.overhead: ORANGE,
    Part.compute: BLUE,
}
"""Of Okabe and Ito; orange is what does no work."""


# ---- shares of an epoch -----------------------------------------------------------------------------


def breakdown(rows: Sequence[tuple[str, Breakdown]]) -> bytes:
    """One stacked bar a command line, in seconds of an epoch or an answer; whiskers are quartiles."""
    unit, factor = _unit(max(found.whole.seconds for _, found in rows))
    first = rows[0][1]
    what = "a training epoch" if first.of == "epoch" else "one answer"
    told = f"{unit} of {what}, measured by ablation · {first.device}"
    figure = drawing.page(9, 0.75 + 0.75 * len(rows), f"Where {what} goes", told)
    axes = figure.subplots()
    for place, (name, found) in enumerate(rows):
        _bar(axes, place, found, factor)
        axes.text(0, place - 0.36, name, size=SMALL, color=INK, va="bottom", parse_math=False)
    parts = [part for part in COLOURS if any(part in found.parts for _, found in rows)]
    for part in parts:
        axes.barh([0], [0], color=COLOURS[part], label=part.value)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.22 / len(rows) - 0.06),
        ncols=len(parts),
        frameon=False,
        fontsize=SMALL,
    )
    axes.set_ylim(len(rows) - 0.5, -0.75)
    axes.set_yticks([])
    drawing.plain(axes)
    axes.spines["left"].set_visible(False)
    return drawing.png(figure)


def _bar(axes: Axes, place: int, found: Breakdown, factor: float) -> None:
    """Parts one after the other; the whole as a line with its quartiles."""
    at = 0.0
    for part, each in found.parts.items():
        width = each.seconds * factor
        axes.barh(place, width, 0.5, left=at, color=COLOURS[part], edgecolor="white", linewidth=0.8)
        share = found.share(part)
        if share >= 0.06:
            dark = part in (Part.backward, Part.update, Part.overhead, Part.compute)
            colour = "white" if dark else INK
            axes.text(
                at + width / 2, place, f"{share:.0%}", ha="center", va="center", size=SMALL, color=colour
            )
        at += width
    low, middle, high = (factor * each for each in (found.whole.low, found.whole.seconds, found.whole.high))
    axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color=INK, fmt="|", ms=22, capsize=3)


def _unit(seconds: float) -> tuple[str, float]:
    for name, factor in (("seconds", 1.0), ("milliseconds", 1e3)):
        if seconds * factor >= 1:
            return name, factor
    return "microseconds", 1e6


# ---- roofline ---------------------------------------------------------------------------------------


def roofline(rows: Sequence[tuple[str, Roofline]], device: str) -> bytes:
    """Operations a second against operations a byte, both log; the roofs that each step has over it."""
    first = rows[0][1]
    told = f"one training step: {first.bound}, {first.far:.1f}x below its roof · {device}"
    figure = drawing.page(6.4, 4.2, "Under the roof", told)
    axes = figure.subplots()
    low = min(each.intensity for _, each in rows) / 4
    high = max(max(each.intensity, each.peak / each.bandwidth) for _, each in rows) * 4
    roofs = {(each.peak, each.bandwidth, each.precision) for _, each in rows}
    for peak, bandwidth, precision in sorted(roofs):
        ridge = peak / bandwidth
        axes.plot([low, ridge, high], [low * bandwidth, peak, peak], color=GREY, linewidth=1.2)
        label = f"{precision}, {peak / 1e9:,.0f} GFLOP/s; {bandwidth / 1e9:,.0f} GB/s"
        axes.text(high, peak * 1.06, label, ha="right", va="bottom", size=SMALL, color=GREY)
    for number, (name, each) in enumerate(rows):
        colour = BLUE if number == len(rows) - 1 else SKY
        axes.plot([each.intensity] * 2, [each.reached, each.roof], color=LINE, linewidth=1, zorder=1)
        axes.plot(each.intensity, each.reached, color=colour, marker="o", ms=9, mec="white", linestyle="")
        right = each.intensity < math.sqrt(low * high)
        axes.annotate(
            name,
            (each.intensity, each.reached),
            xytext=(8 if right else -8, -4),
            textcoords="offset points",
            ha="left" if right else "right",
            size=SMALL,
            color=INK,
            parse_math=False,
        )
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    axes.set_xlabel("operations a byte moved", size=MIDDLE, color=INK)
    axes.set_ylabel("operations a second", size=MIDDLE, color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e9:g} G"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    drawing.plain(axes)
    return drawing.png(figure)


# ---- the walk ---------------------------------------------------------------------------------------


def walk(
    baseline: Measured,
    attempts: Sequence[Attempt],
    closed: Closed,
    wanted: float,
    cost_name: str,
    device: str,
) -> bytes:
    """Cost (log) and accuracy from the first command line to the last; orange: tried and reverted."""
    kept = [attempt for attempt in attempts if attempt.kept]
    kept = kept[: len(kept) - len(closed.given_up)]
    end = closed.result.point
    times = baseline.point.device_seconds / end.device_seconds
    change = 100 * (end.accuracy - baseline.point.accuracy)
    told = (
        f"{times:,.3g}x cheaper, {change:+.2f} points · {len(kept)} of {len(attempts)} attempts kept"
        f" · {cut(device, 50)}"
    )
    figure = drawing.page(9, 4.4, "The walk to a cheaper command line", told)
    axes = figure.subplots()
    spots = [each.after.point for each in attempts if each.after and each not in kept]
    path = [baseline.point, *[each.after.point for each in kept if each.after]]
    names = ["baseline", *[each.proposal.remedy for each in kept]]
    if closed.lengthened:
        path, names = [*path, end], [*names, "more epochs, for fresh seeds"]
    axes.axhline(wanted, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    _points(axes, spots, color=ORANGE, marker="x", ms=6, linestyle="")
    _points(axes, path, color=BLUE, marker="o", ms=8, mec="white", linewidth=1.6)
    drawing.log_cost(axes, [point.device_seconds for point in (*path, *spots)])
    axes.margins(y=0.25)
    _name_points(axes, names, path)
    style: dict[str, Any] = {"size": SMALL, "color": GREY, "va": "bottom", "ha": "right"}
    axes.annotate("accuracy that must be kept", (1, wanted), xycoords=("axes fraction", "data"), **style)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    axes.set_xlabel(f"{cost_name}, log scale", size=MIDDLE, color=INK)
    axes.set_ylabel("validation accuracy, mean of the seeds", size=MIDDLE, color=INK)
    drawing.plain(axes)
    return drawing.png(figure)


def _points(axes: Axes, points: Sequence[Point], **style: Any) -> None:
    axes.plot([each.device_seconds for each in points], [each.accuracy for each in points], **style)


def _name_points(axes: Axes, names: Sequence[str], points: Sequence[Point]) -> None:
    """Above and below in turns, so that neighbours do not write over each other."""
    for number, (name, point) in enumerate(zip(names, points, strict=True)):
        up = number % 2 == 0
        axes.annotate(
            f"{name}\n{short(point.device_seconds)} s",
            (point.device_seconds, point.accuracy),
            xytext=(0, 10 if up else -10),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            size=SMALL,
            color=INK,
            parse_math=False,
        )
