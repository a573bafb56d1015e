"""What code of a user's own may change in a worker's process, and what the next trial would find there.

A worker serves many trials. One that was changed, such as by another default type of Keras, by a patched
function or by a thread that goes on, takes no further trial: the next one starts in a fresh process.
"""

import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeVar

from pipeline.hardware.process_guard import start_guard
from pipeline.hardware.process_marks import kill_started
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.settings.model import Custom
from pipeline.settings.training import UserLoop

E = TypeVar("E")

CLOCK = "time"
_KEPT = {__name__.partition(".")[0], "numpy", "optuna"}
"""Packages whose modules nobody replaces for a good reason."""
PATCHED = (CLOCK, "os", "json", "math", "pickle", "random", "threading", "numpy")
"""Modules whose functions all trials use."""
Facts = dict[str, object]


@dataclass(frozen=True, slots=True)
class Retiring:
    """What follows is the last message: a job has changed the process, which ends."""


class ProcessState:
    """The state of this process at one moment."""

    def __init__(self) -> None:
        """Note the state now; it takes less than a millisecond or two."""
        self._facts = dict(_list_facts())
        self._functions = {name: dict(_list_functions(name)) for name in PATCHED}
        self._modules = {
            name: module for name, module in sys.modules.items() if name.partition(".")[0] in _KEPT
        }
        self._threads = set(threading.enumerate())

    def find_changes(self) -> list[str]:
        """Find what has been changed since, by name; what was only added, such as a module, is no change."""
        facts = dict(_list_facts())
        changed = [name for name, fact in self._facts.items() if facts.get(name, fact) != fact]
        for name, functions in self._functions.items():
            now = vars(sys.modules.get(name, ModuleType(name)))
            changed += [
                f"{name}.{key}" for key, function in functions.items() if now.get(key) is not function
            ]
        lost = [name for name, module in self._modules.items() if sys.modules.get(name) is not module]
        return changed + [f"the module {name}" for name in lost]

    def has_new_threads(self) -> bool:
        """Return whether threads go on that were not there; Ray's own are none of Python."""
        new = set(threading.enumerate()) - self._threads
        return any(thread.is_alive() and not isinstance(thread, threading._DummyThread) for thread in new)


def watch_process(job: Job, events: Iterator[E]) -> Iterator[E | Retiring]:
    """Yield the events of a job, with a `Retiring` before its end where the job has changed this process.

    What the job has started and left running is ended, also where this process is killed.
    """
    is_loop = isinstance(job.settings.trial, UserLoop)
    is_network = isinstance(job.settings.model, Custom) and not is_loop
    if is_loop or is_network:
        start_guard()
    state = ProcessState()
    for event in events:
        if isinstance(event, Progress):
            yield event
            continue
        changes = state.find_changes()
        has_left = kill_started()  # what holds them, such as a pool of joblib, would find them gone
        if changes or has_left or (is_network and state.has_new_threads()):
            yield Retiring()
        yield _distrust(event, changes)


def _distrust(end: E, changes: Sequence[str]) -> E:
    """Return how a job ended; it has failed where it changed the clocks by which its cost is measured."""
    clocks = [name for name in changes if name.startswith(f"{CLOCK}.")]
    if not clocks or not isinstance(end, TrialOutcome) or end.status == "failed":
        return end
    return replace(end, status="failed", reason=f"it changed {clocks[0]}, by which its cost is measured")


def identify_file(number: int) -> tuple[int, int] | None:
    """Return what tells an open file from any other, by its number in this process; None: it is closed."""
    try:
        about = os.fstat(number)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _list_functions(name: str) -> Iterator[tuple[str, object]]:
    kinds = (FunctionType, BuiltinFunctionType)
    module = sys.modules.get(name)
    for key, value in list(vars(module).items()) if module else ():
        if isinstance(value, kinds) and not key.startswith("_"):
            yield key, value


def _list_facts() -> Iterator[tuple[str, object]]:
    """Yield what can be compared; of libraries only where they are imported."""
    yield "sys.path", tuple(filter(None, sys.path))  # the current folder is added to import the user's code
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        yield (
            f"standard stream {number}",
            (id(stream), getattr(stream, "closed", None), identify_file(number)),
        )
    yield "the recursion limit", sys.getrecursionlimit()
    yield "gc", gc.isenabled()
    yield "logging.disable", logging.root.manager.disable
    yield "the filters of warnings", tuple(entry[0] for entry in warnings.filters if entry[0] == "error")
    yield "the handler of SIGTERM", signal.getsignal(signal.SIGTERM)
    yield "the handler of SIGINT", signal.getsignal(signal.SIGINT)
    mask = os.umask(0o077)
    os.umask(mask)
    yield "the umask", mask
    yield "nice", os.nice(0)
    if hasattr(os, "sched_getaffinity"):
        yield "the cores", frozenset(os.sched_getaffinity(0))
    with suppress(ImportError):
        import resource

        names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
        yield "the limits", tuple(resource.getrlimit(getattr(resource, name)) for name in names)
    for module, name, read in _OF_LIBRARIES:
        if module in sys.modules:
            with suppress(Exception):  # patched, or of another release
                yield name, repr(read(sys.modules[module]))


_OF_LIBRARIES: tuple[tuple[str, str, Callable[[Any], object]], ...] = (
    ("numpy", "numpy.seterr", lambda numpy: numpy.geterr()),
    ("keras", "keras.config.floatx", lambda keras: keras.config.floatx()),
    ("keras", "keras.config.image_data_format", lambda keras: keras.config.image_data_format()),
    ("tensorflow", "eager functions", lambda tensorflow: tensorflow.config.functions_run_eagerly()),
)
