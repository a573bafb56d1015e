"""Pictures of one trial as PNG; `style` has their style. The same data gives the same bytes."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.formatting import format_count, format_device_seconds, format_percent, format_score, shorten
from pipeline.measures import Curve
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

if TYPE_CHECKING:
    from pipeline.evaluation.evaluate import Evaluation

MAX_CLASSES_WITH_COUNTS = 20  # classes up to which a confusion matrix shows its numbers


# ---- learning curves ----------------------------------------------------------------------------------


@in_own_style
def draw_learning_curves(curve: Curve, measure: Measure = ACCURACY_MEASURE) -> bytes:
    """Draw validation accuracy, or what `measure` is, against epoch, and against device-seconds (log)."""
    last = curve.last
    epochs = format_count(last.number, "epoch")
    cost = format_device_seconds(last.device_seconds)
    result = f"{measure.format(last.validation_accuracy)} after {epochs}, {cost}"
    figure = make_figure(9, 3.4, f"Validation {measure.label}", f"{result} · {shorten(curve.device, 60)}")
    by_epoch, by_cost = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.08})
    accuracy = [epoch.validation_accuracy for epoch in curve.epochs]
    _draw_line(by_epoch, [epoch.number for epoch in curve.epochs], accuracy, "epoch")
    _draw_line(
        by_cost, [epoch.device_seconds for epoch in curve.epochs], accuracy, "device-seconds, log scale"
    )
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    use_log_cost(by_cost, [epoch.device_seconds for epoch in curve.epochs])
    by_epoch.yaxis.set_major_formatter(FuncFormatter(lambda value, _: measure.format_tick(value)))
    return render_png(figure)


def _draw_line(axes: Axes, places: Sequence[float], accuracy: Sequence[float], label: str) -> None:
    axes.plot(places, accuracy, color=BLUE, linewidth=1.6, marker="o" if len(places) <= 40 else None, ms=4)
    axes.plot(places[-1:], accuracy[-1:], color=BLUE, marker="o", ms=9, mec="white", mew=1.5, zorder=4)
    axes.margins(y=0.12)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.01))
    axes.set_xlabel(label, size=MIDDLE, color=INK)
    strip_axes(axes)


# ---- confusion matrix ---------------------------------------------------------------------------------


def compute_row_shares(confusion: Sequence[Sequence[int]]) -> np.ndarray:
    """Compute shares 0..1 of each true class, [classes, classes]; a class without rows has zeros."""
    counts = np.array(confusion)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


@in_own_style
def draw_confusion_matrix(evaluation: "Evaluation", classes: Sequence[str]) -> bytes:
    """Draw the test rows by true and predicted class, as counts and shares of the true class."""
    cell = float(np.clip(5.6 / len(classes), 0.56, 1.5)) if len(classes) <= MAX_CLASSES_WITH_COUNTS else 0.0
    side = max(3.4, cell * len(classes)) if cell else 7.6
    right = f"{format_score(evaluation.test.accuracy)} of {evaluation.test.samples:,} right"
    reading = "small: share of the true class" if cell else "blue: right, orange: wrong"
    figure = make_figure(side + 1.2, side + 0.9, "Confusion matrix, test split", f"{right} · {reading}")
    axes = figure.subplots()
    shares = compute_row_shares(evaluation.confusion)
    axes.imshow(_shade_cells(shares))
    _name_classes(axes, classes, cell or side / len(classes))
    if cell:
        _write_counts(axes, np.array(evaluation.confusion), shares, cell)
        axes.set_xticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(LINE)
    return render_png(figure)


def _shade_cells(shares: np.ndarray) -> np.ndarray:
    """Shade cells white to blue on the diagonal, white to orange off it, by the root of the share.

    With the root a share of 1 % can be seen.
    """
    full = np.where(np.eye(len(shares), dtype=bool)[..., None], to_rgb(BLUE), to_rgb(ORANGE))
    return np.asarray(1 - np.sqrt(shares)[..., None] * (1 - full))


def _name_classes(axes: Axes, classes: Sequence[str], cell: float) -> None:
    step = max(1, math.ceil(0.16 / cell))  # a name needs 0.16 inches
    places, names = range(0, len(classes), step), [shorten(name) for name in classes[::step]]
    fits = max(map(len, names)) * 0.075 < cell * step
    slant: dict[str, Any] = {} if fits else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    style: dict[str, Any] = {"size": SMALL + 1 if cell > 0.3 else 7, "color": INK, "parse_math": False}
    axes.set_xticks(places, names, **style, **slant)
    axes.set_yticks(places, names, **style)
    axes.set_xlabel("predicted", size=MIDDLE, color=GREY)
    axes.set_ylabel("true", size=MIDDLE, color=GREY)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, cell: float) -> None:
    size = min(14.0, 6.5 + 4 * cell)
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        style: dict[str, Any] = {"ha": "center", "color": "white" if share > 0.3 else INK}
        axes.text(column, row, f"{counts[row, column]:,}", va="bottom", size=size, **style)
        axes.text(column, row + 0.08, format_percent(share), va="top", size=0.7 * size, **style)


# ---- calibration --------------------------------------------------------------------------------------


@in_own_style
def draw_calibration(evaluation: "Evaluation") -> bytes:
    """Draw accuracy against confidence, and how many rows have which confidence."""
    ends = evaluation.calibration_interval
    interval = f" ({format_score(ends[0])} to {format_score(ends[1])})" if ends else ""
    expected = format_score(evaluation.calibration_error)
    error = f"expected error {expected}{interval} · orange: too sure, light blue: unsure"
    figure = make_figure(5.4, 5.8, "Confidence and accuracy, test split", error)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    width, total = 1 / len(evaluation.bins), evaluation.test.samples
    for number, bin_ in enumerate(evaluation.bins):
        if bin_.samples:
            middle, gap = (number + 0.5) * width, bin_.confidence - bin_.accuracy
            upper.bar(middle, bin_.accuracy, 0.92 * width, color=BLUE)
            upper.bar(middle, gap, 0.92 * width, bin_.accuracy, color=ORANGE if gap > 0 else SKY)
            lower.bar(middle, bin_.samples / total, 0.92 * width, color=GREY)
    upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    lower.set(ylim=(0, None))
    for axes, label in ((upper, "accuracy"), (lower, "share of rows")):
        axes.set_ylabel(label, size=MIDDLE, color=INK)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        strip_axes(axes)
    lower.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    lower.yaxis.set_major_locator(MaxNLocator(2))
    lower.set_xlabel("confidence: output of the predicted class", size=MIDDLE, color=INK)
    return render_png(figure)
