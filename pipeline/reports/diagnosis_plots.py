"""Pictures of a diagnosis: where an epoch goes, the step under its roof, the walk over cost and accuracy.

Style as in `plots`: blue is what is measured or kept, orange what was reverted, other ink is grey.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.diagnosis.improve import Closed
from pipeline.diagnosis.paired_attempt import Attempt, Measured
from pipeline.formatting import cut
from pipeline.measures import Point
from pipeline.profiling.breakdown import Breakdown, Part
from pipeline.profiling.roofline import AT_THE_ROOF, Roofline
from pipeline.reports.palette import BLUE, GREY, INK, LINE, ORANGE, SKY
from pipeline.reports.style import MIDDLE, SMALL, make_figure, render_png, strip_axes, use_log_cost

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
    """One stacked bar a command line, in shares of its epoch or answer; whiskers: quartiles of the whole."""
    first = rows[0][1]
    what = "a training epoch" if first.of == "epoch" else "one answer"
    told = f"measured by ablation, median of rounds; whiskers: quartiles of the whole · {first.device}"
    figure = make_figure(9, 0.95 + 0.8 * len(rows), f"Where {what} goes", told)
    axes = figure.subplots()
    for place, (name, found) in enumerate(rows):
        _bar(axes, place, found)
        label = f"{name}: {_time(found.whole.seconds)}"
        axes.text(0, place - 0.3, label, size=SMALL, color=INK, va="bottom", parse_math=False)
    parts = [part for part in COLOURS if any(part in found.parts for _, found in rows)]
    handles = [Patch(color=COLOURS[part], label=part.value) for part in parts]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(parts), frameon=False, fontsize=SMALL
    )
    axes.set_ylim(len(rows) - 0.55, -0.65)
    axes.set_xlim(0, max(1.12, max(found.whole.high / found.whole.seconds for _, found in rows) + 0.02))
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    strip_axes(axes)
    axes.spines["left"].set_visible(False)
    return render_png(figure)


def _bar(axes: Axes, place: int, found: Breakdown) -> None:
    """Parts one after the other; the whole as a line with its quartiles."""
    at, whole = 0.0, found.whole
    for part in found.parts:
        share = found.share(part)
        axes.barh(place, share, 0.5, left=at, color=COLOURS[part], edgecolor="white", linewidth=0.8)
        if share >= 0.04:
            colour = INK if part in (Part.input, Part.forward) else "white"
            style: dict[str, Any] = {"ha": "center", "va": "center", "size": SMALL, "color": colour}
            axes.text(at + share / 2, place, f"{share:.0%}", **style)
        at += share
    low, high = 1 - whole.low / whole.seconds, whole.high / whole.seconds - 1
    axes.errorbar(1, place + 0.33, xerr=[[low], [high]], color=INK, fmt="|", ms=7, capsize=2.5, linewidth=1)


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


# ---- roofline ---------------------------------------------------------------------------------------


def roofline(rows: Sequence[tuple[str, Roofline]], device: str) -> bytes:
    """Operations a second against operations a byte, both log; a grey line leads from a step to its roof."""
    told = " · ".join([*(f"{name}: {each.bound}, {_far(each)}" for name, each in rows)])
    figure = make_figure(7.2, 4.2, "A training step under the roof", told)
    axes = figure.subplots()
    steps = [each for _, each in rows]
    low = min(each.intensity for each in steps) / 4
    high = max(max(each.intensity, each.peak / each.bandwidth) for each in steps) * 6
    for peak, name in sorted({(each.peak, each.precision) for each in steps}):
        axes.plot([low, high], [peak, peak], color=GREY, linewidth=1.2)
        label = f"{name} products, {peak / 1e9:,.0f} GFLOP/s"
        axes.text(high, peak * 1.04, label, ha="right", va="bottom", size=SMALL, color=GREY)
    top = max(each.peak for each in steps)
    for bandwidth in sorted({each.bandwidth for each in steps}):
        axes.plot([low, top / bandwidth], [low * bandwidth, top], color=GREY, linewidth=1.2)
        label = f"{bandwidth / 1e9:,.0f} GB/s"
        axes.text(low * 1.1, low * 1.5 * bandwidth, label, ha="left", va="bottom", size=SMALL, color=GREY)
    for number, (name, each) in enumerate(rows):
        colour = BLUE if number == len(rows) - 1 else SKY
        axes.plot([each.intensity] * 2, [each.reached, each.roof], color=LINE, linewidth=2, zorder=1)
        axes.plot(each.intensity, each.reached, color=colour, marker="o", ms=9, mec="white", linestyle="")
        style: dict[str, Any] = {"size": SMALL, "color": INK, "parse_math": False}
        place: dict[str, Any] = {"xytext": (9, -4), "textcoords": "offset points"}
        axes.annotate(name, (each.intensity, each.reached), **place, **style)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(_floor(steps, low), 2 * top))
    axes.set_xlabel(f"operations a byte moved · {cut(device, 60)}", size=MIDDLE, color=INK)
    axes.set_ylabel("operations a second", size=MIDDLE, color=INK)
    for axis, unit, factor in ((axes.yaxis, " G", 1e9), (axes.xaxis, "", 1.0)):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, f=factor, u=unit: f"{value / f:g}{u}"))
    strip_axes(axes)
    return render_png(figure)


def _floor(steps: Sequence[Roofline], low: float) -> float:
    return min(min(each.reached for each in steps) / 2, low * min(each.bandwidth for each in steps))


def _far(each: Roofline) -> str:
    return f"{each.far:.1f}x below its roof" if each.far > AT_THE_ROOF else "at its roof"


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
    figure = make_figure(10, 4.4, "The walk to a cheaper command line", told)
    axes, list_ = figure.subplots(1, 2, width_ratios=[2.6, 1])
    spots = [each.after.point for each in attempts if each.after and each not in kept]
    path = [baseline.point, *[each.after.point for each in kept if each.after]]
    names = ["baseline", *[each.proposal.remedy for each in kept]]
    if closed.lengthened:
        path, names = [*path, end], [*names, "more epochs, for fresh seeds"]
    axes.axhline(wanted, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    _points(axes, spots, color=ORANGE, marker="x", ms=6, linestyle="")
    _points(axes, path, color=BLUE, marker="o", ms=13, mec="white", linewidth=1.6)
    for number, point in enumerate(path):
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "size": SMALL}
        axes.text(point.device_seconds, point.accuracy, str(number), **style, weight="bold")
    use_log_cost(axes, [point.device_seconds for point in (*path, *spots)])
    axes.margins(y=0.15)
    style = {"size": SMALL, "color": GREY, "va": "bottom", "ha": "right"}
    axes.annotate("accuracy that must be kept", (1, wanted), xycoords=("axes fraction", "data"), **style)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    axes.set_xlabel(f"{cost_name}, log scale", size=MIDDLE, color=INK)
    axes.set_ylabel("validation accuracy, mean of the seeds", size=MIDDLE, color=INK)
    strip_axes(axes)
    _list(
        list_,
        [f"{name}\n{_time(point.device_seconds)}" for name, point in zip(names, path, strict=True)],
        spots,
    )
    return render_png(figure)


def _list(axes: Axes, names: Sequence[str], spots: Sequence[Point]) -> None:
    """What the numbers stand for."""
    axes.set_axis_off()
    step = min(0.13, 0.94 / (len(names) + 1))
    for number, name in enumerate(names):
        words = "\n".join(part for line in name.splitlines() for part in wrap(line, 34))
        style: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "size": SMALL}
        axes.text(0.0, 0.98 - number * step, str(number), color=BLUE, weight="bold", **style)
        axes.text(0.08, 0.98 - number * step, words, color=INK, parse_math=False, **style)
    if spots:
        place = 0.98 - len(names) * step
        axes.text(
            0.0, place, "x", color=ORANGE, weight="bold", transform=axes.transAxes, va="top", size=SMALL
        )
        words = f"tried and reverted ({len(spots)} shown)"
        axes.text(0.08, place, words, color=INK, transform=axes.transAxes, va="top", size=SMALL)


def _points(axes: Axes, points: Sequence[Point], **style: Any) -> None:
    axes.plot([each.device_seconds for each in points], [each.accuracy for each in points], **style)
