"""What a task implies, and what it refuses: each in one line with its key."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting

QUANTITY = ["data=arrays", "data.path=a.npz", "data.task=regression"]


@pytest.mark.parametrize(
    ("words", "loss", "typed"),
    [
        ([], "mean_squared_error", ()),
        (["loss=huber", "loss.delta=2"], "huber", ("loss=huber", "loss.delta=2")),
        (["model.output=linear", "search.objective=r2"], "mean_squared_error", ("model.output=linear",)),
    ],
)
def test_a_quantity_implies_its_loss_and_output(words: list[str], loss: str, typed: tuple[str, ...]) -> None:
    told = compose([*QUANTITY, *words])
    assert (told.choices["loss"], told.settings.model.output.value) == (loss, "linear")
    assert told.settings.measure.name == "r2"
    assert set(typed) <= set(told.overrides)
    assert "model.output=linear" in words or not told.overrides.find("model.output")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            [*QUANTITY, "loss=cross_entropy"],
            "loss must be mean_squared_error, mean_absolute_error, huber with",
        ),
        ([*QUANTITY, "model.output=softmax"], "model.output must be linear with data.task=regression, got"),
        ([*QUANTITY, "loss.class_weights=balanced"], "loss.class_weights must be none with"),
        ([*QUANTITY, "loss.label_smoothing=0.1"], "loss.label_smoothing must be 0 with"),
        ([*QUANTITY, "evaluate.shift=noise"], "evaluate.shift must be none with data.task=regression, got"),
        ([*QUANTITY, "evaluate.attack=pgd"], "evaluate.attack must be none with data.task=regression, got"),
        ([*QUANTITY, "evaluate.saliency=3"], "evaluate.saliency must be 0 with data.task=regression, got"),
        ([*QUANTITY, "train.adversarial=fgsm"], "train.adversarial must be none with data.task=regression"),
        ([*QUANTITY, "search.objective=accuracy"], "search.objective must be r2 or null with"),
        ([*QUANTITY, "loss=huber", "loss.delta=0"], "loss.delta must be > 0"),
        (
            ["loss=huber"],
            "loss must be cross_entropy, binary_cross_entropy or mean_squared_error, or data.task",
        ),
        (["model.output=linear"], "model.output must be softmax or sigmoid without data.task=regression"),
        (
            ["search.objective=r2"],
            "search.objective must be a measure of classes without data.task=regression",
        ),
        (["data.task=regression"], "data has no setting task"),
    ],
)
def test_what_has_no_sense_is_one_line(words: list[str], line: str) -> None:
    with pytest.raises(BadSetting) as caught:
        compose(words)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
