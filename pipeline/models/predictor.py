"""Answers of a Keras model to what a user can send."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.samples import Batch, count_rows, take_batch
from pipeline.models.layers import PREDICTION
from pipeline.models.network_structure import get_widest_output

MAX_ROWS = 2048
"""Rows in one call of a predictor."""
MAX_NUMBERS = 2**26
"""In the largest output of a layer in one call: 256 MiB of float32."""


def make_predictor(model: Any) -> Callable[[Any], np.ndarray]:
    """Return a compiled function: what a user can send, n samples -> answers [n, classes].

    They are float32, but for a quantity that needs float64.

    Rows go through in portions of a power of two, the last one filled up, so each size is traced once.
    """
    # Without XLA float16 matrix products on a CPU run some 200 times slower; XLA knows no texts.
    half = any(layer.compute_dtype == "float16" for layer in model.layers)
    of_quantity = any(layer.name == PREDICTION for layer in model.layers)
    texts = any(tensor.dtype == "string" for tensor in model.inputs)

    def probabilities(samples: Tensor) -> Tensor:
        outputs = model(keras.tree.map_structure(_cast_to_float, samples), training=False)
        return outputs if of_quantity else tf.cast(outputs, tf.float32)

    compiled = tf.function(probabilities, jit_compile=(half and not texts) or None)
    traced: dict[Any, Callable[[Tensor], Tensor]] = {}
    fitting = max(1, MAX_NUMBERS // get_widest_output(model))
    max_rows = min(MAX_ROWS, 1 << (fitting.bit_length() - 1))

    def predict_portion(rows: Batch) -> np.ndarray:
        full = keras.tree.map_structure(_fill_rows, rows)
        specs = keras.tree.map_structure(_make_spec, full)
        key = str(specs)
        if key not in traced:
            traced[key] = compiled.get_concrete_function(specs)
        constants = keras.tree.map_structure(lambda array, spec: tf.constant(array, spec.dtype), full, specs)
        answers: np.ndarray = traced[key](constants).numpy()
        return answers[: count_rows(rows)]

    def predict(samples: Any) -> np.ndarray:
        starts = range(0, count_rows(samples), max_rows)
        answers = [predict_portion(take_batch(samples, slice(start, start + max_rows))) for start in starts]
        return np.concatenate(answers) if answers else np.zeros((0, model.output_shape[-1]), np.float32)

    return predict


def _cast_to_float(tensor: Tensor) -> Tensor:
    # Columns of a table may need float64; the model itself brings them to the type of its inputs.
    return tensor if tensor.dtype in (tf.string, tf.float64) else tf.cast(tensor, tf.float32)


def _make_spec(array: np.ndarray) -> Tensor:
    return tf.TensorSpec(array.shape, tf.string if array.dtype == object else array.dtype)


def _fill_rows(rows: np.ndarray) -> np.ndarray:
    """Return as many rows as the next power of two; the last row is repeated at the end."""
    missing = (1 << (len(rows) - 1).bit_length()) - len(rows)
    return np.ascontiguousarray(rows) if not missing else np.concatenate([rows, *[rows[-1:]] * missing])
