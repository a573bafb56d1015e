"""Models answer to raw samples as numpy does."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import keras
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.settings.settings import Settings
from tests.support import tiny


def by_numpy(settings: Settings, data: tiny.Prepared, weights: list[np.ndarray]) -> np.ndarray:
    carried = (data.test.features - data.scaling.mean) / data.scaling.std
    carried = carried.reshape(len(carried), -1)
    for layer in range(settings.model.layers):
        carried = np.maximum(carried @ weights[2 * layer] + weights[2 * layer + 1], 0)
    logits = carried @ weights[-2] + weights[-1]
    if settings.model.output == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("per_feature", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        "",
        "model.layers=0",
        "model.layers=3 model.dropout=0.5",
        "loss=binary_cross_entropy model.output=sigmoid",
    ],
)
def test_raw_samples_in_probabilities_out(words: str, per_feature: bool) -> None:
    settings, data = tiny.told(words), tiny.prepared(per_feature=per_feature)
    weights = [each + 0.1 for each in keras_models.draw_initial_weights(settings, data)]
    model = keras_models.build_model(settings, data, weights)
    answers = make_predictor(model)(data.test.features)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, by_numpy(settings, data, weights), rtol=1e-4, atol=1e-6)
    for ours, kept in zip(weights, keras_models.get_dense_weights(model), strict=True):
        np.testing.assert_array_equal(ours, kept)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_every_precision_answers_in_float32(policy: str) -> None:
    settings, data = tiny.told(f"precision={policy}"), tiny.prepared()
    model = keras_models.build_model(settings, data)
    answers = make_predictor(model)(data.test.features)
    assert answers.dtype == np.float32
    expected = by_numpy(settings, data, keras_models.draw_initial_weights(settings, data))
    np.testing.assert_allclose(answers, expected, atol=1e-6 if policy == "float64" else 0.03)


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    data = tiny.prepared(per_feature=True)
    model = keras_models.build_model(tiny.told("precision=mixed_bfloat16"), data)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    before, after = (make_predictor(each)(data.test.features) for each in (model, loaded))
    np.testing.assert_array_equal(before, after)


def test_start_weights_must_fit() -> None:
    settings, data = tiny.told("model.init=pretrained model.pretrained=x"), tiny.prepared()
    with pytest.raises(BadModel, match=r"^model.init=pretrained needs weights .*; set model.pretrained$"):
        keras_models.get_start_weights(settings, data, None)
    narrow = keras_models.draw_initial_weights(tiny.told("model.hidden=5"), data)
    with pytest.raises(
        BadModel, match=r"^model.pretrained must have weights of shapes .*\(20, 6\).*got .*\(20, 5\)"
    ):
        keras_models.get_start_weights(settings, data, narrow)
    fitting = [each + 1 for each in keras_models.draw_initial_weights(settings, data)]
    np.testing.assert_array_equal(keras_models.get_start_weights(settings, data, fitting)[0], fitting[0])
