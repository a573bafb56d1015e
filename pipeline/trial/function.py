"""A generator function of the user's: called with its settings, it yields an accuracy after each epoch."""

import ctypes
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pipeline import signals
from pipeline.errors import FulcrumError, LoopFailed
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.memory import is_out_of_memory
from pipeline.settings.settings import Settings
from pipeline.settings.training import Function
from pipeline.trial import user_code, user_keys
from pipeline.trial.loop_clock import LoopClock, prepare_frameworks
from pipeline.trial.loop_settings import make_settings
from pipeline.trial.reports import Report, read_report
from pipeline.trial.user_loop import LoopCost
from pipeline.trial.user_world import UserWorld

_ENDED = object()
"""Stands for what a function yields after its end."""


def start(settings: Settings, device: ClaimedDevice, state: Any) -> "RunningFunction":
    """Start a function at its beginning, or from the state that it yielded before a pause.

    Raises:
        BadSetting: there is no such function, or its dataclass refuses the settings.
    """
    trial, train = settings.trial, settings.train
    assert isinstance(trial, Function)
    filled = {"epochs": train.epochs, "seed": train.seed, "state": state}
    handed = make_settings(trial.call, trial.values, filled)
    prepare_frameworks()
    last = train.epochs if user_keys.describe(trial).asks_epochs else None
    return RunningFunction(trial, handed, device, settings.price.watts, last)


class RunningFunction:
    """A generator in progress."""

    def __init__(
        self,
        trial: Function,
        settings: Any,
        device: ClaimedDevice,
        watts: float | None = None,
        last: int | None = None,
    ) -> None:
        """Make ready to train.

        `last`: the epoch after which the function ends by itself, None: it does not ask how many there are.
        """
        self._trial, self._settings, self._last = trial, settings, last
        self._clock = LoopClock(device, watts)
        self._world = UserWorld(user_code.get_world(trial.call))
        self._generator: Iterator[Any] | None = None
        self._run_before = _find_active_run()

    def advance(self, number: int) -> Report | None:
        """Let the function run to its next yield; see `RunningLoop`.

        Raises:
            LoopFailed: the function raised, or yielded what is no report.
        """
        with self._explaining(), self._world.entered(), self._clock.time_epoch():
            item = next(self._get_generator(), _ENDED)
        if item is _ENDED:
            return None
        with self._explaining():  # a number may be of a class of the user's
            report = read_report(item, number, self._trial.word)
        if number == self._last:
            self._await_end(number)
        return report

    def _await_end(self, number: int) -> None:
        """Let the function run to its end after its last epoch, to save what it has: that is no training.

        Raises:
            LoopFailed: it raised, or yielded once more.
        """
        with self._explaining(), self._world.entered():
            if next(self._get_generator(), _ENDED) is not _ENDED:
                raise LoopFailed(
                    f"{self._trial.word} must yield once after each of its {number} epochs, got more; yield "
                    "at the end of an epoch alone, and not before the first"
                )

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Raise in one line what the function raises."""
        try:
            yield
        except FulcrumError:
            raise
        except BaseException as error:
            if signals.read_requested():
                raise
            raise LoopFailed(self._explain(error), traceback.format_exc()) from error

    def _get_generator(self) -> Iterator[Any]:
        if self._generator is None:
            made: Any = user_code.import_function(self._trial.call)(self._settings)
            if inspect.isgeneratorfunction(getattr(type(made), "__iter__", None)):  # an object that trains
                made = iter(made)
            if inspect.iscoroutine(made) or inspect.isasyncgen(made):
                if inspect.iscoroutine(made):
                    made.close()  # else Python warns that nobody has awaited it
                raise LoopFailed(
                    f"{self._trial.word} must be a generator, got one that is async; leave that out"
                )
            if not hasattr(made, "__next__"):
                raise LoopFailed(
                    f"{self._trial.word} must be a generator, got a function that returned "
                    f"{repr(made)[:60]}; write yield in its loop instead of return"
                )
            self._generator = made
        return self._generator

    def _explain(self, error: BaseException) -> str:
        """Explain in one line what the function raised, and where in the user's code."""
        what = self._explain_missing(error) or user_code.format_error(error)
        told = f"{self._trial.word} raised {what}{user_code.find_line(error, self._trial.call)}"
        if is_out_of_memory(error):
            return f"out of memory: {told}; let it take less, or leave such settings out of the space"
        return f"{told}; mend it"

    def _explain_missing(self, error: BaseException) -> str:
        """Name the setting that was meant, where the function has asked for one that there is not."""
        name = error.name if isinstance(error, AttributeError) else None
        if name is None or getattr(error, "obj", None) is not self._settings:
            return ""
        near = get_close_matches(name, vars(self._settings), n=1, cutoff=0.5)
        return f"AttributeError: the settings have no {name}" + (f"; did you mean {near[0]}?" if near else "")

    def measure(self) -> LoopCost:
        """Return what the function has cost so far; what it left out counts as validation."""
        watch = self._clock.watch
        return LoopCost(
            device_seconds=watch.device_seconds,
            seconds=replace(watch.seconds, validate=self._clock.seconds_left_out),
            contended=watch.verdict.contended,
            core_share=watch.verdict.share,
            lost_seconds=watch.lost_seconds,
            energy=watch.drawn,
        )

    def close(self) -> None:
        """End the generator and the MLflow runs that it has left open; what it raises is nobody's loss."""
        with signals.let_through():  # the user's code may take long, or never end
            with _passing_over(), self._world.entered():
                _close(self._generator)
            with _passing_over(), self._world.entered():  # the store is the user's, and may be gone
                while _find_active_run() not in (None, self._run_before):
                    sys.modules["mlflow"].end_run()


@contextmanager
def _passing_over() -> Iterator[None]:
    """Pass over what the user's code raises, also what is to end the process, but not what asks to stop."""
    try:
        yield
    except BaseException:
        if signals.read_requested():
            raise


def _close(iterator: Iterator[Any] | None) -> None:
    """Close a generator, also one that catches what shall end it; another iterator where it can be closed.

    Python prints a traceback where it frees one that goes on all the same, so that one is kept.
    """
    close = getattr(iterator, "close", None)
    if close is None:
        return
    try:
        close()
    except RuntimeError:
        if inspect.isgenerator(iterator):
            with suppress(BaseException):
                iterator.throw(SystemExit)
            if iterator.gi_frame is not None:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(iterator))


def _find_active_run() -> str | None:
    """Find the run that MLflow's functions write into, where somebody has imported MLflow."""
    with suppress(AttributeError):  # half imported
        active = sys.modules["mlflow"].active_run() if "mlflow" in sys.modules else None
        return None if active is None else str(active.info.run_id)
    return None
