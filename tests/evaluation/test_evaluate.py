"""Scores by hand and against Keras and scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.data.report import CleaningReport
from pipeline.errors import BadModel, Diverged
from pipeline.evaluation.evaluate import (
    bin_by_confidence,
    compute_calibration_error,
    count_confusions,
    evaluate,
    find_worst_mistakes,
    score_classes,
)
from pipeline.settings.settings import Settings
from pipeline.settings.training import MeanSquaredError

CLASSES = ("a", "b", "c")
LABELS = np.array([0, 0, 1, 1, 2], np.int32)
# Rows 1 and 4 are wrong; row 4 more confidently.
OUTPUTS = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]], np.float32
)


def part(*rows: int) -> Split:
    """Those rows of the table above; a sample is the number of its row."""
    return Split(np.array(rows, np.float32)[:, None], LABELS[list(rows)])


def table() -> Prepared:
    """Train has no mistake, validation one in three, test two in five."""
    report = CleaningReport(
        rows_read=11, rows_kept={}, dropped={}, constant_features=0, smallest=0.0, largest=4.0, histogram={}
    )
    scaling = Scaling(np.zeros((), np.float32), np.ones((), np.float32))
    splits = (part(0, 2, 3), part(0, 1, 2), part(0, 1, 2, 3, 4))
    return Prepared(
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        classes=CLASSES,
        shape=(1,),
        scaling=scaling,
        report=report,
        source_sha256="s",
        key="k",
        directory=Path(),
        reused=False,
    )


def predict(features: np.ndarray) -> np.ndarray:
    return OUTPUTS[features[:, 0].astype(int)]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return compose([]).settings


# ---- the stage ----------------------------------------------------------------------------------------


def test_scores_by_hand(settings: Settings) -> None:
    found = evaluate(predict, table(), settings)
    assert found.test.accuracy == pytest.approx(3 / 5)
    assert found.test.samples == 5
    assert found.test.loss == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.8, 0.05]).mean(), rel=1e-5)
    assert found.confusion == ((1, 1, 0), (0, 2, 0), (1, 0, 0))
    assert found.mistakes == 2
    assert [(c.name, c.precision, c.recall, c.support) for c in found.classes] == [
        ("a", 0.5, 0.5, 2),
        ("b", pytest.approx(2 / 3), 1.0, 2),
        ("c", 0.0, 0.0, 1),
    ]


def test_gaps_are_what_train_has_more_than_the_others(settings: Settings) -> None:
    found = evaluate(predict, table(), settings)
    assert (found.train.accuracy, found.train.samples, found.validation.samples) == (1, 3, 3)
    assert found.gap_train_validation == pytest.approx(1 / 3)
    assert found.gap_train_test == pytest.approx(2 / 5)


def test_each_split_is_asked_once(settings: Settings) -> None:
    asked: list[int] = []

    def counting(features: np.ndarray) -> np.ndarray:
        asked.append(len(features))
        return predict(features)

    evaluate(counting, table(), settings)
    assert sorted(asked) == [3, 3, 5]


def test_the_loss_is_the_one_that_the_settings_name(settings: Settings) -> None:
    told = replace(settings, loss=MeanSquaredError(0.0))
    by_hand = ((OUTPUTS - np.eye(3)[LABELS]) ** 2).mean()
    assert evaluate(predict, table(), told).test.loss == pytest.approx(by_hand, rel=1e-6)


def test_outputs_that_do_not_fit_the_classes_are_refused(settings: Settings) -> None:
    with pytest.raises(BadModel, match=r"one output a class \(5, 3\), got \(5, 2\)"):
        evaluate(lambda features: predict(features)[:, :2], table(), settings)


def test_outputs_that_are_no_numbers_are_refused(settings: Settings) -> None:
    with pytest.raises(Diverged, match="must be finite"):
        evaluate(lambda features: predict(features) * np.nan, table(), settings)


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


def test_worst_mistakes_are_the_most_confident_ones(settings: Settings) -> None:
    found = evaluate(predict, table(), settings)
    assert [(m.row, m.true, m.predicted) for m in found.worst] == [(4, "c", "a"), (1, "a", "b")]
    assert found.worst[0].confidence == pytest.approx(0.9)


def test_no_more_mistakes_than_asked_for() -> None:
    assert [each.row for each in find_worst_mistakes(OUTPUTS, LABELS, CLASSES, 1)] == [4]
    assert find_worst_mistakes(OUTPUTS, LABELS, CLASSES, 0) == ()


def test_mistakes_of_one_confidence_stand_in_the_order_of_rows() -> None:
    outputs = np.tile([0.0, 0.5, 0.25], (9, 1))
    assert [each.row for each in find_worst_mistakes(outputs, np.zeros(9, int), CLASSES, 9)] == list(range(9))
