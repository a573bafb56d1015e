"""A network whose convolutions leave their activation to the pooling computes what Keras computes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.training.network.pooled_convolution import find_pooled_convolutions, pool_before_activation

layers = keras.layers


def make_model(*stack: Any, shape: tuple[int, ...] = (9, 8, 2)) -> Any:
    """Return a network that begins with `stack`, its weights (biases too) drawn."""
    model = keras.Sequential([keras.Input(shape), *stack, layers.Flatten(), layers.Dense(3)])
    draw = np.random.default_rng(1)
    model.set_weights([draw.normal(0, 0.5, weights.shape) for weights in model.get_weights()])
    return model


def differentiate(model: Any, pairs: Any) -> tuple[list[np.ndarray], dict[str, int]]:
    """Return the output, the loss' gradients, and how many elements each kind of operation puts out."""
    shape = model.input_shape[1:]
    samples = tf.constant(np.random.default_rng(2).normal(0, 1, (5, *shape)).astype(np.float32))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def compute() -> Any:
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        with tf.GradientTape() as tape, pool_before_activation(pairs):
            tape.watch(trained)
            outputs, _ = model.stateless_call(trained, others, samples, training=True)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        return [outputs, *tape.gradient(loss, trained)]

    sizes: dict[str, int] = {}
    for operation in compute.get_concrete_function().graph.get_operations():
        for output in operation.outputs:
            sizes[operation.type] = max(sizes.get(operation.type, 0), output.shape.num_elements() or 0)
    return [np.asarray(tf.cast(value, tf.float32)) for value in compute()], sizes


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu", None])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_output_and_gradients_are_those_of_keras(activation: str | None, padding: str) -> None:
    convolve = layers.Conv2D(4, 3, activation=activation, padding=padding)
    model = make_model(convolve, layers.MaxPooling2D(2, padding=padding))
    (pair,) = find_pooled_convolutions(model)
    assert pair == (model.layers[0], model.layers[1])
    expected, before = differentiate(model, [])
    found, after = differentiate(model, [pair])
    for ours, keras_value in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, keras_value, rtol=1e-5, atol=1e-5)
    if activation == "relu":  # on a quarter of the numbers, which is what it is for
        assert after["ReluGrad"] <= before["ReluGrad"] / 3
    # Nothing of it stays behind.
    assert differentiate(model, [])[1] == before


@pytest.mark.parametrize(
    "stack",
    [
        (layers.Conv2D(4, 3, use_bias=False, activation="relu"), layers.MaxPooling2D(2)),
        (layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(3, strides=1)),
        (
            layers.Conv2D(4, 3, activation="relu", dtype="mixed_bfloat16"),
            layers.MaxPooling2D(2, dtype="mixed_bfloat16"),
        ),
        (
            layers.Conv2D(4, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(2),
            layers.Conv2D(5, 3, activation="relu", padding="same", dilation_rate=2),
            layers.MaxPooling2D(2),
        ),
    ],
    ids=["no bias", "overlapping windows", "half precision", "two"],
)
def test_so_it_is_for_each_kind_of_pair(stack: tuple[Any, ...]) -> None:
    stack = tuple(layer.__class__.from_config(layer.get_config()) for layer in stack)
    model = make_model(*stack)
    pairs = find_pooled_convolutions(model)
    assert len(pairs) == sum(isinstance(layer, layers.Conv2D) for layer in stack)
    expected, _ = differentiate(model, [])
    found, _ = differentiate(model, pairs)
    close = 3e-2 if any(layer.compute_dtype == "bfloat16" for layer in stack) else 1e-5
    for ours, keras_value in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, keras_value, rtol=close, atol=close * np.abs(keras_value).max())


def branch() -> Any:
    inputs = keras.Input((8, 8, 1))
    edges = layers.Conv2D(2, 3, activation="relu")(inputs)
    both = layers.Concatenate()([layers.Flatten()(edges), layers.Flatten()(layers.MaxPooling2D(2)(edges))])
    return keras.Model(inputs, layers.Dense(3)(both))


def share() -> Any:
    inputs, convolve = keras.Input((8, 8, 1)), layers.Conv2D(1, 3, activation="relu", padding="same")
    pooled = layers.MaxPooling2D(2)(convolve(convolve(inputs)))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(pooled)))


def put_out_what_is_pooled() -> Any:
    inputs = keras.Input((8, 8, 1))
    edges = layers.Conv2D(2, 3, activation="relu")(inputs)
    return keras.Model(inputs, [edges, layers.MaxPooling2D(2)(edges)])


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.pool = layers.Conv2D(2, 3, activation="relu"), layers.MaxPooling2D(2)

    def call(self, inputs: Any) -> Any:
        return self.pool(self.convolve(inputs))


def call_own() -> Any:
    model = Own()
    model(np.zeros((1, 8, 8, 1), np.float32))
    return model


def fall(values: Any) -> Any:
    return -values


class Louder(layers.Conv2D):
    def call(self, inputs: Any) -> Any:
        return 2 * super().call(inputs)


def test_a_network_within_a_network_is_looked_into() -> None:
    inner = make_model(layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2))
    inputs = keras.Input((9, 8, 2))
    model = keras.Model(inputs, layers.Activation("linear")(inner(inputs)))
    pairs = find_pooled_convolutions(model)
    assert pairs == [(inner.layers[0], inner.layers[1])]
    for ours, keras_value in zip(differentiate(model, pairs)[0], differentiate(model, [])[0], strict=True):
        np.testing.assert_allclose(ours, keras_value, rtol=1e-5, atol=1e-5)


class CallsWithin(keras.Model):
    """Calls layers of a network that it holds, without their poolings."""

    def __init__(self) -> None:
        super().__init__()
        self.base = make_model(layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(2))

    def call(self, inputs: Any) -> Any:
        return self.base.layers[0](inputs)


class HoldsAnothers(layers.Layer):
    def __init__(self, convolve: Any) -> None:
        super().__init__()
        self.convolve = convolve

    def call(self, inputs: Any) -> Any:
        return inputs + keras.ops.mean(self.convolve(keras.ops.ones((1, 8, 8, 1))))


def hold_anothers() -> Any:
    inputs, convolve = keras.Input((8, 8, 1)), layers.Conv2D(2, 3, activation="relu")
    pooled = layers.Flatten()(layers.MaxPooling2D(2)(convolve(inputs)))
    return keras.Model(inputs, layers.Dense(3)(HoldsAnothers(convolve)(pooled)))


@pytest.mark.parametrize(
    "make",
    [
        branch,
        share,
        put_out_what_is_pooled,
        call_own,
        CallsWithin,
        hold_anothers,
        lambda: make_model(layers.Conv2D(4, 3, activation="relu"), layers.AveragePooling2D(2)),
        lambda: make_model(layers.Conv2D(4, 3, activation=fall), layers.MaxPooling2D(2)),
        lambda: make_model(layers.Conv2D(4, 3, activation="gelu"), layers.MaxPooling2D(2)),
        lambda: make_model(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.MaxPooling2D(2)),
        lambda: make_model(layers.Conv2D(4, 3, activity_regularizer="l2"), layers.MaxPooling2D(2)),
        lambda: make_model(Louder(4, 3), layers.MaxPooling2D(2)),
        lambda: make_model(layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.MaxPooling2D(2)),
    ],
)
def test_where_it_would_not_be_the_same_the_network_is_left_alone(make: Callable[[], Any]) -> None:
    assert find_pooled_convolutions(make()) == []
