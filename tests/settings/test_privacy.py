"""The settings of private training, and those that it excludes."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.privacy import check_asked
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("privacy.clip_norm", 0.0),
        ("privacy.noise_multiplier", 0.0),
        ("privacy.epsilon", 0.0),
        ("privacy.delta", 0.5),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: float) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("engine=keras", "engine"),
        ("precision=mixed_bfloat16", "precision"),
        ("device.count=2", "device.count"),
        ("train.from=abc", "train.from"),
        ("privacy.epsilon=3 privacy.noise_multiplier=1", "privacy.epsilon"),
    ],
)
def test_what_no_account_can_be_kept_of_is_refused_in_a_line(word: str, key: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{key} must be .*privacy.*, got ") as told:
        compose(["privacy=dp_sgd", "device=gpu", *word.split()])
    assert "\n" not in str(told.value)


def test_weights_of_another_model_are_refused() -> None:
    words = ["privacy=dp_sgd", "model.init=pretrained", "model.pretrained=abc"]
    with pytest.raises(BadSetting, match=r"^model\.pretrained must be null with privacy=dp_sgd, got abc; "):
        compose(words)


def test_epochs_on_the_way_to_a_solved_epsilon_are_no_shorter_trainings() -> None:
    assert compose(["privacy=dp_sgd"]).settings.fair_midway
    assert not compose(["privacy=dp_sgd", "privacy.epsilon=3"]).settings.fair_midway


def test_epochs_whose_noise_nobody_can_draw_again_are_no_points() -> None:
    assert not compose(["privacy=dp_sgd", "privacy.repeatable=false"]).settings.fair_midway
    assert compose(["privacy.repeatable=false"]).settings.fair_midway


def test_an_objective_that_nobody_counts_is_refused() -> None:
    words = ["search.objectives=[accuracy,cost,epsilon]"]
    assert compose([*words, "privacy=dp_sgd"]).settings.search.further
    with pytest.raises(
        BadSetting, match=r"^search\.objectives must be without epsilon unless privacy=dp_sgd"
    ):
        compose(words)


@pytest.mark.parametrize("word", ["privacy.epsilon=3", "privacy.noise_multiplier=1.5"])
def test_so_much_privacy_without_any_is_refused(word: str) -> None:
    key, _, value = word.partition("=")
    privacy = compose([word]).settings.privacy  # as a run of an earlier release may have it
    with pytest.raises(
        BadSetting, match=rf"^{key} must be null with privacy=none, got {value}: .*privacy=dp_sgd"
    ):
        check_asked(privacy)
    check_asked(compose([word, "privacy=dp_sgd"]).settings.privacy)
