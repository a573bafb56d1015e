"""Keras models: what is saved, served and profiled.

A model answers to what a user can send: its first layers are the front end and the scaling that were fitted
in preprocessing, its last one turns logits into probabilities. What lies between
(`architectures`) has the weights that training changes.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.backend import keras
from pipeline.data import feature_layers
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared
from pipeline.errors import BadModel
from pipeline.models.architectures import architecture_of
from pipeline.models.layers import PREDICTION, PROBABILITIES, get_wide_type
from pipeline.settings.model import Init, Model, Output
from pipeline.settings.settings import Settings

FLOAT32_DIGITS = 1e4
"""A quantity whose mean is more deviations than this is answered in float64: float32 has seven digits."""


def build_model(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray] | None = None) -> Any:
    """Build a Keras model from what a user can send (see `feature_layers`) to probabilities [n, classes].

    Of a quantity, to the quantity [n, 1] in its own unit.

    `weights`: as `draw_initial_weights` returns them; without them the model starts as training starts (with
    `model.init=pretrained`: at a glorot start).
    """
    inputs = feature_layers.make_inputs(prepared.front, prepared.shape)
    logits = _make_logits(settings, prepared, feature_layers.make_features(prepared.front, inputs))
    to_answers = _make_answers(settings, prepared)
    return _set_weights(settings, prepared, keras.Model(inputs, to_answers(logits)), weights)


def _make_answers(settings: Settings, prepared: Prepared) -> Any:
    """Return the last layer: from logits to probabilities, or from deviations to the unit of the quantity."""
    target, wide = prepared.target, get_wide_type(settings)
    if target is None:
        return keras.layers.Activation(_get_output(settings.model).value, dtype=wide, name=PROBABILITIES)
    if abs(target.mean) > FLOAT32_DIGITS * target.std:
        wide = "float64"
    return keras.layers.Rescaling(target.std, target.mean, dtype=wide, name=PREDICTION)


def build_network(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray] | None = None) -> Any:
    """Build what is trained: a Keras model from features float32 [n, *shape] to logits [n, classes].

    Losses are stable from the logits on; `weights` fit `build_model`, too.
    """
    inputs = keras.Input(prepared.shape, dtype="float32", name="samples")
    model = keras.Model(inputs, _make_logits(settings, prepared, inputs))
    return _set_weights(settings, prepared, model, weights)


def _make_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
    tokens = isinstance(prepared.front, Tokens)
    scaled = features if tokens else _make_scaling(prepared, get_wide_type(settings))(features)
    return architecture_of(settings.model).build_logits(settings, prepared, scaled)


def _set_weights(
    settings: Settings, prepared: Prepared, model: Any, weights: Sequence[np.ndarray] | None
) -> Any:
    model.set_weights(draw_initial_weights(settings, prepared) if weights is None else list(weights))
    return model


def _get_output(model: Model) -> Output:
    output: Output = getattr(model, "output", Output.softmax)
    return output


def _make_scaling(prepared: Prepared, wide: str) -> Any:
    mean, std = prepared.scaling.mean, prepared.scaling.std
    axis = tuple(range(1, len(prepared.shape) + 1)) if np.ndim(mean) else None
    # Nested lists, not arrays: they go into the saved file's configuration.
    variance = np.square(np.asarray(std, np.float64))
    return keras.layers.Normalization(
        axis=axis, mean=np.asarray(mean).tolist(), variance=variance.tolist(), dtype=wide, name="scaling"
    )


def list_layer_sizes(settings: Settings, prepared: Prepared) -> tuple[int, ...]:
    """Return inputs, width of each hidden layer of a perceptron, and classes (1 for a quantity)."""
    model = settings.model
    hidden = architecture_of(model).list_hidden_sizes(model)
    return (int(np.prod(prepared.shape)), *hidden, prepared.outputs)


def draw_initial_weights(settings: Settings, prepared: Prepared) -> list[np.ndarray]:
    """Draw the weights that training begins with from `train.seed`; [W1, b1, W2, b2, ...] of a perceptron.

    Those of a perceptron are drawn by numpy, so they are the same for every engine; those of other models
    by Keras' own initialisers.

    Raises:
        BadData: the samples have a shape that the model cannot take.
    """
    architecture, sizes = architecture_of(settings.model), list_layer_sizes(settings, prepared)
    drawn = architecture.draw_weights(settings, sizes, get_wide_type(settings))
    if drawn is not None:
        return drawn
    keras.utils.set_random_seed(settings.train.seed)
    weights: list[np.ndarray] = build_fresh(settings, prepared).get_weights()
    return weights


def build_fresh(settings: Settings, prepared: Prepared) -> Any:
    """Build a network with the weights that Keras' initialisers have drawn."""
    inputs = keras.Input(prepared.shape, dtype="float32")
    return keras.Model(inputs, _make_logits(settings, prepared, inputs))


