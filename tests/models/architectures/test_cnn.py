"""A network that the compiled loop cannot take: built, trained, saved and counted as any other."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.errors import BadData, BadSetting
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.profiling.profile import count_flops
from pipeline.settings.training import Engine
from pipeline.training import device_data
from pipeline.training.loop import start_loop
from pipeline.training.train import train
from pipeline.trial.network import check_trial
from tests.support import tiny

DATA = tiny.prepared(120, shape=(6, 5))
WORDS = "model=cnn model.filters=4 model.hidden=8 train.batch_size=8"


def test_it_learns_through_the_same_stages() -> None:
    *_, item = train(DATA, tiny.told(f"{WORDS} train.epochs=12 optimizer.learning_rate=0.01"))
    assert item.engine == "graph"
    assert item.curve.last.validation_accuracy > 0.8
    answers = make_predictor(item.build_model())(DATA.validation.features)
    assert (answers.argmax(1) == DATA.validation.labels).mean() == item.curve.last.validation_accuracy


@pytest.mark.parametrize("words", ["", "augment=shift model.dropout=0.3 precision=mixed_bfloat16"])
def test_same_seed_same_weights(words: str) -> None:
    one, same, other = (
        list(train(DATA, tiny.told(f"{WORDS} {words} train.epochs=1 train.seed={seed}")))[-1].get_weights()
        for seed in (1, 1, 2)
    )
    for ours, again in zip(one, same, strict=True):
        np.testing.assert_array_equal(ours, again)
    assert (one[0] != other[0]).any()


def test_colour_images_and_spectrograms_are_images_and_vectors_are_not() -> None:
    for shape in ((6, 5), (6, 5, 3), (7, 9, 1)):
        model = keras_models.build_model(tiny.told(WORDS), tiny.prepared(shape=shape))
        assert model.input_shape == (None, *shape)
    with pytest.raises(BadData, match=r"^model=cnn needs images .*, got \[20\]; use model=mlp$"):
        check_trial(tiny.prepared(shape=(20,)), tiny.told(WORDS))


def test_a_saved_network_answers_the_same(tmp_path: Path) -> None:
    model = keras_models.build_model(tiny.told(f"{WORDS} model.dropout=0.2"), DATA)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    before, after = (make_predictor(each)(DATA.test.features) for each in (model, loaded))
    np.testing.assert_array_equal(before, after)


def test_flops_agree_with_the_count_of_tensorflow() -> None:
    model = keras_models.build_model(tiny.told(WORDS), DATA)
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec([1, *DATA.shape], tf.float32)
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    counted = tf.compat.v1.profiler.profile(function.graph, options=options).total_float_ops
    by_hand = 2 * (9 * 4 * 30 + 9 * 4 * 8 * 9 + 2 * 2 * 8 * 8 + 8 * 3)
    assert count_flops(model) == by_hand
    assert by_hand <= counted < 1.2 * by_hand


def test_xla_refuses_it_on_a_cpu() -> None:
    with pytest.raises(
        BadSetting, match="engine must be auto, graph or keras with convolutions on a CPU, got xla"
    ):
        check_trial(DATA, tiny.told(f"{WORDS} engine=xla"))


@pytest.mark.parametrize("engine", [Engine.keras, Engine.graph])
def test_scoring_in_portions_changes_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny.told(WORDS)
    weights = keras_models.draw_initial_weights(settings, DATA)
    loop = start_loop(settings, DATA, weights, tiny.CPU, engine)
    whole = loop.score()
    monkeypatch.setattr(device_data, "MAX_SCORED_NUMBERS", 5 * 30 * 4)
    np.testing.assert_allclose(loop.score(), whole, rtol=1e-6)
