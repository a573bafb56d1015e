"""Trained models in ONNX, a format that many runtimes and devices read; answered here by onnxruntime.

As with LiteRT, whoever exports measures the accuracy of the file, not of the model it came from.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from pipeline.backend import tf
from pipeline.errors import BadSetting, read_first_line

PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
OPSET = 17
"""Of ONNX 1.12 (2022): what runtimes read that are in use."""


def check_packages() -> None:
    """Check that what writes and reads such files is installed.

    Raises:
        BadSetting: it is not.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise BadSetting(
            f"profile.runtime=onnx needs the packages {', '.join(PACKAGES)}, got no "
            f"{' and no '.join(missing)}; install them: pip install -r requirements-onnx.txt"
        )


def export_file(model: Any) -> bytes:
    """Return the Keras `model` as an .onnx file: raw features float32 [n, *shape] -> its answers.

    Raises:
        BadSetting: ONNX has no operation for one of the network.
    """
    check_packages()
    convert = import_module("tf2onnx.convert")
    shape = (None, *model.inputs[0].shape[1:])
    signature = [tf.TensorSpec(shape, tf.float32, name="samples")]
    answer = tf.function(lambda samples: model(samples, training=False), input_signature=signature)
    heard = logging.root.manager.disable
    logging.disable(logging.ERROR)  # it warns by the root logger, too, of what it leaves as it is
    try:
        proto, _ = convert.from_function(answer, input_signature=signature, opset=OPSET)
    except Exception as error:  # of any class
        raise _explain(error) from None
    finally:
        logging.disable(heard)
    _store_captured(proto.graph, answer.get_concrete_function())
    content: bytes = proto.SerializeToString()
    return content


def _explain(error: Exception) -> BadSetting:
    return BadSetting(
        "profile.runtime must be compiled or keras for a network that ONNX cannot hold, got onnx "
        f"({read_first_line(error)[:160]}); use profile.runtime=compiled"
    )


def _store_captured(graph: Any, traced: Any) -> None:
    """Store what the network took from outside, such as its scaling, which the converter asks callers for."""
    captured = traced.captured_inputs
    placeholders = traced.inputs[len(traced.inputs) - len(captured) :]
    values = {place.name: value for place, value in zip(placeholders, captured, strict=True)}
    to_proto = import_module("onnx.numpy_helper").from_array
    for given in [each for each in graph.input if each.name in values]:
        graph.initializer.append(to_proto(values[given.name].numpy(), given.name))
        graph.input.remove(given)


def load_file(content: bytes) -> Callable[[Any], np.ndarray]:
    """Return a function of raw features [n, *shape] to the answers float32 [n, outputs], on one core.

    Raises:
        BadSetting: the runtime cannot answer from this file, as where halves meet other halves.
    """
    check_packages()
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of the runtime's own classes
        raise _explain(error) from None
    (given,) = session.get_inputs()

    def predict(features: np.ndarray) -> np.ndarray:
        answers: np.ndarray = session.run(None, {given.name: features.astype(np.float32)})[0]
        return answers

    return predict
