"""What a trained model gets right and wrong. The test split is read here, once, and never chosen by."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.data import feature_layers
from pipeline.data.features import LogMel
from pipeline.data.prepared import Prepared, Split
from pipeline.data.samples import Raw
from pipeline.errors import BadModel
from pipeline.evaluation import corruptions
from pipeline.evaluation.corruptions import Shifted
from pipeline.measures import ClassScore, SplitScore
from pipeline.settings.measuring import Evaluate, Shift
from pipeline.settings.settings import Settings
from pipeline.settings.training import BinaryCrossEntropy, CrossEntropy, Loss, Reduction

Predict = Callable[[Raw | Shifted], np.ndarray]

EPSILON = 1e-7
"""Keras' own: a probability is kept this far from 0 and 1 before its logarithm is taken."""


# ---- what comes out -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mistake:
    """Row `row` of the test split (from 0) was taken for another class, with that class's output in 0..1."""

    row: int
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Test rows whose confidence fell into one bin: mean confidence and accuracy in 0..1, 0 where empty."""

    confidence: float
    accuracy: float
    samples: int


@dataclass(frozen=True, slots=True)
class UnderShift:
    """Accuracies in 0..1 on samples that were changed with this severity (1 to 5)."""

    severity: int
    validation: float
    test: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model. What is not named after a split is of the test split.

    `confusion[true][predicted]`: rows; `bins`: equal parts of the confidence 0..1, lowest first;
    `calibration_error`: expected calibration error over them, in 0..1; `worst`: surest mistakes first;
    `wrong`: rows of all mistakes; `shifted`: what is left on changed samples, where that was asked for.
    """

    train: SplitScore
    validation: SplitScore
    test: SplitScore
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    bins: tuple[Bin, ...]
    worst: tuple[Mistake, ...]
    wrong: tuple[int, ...] = ()
    shifted: tuple[UnderShift, ...] = ()

    @property
    def accuracy_under_shift(self) -> float | None:
        """Mean over the severities on the validation split, which a search may choose by."""
        return float(np.mean([each.validation for each in self.shifted])) if self.shifted else None

    @property
    def test_accuracy_under_shift(self) -> float | None:
        """The same on the test split."""
        return float(np.mean([each.test for each in self.shifted])) if self.shifted else None

    @property
    def gap_train_test(self) -> float:
        """Accuracy lost from train to test: what did not generalise."""
        return self.train.accuracy - self.test.accuracy

    @property
    def gap_train_validation(self) -> float:
        """Accuracy lost from train to validation."""
        return self.train.accuracy - self.validation.accuracy

    @property
    def mistakes(self) -> int:
        """Test rows taken for another class."""
        return sum(map(sum, self.confusion)) - sum(row[at] for at, row in enumerate(self.confusion))


# ---- the stage ----------------------------------------------------------------------------------------


def evaluate(predict: Predict, prepared: Prepared, settings: Settings) -> Evaluation:
    """Score a model on the three splits; `predict` is called once for each, and again for each severity.

    `predict`: what a user can send, n samples -> probabilities float32 [n, classes].

    Raises:
        BadModel: the outputs are not one a class, or not finite.
        BadData: `evaluate.shift` does not fit the samples.
    """
    corruptions.check(settings.evaluate.shift, prepared.test.samples, prepared.front)
    told, labels = settings.evaluate, np.asarray(prepared.test.labels)
    outputs = _outputs(predict, prepared.test, prepared.classes)
    guesses = outputs.argmax(axis=1)
    bins = calibration_bins(outputs, labels, told.calibration_bins)
    return Evaluation(
        train=_score(predict, prepared.train, prepared.classes, settings.loss),
        validation=_score(predict, prepared.validation, prepared.classes, settings.loss),
        test=split_score(outputs, labels, settings.loss),
        classes=class_scores(labels, guesses, prepared.classes),
        confusion=confusion_counts(labels, guesses, len(prepared.classes)),
        calibration_error=calibration_error(bins),
        bins=bins,
        worst=worst_mistakes(outputs, labels, prepared.classes, told.worst),
        wrong=tuple(int(row) for row in np.flatnonzero(guesses != labels)),
        shifted=() if told.shift is Shift.none else _under_shift(predict, prepared, settings),
    )


def _under_shift(predict: Predict, prepared: Prepared, settings: Settings) -> tuple[UnderShift, ...]:
    def accuracy(split: Split, severity: int) -> float:
        changed = _changed(split, severity, prepared, settings.evaluate)
        return float(np.mean(predict(changed).argmax(axis=1) == split.labels))

    return tuple(
        UnderShift(each, accuracy(prepared.validation, each), accuracy(prepared.test, each))
        for each in settings.evaluate.severities
    )


def _changed(split: Split, severity: int, prepared: Prepared, told: Evaluate) -> Shifted:
    sound = isinstance(prepared.front, LogMel)
    low, high = corruptions.span_of(prepared.front, prepared.report.smallest, prepared.report.largest)
    return Shifted(split.samples, told.shift, severity, told.shift_seed, low, high, sound)


