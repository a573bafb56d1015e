"""Weights that a perceptron begins with."""

import numpy as np
import pytest

from pipeline.models import keras_models
from tests.support import tiny


@pytest.mark.parametrize(("init", "limit"), [("glorot", np.sqrt(6 / (20 + 600))), ("he", np.sqrt(6 / 20))])
def test_initial_weights_fill_their_range(init: str, limit: float) -> None:
    settings = tiny.told(f"model.init={init} model.hidden=600")
    first, bias, *_ = keras_models.draw_initial_weights(settings, tiny.prepared())
    assert first.shape == (20, 600)
    assert limit * 0.99 < np.abs(first).max() <= limit
    assert abs(first.mean()) < limit / 20
    assert not bias.any()


def test_initial_weights_go_by_the_seed() -> None:
    data = tiny.prepared()
    one, same, other = (
        keras_models.draw_initial_weights(tiny.told(f"train.seed={seed}"), data)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()
