"""The device that a trial holds, and a stopwatch that waits for it.

A device-second is one second of one device held: seconds of training steps times the CPU cores or GPUs
that the trial keeps from others, less what others took all the same (see `contention`). Compilation, warm-up,
input preparation and validation are timed apart.
"""

import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pipeline.backend import tf
from pipeline.errors import BadDevice, BadSetting
from pipeline.hardware import cpu_cores, energy
from pipeline.hardware.contention import Readings, SystemReadings, Verdict, Witness, step_seconds
from pipeline.hardware.energy import Account, Gauge
from pipeline.measures import Drawn, Seconds
from pipeline.settings.measuring import Device, DeviceKind

Part = Literal["input", "compile", "warm_up", "train", "repeat", "validate"]

SLICE_SECONDS = 0.003
"""About what a busy neighbour leaves between two of its turns: shorter laps may run undisturbed."""

REPEATED_SHARE, REPEATED_SECONDS, SHORTEST_REPEATED = 0.25, 1.0, 0.1
"""Repeats take at most this share of the epoch and so many seconds; shorter epochs than the last: none."""

ENOUGH_LAPS = 40

_REMEDY = "install TensorFlow's CUDA libraries with: pip install -r requirements-gpu.txt"


@dataclass(frozen=True, slots=True)
class Held:
    """What a trial holds while it trains.

    `name`: as the maker calls it, with the count; `count`: CPU cores or GPUs; `place`: TensorFlow's name;
    `cores`: the numbers of the CPU cores that nobody else gets, () if the process is bound to none.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    count: int
    place: str
    cores: tuple[int, ...] = ()


def claim_and_pin_device(device: Device) -> Held:
    """`hold`, and on a CPU bind this process to cores of its own from now on, if `device.pin` says so.

    For the process that runs trials, before it computes anything. Where no core is free it goes on unbound.

    Raises:
        BadInput: as `hold`.
    """
    held = claim_device(device)
    if held.kind == "cpu" and device.pin:
        cpu_cores.pin(device.threads)
    return claim_device(device)


def claim_device(device: Device) -> Held:
    """The device that the settings ask for; sets the threads of the process on the way.

    Raises:
        BadDevice: a GPU was asked for and TensorFlow sees none.
        BadSetting: `device.threads` differs from what this process already runs with.
    """
    _set_threads(device.threads)
    if device.kind is DeviceKind.cpu:
        with suppress(RuntimeError):  # the process has begun to compute with the GPUs that it sees
            tf.config.set_visible_devices([], "GPU")
    elif gpus := tf.config.list_physical_devices("GPU"):
        return _hold_gpu(gpus[0])
    if device.kind is DeviceKind.gpu:
        remedy = _REMEDY if _nvidia_driver() else "use device=cpu or device=auto"
        raise BadDevice(f"device=gpu needs a GPU that TensorFlow sees, got none; {remedy}")
    unit = "core" if device.threads == 1 else "cores"
    name = f"{_cpu_name()}, {device.threads} {unit}"
    return Held("cpu", name, device.threads, "/CPU:0", cpu_cores.held())


def unseen_gpu() -> str | None:
    """One line with the remedy where an NVIDIA driver is present but TensorFlow sees no GPU."""
    if not _nvidia_driver() or tf.config.list_physical_devices("GPU"):
        return None
    return f"an NVIDIA driver is here but TensorFlow sees no GPU, so the CPU trains; {_REMEDY}"


def _nvidia_driver() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def _set_threads(threads: int) -> None:
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        held = tf.config.threading.get_intra_op_parallelism_threads()
        raise BadSetting(
            f"device.threads must stay {held} in a process that has computed with {held}, got {threads}; "
            "start a new process"
        ) from None


def _hold_gpu(gpu: object) -> Held:
    try:
        tf.config.set_visible_devices(gpu, "GPU")
    except RuntimeError:
        raise BadSetting(
            "device.kind must stay cpu in a process that has computed with device=cpu, got a GPU; "
            "start a new process"
        ) from None
    with suppress(RuntimeError):  # a device that was started before keeps the way it takes memory
        tf.config.experimental.set_memory_growth(gpu, True)
    details = tf.config.experimental.get_device_details(gpu)
    return Held("gpu", f"{details.get('device_name', 'GPU')}, 1 GPU", 1, "/GPU:0")


def _cpu_name() -> str:
    return _cpu_line("model name") or platform.processor() or platform.machine()


def supports_bfloat16() -> bool:
    """Whether this CPU has matrix products in bfloat16 (AMX or AVX-512 BF16)."""
    return bool({"amx_bf16", "avx512_bf16"} & set(_cpu_line("flags").split()))


@cache
def _cpu_line(key: str) -> str:
    """What Linux says of the first core; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


