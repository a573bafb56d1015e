"""Scores by hand and against Keras and scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Scaling, Split
from pipeline.data.report import CleaningReport
from pipeline.errors import BadModel, Diverged
from pipeline.evaluation.evaluate import evaluate
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


def test_worst_mistakes_are_the_most_confident_ones(settings: Settings) -> None:
    found = evaluate(predict, table(), settings)
    assert [(m.row, m.true, m.predicted) for m in found.worst] == [(4, "c", "a"), (1, "a", "b")]
    assert found.worst[0].confidence == pytest.approx(0.9)


def test_a_file_of_several_rows_is_scored_by_their_mean(settings: Settings) -> None:
    data = table()
    assert evaluate(predict, data, settings).file_accuracy is None
    # Rows 0 and 1, one of which is wrong, are a file that is right; rows 2 and 3 another one; row 4 is wrong.
    files = replace(data.test, files=np.array([7, 7, 3, 3, 9]))
    evaluation = evaluate(predict, replace(data, test=files), settings)
    assert evaluation.test.accuracy == pytest.approx(3 / 5)
    assert evaluation.file_accuracy == pytest.approx(2 / 3)
