"""TensorFlow and Keras, imported without their start-up lines: `from pipeline.backend import keras, tf`.

This is the only place that imports them first. What the C++ side writes before its logging is set up
goes to file descriptor 2, so that descriptor points to the null device during the import. A failed
import still raises with its own text.
"""

import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from pipeline.errors import BadDevice
from pipeline.processes.late_modules import put_off

Tensor: TypeAlias = Any
"""A `tf.Tensor`; TensorFlow ships no types."""

UNUSED = (
    "keras.wrappers",
    "keras._tf_keras.keras.wrappers",
    "keras.visualization",
    "keras._tf_keras.keras.visualization",
    "keras.src.visualization",
)
"""Parts of Keras that bring scikit-learn, SciPy's statistics and Matplotlib: a third of what it imports."""

LONG_LOOPS = "-unroll-full-max-count"
"""LLVM's option: loops of more rounds are not written out round by round."""
MOST_ROUNDS = 32
"""A reduction by XLA has so many and gains by it; reading 64 numbers of an embedding, one by one, loses."""


def add_xla_option(flags: str) -> str:
    """Return XLA's flags with the option that keeps vectors in loops over a row; its own where one is there.

    LLVM writes out a loop over up to some 64 numbers before it looks for vectors, and finds none then.
    `flags` may also be the name of a file of flags, which stays as it is.
    """
    names_a_file = bool(flags.strip()) and not flags.lstrip().startswith("-")
    if LONG_LOOPS in flags or names_a_file:
        return flags
    name = "--xla_backend_extra_options="
    option = f"{LONG_LOOPS}={MOST_ROUNDS}"
    if name in flags:
        return flags.replace(name, f"{name}{option},")
    return f"{flags} {name}{option}".strip()


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what anybody writes to file descriptor 2 during the block nowhere."""
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage during the block: an import makes a million objects, and all of them stay."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def keras_by_tensorflow() -> Iterator[None]:
    """Let Keras, imported during the block, take TensorFlow, whatever the environment or keras.json say.

    They speak of a user's own programs. Processes that are started later, such as those of a user's
    loop, find the environment as it was.
    """
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        yield
    finally:
        if before is None:
            del os.environ["KERAS_BACKEND"]
        else:
            os.environ["KERAS_BACKEND"] = before


if os.path.expanduser("~").startswith("~"):
    # Keras would make a folder called "~" in the working folder.
    try:
        folder = tempfile.gettempdir()
    except OSError:  # none can be written: Keras does without
        folder = "/tmp"
    os.environ.setdefault("KERAS_HOME", os.path.join(folder, f"keras-{os.getuid()}"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if platform.machine().lower() in ("x86_64", "amd64"):
    # By itself TensorFlow takes oneDNN's kernels only on a CPU with AVX-512. With AVX2, too, a convolution
    # takes half the time by them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if not os.path.exists("/proc/driver/nvidia"):  # what it does to kernels of a GPU was not measured
    os.environ["XLA_FLAGS"] = add_xla_option(os.environ.get("XLA_FLAGS", ""))
put_off(*UNUSED)
with silent_stderr(), without_collecting(), keras_by_tensorflow():
    import keras
    import tensorflow as tf
    from tensorflow.python.eager import context as tf_context

# One core unless a trial asks for more (see `claim_device`); this starts no device, so a later fork is safe.
with suppress(RuntimeError):  # somebody imported TensorFlow before and has computed with it
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

_started_before_fork = False


def _note_fork() -> None:
    global _started_before_fork
    _started_before_fork = tf_context.context()._context_handle is not None


os.register_at_fork(after_in_child=_note_fork)


def check_process() -> None:
    """Check that TensorFlow can compute in this process: its threads do not come along with a fork.

    Raises:
        BadDevice: it had begun to compute in the process that has forked this one; it would wait for ever.
            Or Keras was imported before, by another backend.
    """
    if (name := keras.config.backend()) != "tensorflow":
        raise BadDevice(
            f"Keras must compute by TensorFlow here, got {name}, by which this process has imported it; "
            "set KERAS_BACKEND=tensorflow ahead of that import"
        )
    if _started_before_fork:
        raise BadDevice(
            "TensorFlow must begin in the process that computes with it, got one that was forked when it had "
            'begun; start it with multiprocessing.get_context("spawn")'
        )


__all__ = ["Tensor", "keras", "tf"]
