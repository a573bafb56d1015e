"""What a trained model gets right and wrong. The test split is read here, once, and never chosen by."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.data import feature_layers
from pipeline.data.features import LogMel
from pipeline.data.prepared import Prepared, Split
from pipeline.data.samples import RawSamples
from pipeline.errors import BadModel
from pipeline.evaluation import corruptions
from pipeline.evaluation.accuracy_under_attack import AttackScore, score_under_attack
from pipeline.evaluation.class_balance import ClassBalance, compute_class_balance
from pipeline.evaluation.corruptions import ShiftedSamples
from pipeline.evaluation.inspection import Inspection, check_groups, inspect_model
from pipeline.evaluation.membership import Attack, attack_membership
from pipeline.evaluation.output_scores import (
    CalibrationBin,
    Mistake,
    bin_by_confidence,
    bound_calibration_error,
    compute_calibration_error,
    count_confusions,
    find_worst_mistakes,
    score_classes,
    score_outputs,
)
from pipeline.evaluation.quantities import QuantityEvaluation, evaluate_quantities
from pipeline.evaluation.saliency import Saliency, check_saliency, explain_mistakes
from pipeline.measures import ClassScore, SplitScore
from pipeline.models.attacks.attack import check_attack
from pipeline.models.scores import compute_accuracy, require_finite
from pipeline.settings.measuring import AdversarialAttack, Evaluate, Shift
from pipeline.settings.settings import Settings
from pipeline.settings.training import Loss

Predict = Callable[[RawSamples | ShiftedSamples], np.ndarray]


# ---- what comes out -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShiftScore:
    """Accuracies in 0..1 on samples that were changed with this severity (1 to 5)."""

    severity: int
    validation: float
    test: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of a model. What is not named after a split is of the test split.

    `confusion[true][predicted]`: rows; `balance`: scores in which every class counts alike; `bins`: equal
    parts of the confidence 0..1, lowest first; `calibration_error`: expected calibration error over them, in
    0..1; `worst`: surest mistakes first; `wrong`: rows of all mistakes; `shifted`: accuracies on changed
    samples, `attacked`: on attacked ones, `saliency`: why the first of `worst` went wrong, where that was
    asked for; `calibration_interval`: 95 % interval of `calibration_error`; `file_accuracy`: where files
    are several rows, the share of those that the mean output of their rows names rightly; `membership`:
    how well rows of training are told from others, where that was asked for; `inspection`: what lies
    behind the scores.
    """

    train: SplitScore
    validation: SplitScore
    test: SplitScore
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    balance: ClassBalance
    calibration_error: float
    bins: tuple[CalibrationBin, ...]
    worst: tuple[Mistake, ...]
    wrong: tuple[int, ...] = ()
    shifted: tuple[ShiftScore, ...] = ()
    attacked: AttackScore | None = None
    saliency: tuple[Saliency, ...] = ()
    calibration_interval: tuple[float, float] | None = None
    file_accuracy: float | None = None
    membership: tuple[Attack, ...] = ()
    inspection: Inspection | None = None

    @property
    def accuracy_under_shift(self) -> float | None:
        """Return the mean validation accuracy over the severities, which a search may choose by."""
        return float(np.mean([score.validation for score in self.shifted])) if self.shifted else None

    @property
    def test_accuracy_under_shift(self) -> float | None:
        """Return the mean accuracy over the severities on the test split."""
        return float(np.mean([score.test for score in self.shifted])) if self.shifted else None

    @property
    def gap_train_test(self) -> float:
        """Return the accuracy lost from train to test: what did not generalise."""
        return self.train.accuracy - self.test.accuracy

    @property
    def gap_train_validation(self) -> float:
        """Return the accuracy lost from train to validation."""
        return self.train.accuracy - self.validation.accuracy

    @property
    def mistakes(self) -> int:
        """Count the test rows taken for another class."""
        return sum(map(sum, self.confusion)) - sum(row[label] for label, row in enumerate(self.confusion))


# ---- the stage ----------------------------------------------------------------------------------------


AnyEvaluation = Evaluation | QuantityEvaluation


def check_evaluation(prepared: Prepared, settings: Settings) -> None:
    """Check before anything runs that the data can be evaluated as `evaluate` says.

    Raises:
        BadData: `evaluate.shift`, `evaluate.attack` or `evaluate.saliency` does not fit the samples, or
            `evaluate.groups` is no column of theirs.
    """
    _check_samples(prepared, settings)
    check_groups(prepared, settings)


def _check_samples(prepared: Prepared, settings: Settings) -> None:
    corruptions.check_shift(settings.evaluate.shift, prepared.test.samples, prepared.front)
    check_attack(prepared, settings.evaluate)
    check_saliency(prepared, settings.evaluate.saliency)


def evaluate(predict: Predict, prepared: Prepared, settings: Settings, model: Any = None) -> AnyEvaluation:
    """Score a model on the three splits and look behind the scores; the arguments: see `score_model`.

    Raises:
        BadInput: see `evaluate_classes`, `evaluate_quantities` and `inspect_model`.
        Diverged: an output is NaN or infinite.
    """
    evaluation = score_model(predict, prepared, settings, model)
    return replace(evaluation, inspection=inspect_model(predict, prepared, settings))


def score_model(predict: Predict, prepared: Prepared, settings: Settings, model: Any = None) -> AnyEvaluation:
    """Score a model on the three splits, by what it answers with: classes or a quantity.

    `model`: the Keras model that `predict` asks, which an attack needs.

    Raises:
        BadInput: see `evaluate_classes` and `evaluate_quantities`.
        Diverged: an output is NaN or infinite.
    """
    if prepared.target is not None:
        return evaluate_quantities(predict, prepared, settings)
    return evaluate_classes(predict, prepared, settings, model)


