"""What is particular to the loop that calls Keras' `fit`."""

import types

import numpy as np
import pytest

from pipeline.models import keras_models
from pipeline.settings.training import Engine
from pipeline.training import device_data
from pipeline.training.keras_loop import KerasLoop
from pipeline.training.loop import start_loop
from tests.support import tiny


@pytest.mark.parametrize("streams", [False, True])
def test_no_epoch_waits_for_a_thread_that_tunes_its_input(
    streams: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, data = tiny.told(), tiny.prepared()
    monkeypatch.setattr(device_data, "is_streamed", lambda *_: streams)
    weights = keras_models.draw_initial_weights(settings, data)
    loop = start_loop(settings, data, weights, tiny.CPU, Engine.keras)
    assert isinstance(loop, KerasLoop)
    epochs = []

    def fit(batches: object, **_: object) -> object:
        epochs.append(batches)
        return types.SimpleNamespace(history={"loss": [0.0]})

    monkeypatch.setattr(loop._model, "fit", fit)
    loop.prepare(1)
    loop.run()
    loop.run_steps(2)
    assert [epoch.options().autotune.enabled for epoch in epochs] == [False, False]


def test_scoring_leaves_the_state_of_layers_that_draw() -> None:
    settings = tiny.told("model=custom model.build=tests.support.odd_models:recurrent")
    data = tiny.prepared(shape=(4, 5))
    weights = keras_models.draw_initial_weights(settings, data)
    losses, states = [], []
    for scores in (False, True):
        loop = start_loop(settings, data, weights, tiny.CPU, Engine.keras)
        loop.prepare(1)
        if scores:
            loop.compile()  # scores, too
            loop.score()
        losses.append(float(loop.run()))
        states.append(loop.get_state())
    assert losses[0] == losses[1]
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)
