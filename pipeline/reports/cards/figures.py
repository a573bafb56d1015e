"""Test figures with their intervals, from what an evaluation has kept of the test rows."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.class_balance import ClassBalance
from pipeline.evaluation.evaluate import AnyEvaluation, Evaluation
from pipeline.evaluation.intervals import Figure, compute_share
from pipeline.evaluation.quantities import QuantityEvaluation
from pipeline.models.scores import measure_classes

DRAWS = 1000
ENDS = (2.5, 97.5)
"""Per cent of the draws that lie below the ends of an interval."""
MOST_CLASSES = 100


@dataclass(frozen=True, slots=True)
class CardFigure:
    """A figure of the test split; `figure`: with its 95 % interval, or a number that has none."""

    name: str
    figure: Figure | float


def list_figures(evaluation: AnyEvaluation) -> list[CardFigure]:
    """List the test figures of a model.

    The interval of accuracy is that of Wilson (1927), the others are percentiles of `DRAWS` draws of the rows
    with replacement (Efron 1979, doi 10.1214/aos/1176344552), seeded; of quantities, of the rows that
    were kept.
    """
    if isinstance(evaluation, QuantityEvaluation):
        return _list_quantity_figures(evaluation)
    return _list_class_figures(evaluation)


def _list_class_figures(evaluation: Evaluation) -> list[CardFigure]:
    test, balance = evaluation.test, evaluation.balance
    counts = np.array(evaluation.confusion, np.int64)
    draws = None
    if len(counts) <= MOST_CLASSES and counts.sum():
        shares = counts.ravel() / counts.sum()
        draws = np.random.default_rng(0).multinomial(counts.sum(), shares, DRAWS).reshape(-1, *counts.shape)
    named: dict[str, Figure | float | None] = {
        "accuracy": compute_share(test.accuracy, test.samples),
        "balanced accuracy": _find_ends(balance.accuracy, draws, "balanced_accuracy"),
        "F1, mean over the classes": _find_ends(balance.f1, draws, "f1"),
        "area under the ROC curve": _bound_auc(balance),
        "loss": test.loss,
        "expected calibration error": evaluation.calibration_error
        if evaluation.calibration_interval is None
        else Figure(evaluation.calibration_error, *evaluation.calibration_interval),
        "accuracy on changed samples": evaluation.test_accuracy_under_shift,
        "accuracy under attack": evaluation.attacked.test if evaluation.attacked else None,
        **{f"membership attack ({attack.name}), AUC": attack.auc for attack in evaluation.membership},
    }
    return [CardFigure(name, figure) for name, figure in named.items() if figure is not None]


def _bound_auc(balance: ClassBalance) -> Figure | float | None:
    auc, half_width = balance.auc, balance.auc_half_width
    if auc is None or half_width is None:
        return auc
    return Figure(auc, max(0.0, auc - half_width), min(1.0, auc + half_width))


def _find_ends(value: float, draws: np.ndarray | None, measure: str) -> Figure | float:
    """Return a measure of classes with its interval; `draws`: confusion matrices [draws, true, guessed]."""
    if draws is None:
        return value
    drawn = [measure_classes(counts.diagonal(), counts.sum(0), counts.sum(1), measure) for counts in draws]
    low, high = np.percentile(drawn, ENDS)
    # Where no row is wrong, no draw is: that tells nothing of other rows.
    return Figure(value, float(low), float(high)) if low < high else value


def _list_quantity_figures(evaluation: QuantityEvaluation) -> list[CardFigure]:
    test = evaluation.test
    truth, answers = np.array(evaluation.pairs, np.float64).T
    rows = np.random.default_rng(0).integers(0, len(truth), (DRAWS, len(truth)))
    drawn, errors = truth[rows], (answers - truth)[rows]
    squares = np.square(errors).mean(axis=1)
    spread = drawn.var(axis=1)
    varied = spread > 0  # of few rows, a draw may be one of them again and again: it has no R2
    named = {
        "R2": (test.r2, 1 - squares[varied] / spread[varied]),
        "RMSE": (test.rmse, np.sqrt(squares)),
        "mean absolute error": (test.mae, np.abs(errors).mean(axis=1)),
        "bias (answer less truth)": (evaluation.bias, errors.mean(axis=1)),
    }
    figures = [CardFigure(name, _bound_figure(value, draws)) for name, (value, draws) in named.items()]
    return [*figures, CardFigure("RMSE of always answering the training mean", evaluation.rmse_of_mean)]


def _bound_figure(value: float, draws: np.ndarray) -> Figure | float:
    """Return a figure with its interval; the figure alone where no draw of the rows has one."""
    return Figure(value, *map(float, np.percentile(draws, ENDS))) if len(draws) else value
