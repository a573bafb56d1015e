"""Scores of outputs by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from pipeline.evaluation.output_scores import (
    bin_by_confidence,
    bound_calibration_error,
    compute_calibration_error,
    count_confusions,
    find_worst_mistakes,
    score_classes,
)

CLASSES = ("a", "b", "c")
LABELS = np.array([0, 0, 1, 1, 2], np.int32)
# Rows 1 and 4 are wrong; row 4 more confidently.
OUTPUTS = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]], np.float32
)

# ---- classes ------------------------------------------------------------------------------------------

Answers = some.lists(some.tuples(some.integers(0, 3), some.integers(0, 3)), min_size=1, max_size=40)


@given(Answers)
def test_class_scores_follow_from_the_confusion(answers: list[tuple[int, int]]) -> None:
    """Also where a class has no row or is never guessed."""
    labels, guesses = np.array(answers).T
    counts = np.array(count_confusions(labels, guesses, 4))
    assert counts.sum() == len(answers)
    for number, score in enumerate(score_classes(labels, guesses, ("a", "b", "c", "d"))):
        right, guessed, have = counts[number, number], counts[:, number].sum(), counts[number].sum()
        assert score.precision == pytest.approx(right / guessed if guessed else 0)
        assert score.recall == pytest.approx(right / have if have else 0)
        assert score.support == have


@given(Answers)
def test_classes_are_scored_as_scikit_learn_does(answers: list[tuple[int, int]]) -> None:
    labels, guesses = np.array(answers).T
    numbers = list(range(4))
    expected = precision_recall_fscore_support(labels, guesses, labels=numbers, zero_division=0)
    scores = score_classes(labels, guesses, ("a", "b", "c", "d"))
    assert [score.precision for score in scores] == pytest.approx(expected[0])
    assert [score.recall for score in scores] == pytest.approx(expected[1])
    confusions = confusion_matrix(labels, guesses, labels=numbers)
    assert count_confusions(labels, guesses, 4) == tuple(map(tuple, confusions.tolist()))


# ---- calibration --------------------------------------------------------------------------------------


def test_calibration_error_by_hand() -> None:
    """Two bins: confidence 0.6 (0 of 1 right) in 0.5-0.75, mean 0.8 (3 of 4 right) above."""
    outputs = np.array([[0.6, 0.4], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2]])
    bins = bin_by_confidence(outputs, np.array([1, 0, 0, 0, 1]), 4)
    assert [each.samples for each in bins] == [0, 0, 1, 4]
    assert [each.accuracy for each in bins] == [0, 0, 0, 0.75]
    assert bins[3].confidence == pytest.approx(0.8)
    assert compute_calibration_error(bins) == pytest.approx(0.2 * 0.6 + 0.8 * 0.05)


def test_a_bin_is_closed_above() -> None:
    outputs = np.array([[0.0], [0.25], [0.26], [0.5], [1.0]])
    bins = bin_by_confidence(outputs, np.zeros(5, int), 4)
    assert [each.samples for each in bins] == [2, 2, 0, 1]


def test_the_interval_of_the_calibration_error_holds_what_is_true() -> None:
    """Answers with a confidence of 0.8 that are right six times in ten: the error is 0.2."""
    found = []
    for seed in range(20):
        right = np.random.default_rng(seed).random(300) < 0.6
        outputs = np.where(right[:, None], [[0.8, 0.2]], [[0.2, 0.8]])
        low, high = bound_calibration_error(outputs, np.zeros(300, np.int64), 10)
        assert low < compute_calibration_error(bin_by_confidence(outputs, np.zeros(300, np.int64), 10)) < high
        assert 0.08 < high - low < 0.14  # 2 x 1.96 x sqrt(0.6 x 0.4 / 300) = 0.11
        found.append(low < 0.2 < high)
    assert sum(found) >= 17
    assert bound_calibration_error(np.eye(3), np.arange(3), 10) == (0, 0)


def test_perfect_answers_have_no_calibration_error() -> None:
    assert compute_calibration_error(bin_by_confidence(np.eye(3), np.arange(3), 10)) == 0


def test_sigmoid_outputs_may_be_sure_of_nothing() -> None:
    """The top output 0.1 lies under 1/classes: it counts as it is."""
    bins = bin_by_confidence(np.array([[0.1, 0.05]]), np.array([0]), 10)
    assert [each.samples for each in bins] == [1] + [0] * 9
    assert compute_calibration_error(bins) == pytest.approx(0.9)


@given(arrays(np.float32, (30, 4), elements=some.floats(0, 1, width=32)), some.integers(2, 40))
def test_every_row_is_in_one_bin(outputs: np.ndarray, count: int) -> None:
    labels = np.arange(30) % 4
    bins = bin_by_confidence(outputs, labels, count)
    total = sum(each.samples for each in bins)
    assert len(bins) == count
    assert total == 30
    assert sum(each.accuracy * each.samples for each in bins) == pytest.approx(
        (outputs.argmax(axis=1) == labels).sum()
    )
    for number, each in enumerate(bins):
        inside = number / count - 1e-6 <= each.confidence <= (number + 1) / count + 1e-6
        assert inside or not each.samples
    assert 0 <= compute_calibration_error(bins) <= 1


# ---- mistakes -----------------------------------------------------------------------------------------


def test_no_more_mistakes_than_asked_for() -> None:
    assert [each.row for each in find_worst_mistakes(OUTPUTS, LABELS, CLASSES, 1)] == [4]
    assert find_worst_mistakes(OUTPUTS, LABELS, CLASSES, 0) == ()


def test_mistakes_of_one_confidence_stand_in_the_order_of_rows() -> None:
    outputs = np.tile([0.0, 0.5, 0.25], (9, 1))
    assert [each.row for each in find_worst_mistakes(outputs, np.zeros(9, int), CLASSES, 9)] == list(range(9))
