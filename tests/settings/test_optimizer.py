"""Optimizers and learning rates."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer.learning_rate", 0.0, ()),
        ("optimizer.learning_rate", float("nan"), ()),
        ("optimizer.momentum", 1.0, ("optimizer=sgd",)),
        ("optimizer.nesterov", True, ("optimizer=sgd",)),
        ("optimizer.beta1", 1.0, ()),
        ("optimizer.beta2", -0.1, ()),
        ("optimizer.epsilon", 0.0, ()),
        ("optimizer.weight_decay", 1.0, ()),
        ("optimizer.weight_decay", 0.1, ("model=text", "data=rt_polarity", "optimizer.sparse=true")),
        ("schedule.final", 1.1, ("schedule=cosine",)),
        ("schedule.warmup", 1.0, ("schedule=warmup_linear",)),
        ("schedule.final", -0.1, ("schedule=warmup_linear",)),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object, words: tuple[str, ...]) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value, *words)


@pytest.mark.parametrize("word", ["precision=mixed_bfloat16", "engine=keras", "model=mlp", "model=cnn"])
def test_lazy_steps_need_what_knows_them(word: str) -> None:
    words = ["data=rt_polarity", "optimizer.sparse=true"]
    assert compose([*words, "model=text"]).settings.optimizer.sparse  # type: ignore[attr-defined]
    model = [] if "model" in word else ["model=text"]
    with pytest.raises(BadSetting, match=r"^optimizer\.sparse must be false without "):
        compose([*words, *model, word])


@pytest.mark.parametrize(
    ("schedule", "fair"), [("constant", True), ("cosine", False), ("warmup_linear", False)]
)
def test_only_a_constant_rate_makes_every_epoch_a_fair_point(schedule: str, fair: bool) -> None:
    assert compose([f"schedule={schedule}"]).settings.schedule.fair_midway is fair
