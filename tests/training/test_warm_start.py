"""A run that goes on from another: same numbers as one run, and every second is paid for."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data.prepared import Prepared, Split
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training import warm_start
from pipeline.training.train import Start, Trained, train
from pipeline.training.warm_start import (
    PastCost,
    WarmStart,
    pack,
    plan_warm_start,
    take_over_scaling,
    take_over_weights,
    unpack,
)
from tests.support import tiny

DATA = tiny.prepared(120)


def run(settings: Settings, data: Prepared = DATA, start: Start = None) -> Trained:
    return list(train(data, settings, start))[-1]


def after(item: Trained, settings: Settings, data: Prepared = DATA, start: Start = None) -> WarmStart:
    left = item.to_training_state(start)
    assert left is not None
    kept = unpack(pack(left))
    last = item.curve.last
    spent = PastCost(last.device_seconds, last.joules, last.joules_estimated)
    return plan_warm_start(item.build_model(), kept, spent, "id", settings, data, Engine(item.engine))


@pytest.mark.parametrize("engine", ["xla", "graph", "keras"])
@pytest.mark.parametrize(
    "words",
    ["", "optimizer=sgd optimizer.momentum=0.9", pytest.param("augment=shift", marks=pytest.mark.slow)],
)
def test_two_epochs_and_two_more_are_four(engine: str, words: str) -> None:
    whole = run(tiny.told(f"engine={engine} {words} train.epochs=4"))
    settings = tiny.told(f"engine={engine} {words} train.epochs=2")
    first = run(settings)
    start = after(first, settings)
    assert start.training_state is not None
    second = run(settings, start=start)
    for ours, other in zip(second.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-6)
    spent = first.curve.last.device_seconds
    assert second.curve.epochs[0].device_seconds > spent
    assert first.curve.last.joules is not None
    assert second.curve.epochs[0].joules > first.curve.last.joules  # type: ignore[operator]
    again = second.to_training_state(start)
    assert again is not None
    assert (again.epochs, again.steps) == (4, 4 * 30)


def third(number: int) -> Prepared:
    rows = np.arange(number, 120, 3)
    return replace(DATA, train=Split(DATA.train.features[rows], DATA.train.labels[rows]))


def test_rows_in_three_increments_come_near_to_all_at_once() -> None:
    settings = tiny.told("train.epochs=6 optimizer.learning_rate=0.01")
    start: Start = None
    for number in range(3):
        data = third(number)
        item = run(settings, data, start)
        start = after(item, settings, data, start)
    whole = run(settings)
    assert start.epochs == 18
    assert item.curve.last.validation_accuracy >= whole.curve.last.validation_accuracy - 0.15
    assert item.curve.last.validation_accuracy > run(settings, third(0)).curve.last.validation_accuracy - 0.1


def test_layers_that_fit_are_taken_and_others_named() -> None:
    parent = run(tiny.told("train.epochs=1 model.layers=2"))
    wider = tiny.told("train.epochs=1 model.layers=3")
    weights, fresh = take_over_weights(parent.build_model(), wider, DATA)
    assert fresh == ("hidden_3",)
    np.testing.assert_array_equal(weights[0], parent.get_weights()[0])
    start = after(parent, wider)
    assert start.training_state is None
    assert run(wider, start=start).curve.last.device_seconds > parent.curve.last.device_seconds
    with pytest.raises(BadModel, match=r"train\.from must be a model of which a layer fits"):
        take_over_weights(parent.build_model(), tiny.told("model.hidden=9"), tiny.prepared(shape=(3, 3)))


def test_another_optimizer_forgets_what_the_first_one_knew() -> None:
    parent = run(tiny.told("train.epochs=1"))
    start = after(parent, tiny.told("optimizer=sgd train.epochs=1"))
    assert (start.training_state, start.fresh_layers, start.steps) == (None, (), 0)


def test_the_scaling_stays_that_of_the_first_run() -> None:
    parent = keras_models.build_model(tiny.told(), DATA)
    other = replace(DATA, scaling=replace(DATA.scaling, mean=DATA.scaling.mean + 9))
    found = take_over_scaling(parent, other).scaling
    np.testing.assert_allclose(found.mean, DATA.scaling.mean, rtol=1e-6)
    np.testing.assert_allclose(found.std, DATA.scaling.std, rtol=1e-6)


def test_a_damaged_file_is_as_none() -> None:
    assert unpack(b"PK no") is None
    assert warm_start.STATE_FILE.endswith(".npz")
