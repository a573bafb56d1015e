"""What the code of a user changes of its process, kept apart from what this program finds.

The working folder, variables of the environment, streams, filters of warnings, the root of logging, handlers
of signals, the mask of new files and what numpy does with odd numbers.
"""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
_Parts = dict[tuple[str, str], Any]
"""Parts of the state of a process by kind and name; None: there is no such variable, folder or handler."""


class UserWorld:
    """What a user's code has changed; it is in force while that code runs."""

    def __init__(self, before: "UserWorld | None" = None) -> None:
        """Begin with what another has changed; None: with nothing."""
        self._changes: _Parts = dict(before._changes) if before else {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let the changes be in force during the block, and what was there before it behind it."""
        ours = _read()
        _write(self._changes)
        found = _read()
        try:
            yield
        finally:
            left = _read()
            self._changes |= {part: left.get(part) for part in found | left if _differs(part, found, left)}
            _write({part: ours.get(part) for part in self._changes})


def _read() -> _Parts:
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
        **{("handler", name): signal.getsignal(getattr(signal, name)) for name in SIGNALS},
        **{("variable", name): value for name, value in os.environ.items()},
    }


def _differs(part: tuple[str, str], one: _Parts, other: _Parts) -> bool:
    return one.get(part) is not other.get(part) and one.get(part) != other.get(part)


def _write(parts: Mapping[tuple[str, str], Any]) -> None:
    for (kind, name), value in parts.items():
        _WRITERS[kind](name, value)


def _write_folder(_name: str, folder: str | None) -> None:
    with suppress(OSError):  # it is gone
        if folder is not None:
            os.chdir(folder)


def _write_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _write_filters(_name: str, filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    with warnings.catch_warnings():  # which lets Python forget what it has kept by the old ones
        pass


def _write_logging(name: str, value: Any) -> None:
    if name == "level":
        logging.root.setLevel(value)
    else:
        logging.root.handlers[:] = value


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
    "handler": _write_handler,
    "variable": _write_variable,
}
