"""What a compiled loop holds on the device."""

import pytest

from pipeline.backend import tf
from pipeline.models import keras_models
from pipeline.settings.preprocess import Storage
from pipeline.settings.training import Engine
from pipeline.training.perceptron.compiled_loop import CompiledLoop
from tests.support import tiny

DATA = tiny.prepared()


@pytest.mark.parametrize(("storage", "kind"), [(Storage.uint8, tf.uint8), (Storage.float32, tf.float32)])
def test_samples_lie_on_the_device_as_told(storage: Storage, kind: tf.DType) -> None:
    settings = tiny.told(f"preprocess.storage={storage}")
    weights = keras_models.draw_initial_weights(settings, DATA)
    loop = CompiledLoop(settings, DATA, weights, tiny.CPU, Engine.graph)
    assert loop._data.features.dtype == kind
