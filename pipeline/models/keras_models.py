"""Keras models: what is saved, served and profiled.

A model answers to what a user can send: its first layers are the front end and the scaling that were found
in preprocessing, its last one turns logits into probabilities. What lies between (`networks`) carries the
weights that training found.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data import feature_layers
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Batch, count_rows, take_batch
from pipeline.errors import BadModel
from pipeline.models import architectures, custom
from pipeline.settings.model import Custom, Init, Mlp, Model, Output
from pipeline.settings.settings import Settings
from pipeline.settings.training import Policy

LOGITS = "logits"
"""Name of the layer before the output activation."""


def build(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray] | None = None) -> Any:
    """A Keras model from what a user can send (see `front_layers`) to probabilities float32 [n, classes].

    `weights`: as `initial_weights` gives them; without them the model starts as training starts (with
    `model.init=pretrained`: at a glorot start).
    """
    inputs = feature_layers.inputs_of(prepared.front, prepared.shape)
    logits = _logits(settings, prepared, feature_layers.features_of(prepared.front, inputs))
    to_probabilities = keras.layers.Activation(
        _output(settings.model).value, dtype=_wide(settings), name="probabilities"
    )
    return _with_weights(settings, prepared, keras.Model(inputs, to_probabilities(logits)), weights)


def network(settings: Settings, prepared: Prepared, weights: Sequence[np.ndarray] | None = None) -> Any:
    """What is trained: a Keras model from features float32 [n, *shape] to logits [n, classes].

    Losses are stable from the logits on; `weights` fit `build`, too.
    """
    inputs = keras.Input(prepared.shape, dtype="float32", name="samples")
    model = keras.Model(inputs, _logits(settings, prepared, inputs))
    return _with_weights(settings, prepared, model, weights)


def _logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
    tokens = isinstance(prepared.front, Tokens)
    scaled = features if tokens else _scaling(prepared, _wide(settings))(features)
    if isinstance(settings.model, Custom):
        own = custom.logits(settings, settings.model, len(prepared.classes), scaled)
        return keras.layers.Activation("linear", dtype=_wide(settings), name=LOGITS)(own)
    carried = architectures.hidden(settings, prepared, scaled)
    return keras.layers.Dense(len(prepared.classes), dtype=_wide(settings), name=LOGITS)(carried)


def _with_weights(
    settings: Settings, prepared: Prepared, model: Any, weights: Sequence[np.ndarray] | None
) -> Any:
    model.set_weights(initial_weights(settings, prepared) if weights is None else list(weights))
    return model


def _wide(settings: Settings) -> str:
    """The wide type: scaling, logits and outputs are never computed in half precision."""
    return "float64" if settings.precision.policy is Policy.float64 else "float32"


def _output(model: Model) -> Output:
    output: Output = getattr(model, "output", Output.softmax)
    return output


def _scaling(prepared: Prepared, wide: str) -> Any:
    mean, std = prepared.scaling.mean, prepared.scaling.std
    axis = tuple(range(1, len(prepared.shape) + 1)) if np.ndim(mean) else None
    # Nested lists, not arrays: they go into the saved file's configuration.
    variance = np.square(np.asarray(std, np.float64))
    return keras.layers.Normalization(
        axis=axis, mean=np.asarray(mean).tolist(), variance=variance.tolist(), dtype=wide, name="scaling"
    )


def layer_sizes(settings: Settings, prepared: Prepared) -> tuple[int, ...]:
    """Inputs, width of each hidden layer of a perceptron, classes."""
    model = settings.model
    between = [model.hidden] * model.layers if isinstance(model, Mlp) else []
    return (int(np.prod(prepared.shape)), *between, len(prepared.classes))


def initial_weights(settings: Settings, prepared: Prepared) -> list[np.ndarray]:
    """The weights that training begins with, drawn from `train.seed`; [W1, b1, W2, b2, ...] of a perceptron.

    Those of a perceptron are drawn by numpy, so they are the same for every engine; those of other models
    by Keras' own initialisers.

    Raises:
        BadData: the samples have a shape that the model cannot take.
    """
    if isinstance(settings.model, Mlp):
        return _perceptron_weights(settings, settings.model, layer_sizes(settings, prepared))
    keras.utils.set_random_seed(settings.train.seed)
    inputs = keras.Input(prepared.shape, dtype="float32")
    weights: list[np.ndarray] = keras.Model(inputs, _logits(settings, prepared, inputs)).get_weights()
    return weights


def parameter_count(settings: Settings, prepared: Prepared) -> int:
    """Numbers that training changes.

    Raises:
        BadData: the samples have a shape that the model cannot take.
    """
    if isinstance(settings.model, Mlp):
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(layer_sizes(settings, prepared)))
    inputs = keras.Input(prepared.shape, dtype="float32")
    model = keras.Model(inputs, _logits(settings, prepared, inputs))
    return sum(math.prod(weights.shape) for weights in model.trainable_weights)


def _perceptron_weights(settings: Settings, model: Mlp, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Uniform start in +-sqrt(6 / (inputs + outputs)) (glorot) or +-sqrt(6 / inputs) (he); biases zero."""
    draw = np.random.default_rng([settings.train.seed, 0])
    weights: list[np.ndarray] = []
    for inputs, outputs in pairwise(sizes):
        limit = np.sqrt(6 / (inputs if model.init is Init.he else inputs + outputs))
        weights.append(draw.uniform(-limit, limit, (inputs, outputs)).astype(_wide(settings)))
        weights.append(np.zeros(outputs, _wide(settings)))
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


