"""Intervals of test figures hold what they should, and are as wide as theory says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score

from pipeline.cli.compose import compose
from pipeline.data.prepared import Target
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.intervals import Figure
from pipeline.evaluation.output_scores import score_classes
from pipeline.models.scores import measure_classes
from pipeline.reports.cards import figures
from pipeline.reports.cards.figures import list_figures
from tests.support import pictures, tiny


def test_figures_of_classes_are_those_of_scikit_learn() -> None:
    evaluation = pictures.scored(pictures.table(), compose([]).settings)
    found = {named.name: named.figure for named in list_figures(evaluation)}
    counts = np.array(evaluation.confusion)
    truth, guesses = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    assert found["balanced accuracy"].value == pytest.approx(balanced_accuracy_score(truth, guesses))
    assert found["F1, mean over the classes"].value == pytest.approx(
        f1_score(truth, guesses, average="macro")
    )
    drawn = counts.diagonal(), counts.sum(0), counts.sum(1)
    assert measure_classes(*drawn, "balanced_accuracy") == pytest.approx(
        balanced_accuracy_score(truth, guesses)
    )
    assert measure_classes(*drawn, "f1") == pytest.approx(f1_score(truth, guesses, average="macro"))
    for name in ("accuracy", "balanced accuracy", "F1, mean over the classes"):
        low, value, high = found[name].low, found[name].value, found[name].high
        assert low is not None
        assert high is not None
        assert low <= value <= high
    accuracy = evaluation.test.accuracy
    normal = 1.96 * np.sqrt(accuracy * (1 - accuracy) / evaluation.test.samples)
    assert found["balanced accuracy"].high - found["balanced accuracy"].low == pytest.approx(
        2 * normal, rel=0.3
    )  # type: ignore[operator]


def test_figures_of_a_quantity_have_the_width_of_theory() -> None:
    draw = np.random.default_rng(0)
    data = tiny.prepared(rows=900)
    truth = draw.normal(size=900)
    split = replace(data.test, labels=truth)
    prepared = replace(
        data, train=split, validation=split, test=split, classes=(), target=Target(0.0, 1.0), directory=Path()
    )
    answers = (truth + 0.5 * draw.normal(size=900))[:, None]
    evaluation = evaluate(lambda _: answers, prepared, compose(["loss=mean_squared_error"]).settings)
    found = {named.name: named.figure for named in list_figures(evaluation)}
    bias, mae = found["bias (answer less truth)"], found["mean absolute error"]
    assert bias.high is not None
    assert bias.low is not None
    assert bias.high - bias.low == pytest.approx(2 * 1.96 * 0.5 / 30, rel=0.15)
    assert mae.low is not None
    assert mae.high is not None
    assert mae.low < mae.value < mae.high
    assert found["R2"].value == pytest.approx(0.75, abs=0.05)
    assert "RMSE of always answering the training mean" in found


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_of_a_quantity_have_figures_of_a_readable_length(rows: int) -> None:
    data = tiny.prepared(rows=rows)
    split = replace(data.test, labels=np.arange(rows) + 0.5)
    prepared = replace(data, train=split, validation=split, test=split, classes=(), target=Target(0.0, 1.0))
    answers = np.ones((rows, 1))
    evaluation = evaluate(lambda _: answers, prepared, compose(["loss=mean_squared_error"]).settings)
    ends = [
        end
        for named in list_figures(evaluation)
        if isinstance(named.figure, Figure)
        for end in (named.figure.low, named.figure.high)
    ]
    assert np.abs(ends).max() < 1e6


def test_a_class_of_two_rows_that_are_not_recognised_could_be_at_most_some_of_the_time() -> None:
    counts = np.array([[298, 0], [2, 0]])
    labels, guesses = np.repeat([0, 1], counts.sum(1)), np.zeros(300, int)
    evaluation = replace(
        pictures.scored(pictures.table(), compose([]).settings),
        classes=score_classes(labels, guesses, ("no", "yes")),
        confusion=tuple(map(tuple, counts.tolist())),
    )
    found = {named.name: named.figure for named in list_figures(evaluation)}
    upper = binomtest(0, 2).proportion_ci(method="wilson").high / 2  # of the recall of two rows
    balanced, f1 = found["balanced accuracy"], found["F1, mean over the classes"]
    assert balanced.high == pytest.approx(0.5 + upper, abs=1e-3)
    assert f1.low < f1.value < 0.6 < f1.high < 0.95


def test_an_f1_has_an_interval_that_holds_it_wherever_the_rows_fall() -> None:
    truth, draw, held = np.array([[0.55, 0.05], [0.1, 0.3]]), np.random.default_rng(0), 0
    exact = measure_classes(truth.diagonal(), truth.sum(0), truth.sum(1), "f1")
    for _ in range(60):
        found = figures._bound_f1(draw.multinomial(60, truth.ravel()).reshape(2, 2))
        held += found.low <= exact <= found.high
    assert held >= 53
