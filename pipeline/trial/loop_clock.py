"""The clock of a function that trains: it runs from one yield to the next, and stands in `not_counted`.

Frameworks compute behind the back of Python. Before the clock is read, each one that is loaded is waited for.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType

from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.process_seconds import count_own_seconds
from pipeline.hardware.stopwatch import Stopwatch, wait_for_tensorflow


def _wait_for_torch(torch: ModuleType) -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    with suppress(AttributeError):  # releases without Apple's GPUs
        if torch.backends.mps.is_available():
            torch.mps.synchronize()


def _wait_for_jax(jax: ModuleType) -> None:
    jax.effects_barrier()
    for array in jax.live_arrays():
        if not array.is_deleted():
            array.block_until_ready()


def _wait_for_cupy(cupy: ModuleType) -> None:
    if cupy.cuda.runtime.getDeviceCount():
        cupy.cuda.runtime.deviceSynchronize()


WAITS: dict[str, Callable[[ModuleType], None]] = {
    "torch": _wait_for_torch,
    "jax": _wait_for_jax,
    "tensorflow": lambda _: wait_for_tensorflow(),
    "cupy": _wait_for_cupy,
}
"""How to wait for each framework, by the name of its module."""


AT_FIRST_STEP = {"torch": "torch._dynamo"}
"""What a framework imports for seconds when its first optimizer is made, which is no training."""


def prepare_frameworks() -> None:
    """Import what the loaded frameworks would import while the clock runs."""
    for name, more in AT_FIRST_STEP.items():
        if name in sys.modules and more not in sys.modules:
            with suppress(Exception):  # another release, or a part that does not work here: it is not needed
                import_module(more)


def wait_for_frameworks() -> None:
    """Wait until all that the loaded frameworks were told to do is done."""
    for name, wait in WAITS.items():
        module = sys.modules.get(name)
        # A module that is half imported, or only has the name, computes nothing.
        if module is not None:
            with suppress(AttributeError):
                wait(module)


class LoopClock:
    """A stopwatch that stands while a function says that what it does is no training."""

    def __init__(self, device: ClaimedDevice, watts: float | None = None) -> None:
        """Start at zero; the clock stands until `time_epoch`. `watts`: see `energy.open_gauge`."""
        self.watch = Stopwatch(device, wait=wait_for_frameworks, watts=watts, computed=count_own_seconds)
        self.seconds_left_out = 0.0
        self._blocks = 0

    @contextmanager
    def time_epoch(self) -> Iterator[None]:
        """Count the seconds of the block but for those within `not_counted`."""
        global _running
        before, _running = _running, self
        try:
            with self.watch.time_epoch():
                if self._blocks:  # the function yields within `not_counted`
                    self.watch.stop()
                yield
        finally:
            _running = before

    @contextmanager
    def leave_out(self) -> Iterator[None]:
        """Let the clock stand during the block; such blocks may lie within each other."""
        self._blocks += 1
        self.watch.stop()
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._blocks -= 1
            if not self._blocks and _running is self:
                self.seconds_left_out += time.perf_counter() - begun
                self.watch.start()


_running: LoopClock | None = None
"""The clock of the function that runs in this process."""


@contextmanager
def not_counted() -> Iterator[None]:
    """Leave the block out of what training costs: evaluation, loading data, compiling.

    Outside of a trial it does nothing, so that a script works without this project's commands.
    """
    if _running is None:
        yield
        return
    with _running.leave_out():
        yield