def count_parameters(settings: Settings, prepared: Prepared) -> int:
    """Count the numbers that training changes.

    Raises:
        BadData: the samples have a shape that the model cannot take.
    """
    if architecture_of(settings.model).is_perceptron:
        return sum(
            (inputs + 1) * outputs for inputs, outputs in pairwise(list_layer_sizes(settings, prepared))
        )
    return sum(math.prod(weights.shape) for weights in build_fresh(settings, prepared).trainable_weights)


def get_start_weights(
    settings: Settings, prepared: Prepared, start: Sequence[np.ndarray] | None
) -> list[np.ndarray]:
    """Return the weights that training begins with: `start`, or without it an initial draw.

    Raises:
        BadModel: `start` is missing with `model.init=pretrained`, or its shapes do not fit.
    """
    fresh = draw_initial_weights(settings, prepared)
    if start is None:
        if getattr(settings.model, "init", None) is Init.pretrained:
            raise BadModel(
                "model.init=pretrained needs weights to start from, got none; set model.pretrained"
            )
        return fresh
    fresh_shapes, start_shapes = [array.shape for array in fresh], [np.shape(array) for array in start]
    if fresh_shapes != start_shapes:
        raise BadModel(
            f"model.pretrained must have weights of shapes {fresh_shapes}, got {start_shapes}; "
            "set model.hidden, model.layers and data as the pretrained model had them"
        )
    return [np.asarray(array, like.dtype) for array, like in zip(start, fresh, strict=True)]


def get_dense_weights(model: Any) -> list[np.ndarray]:
    """Return [W1, b1, W2, b2, ...] of the Dense layers of a Keras model, first to last."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return [array for layer in dense for array in layer.get_weights()]


def fits_data(model: Any, prepared: Prepared) -> bool:
    """Return whether `model` takes what a user can send of this data, and has as many classes."""
    expected_inputs = feature_layers.make_inputs(prepared.front, prepared.shape)
    same = _describe_inputs(model.input) == _describe_inputs(expected_inputs)
    return (
        same
        and model.output_shape[-1] == prepared.outputs
        and _is_of_quantity(model) == (prepared.target is not None)
    )


def _is_of_quantity(model: Any) -> bool:
    return any(layer.name == PREDICTION for layer in model.layers)


def get_front_configs(prepared: Prepared, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the configurations of the front end's layers whose name begins with one of `names`."""
    inputs = feature_layers.make_inputs(prepared.front, prepared.shape)
    return get_layer_configs(keras.Model(inputs, feature_layers.make_features(prepared.front, inputs)), names)


def get_layer_configs(model: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the configurations of the model's layers whose name begins with one of `names`."""
    return [layer.get_config() for layer in model.layers if layer.name.startswith(names)]


def _describe_inputs(inputs: Any) -> dict[str, Any]:
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    return {name: (tensor.dtype == "string", tuple(tensor.shape[1:])) for name, tensor in named.items()}
