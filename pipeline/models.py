"""Keras models: what is saved, served and profiled.

A model answers to raw samples: its first layer applies the scaling found in preprocessing, its last one
turns logits into probabilities. Its Dense layers carry the weights that the training loop found.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.errors import BadModel
from pipeline.prepared import Prepared
from pipeline.quietly import Tensor, keras, tf
from pipeline.settings import Init, Mlp, Policy, Settings

LOGITS = "logits"
"""Name of the layer before the output activation."""


def build(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray] | None = None) -> Any:
    """A Keras model from raw samples float32 [n, *shape] to probabilities float32 [n, classes].

    `weights`: [W1, b1, W2, b2, ...] with W [inputs, outputs]; without them the model starts as training
    starts (with `model.init=pretrained`: at a glorot start).
    """
    model = settings.model
    assert isinstance(model, Mlp)
    # The wide type: scaling, logits and outputs are never computed in half precision.
    wide = "float64" if settings.precision.policy is Policy.float64 else "float32"
    inputs = keras.Input(prepared.shape, dtype="float32", name="samples")
    carried = keras.layers.Flatten(dtype=wide)(_scaling(prepared, wide)(inputs))
    for number in range(1, model.layers + 1):
        dense = keras.layers.Dense(
            model.hidden,
            model.activation.value,
            dtype=settings.precision.policy.value,
            name=f"hidden_{number}",
        )
        carried = dense(carried)
        if model.dropout:
            seed = settings.train.seed + number
            dropout = keras.layers.Dropout(model.dropout, seed=seed, dtype=settings.precision.policy.value)
            carried = dropout(carried)
    carried = keras.layers.Dense(len(prepared.classes), dtype=wide, name=LOGITS)(carried)
    outputs = keras.layers.Activation(model.output.value, dtype=wide, name="probabilities")(carried)
    built = keras.Model(inputs, outputs)
    built.set_weights(initial_weights(settings, prepared) if weights is None else list(weights))
    return built


def _scaling(prepared: Prepared, wide: str) -> Any:
    mean, std = prepared.scaling.mean, prepared.scaling.std
    axis = tuple(range(1, len(prepared.shape) + 1)) if np.ndim(mean) else None
    # Nested lists, not arrays: they go into the saved file's configuration.
    variance = np.square(np.asarray(std, np.float64))
    return keras.layers.Normalization(
        axis=axis, mean=np.asarray(mean).tolist(), variance=variance.tolist(), dtype=wide, name="scaling"
    )


def layer_sizes(settings: Settings, prepared: Prepared) -> tuple[int, ...]:
    """Inputs, width of each hidden layer, classes."""
    model = settings.model
    assert isinstance(model, Mlp)
    return (int(np.prod(prepared.shape)), *[model.hidden] * model.layers, len(prepared.classes))


def initial_weights(settings: Settings, prepared: Prepared) -> list[np.ndarray]:
    """Uniform start in +-sqrt(6 / (inputs + outputs)) (glorot) or +-sqrt(6 / inputs) (he); biases zero.

    Drawn by numpy, so that it is the same for every engine and device.
    """
    model, sizes = settings.model, layer_sizes(settings, prepared)
    assert isinstance(model, Mlp)
    kind = "float64" if settings.precision.policy is Policy.float64 else "float32"
    draw = np.random.default_rng([settings.train.seed, 0])
    weights: list[np.ndarray] = []
    for inputs, outputs in pairwise(sizes):
        limit = np.sqrt(6 / (inputs if model.init is Init.he else inputs + outputs))
        weights.append(draw.uniform(-limit, limit, (inputs, outputs)).astype(kind))
        weights.append(np.zeros(outputs, kind))
    return weights


def start_weights(
    settings: Settings, prepared: Prepared, start: Sequence[np.ndarray] | None
) -> list[np.ndarray]:
    """The weights that training begins with: `start` where it is given, else an initial draw.

    Raises:
        BadModel: `start` is missing with `model.init=pretrained`, or its shapes do not fit.
    """
    fresh = initial_weights(settings, prepared)
    if start is None:
        if getattr(settings.model, "init", None) is Init.pretrained:
            raise BadModel(
                "model.init=pretrained needs weights to start from, got none; set model.pretrained"
            )
        return fresh
    wanted, given = [array.shape for array in fresh], [np.shape(array) for array in start]
    if wanted != given:
        raise BadModel(
            f"model.pretrained must have weights of shapes {wanted}, got {given}; "
            "set model.hidden, model.layers and data as the pretrained model had them"
        )
    return [np.asarray(array, like.dtype) for array, like in zip(start, fresh, strict=True)]


def dense_weights(model: Any) -> list[np.ndarray]:
    """[W1, b1, W2, b2, ...] of the Dense layers of a Keras model, first to last."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return [array for layer in dense for array in layer.get_weights()]


MOST_ROWS = 2048
"""Rows in one call of a predictor."""


def predictor(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A compiled function: raw features [n, *shape] -> probabilities float32 [n, classes].

    Rows go through in portions of a power of two, the last one padded, so each size is traced once.
    """
    # Without XLA float16 matrix products on a CPU run some 200 times slower.
    half = any(layer.compute_dtype == "float16" for layer in model.layers)

    def probabilities(samples: Tensor) -> Tensor:
        return tf.cast(model(tf.cast(samples, tf.float32), training=False), tf.float32)

    compiled = tf.function(probabilities, jit_compile=half or None)

    @cache
    def traced(shape: tuple[int, ...], kind: np.dtype) -> Callable[[Tensor], Tensor]:
        function: Callable[[Tensor], Tensor] = compiled.get_concrete_function(tf.TensorSpec(shape, kind))
        return function

    def answer(rows: np.ndarray) -> np.ndarray:
        full = _padded(rows)
        answers: np.ndarray = traced(full.shape, full.dtype)(tf.constant(full)).numpy()
        return answers[: len(rows)]

    def predict(features: np.ndarray) -> np.ndarray:
        answers = [answer(features[at : at + MOST_ROWS]) for at in range(0, len(features), MOST_ROWS)]
        return np.concatenate(answers) if answers else np.zeros((0, model.output_shape[-1]), np.float32)

    return predict


def _padded(rows: np.ndarray) -> np.ndarray:
    """As many rows as the next power of two, zeros at the end."""
    missing = (1 << (len(rows) - 1).bit_length()) - len(rows)
    if not missing:
        return np.ascontiguousarray(rows)
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
