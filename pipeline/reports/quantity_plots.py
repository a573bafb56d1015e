"""The picture of answers that are quantities: against the truth, and what is left between both."""

import numpy as np
from matplotlib.axes import Axes

from pipeline.evaluation.quantities import QuantityEvaluation
from pipeline.formatting import format_count, format_number
from pipeline.reports.palette import BLUE, INK, ORANGE
from pipeline.reports.style import MIDDLE, in_own_style, make_figure, render_png, strip_axes
from pipeline.settings.searching.measures import R2_MEASURE

MAX_BINS = 30
DASHED = (0, (4, 3))


@in_own_style
def draw_residuals(evaluation: QuantityEvaluation) -> bytes:
    """Draw test rows: answer against truth, error against answer, and how many rows have which error."""
    test = evaluation.test
    reached = (
        f"R2 {R2_MEASURE.format(test.r2)}, RMSE {format_number(test.rmse)}, MAE {format_number(test.mae)}"
    )
    shown = f"{len(evaluation.pairs):,} of {format_count(test.samples, 'row')}"
    reading = "dashed: right · orange: typical error of the mean"
    figure = make_figure(11, 4.0, "Answers and errors, test split", f"{reached} · {shown} · {reading}")
    by_truth, by_answer, counts = figure.subplots(
        1, 3, gridspec_kw={"wspace": 0.3, "width_ratios": [1, 1, 0.7]}
    )
    truth, answers = np.array(evaluation.pairs, np.float64).T
    errors = answers - truth
    _draw_dots(by_truth, truth, answers, "true", "answered")
    low, high = min(truth.min(), answers.min()), max(truth.max(), answers.max())
    by_truth.plot([low, high], [low, high], color=INK, linewidth=1, linestyle=DASHED)
    _draw_dots(by_answer, answers, errors, "answered", "answered less true")
    by_answer.axhline(0, color=INK, linewidth=1, linestyle=DASHED)
    for edge in (-evaluation.rmse_of_mean, evaluation.rmse_of_mean):
        by_answer.axhline(edge, color=ORANGE, linewidth=1)
    counts.hist(
        errors, max(5, min(MAX_BINS, round(len(errors) ** 0.5))), color=BLUE, orientation="horizontal"
    )
    counts.set_ylim(by_answer.get_ylim())
    counts.axhline(0, color=INK, linewidth=1, linestyle=DASHED)
    counts.set_xlabel("rows", size=MIDDLE, color=INK)
    strip_axes(counts)
    return render_png(figure)


def _draw_dots(axes: Axes, across: np.ndarray, up: np.ndarray, x_label: str, y_label: str) -> None:
    axes.scatter(across, up, 14, BLUE, alpha=0.5, linewidths=0)
    axes.set_xlabel(x_label, size=MIDDLE, color=INK)
    axes.set_ylabel(y_label, size=MIDDLE, color=INK)
    strip_axes(axes)