class Stopwatch:
    """Wall seconds by what they were spent on; the device has finished its work at both ends."""

    def __init__(self, held: Held, readings: Readings | None = None, gauge: Gauge | None = None) -> None:
        """`readings`, `gauge`: of this process and of the device, unless a test replays recorded ones."""
        self.held = held
        self.seconds = Seconds()
        self.lost_seconds = 0.0
        """Device-seconds of training that others took."""
        self._last_epoch = self._lost_before = 0.0
        gauge, held_cores = gauge or energy.gauge(held.kind), held.count if held.kind == "cpu" else 0
        self._witness = Witness(readings or SystemReadings(gauge, held_cores), held_cores)
        self._account = Account(gauge)

    @contextmanager
    def on(self, part: Part) -> Iterator[None]:
        """Add the seconds of the block to `part`; a block that raises is not counted."""
        tf.test.experimental.sync_devices()
        start = time.perf_counter()
        yield
        tf.test.experimental.sync_devices()
        spent = getattr(self.seconds, part) + time.perf_counter() - start
        self.seconds = replace(self.seconds, **{part: spent})

    @contextmanager
    def on_epoch(self) -> Iterator[None]:
        """Add the seconds of the block, an epoch of training, to `train`; watch energy and contention."""
        before = self.seconds.train
        with self._account.watching(), self._witness.watching(), self.on("train"):
            yield
        self._last_epoch, self._lost_before = self.seconds.train - before, self.lost_seconds
        self.lost_seconds += self._witness.lost_share * self._last_epoch * self.held.count

    def repeat(self, go: Callable[[int], object], steps: int) -> None:
        """Where others had part of the device in the last epoch: what its `steps` cost, by short repeats.

        `go(n)` takes n steps on throw-away state. Laps of one and two time slices go in turns, a quarter of
        the epoch's time at most; those that were not disturbed tell the cost of a step. With too few of them
        the epoch's cost stays what the share of its core says (`Witness.lost_share`).
        """
        spent = self._last_epoch
        if not self.verdict.contended or steps < 2 or spent < SHORTEST_REPEATED:
            return
        short = min(max(1, round(SLICE_SECONDS * steps / spent)), steps // 2)
        laps: list[tuple[int, float]] = []
        until = time.perf_counter() + min(REPEATED_SHARE * spent, REPEATED_SECONDS)
        while time.perf_counter() < until and len(laps) < ENOUGH_LAPS:
            for length in (short, 2 * short):
                laps += self._lap(go, length)
        each = step_seconds(laps)
        if each is None or each * steps > spent:
            return
        self.lost_seconds = self._lost_before + (spent - each * steps) * self.held.count

    def _lap(self, go: Callable[[int], object], steps: int) -> list[tuple[int, float]]:
        """The lap, if it was clean."""
        seconds = [0.0]

        def run() -> None:
            start = time.perf_counter()
            go(steps)
            tf.test.experimental.sync_devices()
            seconds[0] = time.perf_counter() - start

        return [(steps, seconds[0])] if self._witness.is_clean(run) else []

    @property
    def verdict(self) -> Verdict:
        """On the last epoch."""
        return self._witness.verdict

    @property
    def drawn(self) -> Drawn:
        """Energy of all epochs."""
        return self._account.drawn()

    @property
    def device_seconds(self) -> float:
        """Seconds of training steps x devices held, less what others took."""
        return self.seconds.train * self.held.count - self.lost_seconds
