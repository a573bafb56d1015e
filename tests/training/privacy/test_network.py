"""Clipped gradients of Keras networks against a loop over the rows; networks that have none are refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.settings.training import Engine
from pipeline.training.loop import start_loop
from pipeline.training.privacy import network
from tests.support import tiny
from tests.training.network.test_network_loop import texts

layers = keras.layers
ROWS = 5


def images() -> Any:
    inputs = keras.Input((6, 5, 2))
    tensor = layers.Conv2D(3, 3, strides=2, padding="same", activation="relu")(inputs)
    tensor = layers.Conv2D(2, 2, padding="valid", use_bias=False, kernel_regularizer="l2")(tensor)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Dense(4, "tanh")(tensor))))


def words() -> Any:
    inputs = keras.Input((7,))
    tensor = layers.Embedding(9, 4)(inputs)
    tensor = layers.Conv1D(3, 3, dilation_rate=2, padding="causal", activation="relu")(tensor)
    tensor = layers.Conv1D(3, 3, strides=2, activation="relu")(tensor)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(tensor)))


@pytest.mark.parametrize("build", [images, words])
def test_the_sum_is_that_of_a_loop_over_the_rows(build: Callable[[], Any]) -> None:
    model, draw = build(), np.random.default_rng(0)
    samples = tf.constant(draw.integers(0, 9, (ROWS, *model.input_shape[1:])), tf.float32)
    trained = [variable.value for variable in model.trainable_variables]
    labels, clip = tf.constant(np.arange(ROWS) % 3), 0.8

    def forward(rows: slice = slice(None)) -> Any:
        logits, others, penalties = model.stateless_call(trained, [], samples[rows], return_losses=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[rows], logits)
        return losses, others, penalties

    present = tf.constant([1.0] * (ROWS - 1) + [0.0])
    _, sums, _ = network.sum_clipped_gradients(model, trained, forward, present, tf.constant(clip), 10)
    expected, norms = [np.zeros(each.shape) for each in trained], []
    for row in range(ROWS - 1):
        with tf.GradientTape() as tape:
            tape.watch(trained)
            (loss,) = tf.unstack(forward(slice(row, row + 1))[0])
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, trained)]
        norms.append(float(tf.linalg.global_norm(gradients)))
        for total, gradient in zip(expected, gradients, strict=True):
            total += gradient.numpy() * min(1, clip / norms[-1])
    with tf.GradientTape() as tape:
        tape.watch(trained)
        penalty = tf.add_n([tf.constant(0.0), *forward()[2]])
    for total, gradient in zip(expected, tape.gradient(penalty, trained), strict=True):
        total += 0 if gradient is None else 10 * tf.convert_to_tensor(gradient).numpy()
    assert max(norms) > clip
    for one, other in zip(sums, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert "call" not in vars(model.layers[1])  # left as it was


@pytest.mark.parametrize(
    ("told", "data"),
    [
        ("model=cnn model.filters=2 model.hidden=4 model.dropout=0.2", tiny.prepared(shape=(6, 5))),
        pytest.param("model=text model.width=4 model.dropout=0.2", texts(), marks=pytest.mark.slow),
    ],
    ids=["cnn", "text"],
)
def test_a_private_epoch_of_each_model_trains(told: str, data: Any) -> None:
    private = "privacy=dp_sgd privacy.noise_multiplier=0.5 optimizer.learning_rate=0.01"
    settings = tiny.told(f"{told} train.batch_size=8 {private}")
    weights = keras_models.draw_initial_weights(settings, data)
    loop = start_loop(settings, data, weights, tiny.CPU, Engine.graph)
    loop.prepare(1)
    assert np.isfinite(float(loop.run()))
    moved = [
        np.abs(one.numpy() - other).max() for one, other in zip(loop.get_parameters(), weights, strict=True)
    ]
    assert min(moved) > 1e-3  # noise reaches every parameter


class Own(layers.Layer):  # type: ignore[misc]
    """A layer whose gradients nobody here knows."""

    def call(self, inputs: Any) -> Any:
        return inputs


def mix(tensor: Any) -> Any:
    return tensor - keras.ops.mean(tensor, axis=0, keepdims=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (layers.BatchNormalization(), "BatchNormalization mixes the rows"),
        (layers.LayerNormalization(), r"got .* \(LayerNormalization\)"),
        (Own(), "a layer of your own"),
        (layers.Dense(5, activity_regularizer="l2"), "its penalty on outputs"),
        (layers.Dense(5, dtype="mixed_bfloat16"), "its precision is mixed_bfloat16: set precision=float32"),
        (layers.Dense(5, dtype="float64"), "its precision is float64: set precision=float32"),
        (mix, "rows of a batch change each other's answers"),
    ],
)
def test_a_network_whose_rows_cannot_be_clipped_apart_is_refused(change: Any, reason: str) -> None:
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(change(inputs)))
    with pytest.raises(BadModel, match=rf"^privacy=dp_sgd needs .*{reason}") as told:
        network.check_network(model, (5,), 0)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("wrap", [lambda layer: layer, lambda layer: keras.Sequential([layer])])
def test_a_layer_that_is_used_twice_is_refused(wrap: Callable[[Any], Any]) -> None:
    inputs, shared = keras.Input((5,)), wrap(layers.Dense(5))
    model = keras.Model(inputs, shared(shared(inputs)))
    with pytest.raises(BadModel, match="used more than once"):
        network.check_network(model, (5,), 0)


def low_rank(inputs: Any) -> Any:
    layer = layers.Dense(5)
    tensor = layer(inputs)
    layer.enable_lora(2)
    return tensor


def shared(inputs: Any) -> Any:
    layer = layers.Dense(5)
    return keras.ops.matmul(layer(inputs), layer.kernel)


@pytest.mark.parametrize("change", [low_rank, shared])
def test_weights_that_are_used_beside_their_layer_are_refused(change: Callable[[Any], Any]) -> None:
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(change(inputs)))
    with pytest.raises(BadModel, match=r"^privacy=dp_sgd needs .* uses weights beside their layers") as told:
        network.check_network(model, (5,), 0)
    assert "\n" not in str(told.value)


def test_rows_that_are_mixed_in_training_alone_are_refused() -> None:
    inputs = keras.Input((6, 5, 1))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.MixUp(seed=0)(inputs))))
    with pytest.raises(BadModel, match="rows of a batch change each other's answers"):
        network.check_network(model, (6, 5, 1), 0)


def test_the_check_comes_before_training() -> None:
    settings = tiny.told("model=custom model.build=tests.support.my_models:rich privacy=dp_sgd")
    with pytest.raises(BadModel, match=r"^privacy=dp_sgd needs"):
        start_loop(settings, replace(tiny.prepared(shape=(6, 5))), [], tiny.CPU, Engine.graph)
