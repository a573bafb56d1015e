"""Test figures with their intervals, from what an evaluation has kept of the test rows."""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.class_balance import ClassBalance
from pipeline.evaluation.evaluate import AnyEvaluation, Evaluation
from pipeline.evaluation.intervals import Figure, average_shares, compute_share
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

    The interval of a share of rows is that of Wilson (1927), and a mean over classes has one that follows
    from theirs. The others are percentiles of `DRAWS` draws of the rows with replacement (Efron 1979, doi
    10.1214/aos/1176344552), seeded; of quantities, of the rows that were kept.
    """
    if isinstance(evaluation, QuantityEvaluation):
        return _list_quantity_figures(evaluation)
    return _list_class_figures(evaluation)


def _list_class_figures(evaluation: Evaluation) -> list[CardFigure]:
    test, balance, attacked = evaluation.test, evaluation.balance, evaluation.attacked
    present = [score for score in evaluation.classes if score.support]
    named: dict[str, Figure | float | None] = {
        "accuracy": compute_share(test.accuracy, test.samples),
        "balanced accuracy": average_shares(
            [compute_share(score.recall, score.support) for score in present]
        ),
        "F1, mean over the classes": _bound_f1(np.array(evaluation.confusion, np.int64)),
        "area under the ROC curve": _bound_auc(balance),
        "loss": test.loss,
        "expected calibration error": evaluation.calibration_error
        if evaluation.calibration_interval is None
        else Figure(evaluation.calibration_error, *evaluation.calibration_interval),
        "accuracy on changed samples": evaluation.test_accuracy_under_shift,
        **({f"accuracy under {attacked.about}": attacked.test} if attacked else {}),
        **{f"membership attack ({attack.name}), AUC": attack.auc for attack in evaluation.membership},
    }
    return [CardFigure(name, figure) for name, figure in named.items() if figure is not None]


def _bound_auc(balance: ClassBalance) -> Figure | float | None:
    auc, interval = balance.auc, balance.auc_interval
    return auc if auc is None or interval is None else Figure(auc, *interval)


def _bound_f1(counts: np.ndarray) -> Figure:
    """Return the mean F1 of the classes that have rows; `counts`: the confusion matrix [true, guessed].

    The F1 of a class follows from the share of rows that are right among those that are of it or were taken
    for it. Two classes share their mistakes, so the interval is no narrower than that of draws of the rows;
    draws without a row of some class say nothing of it.
    """
    right, named, support = counts.diagonal(), counts.sum(0), counts.sum(1)
    present = support > 0
    either = (named + support - right)[present]
    shares = [compute_share(n / rows, rows) for n, rows in zip(right[present], either, strict=True)]
    figure = average_shares([Figure(*map(_to_f1, (share.value, share.low, share.high))) for share in shares])
    if len(counts) > MOST_CLASSES:
        return figure
    draws = np.random.default_rng(0).multinomial(counts.sum(), counts.ravel() / counts.sum(), DRAWS)
    drawn = [
        measure_classes(draw.diagonal(), draw.sum(0), draw.sum(1), "f1")
        for draw in draws.reshape(-1, *counts.shape)
        if draw.sum(1)[present].all()
    ]
    low, high = np.percentile([figure.value, *drawn], ENDS)
    return Figure(figure.value, min(figure.low, float(low)), max(figure.high, float(high)))


def _to_f1(share: float) -> float:
    return 2 * share / (1 + share)


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
