"""The largest accuracy that does not differ from guessing."""

import numpy as np
import pytest

from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.settings.searching.measures import MEASURES


def test_chance_is_the_largest_class_and_what_luck_adds() -> None:
    split = ValidationSplit.count(np.array([0] * 54 + [1] * 46))
    assert split == ValidationSplit(100, 0.54)
    assert split.compute_chance_level() == pytest.approx(0.54 + 1.644854 * 0.0498397, rel=1e-5)
    assert ValidationSplit.read(split.to_dict()) == split
    assert ValidationSplit.read(None) is None
    assert ValidationSplit.count(np.zeros(5, int)).compute_chance_level() == 1.0


def test_a_mean_over_classes_is_as_sure_as_its_rare_classes() -> None:
    labels = np.repeat([0, 1], [980, 20])
    balanced = ValidationSplit.count(labels, MEASURES["balanced_accuracy"])
    assert balanced.majority_share == 0.5
    assert balanced.rows == round(4 / (1 / 980 + 1 / 20)) == 78
    assert ValidationSplit.count(labels, MEASURES["f1"]).majority_share == pytest.approx(0.98 / 1.98)
    assert ValidationSplit.count(labels, MEASURES["auc"]) == ValidationSplit(20, 0.5)
    assert ValidationSplit.count(np.repeat([0, 1, 2], [60, 30, 10]), MEASURES["auc"]).rows == 19
    assert ValidationSplit.count(labels).rows == 1000
    assert ValidationSplit.count(np.repeat([0, 1], 50), MEASURES["balanced_accuracy"]).rows == 100
