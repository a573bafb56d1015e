"""The last weights count unless those of the least loss know more rows; patience keeps the best accuracy."""

from collections.abc import Sequence

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.measures import Epoch
from pipeline.settings.training import Train
from pipeline.training.kept_epoch import choose_epoch, is_better


def list_chosen(train: Train, losses: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return the number of the chosen epoch after each one."""
    epochs = [
        Epoch(
            number=number,
            device_seconds=float(number),
            train_loss=loss,
            validation_loss=loss,
            validation_accuracy=accuracy,
        )
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), 1)
    ]
    best, chosen = epochs[0], []
    for epoch in epochs:
        best = epoch if is_better(epoch, best, train) else best
        chosen.append(choose_epoch(best, epoch, train).number)
    return chosen


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("train.keep=last", [1, 2, 3, 4, 5]),
        ("train.keep=least_loss", [1, 2, 2, 4, 2]),  # the fourth knows as many rows as the second
        ("train.patience=9", [1, 2, 2, 2, 2]),
    ],
)
def test_whose_weights_count(words: str, chosen: list[int]) -> None:
    train = compose([words]).settings.train
    assert list_chosen(train, [0.7, 0.5, 0.6, 0.9, 0.9], [0.6, 0.8, 0.7, 0.8, 0.7]) == chosen


def test_one_rule_alone_decides() -> None:
    with pytest.raises(BadSetting, match=r"^train\.keep must be last beside train\.patience.*got least_loss"):
        compose(["train.patience=3", "train.keep=least_loss"])
