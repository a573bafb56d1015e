"""Labels that were exchanged are found; the rule is that of cleanlab."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.data.quality.label_errors import LabelSuspects, cross_fit, find_label_errors, list_suspects

CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross-fitted probabilities, labels of which one in twelve is wrong, and which these are."""
    pixels, labels = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    wrong = draw.choice(len(labels), len(labels) // 12, replace=False)
    labels = labels.copy()
    labels[wrong] = (labels[wrong] + draw.integers(1, 10, len(wrong))) % 10
    probabilities = cross_fit(pixels[:, pixels.std(axis=0) > 0], labels, 10)
    return probabilities, labels, wrong


def test_planted_errors_are_found_by_a_cross_fitted_model(digits: tuple[np.ndarray, ...]) -> None:
    probabilities, labels, wrong = digits
    assert probabilities.sum(axis=1) == pytest.approx(1)
    found, suggested = find_label_errors(probabilities, labels)
    truth = load_digits().target
    assert np.isin(wrong, found).mean() > 0.75  # of what was planted
    assert np.isin(found, wrong).mean() > 0.9  # of what was found
    planted = np.isin(found, wrong)
    assert (suggested == truth[found])[planted].mean() > 0.9
    assert np.isin(found[:50], wrong).mean() > 0.95  # the surest come first


def test_the_rule_is_that_of_cleanlab(digits: tuple[np.ndarray, ...]) -> None:
    cleanlab = pytest.importorskip("cleanlab.filter", reason="needs cleanlab")
    probabilities, labels, _ = digits
    theirs = cleanlab.find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    ours, _ = find_label_errors(probabilities, labels)
    assert set(ours.tolist()) == set(np.flatnonzero(theirs).tolist())


def test_by_hand() -> None:
    # Thresholds: 0.7 of class 0, 0.67 of class 1. Row 2 is surely of class 1; row 5 is sure of nothing.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.2, 0.8], [0.6, 0.4]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert find_label_errors(probabilities, labels)[0].tolist() == [2]
    probabilities[2] = [0.4, 0.6]
    assert find_label_errors(probabilities, labels)[0].tolist() == []


def test_a_model_that_learnt_too_little_is_not_asked() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 200)
    about = {
        "split": "train",
        "model": "a linear model",
        "rows": np.arange(200),
        "name_place": "row {}".format,
    }
    guesses = draw.dirichlet([1, 1], 200)
    assert list_suspects(guesses, labels, ("a", "b"), **about) is None
    sure = np.where(np.eye(2)[labels] > 0, 0.9, 0.1)
    assert list_suspects(sure, labels, ("a", "b"), **about) is None  # nothing is wrong
    sure[7] = sure[7][::-1]
    found = list_suspects(sure, labels, ("a", "b"), **about)
    assert found is not None
    assert (found.count, found.suspects[0].row, found.suspects[0].margin) == (1, 7, pytest.approx(0.8))
    assert "1 of 200 labels of the train split look wrong to a linear model (row 7: " in str(found)
    assert list_suspects(sure, np.zeros(200, int), ("a", "b"), **about) is None


@pytest.mark.parametrize(("gap", "noise", "is_telling"), [(2, 0.0, False), (6, 0.0, False), (6, 0.08, True)])
def test_classes_that_overlap_are_no_wrong_labels(gap: float, noise: float, is_telling: bool) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 2000)
    numbers = draw.normal(size=(2000, 2)) + gap * labels[:, None] * [1, 0]
    labels = np.where(draw.random(2000) < noise, 1 - labels, labels)
    probabilities = cross_fit(numbers, labels, 2)
    assert probabilities is not None
    found = list_suspects(
        probabilities,
        labels,
        ("a" * 300, "b"),
        split="train",
        model="both",
        rows=np.arange(2000),
        name_place="row {}".format,
    )
    assert (found is not None and found.is_telling) == is_telling
    assert len(str(found)) < 150


@pytest.mark.parametrize(
    ("sure", "accuracy", "is_telling"),
    [(352, 0.645, False), (352, 0.9, True), (90, 0.99, False), (110, 0.99, True)],
)
def test_what_a_weak_model_has_wrong_is_not_held_against_the_labels(
    sure: int, accuracy: float, is_telling: bool
) -> None:
    suspects = LabelSuspects(
        split="train", rows=5000, count=1000, sure=sure, model="a model", accuracy=accuracy, suspects=()
    )
    assert suspects.is_telling == is_telling
