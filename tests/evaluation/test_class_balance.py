"""Every class counts alike; held against scikit-learn's own functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from pipeline.evaluation.class_balance import ClassBalance, compute_class_balance
from pipeline.evaluation.output_scores import score_classes

NAMES = ("fraud", "honest", "unknown")


def compute(outputs: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = NAMES) -> ClassBalance:
    return compute_class_balance(outputs, labels, score_classes(labels, outputs.argmax(1), names))


@given(seed=st.integers(0, 2**20), rows=st.integers(6, 80))
def test_the_scores_are_those_of_scikit_learn(seed: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 2], draw.integers(0, 3, rows)])
    outputs = draw.dirichlet([1, 1, 1], len(labels)).astype(np.float32)
    balance, guesses = compute(outputs, labels), outputs.argmax(1)
    assert balance.accuracy == pytest.approx(balanced_accuracy_score(labels, guesses))
    assert balance.f1 == pytest.approx(f1_score(labels, guesses, average="macro", labels=[0, 1, 2]))
    exact = outputs.astype(np.float64)
    exact /= exact.sum(1, keepdims=True)
    assert balance.auc == pytest.approx(roc_auc_score(labels, exact, multi_class="ovr", average="macro"))


def test_a_rare_class_that_is_never_recognised_is_named() -> None:
    labels = np.array([0] * 2 + [1] * 98)
    outputs = np.tile([0.1, 0.9], (100, 1))
    balance = compute(outputs, labels, NAMES[:2])
    assert balance.accuracy == 0.5
    assert balance.auc == 0.5
    assert balance.unrecognised == ("fraud",)
    assert balance.is_telling(0.98)


def test_outputs_that_do_not_sum_to_one_and_a_class_that_is_missing() -> None:
    labels = np.array([0, 0, 1, 1])
    outputs = np.array([[0.9, 0.8, 0.1], [0.9, 0.2, 0.1], [0.1, 0.9, 0.0], [0.3, 0.4, 0.2]])
    balance = compute(outputs, labels)
    assert balance.accuracy == 1.0
    assert balance.auc is None
    assert not balance.is_telling(1.0)
    assert compute(outputs[:, :2], labels, NAMES[:2]).auc == 1.0


def test_an_area_of_few_rows_of_a_class_is_not_certain() -> None:
    rare, draw = np.array([1, 1] + [0] * 298), np.random.default_rng(0)
    scores = np.concatenate([[0.051, 0.052], draw.random(298)])
    balance = compute(np.stack([1 - scores, scores], 1), rare, NAMES[:2])
    assert balance.auc == pytest.approx(0.05, abs=0.02)
    assert balance.auc_interval is not None
    low, high = balance.auc_interval
    assert 0 <= low < balance.auc < high < 1  # type: ignore[operator]
    assert high > 0.35
    apart = compute(np.eye(2)[rare], rare, NAMES[:2])
    assert (apart.auc, apart.auc_interval) == (1.0, (pytest.approx(0.53, abs=0.1), 1.0))
    labels = np.arange(300) % 3
    assert compute(np.eye(3)[labels], labels).auc_interval == (pytest.approx(0.99, abs=0.01), 1.0)
    labels = np.array([2] + [0, 1] * 100)  # of a class with one row nobody knows much
    alone = compute(np.eye(3)[labels], labels)
    assert (alone.auc, alone.auc_interval) == (1.0, (pytest.approx(0.75, abs=0.1), 1.0))
