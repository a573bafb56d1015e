"""A curve knows which of its states may stand on a frontier."""

import numpy as np
import pytest

from pipeline.errors import Diverged
from pipeline.measures import Curve, Epoch, Point, compute_accuracy, compute_auc, score_answers


def epoch(number: int, accuracy: float) -> Epoch:
    return Epoch(
        number=number,
        device_seconds=float(number),
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=accuracy,
        lost_seconds=0.25,
    )


@pytest.mark.parametrize("fair", [True, False])
def test_every_epoch_is_a_point_or_the_last_one_is(fair: bool) -> None:
    curve = Curve("a CPU", fair).with_epoch(epoch(1, 0.5)).with_epoch(epoch(2, 0.7))
    assert curve.last == epoch(2, 0.7)
    assert curve.points == ((Point(0.5, 1.0), Point(0.7, 2.0)) if fair else (Point(0.7, 2.0),))


def test_seconds_that_others_took_are_measured_but_no_cost() -> None:
    assert epoch(3, 0.9).measured_seconds == 3.25


def test_the_largest_output_is_the_guess() -> None:
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    assert compute_accuracy(outputs, np.array([1, 0, 0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_accuracy_is_counted_from_what_is_no_number(value: float) -> None:
    outputs = np.array([[0.1, 0.9], [value, 0.2], [0.4, value]])
    with pytest.raises(
        Diverged, match=r"^a model's outputs must be finite, got NaN or infinity in 2 of 3 rows; "
    ):
        compute_accuracy(outputs, np.array([1, 0, 0]))


def test_measures_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=200, p=[0.9, 0.06, 0.04, 0.0])
    outputs = rng.random((200, 4)) + 0.5 * np.eye(4)[labels]
    outputs[:, 3] = 0
    named = outputs.argmax(axis=1)
    assert score_answers(outputs, labels) == pytest.approx(accuracy_score(labels, named))
    balanced = balanced_accuracy_score(labels, named)
    assert score_answers(outputs, labels, "balanced_accuracy") == pytest.approx(balanced)
    one_versus_rest = roc_auc_score(
        labels, outputs[:, :3] / outputs[:, :3].sum(1)[:, None], multi_class="ovr", average="macro"
    )
    assert score_answers(outputs, labels, "auc") == pytest.approx(one_versus_rest)
    f1 = f1_score(labels, named, average="macro", labels=[0, 1, 2])
    assert score_answers(outputs, labels, "f1") == pytest.approx(f1)


@pytest.mark.parametrize("classes", [2, 3])
def test_an_area_is_as_unsure_as_other_rows_would_make_it(classes: int) -> None:
    """Held against the deviation over many splits; equal scores count half."""
    rng = np.random.default_rng(0)
    areas, errors = [], []
    for _ in range(300):
        labels = rng.choice(classes, size=120, p=[0.8, 0.2] if classes == 2 else [0.6, 0.3, 0.1])
        outputs = rng.normal(size=(120, classes)).round(1) + 1.2 * np.eye(classes)[labels]
        shares = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
        area, error = compute_auc(shares, labels)
        areas.append(area)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.15)
    assert compute_auc(np.full((4, classes), 0.5), np.array([0, 1, 0, 1]))[0] == 0.5
    assert compute_auc(np.eye(classes)[[1, 1]], np.array([1, 1])) == (0.5, 0.5)
