"""The fused kernel normalises as Keras does: what it puts out, its gradients, and the averages it moves."""

from typing import Any

import numpy as np
import pytest

from pipeline.backend import keras, tf
from pipeline.training.network.batch_norm import find_norm_layers, normalize_by_fused_kernel

FUSED = "FusedBatchNormV3"


def make_model(shape: tuple[int, ...], **settings: Any) -> Any:
    layer = keras.layers.BatchNormalization(momentum=0.7, epsilon=0.01, **settings)
    inner = keras.Sequential([keras.Input(shape), layer])  # a network within the network
    inputs = keras.Input(shape)
    model = keras.Model(inputs, inner(inputs))
    draw = np.random.default_rng(1)
    model.set_weights([draw.uniform(0.5, 1.5, weights.shape) for weights in model.get_weights()])
    return model


def step(model: Any, samples: Any, training: bool, fused: bool) -> tuple[list[np.ndarray], set[str]]:
    """Return output, gradients and what is not trained after a call, and the operations it came from."""
    layers = find_norm_layers(model) if fused else []

    def compute(samples: Any) -> list[Any]:
        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([samples, *trained])
            with normalize_by_fused_kernel(layers):
                outputs, others = model.stateless_call(trained, others, samples, training=training)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        return [outputs, *tape.gradient(loss, [samples, *trained]), *others]

    function = tf.function(compute, autograph=False)
    graph = function.get_concrete_function(samples).graph
    return [each.numpy() for each in function(samples)], {node.type for node in graph.get_operations()}


@pytest.mark.parametrize(
    ("shape", "settings", "training", "is_fused"),
    [
        ((4, 5, 3), {}, True, True),
        ((4, 5, 3), {"center": False}, True, True),
        ((4, 5, 3), {"scale": False, "axis": 3}, True, True),
        ((4, 3), {}, True, True),
        ((2, 3, 4, 3), {}, True, True),
        ((4, 5, 3), {}, False, False),
        ((4, 5, 3), {"trainable": False}, True, False),
        ((4, 5, 3), {"axis": 1}, True, False),
        ((4, 5, 3), {"dtype": "float64"}, True, False),
        ((7,), {}, True, False),
        ((4, 5, 3), {"dtype": "float16"}, True, False),
        ((4, 5, 3), {"dtype": "bfloat16"}, True, False),
    ],
)
def test_the_fused_kernel_does_as_keras_does(
    shape: tuple[int, ...], settings: dict[str, Any], training: bool, is_fused: bool
) -> None:
    model = make_model(shape, **settings)
    numbers = np.random.default_rng(0).normal(1, 2, (6, *shape))
    samples = tf.constant(numbers, settings.get("dtype", "float32"))
    expected, _ = step(model, samples, training, fused=False)
    values, operations = step(model, samples, training, fused=True)
    assert (FUSED in operations) == is_fused
    if training and not is_fused:
        assert "SquaredDifference" in operations or "trainable" in settings
    for one, other in zip(values, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=1e-4, atol=1e-4)
    # Nothing of it stays behind.
    assert FUSED not in step(model, samples, training, fused=False)[1]


def test_in_half_precision_the_statistics_are_wide_as_those_of_keras() -> None:
    model = make_model((4, 5, 3), dtype="mixed_bfloat16")
    samples = tf.constant(np.random.default_rng(0).normal(1, 2, (6, 4, 5, 3)), tf.bfloat16)
    (ours, *others), operations = step(model, samples, True, fused=True)
    (theirs, *expected), _ = step(model, samples, True, fused=False)
    assert FUSED in operations
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.astype(np.float32), theirs.astype(np.float32), rtol=0.02, atol=0.02)
    for one, other in zip(others[-2:], expected[-2:], strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_layers_of_other_statistics_stay_with_keras() -> None:
    class Own(keras.layers.BatchNormalization):
        pass

    layers = [
        keras.layers.BatchNormalization(synchronized=True),
        keras.layers.BatchNormalization(renorm=True),
        Own(),
        keras.layers.LayerNormalization(),
    ]
    assert find_norm_layers(keras.Sequential([keras.Input((4, 3)), *layers])) == []
