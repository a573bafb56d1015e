"""What only trying tells of a user's own network is told before it is trained, in one line."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import keras
from pipeline.errors import BadModel, BadSetting
from pipeline.models import keras_models
from pipeline.models.architectures.custom import know_classes
from pipeline.models.custom_check import check_custom, find_reason_for_keras
from pipeline.models.predictor import make_predictor
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training.engine_choice import pick_engine
from tests.support import tiny

DATA = tiny.prepared(shape=(6, 5))


def told(name: str, words: str = "") -> Settings:
    return tiny.told(f"model=custom model.build=tests.support.{name} {words}")


def check(settings: Settings) -> None:
    check_custom(settings, DATA, keras_models.draw_initial_weights(settings, DATA))


@pytest.mark.parametrize(
    "name",
    [
        *("my_models:rich", "my_models:own_layer", "odd_models:unseeded", "odd_models:projecting"),
        *("odd_models:named_logits", "odd_models:named_scaling", "odd_models:named_samples"),
        *("odd_models:named_probabilities", "odd_models:named_prediction", "odd_models:under_a_name"),
    ],
)
def test_what_can_be_trained_and_saved_passes(name: str) -> None:
    check(told(name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("the_same", "a new one each time, got .*, which returned the same one again; make it within"),
        ("projecting_anew", "the same one each time, got .* answer differently with the same weights; draw"),
        ("foreign_softmax", "which ends with probabilities; leave that out: model.output=softmax puts it"),
        ("inner_softmax", "which ends with probabilities; leave that out: model.output=softmax or sigmoid"),
        ("operation_softmax", "which ends with probabilities; leave that out: model.output=softmax or"),
        ("whole_numbers", "which gives int32; leave out what makes whole numbers of them"),
        ("own_step", "trained as the settings say, got .*, whose class has a train_step of its own; leave"),
        ("with_lambda", "that can be saved and loaded, got .*; write what a lambda does as a class"),
        ("forgetting", "got .*, which answers differently then; let get_config"),
        ("local_class", "that can be saved and loaded, got .*; give its classes a place at the top"),
    ],
)
def test_what_would_come_to_nothing_is_one_line(name: str, text: str) -> None:
    with pytest.raises(BadModel, match=text) as error:
        check(told(f"odd_models:{name}"))
    assert "\n" not in str(error.value)


def test_a_network_that_sets_its_trained_weights_is_trained_by_keras() -> None:
    assert pick_engine(told("odd_models:spectral"), tiny.CPU, DATA) is Engine.keras
    assert pick_engine(told("odd_models:spectral", "engine=keras"), tiny.CPU, DATA) is Engine.keras
    with pytest.raises(BadSetting, match=r"engine must be auto or keras .*, got graph; use engine=keras"):
        pick_engine(told("odd_models:spectral", "engine=graph"), tiny.CPU, DATA)
    assert find_reason_for_keras(told("my_models:rich"), DATA) == ""


@pytest.mark.parametrize("name", ["noise_in_a_cell", "dropout_in_a_cell", "statistics_in_a_cell"])
def test_a_network_that_changes_within_a_loop_is_trained_by_keras(name: str) -> None:
    assert pick_engine(told(f"odd_models:{name}"), tiny.CPU, DATA) is Engine.keras
    with pytest.raises(BadSetting, match=r"engine must be auto or keras for .* within a loop.*, got graph"):
        pick_engine(told(f"odd_models:{name}", "engine=graph"), tiny.CPU, DATA)


@pytest.mark.parametrize("name", ["unseeded", "recurrent", "stacked", "in_blocks", "bfloat16"])
def test_any_loop_trains_a_network_that_draws_elsewhere(name: str) -> None:
    assert find_reason_for_keras(told(f"odd_models:{name}"), DATA) == ""


@pytest.mark.parametrize("name", ["timid", "strict"])
def test_what_fails_in_training_alone_is_told_before(name: str) -> None:
    with pytest.raises(BadModel, match=r"which fails in training \(ValueError: .*\); mend it"):
        find_reason_for_keras(told(f"odd_models:{name}"), DATA)


@pytest.mark.parametrize("name", ["listed", "under_a_name"])
def test_one_output_in_a_list_or_under_a_name_is_one_output(name: str, tmp_path: Path) -> None:
    model = keras_models.build_model(told(f"odd_models:{name}"), DATA)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    answers = make_predictor(model)(DATA.test.features)
    np.testing.assert_array_equal(make_predictor(loaded)(DATA.test.features), answers)


THEIRS = """
import keras
class Own(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 3
def twice(inputs):
    return 2 * inputs
"""
NETWORK = """
import keras
from their_layers import Own, twice
def build(shape, classes, settings):
    layers = keras.layers
    parts = [layers.Flatten(), Own(), layers.Dense(4, twice), layers.Dense(classes)]
    return keras.Sequential([keras.Input(shape), *parts])
"""


class Own(keras.layers.Layer):
    """Has the name of a class of another module, which a network of that module must not come back with."""


def test_classes_may_lie_in_another_module_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_layers.py").write_text(THEIRS)
    (tmp_path / "their_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    settings = tiny.told("model=custom model.build=their_network:build")
    check(settings)

    class Later(Own):  # the last one of the name
        pass

    Later.__name__ = Later.__qualname__ = "Own"
    with know_classes("their_network:build"):
        assert keras.saving.get_registered_object("Own").__module__ == "their_layers"
