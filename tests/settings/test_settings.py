"""All settings of a command: flattened, and pairs of groups that exclude each other."""

from dataclasses import replace

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.settings import flatten, read_value
from pipeline.settings.tracking import RecordInto
from pipeline.settings.training import BinaryCrossEntropy, Reduction


def test_flatten_gives_plain_values_under_dotted_keys() -> None:
    flat = dict(flatten(compose(["train.epochs=3", "data=digits"]).settings))
    assert flat["train.epochs"] == 3
    assert flat["engine"] == "auto"
    assert type(flat["engine"]) is str
    assert flat["claim"] is None
    assert "train" not in flat


def test_one_value_is_read_as_it_is_flattened() -> None:
    settings = compose(["train.epochs=3", "data=digits"]).settings
    assert {key: read_value(settings, key) for key, _ in flatten(settings)} == dict(flatten(settings))
    assert [read_value(settings, key) for key in ("optimizer", "no.such.key")] == [None, None]


def test_flatten_keeps_the_order_of_the_fields_and_takes_a_prefix() -> None:
    pairs = list(flatten(compose([]).settings.ui, "ui."))
    assert pairs == [("ui.host", "127.0.0.1"), ("ui.port", 5000)]


def test_an_output_that_does_not_fit_the_loss_is_refused() -> None:
    settings = compose([]).settings
    loss = BinaryCrossEntropy(label_smoothing=0.0, reduction=Reduction.mean)
    with pytest.raises(
        BadSetting, match=r"^loss=binary_cross_entropy needs model.output=sigmoid, got softmax; "
    ):
        replace(settings, loss=loss)


def test_recording_into_a_model_needs_one() -> None:
    with pytest.raises(BadSetting, match=r"^record must be own unless trained=\.\.\. names a run, got model"):
        replace(compose([]).settings, record=RecordInto.model)


@pytest.mark.parametrize("start", ["train.from=abc", "model.init=pretrained model.pretrained=abc"])
def test_shadows_of_a_model_that_began_elsewhere_are_refused(start: str) -> None:
    words = [*start.split(), "evaluate.membership="]
    assert compose([*words[:-1], f"{words[-1]}threshold"]).settings.evaluate.membership == "threshold"
    with pytest.raises(
        BadSetting, match=r"^evaluate\.membership must be none or threshold with .*=abc .*got lira"
    ):
        compose([*words[:-1], f"{words[-1]}lira"])