def shifted(prepared: Prepared, settings: Settings) -> Prepared:
    """`prepared` with validation and test samples changed as `evaluate` says: all severities, one behind
    the other, so that an accuracy is the mean over them.

    Raises:
        BadData: `evaluate.shift` does not fit the samples.
    """
    told, front = settings.evaluate, prepared.front
    corruptions.check(told.shift, prepared.test.samples, front)

    def over(split: Split) -> Split:
        changed = [_changed(split, each, prepared, told) for each in told.severities]
        sent = [np.asarray(each[slice(0, len(each))]) for each in changed]
        labels = np.tile(np.asarray(split.labels), len(changed))
        if front is None:
            return Split(np.concatenate(sent), labels)
        features = [np.concatenate(list(feature_layers.apply(front, each))) for each in sent]
        return Split(np.concatenate(features), labels, np.concatenate(sent))

    return replace(prepared, validation=over(prepared.validation), test=over(prepared.test))


def _outputs(predict: Predict, split: Split, classes: tuple[str, ...]) -> np.ndarray:
    outputs = predict(split.samples)
    wanted = (len(split), len(classes))
    if outputs.shape != wanted:
        raise BadModel(
            f"a model must answer with one output a class {wanted}, got {outputs.shape}; "
            "evaluate it with the data that it was trained on"
        )
    if not np.isfinite(outputs).all():
        raise BadModel("a model's outputs must be finite, got NaN or infinity; train it again")
    return outputs


def _score(predict: Predict, split: Split, classes: tuple[str, ...], loss: Loss) -> SplitScore:
    return split_score(_outputs(predict, split, classes), np.asarray(split.labels), loss)


# ---- accuracy and loss --------------------------------------------------------------------------------


def split_score(outputs: np.ndarray, labels: np.ndarray, loss: Loss) -> SplitScore:
    """Accuracy and mean loss of `outputs` [n, classes]; the guess is the class with the largest output."""
    accuracy = float(np.mean(outputs.argmax(axis=1) == labels))
    return SplitScore(accuracy, float(losses(outputs, labels, loss).mean()), len(labels))


def losses(outputs: np.ndarray, labels: np.ndarray, loss: Loss) -> np.ndarray:
    """Loss of each sample, float64 [n], as Keras computes it from probabilities; no label smoothing.

    Cross-entropy: -log of the true class's share. Binary cross-entropy (mean or sum, as `loss.reduction`
    says) and squared error (mean): over the classes, against 0 and 1. Because of `EPSILON` no logarithm
    passes 16.1. Training takes its loss from logits and smooths labels where told to, so a validation
    loss from there may be a little different.
    """
    if isinstance(loss, CrossEntropy):
        shares = _kept_inside(outputs / outputs.sum(axis=1, keepdims=True))
        return np.asarray(-np.log(shares[np.arange(len(labels)), labels]))
    wanted = np.eye(outputs.shape[1])[labels]
    if isinstance(loss, BinaryCrossEntropy):
        likely = _kept_inside(outputs)
        each = -np.log(np.where(wanted == 1, likely, 1 - likely))
        return np.asarray(each.sum(axis=1) if loss.reduction is Reduction.sum else each.mean(axis=1))
    return np.asarray(((outputs.astype(np.float64) - wanted) ** 2).mean(axis=1))


def _kept_inside(shares: np.ndarray) -> np.ndarray:
    # Clipped in float32, as Keras does it: there 1 - EPSILON is 1 - 1.19e-7.
    return np.clip(shares.astype(np.float32), EPSILON, 1 - EPSILON).astype(np.float64)


# ---- the test split in detail -------------------------------------------------------------------------


def class_scores(labels: np.ndarray, guesses: np.ndarray, classes: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Precision and recall a class; 0 where no row was guessed (precision) or has the label (recall)."""
    from sklearn.metrics import precision_recall_fscore_support

    numbers = list(range(len(classes)))
    precision, recall, _, support = precision_recall_fscore_support(
        labels, guesses, labels=numbers, zero_division=0
    )
    rows = zip(classes, precision, recall, support, strict=True)
    return tuple(ClassScore(name, float(p), float(r), int(n)) for name, p, r, n in rows)


def confusion_counts(labels: np.ndarray, guesses: np.ndarray, classes: int) -> tuple[tuple[int, ...], ...]:
    """Rows by true class (first index) and guessed class."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, guesses, labels=list(range(classes)))
    return tuple(tuple(int(n) for n in row) for row in counts)


def calibration_bins(outputs: np.ndarray, labels: np.ndarray, bins: int) -> tuple[Bin, ...]:
    """Rows by confidence in `bins` equal parts of 0..1, each closed above.

    Confidence is the output of the guessed class. Softmax outputs sum to 1, so it is at least 1/classes.
    A sigmoid output answers "is it this class?" alone: then it is what the network gave for that one yes,
    may lie anywhere in 0..1 and need not sum to 1 with the others.
    """
    confidence = outputs.max(axis=1).astype(np.float64)
    right = outputs.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    samples = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=weights, minlength=bins) for weights in (confidence, right))
    means = (each / np.maximum(samples, 1) for each in sums)
    rows = zip(*means, samples, strict=True)
    return tuple(Bin(float(mean), float(share), int(count)) for mean, share, count in rows)


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance of confidence and accuracy, weighted by rows (Guo et al. 2017, arXiv 1706.04599)."""
    total = sum(each.samples for each in bins)
    return sum(abs(each.confidence - each.accuracy) * each.samples for each in bins) / total


def worst_mistakes(
    outputs: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], most: int
) -> tuple[Mistake, ...]:
    """The mistakes with the highest confidence, at most `most`; equal ones in the order of the rows."""
    guesses, confidence = outputs.argmax(axis=1), outputs.max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    first = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return tuple(
        Mistake(int(row), classes[labels[row]], classes[guesses[row]], float(confidence[row]))
        for row in first
    )
