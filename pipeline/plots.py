"""Pictures as PNG bytes. matplotlib's objects only, no pyplot: nothing global, nothing left open."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.measures import Curve
from pipeline.prepared import Prepared
from pipeline.stages.evaluate import Evaluation

# Okabe and Ito's colours, told apart with any colour vision.
INK, BLUE, ORANGE, GREY = "#222222", "#0072B2", "#D55E00", "#999999"
DPI = 130
MOST_COUNTED = 20  # classes up to which a confusion matrix shows its counts


def evaluation_pictures(evaluation: Evaluation, prepared: Prepared) -> dict[str, bytes]:
    """All that `evaluate` has to show, by file name."""
    found = {
        "pictures/confusion_matrix.png": confusion_matrix(evaluation, prepared.classes),
        "pictures/calibration.png": calibration(evaluation),
    }
    if evaluation.worst:
        found["pictures/worst_mistakes.png"] = worst_mistakes(evaluation, prepared)
    return found


def learning_curves(curve: Curve) -> bytes:
    """Validation accuracy by epoch and by device-seconds."""
    figure = _figure(9, 3.6)
    by_epoch, by_cost = figure.subplots(1, 2, sharey=True)
    accuracy = [100 * epoch.validation_accuracy for epoch in curve.epochs]
    for axes, values, label in (
        (by_epoch, [epoch.number for epoch in curve.epochs], "epoch"),
        (by_cost, [epoch.device_seconds for epoch in curve.epochs], "device-seconds (log)"),
    ):
        axes.plot(values, accuracy, color=BLUE, marker="o", markersize=4, linewidth=1.6)
        axes.set_xlabel(label)
        _plain(axes)
    by_epoch.xaxis.get_major_locator().set_params(integer=True)
    by_cost.set_xscale("log")
    by_epoch.set_ylabel("validation accuracy, %")
    last = curve.last
    figure.suptitle(
        f"{last.validation_accuracy:.2%} after {last.number} epochs and {last.device_seconds:.2f} device-seconds",
        color=INK,
    )
    return _png(figure)


def confusion_matrix(evaluation: Evaluation, classes: Sequence[str]) -> bytes:
    """Test rows by true and predicted class; the shade is the share of the true class."""
    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(12.0, 2.6 + 0.5 * len(classes))
    figure = _figure(side, side)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 3 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    if len(classes) <= MOST_COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else INK
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_title(f"Test split: {evaluation.test.accuracy:.2%} right", color=INK)
    return _png(figure)


def calibration(evaluation: Evaluation) -> bytes:
    """Accuracy against confidence; on the diagonal a model knows how sure it may be."""
    figure = _figure(4.6, 4.6)
    axes = figure.subplots()
    filled = [each for each in evaluation.bins if each.samples]
    total = sum(each.samples for each in filled)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    sizes = [20 + 400 * each.samples / total for each in filled]
    axes.scatter(
        [each.confidence for each in filled],
        [each.accuracy for each in filled],
        s=sizes,
        color=BLUE,
        alpha=0.8,
        clip_on=False,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", aspect="equal")
    _plain(axes)
    axes.set_title(
        f"Expected calibration error {evaluation.calibration_error:.3f}\n(area: test samples)", color=INK
    )
    return _png(figure)


def worst_mistakes(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """The most confident mistakes on the test split."""
    rows = [mistake.row for mistake in evaluation.worst]
    titles = [f"{m.true} → {m.predicted}  {m.confidence:.0%}" for m in evaluation.worst]
    return _grid(prepared.test.features[rows], titles, "Most confident mistakes (true → predicted)", ORANGE)


def sample_grid(prepared: Prepared, most: int = 24) -> bytes:
    """Training samples, the classes in turn."""
    labels = np.asarray(prepared.train.labels)
    turns = np.zeros(len(labels), int)
    for label in range(len(prepared.classes)):
        mine = np.flatnonzero(labels == label)
        turns[mine] = np.arange(len(mine))
    rows = np.lexsort((labels, turns))[:most]
    titles = [prepared.classes[label] for label in labels[rows]]
    return _grid(prepared.train.features[rows], titles, "Training samples", INK)


def _grid(samples: np.ndarray, titles: Sequence[str], title: str, colour: str) -> bytes:
    columns = min(8, len(samples))
    lines = -(-len(samples) // columns)
    figure = _figure(1.25 * columns + 0.4, 1.5 * lines + 0.6)
    cells = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
    for axes in cells:
        axes.set_axis_off()
    for axes, sample, name in zip(cells, samples, titles, strict=False):
        _draw_sample(axes, np.asarray(sample))
        axes.set_title(name, fontsize=8, color=colour, pad=3)
    figure.suptitle(title, color=INK)
    return _png(figure)


def _draw_sample(axes: Axes, sample: np.ndarray) -> None:
    """An image as an image; anything else as a strip of its values."""
    if sample.ndim == 3 and sample.shape[2] in (3, 4):
        axes.imshow(sample if sample.dtype == np.uint8 else np.clip(sample / max(sample.max(), 1e-9), 0, 1))
    elif sample.ndim in (2, 3):
        axes.imshow(
            sample.reshape(sample.shape[:2]) if sample.size == np.prod(sample.shape[:2]) else sample[..., 0],
            cmap="gray_r",
        )
    else:
        axes.imshow(np.atleast_2d(sample.ravel()), cmap="gray_r", aspect="auto")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
