"""One family of contestants in a process of its own: pinned, one thread, idle while another one is timed."""

import importlib
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import cells
from benchmarks.cells import Cell, Problem
from benchmarks.network_cells import NetworkCell, make_problem

ONE_THREAD = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMEXPR_NUM_THREADS"),
)
NOT_OURS = ("OPENBLAS_CORETYPE", "NVPL_BLAS_DEBUG_CPU_TYPE")
"""Variables that force a BLAS kernel: numpy shall choose its own."""

FEW_ROWS = 128
"""Rows of the trial run that says how long a step takes; 20 steps at least."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of an epoch is timed. `few_seconds`: what a run of `few` steps takes; `note`: what ran."""

    steps: int
    of: int
    few: int
    few_seconds: float
    note: str = ""

    def whole(self, seconds: float) -> float:
        """Seconds of an epoch, from those of `steps` steps.

        What a call costs before its first step is not multiplied: a step costs what the steps beyond the
        few took, but no more than the average step.
        """
        if self.steps == self.of:
            return seconds
        average = seconds / self.steps
        further = (seconds - self.few_seconds) / max(1, self.steps - self.few)
        each = min(average, further) if further > 0 else average
        return seconds + each * (self.of - self.steps)


@dataclass(frozen=True, slots=True)
class Lap:
    """Wall seconds of the timed steps, what all threads of the process computed meanwhile, the mean loss."""

    seconds: float
    core_seconds: float
    loss: float


class Worker:
    """The caller's end. A call waits for its answer; what goes wrong in there is raised here."""

    def __init__(self, family: str, core: int | None) -> None:
        self.family = family
        context = multiprocessing.get_context("spawn")
        self._wire, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, family, core), daemon=True)
        self._process.start()
        self.names: tuple[str, ...] = ()
        self.missing = ""
        try:
            self.names = tuple(self._answer())
        except RuntimeError as error:
            self.missing = str(error)

    def prepare(self, name: str, cell: Cell | NetworkCell, budget: float) -> Share | str:
        """Compile and warm up; a text says why the contestant sits out."""
        found: Share | str = self._ask("prepare", name, cell, budget)
        return found

    def lap(self, name: str) -> Lap:
        found: Lap = self._ask("lap", name)
        return found

    def loss(self, name: str, cell: Cell, steps: int) -> float:
        """Mean loss of the first `steps` steps."""
        found: float = self._ask("loss", name, cell, steps)
        return found

    def forget(self) -> None:
        self._ask("forget")

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a module's function in there."""
        return self._ask("call", function, *arguments)

    def close(self) -> None:
        self._wire.close()
        self._process.join(5)
        self._process.kill()

    def _ask(self, *words: Any) -> Any:
        try:
            self._wire.send(words)
        except BrokenPipeError:
            raise RuntimeError(f"the process of {self.family} ended") from None
        return self._answer()

    def _answer(self) -> Any:
        try:
            good, answer = self._wire.recv()
        except EOFError:
            raise RuntimeError(f"the process of {self.family} ended") from None
        if not good:
            raise RuntimeError(answer)
        return answer


# ---- the other end ------------------------------------------------------------------------------------


def settle(core: int | None) -> None:
    """One thread, one core, each BLAS with its own choice of kernel. Before numpy's BLAS computes."""
    for name in NOT_OURS:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    if core is not None:
        os.sched_setaffinity(0, {core})
    warnings.filterwarnings("ignore")


def _serve(wire: Connection, family: str, core: int | None) -> None:
    from threadpoolctl import threadpool_limits

    settle(core)
    try:
        contestants = importlib.import_module(f"benchmarks.rivals.{family}").CONTESTANTS if family else {}
        threadpool_limits(1)
    except ImportError as error:
        wire.send((False, f"{error.name} is not installed"))
        return
    wire.send((True, list(contestants)))
    stand = Stand(contestants)
    while True:
        try:
            order, *words = wire.recv()
        except EOFError:  # the caller is done
            return
        try:
            wire.send((True, getattr(stand, order)(*words)))
        except Exception as error:
            wire.send((False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"))


class Stand:
    """What a worker process keeps between two calls."""

    def __init__(self, contestants: dict[str, Any]) -> None:
        self._makers = contestants
        self._ready: dict[str, Any] = {}

    def prepare(self, name: str, cell: Cell | NetworkCell, budget: float) -> Share | str:
        from benchmarks.rivals import Unfit

        problem = _problem(cell)
        whole = len(problem.order)
        few = min(whole, max(20, FEW_ROWS // cell.batch))
        try:
            few_seconds = self._trial(name, problem, few)
        except Unfit as error:
            return str(error)
        steps = portion(few_seconds / few, whole, budget, least=4 * few)
        runner = self._makers[name](problem, steps)
        timed(runner)
        self._ready[name] = runner
        return Share(steps, whole, few, few_seconds, str(getattr(runner, "kind", "")))

    def _trial(self, name: str, problem: Problem, steps: int) -> float:
        runner = self._makers[name](problem, steps)
        timed(runner)  # compiles
        return min(timed(runner).core_seconds for _ in range(2))

    def lap(self, name: str) -> Lap:
        return timed(self._ready[name])

    def loss(self, name: str, cell: Cell, steps: int) -> float:
        runner = self._makers[name](_problem(cell), steps)
        return timed(runner).loss

    def forget(self) -> None:
        self._ready.clear()
        _problem.cache_clear()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


@lru_cache(maxsize=1)
def _problem(cell: Any) -> Any:
    return make_problem(cell) if isinstance(cell, NetworkCell) else cells.problem(cell)


def portion(step_seconds: float, whole: int, budget: float, least: int) -> int:
    """Steps that fit the budget, `least` or more; the whole epoch where that takes at most twice as long."""
    fit = max(least, int(budget / max(step_seconds, 1e-9)))
    return whole if whole <= 2 * fit else fit


def timed(runner: Any) -> Lap:
    runner.reset()
    start, computed = time.perf_counter(), time.process_time()
    loss = runner.go()
    return Lap(time.perf_counter() - start, time.process_time() - computed, loss)
