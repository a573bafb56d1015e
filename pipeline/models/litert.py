"""Trained models in LiteRT's format, which answers a single sample in some microseconds on a CPU.

A model goes through its SavedModel: `from_concrete_functions` loses variables in silence. Whoever exports
measures the accuracy of the file (`accuracy`), not of the model it came from.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import tf
from pipeline.data import feature_layers
from pipeline.data.prepared import Prepared, Split
from pipeline.data.samples import Batch, Raw
from pipeline.errors import BadSetting
from pipeline.models import keras_models
from pipeline.settings.measuring import Runtime

Predict = Callable[[Any], np.ndarray]

EXPORTED = (Runtime.litert, Runtime.litert_int8)
"""Runtimes that answer from a file of their own."""


def check(runtime: Runtime, prepared: Prepared) -> None:
    """Whether a file can answer to what a user can send.

    Raises:
        BadSetting: its samples are texts, tables or sounds, whose front end LiteRT does not know.
    """
    if runtime in EXPORTED and prepared.front is not None:
        raise BadSetting(
            f"profile.runtime must be compiled or keras for texts, tables and sounds, got {runtime}; "
            "use profile.runtime=compiled"
        )


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

    def predict(samples: Batch) -> np.ndarray:
        return np.asarray(model(feature_layers.as_tensors(samples), training=False))

    return predict


def accuracy(predict: Predict, samples: Raw, labels: np.ndarray) -> float:
    """Share of rows whose largest output is the right one, 0..1."""
    return float(np.mean(predict(samples).argmax(axis=1) == np.asarray(labels)))


def answerer(model: Any, runtime: Runtime) -> Predict:
    """Who answers raw samples under this runtime."""
    match runtime:
        case Runtime.compiled:
            return keras_models.predictor(model)
        case Runtime.keras:
            return keras_call(model)
        case Runtime.litert | Runtime.litert_int8:
            return litert(exported(model, runtime))


def in_portions(predict: Predict) -> Predict:
    """Many rows, 2048 at a time."""

    def whole(samples: Raw) -> np.ndarray:
        parts = range(0, len(samples), keras_models.MOST_ROWS)
        return np.concatenate([predict(samples[at : at + keras_models.MOST_ROWS]) for at in parts])

    return whole


@dataclass(frozen=True, slots=True)
class Served:
    """The file that a model is served from, and its own accuracy on the validation split, 0..1."""

    runtime: Runtime
    content: bytes
    accuracy: float


def served(model: Any, runtime: Runtime, validation: Split) -> Served | None:
    """The file of a runtime that has one, checked by its answers."""
    if runtime not in EXPORTED:
        return None
    content = exported(model, runtime)
    right = accuracy(in_portions(litert(content)), validation.samples, validation.labels)
    return Served(runtime, content, right)


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
