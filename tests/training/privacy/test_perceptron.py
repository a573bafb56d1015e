"""Clipped gradients of a perceptron against a loop over the rows, and whole private epochs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import tf
from pipeline.models import keras_models
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine
from pipeline.training.device_data import describe_network, shuffle_rows
from pipeline.training.loop import start_loop
from pipeline.training.perceptron import mlp_gradients
from pipeline.training.perceptron.compiled_loop import CompiledLoop
from pipeline.training.privacy import perceptron, sampling
from tests.support import tiny

DATA = tiny.prepared()
PRIVATE = "privacy=dp_sgd privacy.clip_norm=0.5 privacy.noise_multiplier=1.5 optimizer=sgd"
ROOM, CLIP = 9, 0.7


@pytest.mark.parametrize(
    "words",
    [
        "model.layers=2 model.activation=tanh",
        "model.layers=0 loss=mean_squared_error",
        "model.layers=1 loss=binary_cross_entropy model.output=sigmoid loss.label_smoothing=0.1",
    ],
)
def test_the_sum_is_that_of_a_loop_over_the_rows(words: str) -> None:
    settings = tiny.told(words)
    network, draw = describe_network(settings, DATA), np.random.default_rng(0)
    parameters = [tf.constant(each) for each in keras_models.draw_initial_weights(settings, DATA)]
    samples = tf.constant(draw.normal(size=(ROOM, network.sizes[0])), tf.float32)
    targets = mlp_gradients.make_targets(network, tf.constant(np.arange(ROOM) % 3), tf.constant(0.1))
    masks = [tf.constant(2 * draw.integers(0, 2, (ROOM, width)), tf.float32) for width in network.sizes[1:-1]]
    present = tf.constant([1.0] * 7 + [0.0] * 2)
    loss, sums = perceptron.sum_clipped_gradients(
        network, parameters, samples, targets, masks, present, tf.constant(CLIP)
    )
    expected, losses, clipped = [np.zeros(each.shape) for each in parameters], [], 0
    for row in range(7):
        part = slice(row, row + 1)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            logits = mlp_gradients.forward(
                network, parameters, samples[part], [mask[part] for mask in masks]
            ).logits
            value = network.loss.compute(logits, targets[part])[0]
        gradients = tape.gradient(value, parameters)
        norm = float(tf.linalg.global_norm(gradients))
        clipped += norm > CLIP
        losses.append(float(value))
        for total, gradient in zip(expected, gradients, strict=True):
            total += gradient.numpy() * min(1, CLIP / norm)
    assert clipped, "none was clipped, so that this shows nothing"
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
    for one, other in zip(sums, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def start(settings: Settings, engine: Engine) -> CompiledLoop:
    loop = start_loop(settings, DATA, keras_models.draw_initial_weights(settings, DATA), tiny.CPU, engine)
    assert isinstance(loop, CompiledLoop)
    return loop


def take_epoch(loop: CompiledLoop) -> Iterator[np.ndarray]:
    loop.prepare(1)
    float(loop.run())
    return (each.numpy() for each in loop.get_parameters())


@pytest.mark.parametrize("engine", [Engine.graph, Engine.xla])
def test_without_clip_and_noise_it_is_the_plain_epoch(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, private = (
        start(tiny.told(f"optimizer=sgd optimizer.momentum=0.9 model.dropout=0.0 {words}"), engine)
        for words in ("", "privacy=dp_sgd")
    )

    def order(seed: int, number: int, rows: int, batch: int, room: int) -> np.ndarray:
        drawn = np.full((rows // batch, room), sampling.EMPTY, np.int32)
        drawn[:, :batch] = shuffle_rows(seed, number, rows, batch)
        return drawn

    monkeypatch.setattr(sampling, "draw_rows", order)
    numbers = private._hyper_parameters
    free = numbers.privacy._replace(clip_norm=tf.constant(1e9), noise=tf.constant(0.0))
    private._hyper_parameters = numbers._replace(privacy=free)
    for one, other in zip(take_epoch(plain), take_epoch(private), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_engines_walk_the_same_private_path_and_a_secret_one_is_another() -> None:
    settings = tiny.told(f"{PRIVATE} model.dropout=0.3")
    graph = list(take_epoch(start(settings, Engine.graph)))
    for one, other in zip(graph, take_epoch(start(settings, Engine.xla)), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)
    secret = replace(settings, privacy=replace(settings.privacy, repeatable=False))
    assert np.abs(graph[0] - next(take_epoch(start(secret, Engine.graph)))).max() > 1e-3


def test_more_rows_than_there_is_room_for_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny.told(f"{PRIVATE} train.batch_size=12")
    expected = list(take_epoch(start(settings, Engine.graph)))
    monkeypatch.setattr(sampling, "DEVIATIONS", -2)
    loop = start(settings, Engine.graph)
    tight = loop._spec.room
    for one, other in zip(expected, take_epoch(loop), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert tight < loop._spec.room
