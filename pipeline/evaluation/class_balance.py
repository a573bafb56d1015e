"""Scores in which every class counts alike: where one class is rare, accuracy says nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.measures import ClassScore

TELLING_GAP = 0.02
"""Accuracy less balanced accuracy from which a person should see both."""


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """Means over the classes that a split has, each in 0..1.

    `accuracy`: balanced accuracy, the mean recall (Brodersen et al. 2010, doi 10.1109/ICPR.2010.764);
    `f1`: the mean of the classes' F1; `auc`: area under the ROC curve, the mean over the pairs of classes
    (Hand and Till 2001, doi 10.1023/A:1010920819831), None where a class is missing; `unrecognised`: names
    of the classes of which no row was recognised.
    """

    accuracy: float
    f1: float
    auc: float | None
    unrecognised: tuple[str, ...] = ()

    def is_telling(self, accuracy: float) -> bool:
        """Return whether plain accuracy alone would mislead."""
        return bool(self.unrecognised) or accuracy - self.accuracy >= TELLING_GAP


def compute_class_balance(
    outputs: np.ndarray, labels: np.ndarray, scores: Sequence[ClassScore]
) -> ClassBalance:
    """Compute the scores of `outputs` [n, classes] for int labels [n]; `scores`: of the same rows."""
    present = [score for score in scores if score.support]
    f1 = [_compute_f1(score) for score in present]
    return ClassBalance(
        accuracy=float(np.mean([score.recall for score in present])),
        f1=float(np.mean(f1)),
        auc=_compute_auc(outputs, labels) if 1 < len(present) == len(scores) else None,
        unrecognised=tuple(score.name for score in present if score.recall == 0),
    )


def _compute_f1(score: ClassScore) -> float:
    total = score.precision + score.recall
    return 2 * score.precision * score.recall / total if total else 0.0


def _compute_auc(outputs: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 2:
        return float(roc_auc_score(labels, outputs[:, 1] - outputs[:, 0]))
    shares = outputs / outputs.sum(axis=1, keepdims=True)  # sigmoid outputs need not sum to 1
    return float(roc_auc_score(labels, shares, multi_class="ovo"))
