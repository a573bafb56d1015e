"""Who answers under each runtime, to what a user can send."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import Tensor, keras
from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.errors import BadSetting
from pipeline.models import keras_models, litert
from pipeline.models.predictor import make_predictor
from pipeline.settings.measuring import Runtime
from tests.support import places, tiny

DATA = tiny.prepared(120, shape=(6, 5))


@pytest.mark.parametrize("words", ["", "model=cnn model.filters=2"])
def test_every_runtime_gives_the_same_answers(words: str) -> None:
    model = keras_models.build_model(tiny.told(words), DATA)
    wanted = make_predictor(model)(DATA.test.samples)
    for runtime in (Runtime.keras, Runtime.litert, Runtime.onnx):
        predict = litert.make_predictor_for(model, runtime)
        samples = np.asarray(DATA.test.samples)
        np.testing.assert_allclose(litert.predict_in_portions(predict)(samples), wanted, atol=1e-5)
        single = np.concatenate([predict(samples[row : row + 1]) for row in range(8)])
        np.testing.assert_allclose(single, wanted[:8], atol=1e-5)
        assert (single.argmax(axis=1) == wanted[:8].argmax(axis=1)).all()


class Inverse(keras.layers.Layer):
    """A layer for which LiteRT has no kernel."""

    def call(self, tensor: Tensor) -> Tensor:
        return keras.ops.erfinv(tensor)


def test_a_network_that_a_file_cannot_hold_is_refused_by_name() -> None:
    model = keras.Sequential([keras.Input((4,)), Inverse(), keras.layers.Dense(3)])
    with pytest.raises(
        BadSetting,
        match=r"^profile.runtime must be compiled or keras for a network that LiteRT cannot hold, got "
        r"litert_int8 \(it has no tf.Erfinv\); use profile.runtime=compiled$",
    ):
        litert.export_file(model, Runtime.litert_int8)


def test_texts_are_answered_by_keras_and_refused_as_a_file(tmp_path: Path) -> None:
    root = places.text_folder(tmp_path / "data")
    settings = compose(["data=text_folder", f"data.path={root}", f"cache_dir={tmp_path / 'cache'}"]).settings
    prepared = preprocess(settings)
    model = keras_models.build_model(settings, prepared)
    samples, labels = prepared.test.samples, prepared.test.labels
    keras_call = litert.predict_in_portions(litert.make_predictor_for(model, Runtime.keras))
    np.testing.assert_allclose(keras_call(samples), make_predictor(model)(samples), atol=1e-5)
    assert 0 <= litert.measure_accuracy(keras_call, samples, labels) <= 1
    litert.check_runtime(Runtime.keras, prepared)
    with pytest.raises(BadSetting, match=r"^profile.runtime must be compiled or keras for texts, .*litert;"):
        litert.check_runtime(Runtime.litert, prepared)
