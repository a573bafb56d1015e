"""What an epoch takes, told from a trial's values."""

import pytest

from pipeline.data.preprocess import preprocess
from pipeline.models.keras_models import count_parameters
from pipeline.search import epoch_work
from tests.support import tiny


def test_multiply_adds_are_those_of_the_weights_and_steps_those_of_the_loop() -> None:
    settings = tiny.told("model.hidden=32 model.layers=3")
    prepared = preprocess(settings)
    rows, inputs, classes = len(prepared.train), 64, len(prepared.classes)
    told = epoch_work.make_epoch_work(settings, rows, inputs, classes)
    biases = 3 * 32 + classes
    weights = count_parameters(settings, prepared) - biases
    assert told({}) == (weights * rows, rows / settings.train.batch_size)
    assert told({"train.batch_size": 128})[1] == rows / 128
    assert told({"data.fraction": 0.25})[0] == pytest.approx(weights * rows / 4)


def test_a_linear_model_has_one_matrix() -> None:
    work = epoch_work.make_epoch_work(tiny.told("model.layers=0"), 100, 64, 10)
    assert work({})[0] == 100 * 64 * 10
    assert work({"model.layers": 1, "model.hidden": 8})[0] == 100 * 8 * (64 + 10)


def test_a_param_may_hang_on_a_condition() -> None:
    told = epoch_work.make_epoch_work(tiny.told("model.hidden=32"), 100, 64, 10)
    assert told({"model.hidden (optimizer=sgd)": 64})[0] == 2 * told({})[0]


@pytest.mark.parametrize("words", ["model=cnn", "model=custom model.build=tests.support.my_models:build"])
def test_of_other_networks_the_width_is_told(words: str) -> None:
    settings = tiny.told(words)
    key = "model.filters" if "cnn" in words else "model.hidden"
    told = epoch_work.make_epoch_work(settings, 100, 64, 10)
    usual = getattr(settings.model, key.partition(".")[2])
    assert told({key: 2 * usual})[0] == 2 * told({})[0] > 0
