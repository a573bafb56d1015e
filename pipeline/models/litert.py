"""Trained models in LiteRT's format, which answers a single sample in some microseconds on a CPU.

A model goes through its SavedModel: `from_concrete_functions` loses variables in silence. Whoever exports
measures the accuracy of the file (`measure_accuracy`), not of the model it came from.
"""

import os
import re
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
from pipeline.data.samples import Batch, RawSamples
from pipeline.errors import BadSetting, format_one_line, read_first_line
from pipeline.formatting import shorten
from pipeline.models import onnx_file, predictor
from pipeline.models.predictor import make_predictor
from pipeline.models.scores import score_answers
from pipeline.settings.measuring import Runtime
from pipeline.settings.searching.measures import ACCURACY_MEASURE, R2_MEASURE, Measure

Predict = Callable[[Any], np.ndarray]

RULE = "profile.runtime must be compiled or keras"
MAX_REASON = 160

FILE_RUNTIMES = (Runtime.litert, Runtime.litert_int8, Runtime.onnx)
"""Runtimes that answer from a file of their own."""
LITERT_PLACE, LITERT_MARK = slice(4, 8), b"TFL3"
"""Where a file of LiteRT says that it is one."""


def check_runtime(runtime: Runtime, prepared: Prepared) -> None:
    """Check that a file can answer to what a user can send.

    Raises:
        BadSetting: its samples are texts, tables or sounds, whose front end no file knows; or the packages
            for ONNX are not installed.
    """
    if runtime is Runtime.onnx:
        onnx_file.check_packages()
    if runtime in FILE_RUNTIMES and prepared.front is not None:
        raise BadSetting(f"{RULE} for texts, tables and sounds, got {runtime}; use profile.runtime=compiled")


def export_file(model: Any, runtime: Runtime) -> bytes:
    """Return the Keras `model` as a .tflite or .onnx file.

    With `litert_int8` its weights are rounded to 8 bits, and what they are multiplied by is for each product.

    Raises:
        BadSetting: the runtime has no kernel for an operation of the network, or cannot hold its variables.
    """
    if runtime is Runtime.onnx:
        return onnx_file.export_file(model)
    with tempfile.TemporaryDirectory() as folder, _silence_stderr():
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if runtime is Runtime.litert_int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            content: bytes = converter.convert()
        except Exception as error:  # of the converter's own classes, with pages of text
            raise BadSetting(
                f"{RULE} for a network that LiteRT cannot hold, got {runtime} ({_find_reason(error)}); "
                "use profile.runtime=compiled"
            ) from None
    return content


def _find_reason(error: Exception) -> str:
    """Return the operations that the converter did not know, or the first line of what it said."""
    names = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", str(error))))
    return (
        f"it has no {', '.join(names)}"
        if names
        else shorten(format_one_line(read_first_line(error)), MAX_REASON)
    )


def load_file(content: bytes) -> Predict:
    """Return a function of raw features [n, *shape] to probabilities float32 [n, classes], on one core.

    A call with another n than before costs a set-up.
    """
    if content[LITERT_PLACE] != LITERT_MARK:
        return onnx_file.load_file(content)
    with warnings.catch_warnings(), _silence_stderr():
        warnings.simplefilter("ignore", UserWarning)  # of the interpreter's move to a package of its own
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    (input_details,), (output_details,) = interpreter.get_input_details(), interpreter.get_output_details()
    input_index, rows = input_details["index"], 1

    def predict(features: np.ndarray) -> np.ndarray:
        nonlocal rows
        if len(features) != rows:
            rows = len(features)
            interpreter.resize_tensor_input(input_index, features.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(input_index, features.astype(np.float32))
        interpreter.invoke()
        probabilities: np.ndarray = interpreter.get_tensor(output_details["index"])
        return probabilities

    return predict


def make_keras_predictor(model: Any) -> Predict:
    """Return Keras' own call, as a user would write it."""

    def predict(samples: Batch) -> np.ndarray:
        return np.asarray(model(feature_layers.convert_to_tensors(samples), training=False))

    return predict


def measure_accuracy(predict: Predict, samples: RawSamples, labels: np.ndarray) -> float:
    """Return the share of rows whose largest output is the right one, 0..1; of quantities R2.

    Raises:
        Diverged: an output is NaN or infinite.
    """
    return score_answers(predict(samples), np.asarray(labels))


def make_predictor_for(model: Any, runtime: Runtime) -> Predict:
    """Return what answers raw samples under this runtime."""
    match runtime:
        case Runtime.compiled:
            return make_predictor(model)
        case Runtime.keras:
            return make_keras_predictor(model)
        case Runtime.litert | Runtime.litert_int8 | Runtime.onnx:
            return load_file(export_file(model, runtime))


def predict_in_portions(predict: Predict) -> Predict:
    """Return `predict` for many rows: it gets a portion at a time."""

    def predict_all(samples: RawSamples) -> np.ndarray:
        starts = range(0, len(samples), predictor.MAX_ROWS)
        return np.concatenate([predict(samples[start : start + predictor.MAX_ROWS]) for start in starts])

    return predict_all


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFile:
    """The file that a model is served from, and its own accuracy on the validation split, 0..1.

    Of a quantity R2. `compiled_accuracy`: that of the model which the file was made from.
    """

    runtime: Runtime
    content: bytes
    accuracy: float
    compiled_accuracy: float
    measure: Measure

    @property
    def suffix(self) -> str:
        """Return what its name ends with."""
        return ".onnx" if self.runtime is Runtime.onnx else ".tflite"


def make_served_file(model: Any, runtime: Runtime, validation: Split) -> ServedFile | None:
    """Make the file of a runtime that has one, and measure its answers; None for other runtimes.

    Raises:
        BadSetting: LiteRT cannot hold the model.
    """
    if runtime not in FILE_RUNTIMES:
        return None
    content = export_file(model, runtime)
    of_file, of_model = (
        measure_accuracy(predict, validation.samples, validation.labels)
        for predict in (predict_in_portions(load_file(content)), make_predictor(model))
    )
    # Of its labels alone, whatever a search chooses by.
    of_quantity = np.asarray(validation.labels).dtype.kind == "f"
    return ServedFile(
        runtime=runtime,
        content=content,
        accuracy=of_file,
        compiled_accuracy=of_model,
        measure=R2_MEASURE if of_quantity else ACCURACY_MEASURE,
    )


@contextmanager
def _silence_stderr() -> Iterator[None]:
    """Turn file descriptor 2 away: converter and interpreter write to it past every logger."""
    stderr_copy, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)
        os.close(devnull)
