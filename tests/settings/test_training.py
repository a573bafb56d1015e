"""Loss, length, precision and augmentation of training."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss.label_smoothing", 1.0),
        ("precision.loss_scale", 0.0),
        ("train.epochs", 0),
        ("train.batch_size", 2**20 + 1),
        ("train.patience", -1),
        ("train.seed", 2**31),
        ("train.adversarial_epsilon", -1.0),
        ("augment.shift", 0.6),
        ("augment.crop", 1.0),
        ("augment.rotate", 181.0),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)


def test_augmentation_is_active_where_any_change_is_on() -> None:
    assert not compose(["augment=none"]).settings.augment.active
    for option in ("crop", "flip", "rotate", "shift"):
        assert compose([f"augment={option}"]).settings.augment.active


def test_private_steps_are_not_taken_on_moved_samples() -> None:
    with pytest.raises(BadSetting, match=r"^train\.adversarial must be none with privacy=dp_sgd, got fgsm"):
        compose(["privacy=dp_sgd", "train.adversarial=fgsm"])
