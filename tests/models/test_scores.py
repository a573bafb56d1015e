"""Scores are those of scikit-learn, and no number is counted from what is none."""

import numpy as np
import pytest

from pipeline.errors import Diverged
from pipeline.models.scores import compute_accuracy, compute_auc, score_answers


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


def test_the_error_of_an_area_is_that_of_de_long() -> None:
    rng = np.random.default_rng(0)
    scores, is_class = rng.normal(size=9).round(1), np.arange(9) < 3
    ahead = np.sign(scores[is_class][:, None] - scores[~is_class][None, :]) / 2 + 0.5
    variance = ahead.mean(1).var(ddof=1) / 3 + ahead.mean(0).var(ddof=1) / 6
    area, error = compute_auc(np.column_stack([-scores, scores]), is_class.astype(int))
    assert (area, error) == pytest.approx((ahead.mean(), np.sqrt(variance)))