def evaluate_classes(
    predict: Predict, prepared: Prepared, settings: Settings, model: Any = None
) -> Evaluation:
    """Score a model of classes; `predict` is called once for each split, and again for each severity.

    `predict`: n samples, as a user can send them -> probabilities float32 [n, classes]; `model`: see
    `evaluate`.

    Raises:
        BadModel: the outputs are not one a class.
        Diverged: an output is NaN or infinite.
        BadData: see `check_evaluation`.
    """
    _check_samples(prepared, settings)
    choices, labels = settings.evaluate, np.asarray(prepared.test.labels)
    outputs = _compute_outputs(predict, prepared.test, prepared.classes)
    guesses = outputs.argmax(axis=1)
    bins = bin_by_confidence(outputs, labels, choices.calibration_bins)
    classes = score_classes(labels, guesses, prepared.classes)
    worst = find_worst_mistakes(outputs, labels, prepared.classes, choices.worst)
    return Evaluation(
        train=_score_split(predict, prepared.train, prepared.classes, settings.loss),
        validation=_score_split(predict, prepared.validation, prepared.classes, settings.loss),
        test=score_outputs(outputs, labels, settings.loss),
        classes=classes,
        balance=compute_class_balance(outputs, labels, classes),
        confusion=count_confusions(labels, guesses, len(prepared.classes)),
        calibration_error=compute_calibration_error(bins),
        bins=bins,
        calibration_interval=bound_calibration_error(outputs, labels, choices.calibration_bins),
        worst=worst,
        saliency=explain_mistakes(model, predict, prepared, worst[: choices.saliency]),
        wrong=tuple(int(row) for row in np.flatnonzero(guesses != labels)),
        file_accuracy=_score_files(outputs, prepared.test),
        membership=attack_membership(predict, prepared, settings),
        shifted=() if choices.shift is Shift.none else _score_under_shift(predict, prepared, settings),
        attacked=_score_under_attack(model, prepared, choices),
    )


def _score_files(outputs: np.ndarray, split: Split) -> float | None:
    """Return the accuracy by file, by the mean output of the rows of each; None where each is one row."""
    if split.files is None:
        return None
    _, first, number, rows = np.unique(
        np.asarray(split.files), return_index=True, return_inverse=True, return_counts=True
    )
    means = np.zeros((len(first), outputs.shape[1]))
    np.add.at(means, number, outputs)
    return compute_accuracy(means / rows[:, None], np.asarray(split.labels)[first])


def _score_under_attack(model: Any, prepared: Prepared, choices: Evaluate) -> AttackScore | None:
    asked = choices.attack is not AdversarialAttack.none
    return score_under_attack(model, prepared, choices) if asked else None


def _score_under_shift(predict: Predict, prepared: Prepared, settings: Settings) -> tuple[ShiftScore, ...]:
    def accuracy(split: Split, severity: int) -> float:
        changed = _change_split(split, severity, prepared, settings.evaluate)
        return compute_accuracy(predict(changed), np.asarray(split.labels))

    return tuple(
        ShiftScore(severity, accuracy(prepared.validation, severity), accuracy(prepared.test, severity))
        for severity in settings.evaluate.severities
    )


def _change_split(split: Split, severity: int, prepared: Prepared, choices: Evaluate) -> ShiftedSamples:
    sound = isinstance(prepared.front, LogMel)
    low, high = corruptions.get_value_range(prepared.front, prepared.report.smallest, prepared.report.largest)
    return ShiftedSamples(
        samples=split.samples,
        shift=choices.shift,
        severity=severity,
        seed=choices.shift_seed,
        low=low,
        high=high,
        sound=sound,
    )


def shift_splits(prepared: Prepared, settings: Settings) -> Prepared:
    """Return `prepared` with validation and test samples changed as `evaluate` says.

    Each split holds the samples of all severities, one severity after the other, so that an accuracy is the
    mean over them. They are other data, so the key is another one.

    Raises:
        BadData: `evaluate.shift` does not fit the samples.
    """
    choices, front = settings.evaluate, prepared.front
    corruptions.check_shift(choices.shift, prepared.test.samples, front)

    def shift_split(split: Split) -> Split:
        changed = [_change_split(split, severity, prepared, choices) for severity in choices.severities]
        raw = [np.asarray(samples[slice(0, len(samples))]) for samples in changed]
        labels = np.tile(np.asarray(split.labels), len(changed))
        if front is None:
            return Split(np.concatenate(raw), labels)
        compute = feature_layers.make_feature_function(front)
        features = [np.concatenate(list(compute(batch))) for batch in raw]
        return Split(np.concatenate(features), labels, np.concatenate(raw))

    about = repr((prepared.key, choices.shift, choices.severities, choices.shift_seed))
    return replace(
        prepared,
        validation=shift_split(prepared.validation),
        test=shift_split(prepared.test),
        key=hashlib.sha256(about.encode()).hexdigest(),
    )


def _compute_outputs(predict: Predict, split: Split, classes: tuple[str, ...]) -> np.ndarray:
    outputs = predict(split.samples)
    expected = (len(split), len(classes))
    if outputs.shape != expected:
        raise BadModel(
            f"a model must answer with one output a class {expected}, got {outputs.shape}; "
            "evaluate it with the data that it was trained on"
        )
    require_finite(outputs)
    return outputs


def _score_split(predict: Predict, split: Split, classes: tuple[str, ...], loss: Loss) -> SplitScore:
    return score_outputs(_compute_outputs(predict, split, classes), np.asarray(split.labels), loss)