def widest(model: Any) -> int:
    """Numbers a sample in the largest output of a layer."""
    outputs = keras.tree.flatten([layer.output for layer in model.layers])
    return max(math.prod(int(size) for size in output.shape[1:]) for output in outputs)


def answers_to(model: Any, prepared: Prepared) -> bool:
    """Whether `model` takes what a user can send of this data, and tells as many classes apart."""
    wanted = feature_layers.inputs_of(prepared.front, prepared.shape)
    same = _described(model.input) == _described(wanted)
    return same and model.output_shape[-1] == len(prepared.classes)


def front_configs(prepared: Prepared, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What the front end's layers are made of, for those whose name begins with one of `names`."""
    inputs = feature_layers.inputs_of(prepared.front, prepared.shape)
    return configs_of(keras.Model(inputs, feature_layers.features_of(prepared.front, inputs)), names)


def configs_of(model: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The same of a whole model."""
    return [layer.get_config() for layer in model.layers if layer.name.startswith(names)]


def _described(inputs: Any) -> dict[str, Any]:
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    return {name: (each.dtype == "string", tuple(each.shape[1:])) for name, each in named.items()}


MOST_ROWS = 2048
"""Rows in one call of a predictor."""


def predictor(model: Any) -> Callable[[Any], np.ndarray]:
    """A compiled function: what a user can send, n samples -> probabilities float32 [n, classes].

    Rows go through in portions of a power of two, the last one filled up, so each size is traced once.
    """
    # Without XLA float16 matrix products on a CPU run some 200 times slower; XLA knows no texts.
    half = any(layer.compute_dtype == "float16" for layer in model.layers)
    texts = any(tensor.dtype == "string" for tensor in model.inputs)

    def probabilities(samples: Tensor) -> Tensor:
        return tf.cast(model(keras.tree.map_structure(_float, samples), training=False), tf.float32)

    compiled = tf.function(probabilities, jit_compile=(half and not texts) or None)
    traced: dict[Any, Callable[[Tensor], Tensor]] = {}

    def answer(rows: Batch) -> np.ndarray:
        full = keras.tree.map_structure(_filled, rows)
        specs = keras.tree.map_structure(_spec, full)
        key = str(specs)
        if key not in traced:
            traced[key] = compiled.get_concrete_function(specs)
        constants = keras.tree.map_structure(lambda array, spec: tf.constant(array, spec.dtype), full, specs)
        answers: np.ndarray = traced[key](constants).numpy()
        return answers[: count_rows(rows)]

    def predict(samples: Any) -> np.ndarray:
        starts = range(0, count_rows(samples), MOST_ROWS)
        answers = [answer(take_batch(samples, slice(at, at + MOST_ROWS))) for at in starts]
        return np.concatenate(answers) if answers else np.zeros((0, model.output_shape[-1]), np.float32)

    return predict


def _float(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == tf.string else tf.cast(tensor, tf.float32)


def _spec(array: np.ndarray) -> Tensor:
    return tf.TensorSpec(array.shape, tf.string if array.dtype == object else array.dtype)


def _filled(rows: np.ndarray) -> np.ndarray:
    """As many rows as the next power of two, the last one again at the end."""
    missing = (1 << (len(rows) - 1).bit_length()) - len(rows)
    return np.ascontiguousarray(rows) if not missing else np.concatenate([rows, *[rows[-1:]] * missing])
