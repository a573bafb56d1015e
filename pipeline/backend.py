"""TensorFlow and Keras, imported without their start-up lines: `from pipeline.backend import keras, tf`.

This is the only place that imports them first. What the C++ side writes before its logging is set up
goes to file descriptor 2, so the descriptor itself is turned away for the time of the import. A failed
import still raises with its own text.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A `tf.Tensor`; TensorFlow ships no types."""


@contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _silent_stderr():
    import keras
    import tensorflow as tf

# One core unless a trial asks for more (`meter.hold`); this starts no device, so a later fork is safe.
with suppress(RuntimeError):  # somebody imported TensorFlow before and has computed with it
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

__all__ = ["Tensor", "keras", "tf"]
