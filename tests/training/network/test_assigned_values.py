"""A value that a layer assigns is a number to what comes behind it, as in Keras' own loop."""

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.settings.training import Engine
from pipeline.training.network.assigned_values import stop_gradients_of_assigned
from tests.support import tiny
from tests.training.network.test_network_loop import IMAGES, start, take_epochs

CENTRED = "model=custom model.build=tests.support.odd_models:centred train.batch_size=8"


@pytest.mark.parametrize("engine", [Engine.graph, pytest.param(Engine.xla, marks=pytest.mark.slow)])
def test_a_layer_that_reads_what_it_has_assigned_is_trained_as_by_keras(engine: Engine) -> None:
    settings = tiny.told(CENTRED)
    expected, ours = (start(settings, IMAGES, one) for one in (Engine.keras, engine))
    np.testing.assert_allclose(take_epochs(ours, 1, 2), take_epochs(expected, 1, 2), rtol=1e-4)
    for one, other in zip(ours.get_parameters(), expected.get_parameters(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_scope_is_as_it_was_behind_the_block() -> None:
    before, variable = keras.StatelessScope.add_update, keras.Variable(1.0)
    with stop_gradients_of_assigned():
        assert keras.StatelessScope.add_update is not before
    assert keras.StatelessScope.add_update is before
    start_value = tf.constant(3.0)
    with stop_gradients_of_assigned(), tf.GradientTape() as tape, keras.StatelessScope() as scope:
        tape.watch(start_value)
        variable.assign(2 * start_value)
        answer = variable * start_value
    assert scope.get_current_value(variable) == 6
    assert tape.gradient(answer, start_value) == 6
