"""Scores of a model's outputs against the labels: accuracy, loss, confusions, calibration, mistakes."""

from dataclasses import dataclass

import numpy as np

from pipeline.measures import ClassScore, SplitScore
from pipeline.models.scores import compute_accuracy
from pipeline.settings.training import Loss
from pipeline.training.losses import loss_class


@dataclass(frozen=True, slots=True)
class Mistake:
    """Row `row` of the test split (from 0) was taken for another class, with that class's output in 0..1."""

    row: int
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Test rows whose confidence fell into one bin: mean confidence and accuracy in 0..1, 0 where empty."""

    confidence: float
    accuracy: float
    samples: int


def score_outputs(outputs: np.ndarray, labels: np.ndarray, loss: Loss) -> SplitScore:
    """Return accuracy and mean loss of `outputs` [n, classes]; the largest output is the guess.

    Training takes its loss from logits and smooths labels where told to, so a validation loss from there may
    be a little different.

    Raises:
        Diverged: an output is NaN or infinite.
    """
    accuracy = compute_accuracy(outputs, labels)
    return SplitScore(accuracy, float(loss_class(loss).score(loss, outputs, labels).mean()), len(labels))


def score_classes(
    labels: np.ndarray, guesses: np.ndarray, classes: tuple[str, ...]
) -> tuple[ClassScore, ...]:
    """Return precision and recall by class; 0 where the class was never guessed or no row has its label."""
    counts = _count_pairs(labels, guesses, len(classes))
    right, guessed, support = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    rows = zip(classes, right / np.maximum(guessed, 1), right / np.maximum(support, 1), support, strict=True)
    return tuple(ClassScore(name, float(p), float(r), int(n)) for name, p, r, n in rows)


def count_confusions(labels: np.ndarray, guesses: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    """Count rows by true class (first index) and guessed class (second)."""
    return tuple(tuple(row) for row in _count_pairs(labels, guesses, classes).tolist())


def _count_pairs(labels: np.ndarray, guesses: np.ndarray, classes: int) -> np.ndarray:
    """Count pairs of classes, [classes, classes]; importing scikit-learn for that takes most of a second."""
    pairs = labels.astype(np.int64) * classes + guesses
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def bin_by_confidence(outputs: np.ndarray, labels: np.ndarray, bins: int) -> tuple[CalibrationBin, ...]:
    """Sort rows by confidence into `bins` equal intervals of 0..1, each closed above; return all of them.

    Confidence is the output of the guessed class. Softmax outputs sum to 1, so it is at least 1/classes.
    Each sigmoid output answers "is it this class?" by itself: the largest may lie anywhere in 0..1, and all
    together need not sum to 1.
    """
    confidence = outputs.max(axis=1).astype(np.float64)
    right = outputs.argmax(axis=1) == labels
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    samples = np.bincount(numbers, minlength=bins)
    sums = (np.bincount(numbers, weights=weights, minlength=bins) for weights in (confidence, right))
    means = (total / np.maximum(samples, 1) for total in sums)
    rows = zip(*means, samples, strict=True)
    return tuple(CalibrationBin(float(mean), float(share), int(count)) for mean, share, count in rows)


def compute_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """Compute the mean distance of confidence and accuracy, 0..1, weighted by rows.

    This is the expected calibration error of Guo et al. 2017, arXiv 1706.04599.
    """
    total = sum(bin_.samples for bin_ in bins)
    return sum(abs(bin_.confidence - bin_.accuracy) * bin_.samples for bin_ in bins) / total


RESAMPLES = 200


def bound_calibration_error(outputs: np.ndarray, labels: np.ndarray, bins: int) -> tuple[float, float]:
    """Return the 95 % interval of the calibration error over other rows of the same kind.

    By the percentiles of a bootstrap (Efron 1979, doi 10.1214/aos/1176344552), seeded. With few rows in a
    bin the error of a perfectly calibrated model is above 0, and so are both ends.
    """
    confidence, right = outputs.max(axis=1).astype(np.float64), outputs.argmax(axis=1) == labels
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps, draw, rows = confidence - right, np.random.default_rng(0), len(labels)
    errors = []
    for _ in range(RESAMPLES):
        picked = draw.integers(0, rows, rows)
        sums = np.bincount(numbers[picked], weights=gaps[picked], minlength=bins)
        errors.append(np.abs(sums).sum() / rows)
    low, high = np.percentile(errors, [2.5, 97.5])
    return float(low), float(high)


def find_worst_mistakes(
    outputs: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], limit: int
) -> tuple[Mistake, ...]:
    """Find the mistakes with the highest confidence, at most `limit`; equal ones in the order of the rows."""
    guesses, confidence = outputs.argmax(axis=1), outputs.max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:limit]
    return tuple(
        Mistake(int(row), classes[labels[row]], classes[guesses[row]], float(confidence[row]))
        for row in first
    )
