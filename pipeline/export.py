"""Trained models in LiteRT's format, which answers a single sample in some microseconds on a CPU.

A model goes through its SavedModel: `from_concrete_functions` loses variables in silence. Whoever exports
measures the accuracy of the file (`accuracy`), not of the model it came from.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipeline import front_layers
from pipeline.quietly import tf
from pipeline.settings import Runtime

Predict = Callable[[np.ndarray], np.ndarray]

EXPORTED = (Runtime.litert, Runtime.litert_int8)
"""Runtimes that answer from a file of their own."""


def exported(model: Any, runtime: Runtime) -> bytes:
    """The Keras `model` as a .tflite file; with `litert_int8` its weights are rounded to 8 bits."""
    with tempfile.TemporaryDirectory() as folder, _no_chatter():
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if runtime is Runtime.litert_int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content: bytes = converter.convert()
    return content


def litert(content: bytes) -> Predict:
    """Raw features [n, *shape] -> probabilities float32 [n, classes], on one core; a new n costs a set-up."""
    with warnings.catch_warnings(), _no_chatter():
        warnings.simplefilter("ignore", UserWarning)  # of the interpreter's move to a package of its own
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    place, rows = given["index"], 1

    def predict(features: np.ndarray) -> np.ndarray:
        nonlocal rows
        if len(features) != rows:
            rows = len(features)
            interpreter.resize_tensor_input(place, features.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(place, features.astype(np.float32))
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(answer["index"])
        return found

    return predict


def keras_call(model: Any) -> Predict:
    """Keras' own call, as a user would write it."""

    def predict(features: np.ndarray) -> np.ndarray:
        return np.asarray(model(front_layers.as_tensors(features), training=False))

    return predict


def accuracy(predict: Callable[[Any], np.ndarray], features: Any, labels: np.ndarray) -> float:
    """Share of rows whose largest output is the right one, 0..1."""
    rows = np.asarray(features) if isinstance(features, np.ndarray) else features
    return float(np.mean(predict(rows).argmax(axis=1) == np.asarray(labels)))


@contextmanager
def _no_chatter() -> Iterator[None]:
    """Converter and interpreter write to file descriptor 2 past every logger."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
