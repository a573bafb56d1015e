"""Scores in which every class counts alike: where one class is rare, accuracy says nothing of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.intervals import average_shares, compute_area
from pipeline.measures import ClassScore
from pipeline.models.scores import compute_areas

QUANTILE = statistics.NormalDist().inv_cdf(0.975)
TELLING_GAP = 0.02
"""Accuracy less balanced accuracy from which a person should see both."""


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """Means over the classes that a split has, each in 0..1.

    `accuracy`: balanced accuracy, the mean recall (Brodersen et al. 2010, doi 10.1109/ICPR.2010.764);
    `f1`: the mean of the classes' F1; `auc`: area under the ROC curve, of more than two classes the mean of
    each against the others, None where a class is missing; `auc_interval`: the ends of its interval (95 %);
    `unrecognised`: names of the classes of which no row was recognised.
    """

    accuracy: float
    f1: float
    auc: float | None
    unrecognised: tuple[str, ...] = ()
    auc_interval: tuple[float, float] | None = None

    def is_telling(self, accuracy: float) -> bool:
        """Return whether plain accuracy alone would mislead."""
        return bool(self.unrecognised) or accuracy - self.accuracy >= TELLING_GAP


def compute_class_balance(
    outputs: np.ndarray, labels: np.ndarray, scores: Sequence[ClassScore]
) -> ClassBalance:
    """Compute the scores of `outputs` [n, classes] for int labels [n]; `scores`: of the same rows."""
    present = [score for score in scores if score.support]
    f1 = [_compute_f1(score) for score in present]
    is_whole = 1 < len(present) == len(scores)
    auc, interval = _compute_area(outputs, labels) if is_whole else (None, None)
    return ClassBalance(
        accuracy=float(np.mean([score.recall for score in present])),
        f1=float(np.mean(f1)),
        auc=auc,
        auc_interval=interval,
        unrecognised=tuple(score.name for score in present if score.recall == 0),
    )


def _compute_area(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the mean area of the classes and its interval, by DeLong's error.

    It is no narrower than the interval that follows from the rows of each class: the error of a class of few
    rows, which happen to be alike, is near zero.
    """
    areas, error = compute_areas(outputs, labels)
    counts = np.bincount(labels, minlength=outputs.shape[1])
    figures = [
        compute_area(area, int(counts[number]), int(counts.sum() - counts[number]))
        for number, area in areas.items()
    ]
    figure = average_shares(figures)
    low, high = figure.value - QUANTILE * error, figure.value + QUANTILE * error
    return figure.value, (max(0.0, min(low, figure.low)), min(1.0, max(high, figure.high)))


def _compute_f1(score: ClassScore) -> float:
    total = score.precision + score.recall
    return 2 * score.precision * score.recall / total if total else 0.0
