"""What a loop reports is an accuracy in 0..1 and further numbers, else the trial has failed in one line."""

from typing import Any

import numpy as np
import pytest

from pipeline.errors import Diverged, FulcrumError, LoopFailed
from pipeline.trial.reports import read_report
from tests.support.my_loops import WRONG

TEXTS = {
    "percent": "accuracy must be >= 0 and <= 1, got 97 in epoch 3; report 0.97 for 97 %",
    "negative": "accuracy must be >= 0 and <= 1, got -0.1",
    "nan": "accuracy must be finite, got nan",
    "infinite_loss": "train_loss must be finite, got inf",
    "no_accuracy": 'must report an accuracy after each epoch, got loss in epoch 3; report it as {"accuracy"',
    "other_name": 'got loss, val_acc in epoch 3; report val_acc as {"accuracy": ...}',
    "tuple": "got a tuple of 2 in epoch 3; name its values",
    "empty": "must report an accuracy after each epoch, got nothing",
    "none": "accuracy must be a number, got None",
    "text": "accuracy must be a number, got '0.9'",
    "truth": "accuracy must be a number, got True",
    "numpy_truth": "accuracy must be a number, got True",
    "numpy_text": "accuracy must be a number, got '0.9'",
    "list": "accuracy must be a number, got list",
    "array": "accuracy must be a number, got ndarray",
    "metric": "f1 must be a number, got 'high'",
    "nested": "val must be a number, got dict in epoch 3; report val/f1",
    "name": "a name must have letters",
    "path": "a name must have letters",
    "outside": "a name must have letters",
    "ours": "cpu_seconds must be left to this program, which records it itself, got one in epoch 3; rename",
    "our_energy": "train/energy_joules must be left to this program",
    "loss_twice": "must report each name once, got 'train_loss' twice in epoch 3; rename one",
    "twice": "must report each name once, got '1' twice in epoch 3; rename one",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_one_line(wrong: str) -> None:
    with pytest.raises(FulcrumError) as error:
        read_report(WRONG[wrong], 3, "trial.call=m:train")
    text = str(error.value)
    assert text.startswith("trial.call=m:train")
    assert TEXTS[wrong] in text
    assert "\n" not in text
    assert error.value.exit_code == 1
    assert isinstance(error.value, Diverged if wrong in ("nan", "infinite_loss") else LoopFailed)


class Scalar:
    """A number of some framework."""

    def __float__(self) -> float:
        return 0.25


@pytest.mark.parametrize(
    "value", [0, 1, 0.25, np.float32(0.25), np.array(0.25), np.array([[0.25]]), Scalar()]
)
def test_a_number_of_any_framework_is_an_accuracy(value: Any) -> None:
    assert read_report(value, 1, "x").accuracy in (0, 1, 0.25)


@pytest.mark.parametrize(
    ("value", "share"), [(1.0000000000000002, 1), (np.float32(1.0000001), 1), (-1e-17, 0), (-0.0, 0)]
)
def test_a_share_that_is_off_by_its_rounding_is_one(value: Any, share: int) -> None:
    report = read_report({"accuracy": value, "test_accuracy": value}, 1, "x")
    assert f"{report.accuracy} {report.numbers['test_accuracy']}" == f"{share:.1f} {share:.1f}"


def test_a_mapping_has_further_numbers_a_model_and_a_state() -> None:
    report = read_report({"accuracy": 0.5, "f1": 1, "train_loss": 2.0, "model": "m", "state": "s"}, 1, "x")
    assert (report.accuracy, report.model, report.state) == (0.5, "m", "s")
    assert report.numbers == {"f1": 1.0, "train_loss": 2.0}
    assert report.get_loss("train_loss") == 2.0
    assert np.isnan(report.get_loss("validation_loss"))


def test_a_loss_may_be_called_as_mlflow_has_it() -> None:
    report = read_report({"accuracy": 0.5, "train/loss": 2.0, "train/validation_loss": 3.0}, 1, "x")
    assert report.numbers == {"train_loss": 2.0, "validation_loss": 3.0}
