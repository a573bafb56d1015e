"""What the code of a user changes of its process, kept apart from what this program finds.

The working folder, variables of the environment, streams, filters of warnings, the root of logging, handlers
of signals, the timer, the mask of new files, what numpy does with odd numbers, defaults of libraries, and
where MLflow's functions write. Nor can it end its process.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import numpy as np

from pipeline import signals
from pipeline.processes.environment import set_variable
from pipeline.signals import STOPPING
from pipeline.trial.library_settings import read_settings, write_setting

SIGNALS = ("SIGALRM", *(number.name for number in STOPPING))
MLFLOW = (
    "mlflow.tracking._tracking_service.utils:_tracking_uri",
    "mlflow.tracking._model_registry.utils:_registry_uri",
    "mlflow.tracking.fluent:_active_experiment_id",
)
"""What `mlflow.set_tracking_uri`, `set_registry_uri` and `set_experiment` set; no function takes it back."""
_State = dict[tuple[str, str], Any]
"""What a process has, by kind and name; None: there is no such variable, folder or handler."""


class UserWorld:
    """What a user's code has changed; it is in force while that code runs."""

    def __init__(self, start: "UserWorld | None" = None) -> None:
        """Begin with what another has changed; None: with nothing."""
        self._changes: _State = dict(start._changes) if start else {}
        self._timer = 0.0, 0.0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the changes be in force during the block, and what was there before it behind it."""
        with signals.hold_back():  # else Ctrl-C would leave a program with half of the user's world
            process, ours = os.getpid(), _read()
            try:
                _write(self._changes)
                before = _read()
                with self._timed(), _raising_exits(), signals.let_through():
                    yield
            finally:
                if os.getpid() != process:
                    _end_child()
                after = _read()
                self._changes |= {
                    key: after.get(key) for key in before | after if _differs(key, before, after)
                }
                _write({key: ours.get(key) for key in self._changes})

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Let a timer that the code has set run within the block alone: its signal is for the code's handler.

        One that the program itself has set goes on.
        """
        if not hasattr(signal, "setitimer") or (
            signal.getitimer(signal.ITIMER_REAL)[0] and not self._timer[0]
        ):
            yield
            return
        begun, (left, every) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, *self._timer)
        try:
            yield
        finally:
            ours = max(left - (time.monotonic() - begun), 1e-6) if left else 0.0
            self._timer = signal.setitimer(signal.ITIMER_REAL, ours, every)


@contextmanager
def _raising_exits() -> Iterator[None]:
    """Raise what `os._exit` is called with: it would end the whole command in silence, its record open.

    A process that the code has forked off, and another thread, end as they ask to.
    """
    process, thread, end_process = os.getpid(), threading.current_thread(), os._exit

    def raise_exit(status: int) -> NoReturn:
        if os.getpid() != process or threading.current_thread() is not thread:
            end_process(status)
        raise SystemExit(f"os._exit({status}), which ends the whole process")

    os._exit = raise_exit
    try:
        yield
    finally:
        os._exit = end_process


def _end_child() -> NoReturn:
    """End a process that the user's code has forked and let go on: the command is none of its business."""
    error = sys.exception()
    if error is not None and not isinstance(error, SystemExit):
        traceback.print_exception(error)
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0 if error is None or getattr(error, "code", 1) in (None, 0) else 1)


def _read() -> _State:
    folder = None
    with suppress(OSError):  # it is gone
        folder = os.getcwd()
    mask = os.umask(0o077)
    os.umask(mask)
    return {
        ("folder", ""): folder,
        ("stream", "stdout"): sys.stdout,
        ("stream", "stderr"): sys.stderr,
        ("filters", ""): list(warnings.filters),
        ("logging", "level"): logging.root.level,
        ("logging", "handlers"): list(logging.root.handlers),
        ("mask", ""): mask,
        ("numpy", ""): np.geterr(),
        **{("attribute", name): _read_attribute(name) for name in MLFLOW},
        **{("library", name): value for name, value in read_settings()},
        **{("handler", name): signal.getsignal(getattr(signal, name)) for name in SIGNALS},
        **{("variable", name): value for name, value in os.environ.items()},
    }


def _read_attribute(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(sys.modules.get(module), attribute, None)


def _differs(key: tuple[str, str], before: _State, after: _State) -> bool:
    return before.get(key) is not after.get(key) and before.get(key) != after.get(key)


def _write(state: _State) -> None:
    for (kind, name), value in state.items():
        _WRITERS[kind](name, value)


def _write_folder(_name: str, folder: str | None) -> None:
    with suppress(OSError):  # it is gone
        if folder is not None:
            os.chdir(folder)


def _write_filters(_name: str, filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    with warnings.catch_warnings():  # which lets Python forget what it has kept by the old ones
        pass


def _write_logging(name: str, value: Any) -> None:
    if name == "level":
        logging.root.setLevel(value)
    else:
        logging.root.handlers[:] = value


def _write_attribute(name: str, value: Any) -> None:
    module, _, attribute = name.partition(":")
    if hasattr(sys.modules.get(module), attribute):
        setattr(sys.modules[module], attribute, value)


def _write_handler(name: str, handler: Any) -> None:
    # No other thread may set one; None: it is not of Python.
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(getattr(signal, name), handler)


_WRITERS: dict[str, Callable[[str, Any], object]] = {
    "folder": _write_folder,
    "stream": lambda name, stream: setattr(sys, name, stream),
    "filters": _write_filters,
    "logging": _write_logging,
    "mask": lambda _name, mask: os.umask(mask),
    "numpy": lambda _name, errors: np.seterr(**errors),
    "attribute": _write_attribute,
    "handler": _write_handler,
    "variable": set_variable,
    "library": write_setting,
}
