"""A model in LiteRT's format answers as the Keras model does, and its file holds its weights."""

import numpy as np
import pytest

from pipeline.models import keras_models, litert
from pipeline.models.predictor import make_predictor
from pipeline.settings.measuring import Runtime
from tests.support import tiny

PREPARED = tiny.prepared()
SETTINGS = tiny.told("model.hidden=40")
WEIGHTS = [np.random.default_rng(3).standard_normal(each.shape).astype(np.float32)
           for each in keras_models.draw_initial_weights(SETTINGS, PREPARED)]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> object:
    return keras_models.build_model(SETTINGS, PREPARED, WEIGHTS)


@pytest.mark.parametrize(
    ("runtime", "close", "least"), [(Runtime.litert, 1e-5, 4.0), (Runtime.litert_int8, 0.05, 1.0)]
)
def test_the_file_answers_like_the_model(model: object, runtime: Runtime, close: float, least: float) -> None:
    """An untrained file of a few kilobytes is the trap: it would be smaller than the weights."""
    content = litert.export_file(model, runtime)
    assert len(content) >= least * sum(each.size for each in WEIGHTS)
    samples = PREPARED.test.features
    wanted, found = make_predictor(model)(samples), litert.load_file(content)(samples)
    np.testing.assert_allclose(found, wanted, atol=close)
    assert found.dtype == np.float32


def test_single_samples_and_batches_in_turns(model: object) -> None:
    predict = litert.load_file(litert.export_file(model, Runtime.litert))
    samples = PREPARED.test.features
    one = predict(samples[:1])
    assert predict(samples[:5]).shape == (5, 3)
    np.testing.assert_allclose(predict(samples[:1]), one)


def test_what_is_served_is_scored_by_its_own_answers(model: object) -> None:
    split = PREPARED.validation
    served = litert.make_served_file(model, Runtime.litert, split)
    assert served is not None
    right = make_predictor(model)(split.features).argmax(axis=1) == split.labels
    assert served.accuracy == pytest.approx(right.mean())
    assert served.compiled_accuracy == pytest.approx(right.mean())
    assert served.measure.name == "accuracy"
    assert litert.make_served_file(model, Runtime.compiled, split) is None


@pytest.mark.parametrize("runtime", list(Runtime))
def test_every_runtime_has_an_answerer(model: object, runtime: Runtime) -> None:
    predict = litert.predict_in_portions(litert.make_predictor_for(model, runtime))
    answers = predict(PREPARED.test.features)
    assert answers.shape == (17, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-3)
