"""A column that a model answers by matters, one that it does not read costs nothing; against scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.inspection import permutation_importance

from pipeline.data.prepared import Prepared, Split, Target
from pipeline.data.samples import Table, make_texts
from pipeline.evaluation.permutation_importance import measure_importances
from tests.evaluation.test_evaluate import table

ROWS = 400


class Rule:
    """A model that answers by two columns, as scikit-learn wants one."""

    def fit(self, _features: np.ndarray, _labels: np.ndarray) -> "Rule":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return (features[:, 0] + 0.3 * features[:, 1] > 0).astype(int)

    def score(self, features: np.ndarray, labels: np.ndarray) -> float:
        return float((self.predict(features) == labels).mean())


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, 3))
    raw = Table(numbers, (make_texts(draw.choice(["p", "q"], ROWS)),), ("much", "some", "none"), ("word",))
    split = Split(numbers.astype(np.float32), Rule().predict(numbers).astype(np.int32), raw)
    return replace(table(), validation=split, classes=("a", "b"))


def answer(columns: dict[str, np.ndarray]) -> np.ndarray:
    guesses = Rule().predict(np.column_stack([columns[name] for name in ("much", "some", "none")]))
    return np.eye(2, dtype=np.float32)[guesses]


def test_importances_are_those_of_scikit_learn(prepared: Prepared) -> None:
    found = measure_importances(answer, prepared)
    assert [column.name for column in found[:2]] == ["much", "some"]
    assert {column.name: column.loss for column in found[2:]} == {"none": 0.0, "word": 0.0}
    assert isinstance(prepared.validation.raw, Table)
    theirs = permutation_importance(
        Rule(), prepared.validation.raw.numbers, prepared.validation.labels, n_repeats=30, random_state=0
    )
    for column, mean, deviation in zip(found, theirs.importances_mean, theirs.importances_std, strict=False):
        if column.loss:
            assert column.loss == pytest.approx(mean, abs=4 * deviation)
            assert column.deviation < 5 * deviation


def test_of_a_quantity_it_is_what_r2_loses(prepared: Prepared) -> None:
    assert isinstance(prepared.validation.raw, Table)
    split = replace(prepared.validation, labels=prepared.validation.raw.numbers[:, 0])
    of_quantity = replace(prepared, validation=split, target=Target(0.0, 1.0), classes=())
    found = measure_importances(lambda columns: columns["much"][:, None], of_quantity)
    assert found[0].name == "much"
    assert found[0].loss == pytest.approx(2, abs=0.3)  # R2 of shuffled truth is 1 - 2
    assert measure_importances(answer, replace(prepared, validation=table().validation)) == ()


def test_of_a_rare_class_it_is_what_the_measure_of_the_search_loses(prepared: Prepared) -> None:
    assert isinstance(prepared.validation.raw, Table)
    scores = prepared.validation.raw.numbers[:, 0]
    rare = replace(prepared.validation, labels=(scores > np.sort(scores)[-5]).astype(np.int32))

    def answer_cautiously(columns: dict[str, np.ndarray]) -> np.ndarray:  # the rare class is never named
        share = 0.4 / (1 + np.exp(-columns["much"]))
        return np.stack([1 - share, share], 1)

    by_measure = {
        measure: measure_importances(answer_cautiously, replace(prepared, validation=rare), measure)
        for measure in ("accuracy", "auc")
    }
    assert {column.loss for column in by_measure["accuracy"]} == {0.0}
    first = by_measure["auc"][0]
    assert first.name == "much"
    assert first.loss > 0.2
