"""The ablated loops do the work of the real one, up to their rung."""

import numpy as np
import pytest

from pipeline.backend import tf
from pipeline.models import keras_models
from pipeline.profiling import ablation_mlp
from pipeline.profiling.breakdown import Rung
from pipeline.settings.training import Engine
from pipeline.training.perceptron import batches, mlp_gradients
from pipeline.training.perceptron.compiled_loop import CompiledLoop, EpochArguments
from tests.support import tiny

STEPS = 7


def inside(words: str, kind: Engine) -> tuple[CompiledLoop, EpochArguments]:
    settings, prepared = tiny.told(words), tiny.prepared()
    loop = CompiledLoop(
        settings, prepared, keras_models.draw_initial_weights(settings, prepared), tiny.CPU, kind
    )
    loop.prepare(1)
    return loop, loop.epoch_arguments


def done(parts: EpochArguments, rung: Rung, steps: int = STEPS) -> tuple[object, list[np.ndarray]]:
    spec, data, plan, hyper, state, buffers = parts
    total, rest = ablation_mlp.compile_rung(spec, rung)(data, plan, tf.constant(steps), hyper, state, buffers)
    return float(total), [np.asarray(each) for each in tf.nest.flatten(rest)]


@pytest.mark.parametrize("kind", [Engine.xla, Engine.graph])
@pytest.mark.parametrize(
    "words", ["optimizer=sgd", "optimizer=adam augment.flip=true", "preprocess.storage=uint8"]
)
def test_the_top_rung_is_the_training_loop(words: str, kind: Engine) -> None:
    loop, parts = inside(words, kind)
    state, loss = loop.run_steps(STEPS)
    total, found = done(parts, Rung.input)
    assert total / STEPS == pytest.approx(float(loss), rel=1e-5)
    for one, two in zip(found, tf.nest.flatten(state), strict=True):
        np.testing.assert_allclose(one, np.asarray(two), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [Engine.xla, Engine.graph])
def test_frozen_samples_are_trained_on_again_and_again(kind: Engine) -> None:
    """The lower rungs see the first batch only, so with an update its loss falls."""
    _, parts = inside("optimizer=sgd optimizer.learning_rate=0.1", kind)
    once, _ = done(parts, Rung.forward, 1)
    assert done(parts, Rung.forward)[0] == pytest.approx(STEPS * once, rel=1e-4)
    assert done(parts, Rung.backward)[0] == pytest.approx(STEPS * once, rel=1e-4)
    assert done(parts, Rung.update)[0] < 0.95 * STEPS * once


@pytest.mark.parametrize("kind", [Engine.xla, Engine.graph])
def test_the_backward_rung_finds_the_gradients(kind: Engine) -> None:
    _, parts = inside("optimizer=sgd", kind)
    spec, data, plan, hyper, state, _ = parts
    samples, wanted = batches.fetch_batch(spec, data, plan, hyper, tf.constant(0))
    with tf.GradientTape() as tape:
        tape.watch(state.parameters)
        logits = mlp_gradients.forward(spec.network, state.parameters, samples).logits
        loss = tf.reduce_mean(spec.network.loss.compute(logits, wanted))
    gradients = tape.gradient(loss, state.parameters)
    for one, two in zip(done(parts, Rung.backward)[1], gradients, strict=True):
        np.testing.assert_allclose(one, np.asarray(two), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", [Engine.xla, Engine.graph])
def test_the_twin_takes_the_same_steps_on_one_unit(kind: Engine) -> None:
    _, parts = inside("optimizer=adam model.layers=2", kind)
    small = ablation_mlp.make_twin(parts)
    assert small.spec.network.sizes == (1, 1, 1, 2)
    assert small.plan.rows.shape == (parts.spec.steps, 1)
    for rung in Rung:
        total, _ = done(small, rung)
        assert np.isfinite(total)


def test_a_caller_waits_and_takes_any_number_of_steps() -> None:
    _, parts = inside("optimizer=sgd", Engine.xla)
    call = ablation_mlp.make_step_caller(parts, Rung.input)
    call(0)
    call(parts.spec.steps)
    assert EpochArguments is type(parts)
