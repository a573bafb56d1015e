"""Which exceptions are the failure of a trial, and what is said of them, in one line."""

import errno
import re

from pipeline import signals
from pipeline.backend import tf
from pipeline.errors import CacheUnusable, FulcrumError, format_one_line
from pipeline.formatting import shorten
from pipeline.hardware.memory import is_out_of_memory
from pipeline.secrets import mask
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings

MAX_TEXT = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # Keras prints parts of its texts bold
OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""A disk is full or broken: the next trial fares no better."""


def is_failure(error: BaseException, settings: Settings) -> bool:
    """Return whether a trial that ended by `error` has failed by itself, so that the next one can go on.

    A network of the user's own may raise anything, `SystemExit` and `KeyboardInterrupt` included. What
    TensorFlow raises of a network depends on its settings, too. Of other networks any further exception is an
    error of the program.
    """
    if isinstance(error, CacheUnusable):
        return False
    if isinstance(error, FulcrumError | tf.errors.OpError) or is_out_of_memory(error):
        return True
    if isinstance(error, GeneratorExit) or signals.read_requested():
        return False
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        return False
    return isinstance(settings.model, Custom)


def explain_failure(error: BaseException, settings: Settings) -> str:
    """Explain in one line why a trial has failed."""
    if isinstance(error, FulcrumError):
        return str(error)
    if is_out_of_memory(error):
        return f"out of memory: {_read_text(error) or type(error).__name__}"
    whose = f"model.build={settings.model.build}" if isinstance(settings.model, Custom) else "TensorFlow"
    text = _read_text(error)
    return f"{whose} raised {type(error).__name__}{f': {text}' if text else ''}"


def _read_text(error: BaseException) -> str:
    """Return the lines of an exception's text that say something, as one line."""
    try:
        lines = [line.strip() for line in str(error).splitlines()]
    except Exception:  # of a class of the user's own
        return ""
    lines = [_COLOURS.sub("", line) for line in lines]
    text = " ".join(line for line in lines if line and not line.startswith(("File ", "in user code")))
    return shorten(mask(format_one_line(text)), MAX_TEXT)
