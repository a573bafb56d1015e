"""GPUs for several trials on one machine: each process takes one that no other trial of this user has.

CUDA shows a process the GPUs of CUDA_VISIBLE_DEVICES, which it reads when it is first asked; so a GPU is
taken before that, by its UUID, which neither other orders of counting nor a restart change. A slice of a GPU
(MIG) has a UUID of its own and is a device like any other. A GPU is claimed as a core is, see `cpu_cores`.
NVML (package nvidia-ml-py) is asked, without it the program nvidia-smi. Where neither answers, nothing is
claimed and TensorFlow's first GPU is taken.
"""

import importlib
import os
import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import signals
from pipeline.errors import BadSetting
from pipeline.hardware.cpu_cores import make_user_folder, try_lock

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE_SECONDS = 10.0
"""How long a new process waits for a GPU: that of a worker which it follows may not be quite gone."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or a slice of one, as NVML knows it."""

    uuid: str
    name: str

    @property
    def is_slice(self) -> bool:
        """Return whether this is a part of a GPU that is cut (MIG)."""
        return self.uuid.startswith("MIG-")


@dataclass(frozen=True, slots=True)
class GpuClaim:
    """The GPUs of process `pid`; `locks`: open files."""

    pid: int
    gpus: tuple[Gpu, ...]
    locks: tuple[int, ...]


_claim: GpuClaim | None = None


def load_nvml() -> Any:
    """Return the module pynvml; None where it is not installed."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def list_gpus(library: Any, visible: str | None = None) -> list[Gpu]:
    """List the GPUs and slices that CUDA shows this process; [] where nobody can be asked.

    `library`: pynvml or a replay of it, None: nvidia-smi is asked; `visible`: as in CUDA_VISIBLE_DEVICES,
    numbers or UUIDs; None: all.
    """
    devices = _list_by_program() if library is None else _list_all(library)
    if visible is None:
        return [gpu for _, gpu in devices]
    words = [word.strip() for word in visible.split(",")]
    chosen: list[Gpu] = []
    for word in words:
        matching = [gpu for number, gpu in devices if _is_meant(word, number, gpu)]
        if not matching:
            break  # CUDA ignores all that follows a device that is not there
        chosen += [gpu for gpu in matching if gpu not in chosen]
    return chosen


def _is_meant(word: str, number: int, gpu: Gpu) -> bool:
    """Return whether a word of CUDA_VISIBLE_DEVICES means a GPU: its number, its UUID or how that begins."""
    return number == int(word) if word.isdecimal() else bool(word) and gpu.uuid.startswith(word)


def _list_all(library: Any) -> list[tuple[int, Gpu]]:
    """List each device with the number of its GPU; the slices of a GPU that is cut stand for it."""
    devices: list[tuple[int, Gpu]] = []
    try:
        library.nvmlInit()
        count = library.nvmlDeviceGetCount()
    except library.NVMLError:  # no driver
        return devices
    for number in range(count):
        with suppress(library.NVMLError):  # one that has fallen off the bus hides no other
            handle = library.nvmlDeviceGetHandleByIndex(number)
            slices = list_slices(library, handle)
            handles = [handle] if slices is None else slices
            devices += [(number, _describe(library, device)) for device in handles]
    return devices


def _describe(library: Any, device: Any) -> Gpu:
    return Gpu(_text(library.nvmlDeviceGetUUID(device)), _text(library.nvmlDeviceGetName(device)))


@cache
def _ask_program() -> str:
    """Return what `nvidia-smi -L` says; "" where it is not here, or finds no driver."""
    command = ["nvidia-smi", "-L"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _list_by_program() -> list[tuple[int, Gpu]]:
    """List what `_list_all` does, by nvidia-smi: lines of GPUs, below each those of its slices."""
    devices: list[tuple[int, Gpu]] = []
    for line in _ask_program().splitlines():
        if match := re.match(r"GPU (\d+): (.+) \(UUID: (.+)\)", line):
            card = int(match[1]), Gpu(match[3], match[2])
            devices.append(card)
        elif devices and (match := re.match(r"\s+(MIG \S+)\s.*\(UUID: (.+)\)", line)):
            if devices[-1] == card:
                devices.pop()
            devices.append((card[0], Gpu(match[2], f"{card[1].name} {match[1]}")))
    return devices


def list_slices(library: Any, handle: Any) -> list[Any] | None:
    """List the slices (MIG) of a GPU; None where it is whole. One that is to be cut and is not has none."""
    try:
        if not library.nvmlDeviceGetMigMode(handle)[0]:
            return None
        limit = library.nvmlDeviceGetMaxMigDeviceCount(handle)
    except library.NVMLError:  # no GPU of that kind
        return None
    slices = []
    for index in range(limit):
        with suppress(library.NVMLError):  # no slice of this number
            slices.append(library.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
    return slices


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def list_usable_gpus(library: Any) -> list[Gpu]:
    """List the GPUs that trials of one study may have: those of the kind of the first that is visible."""
    gpus = list_gpus(library, os.environ.get(VISIBLE))
    return [gpu for gpu in gpus if gpu.name == gpus[0].name]


def check_workers(workers: int, count: int = 1, library: Any = None) -> None:
    """Check that each worker can have `count` GPUs of its own.

    Raises:
        BadSetting: there are fewer, or nobody can tell them apart.
    """
    library = library or load_nvml()
    gpus = list_usable_gpus(library)
    if not gpus and workers > 1:
        raise BadSetting(
            f"search.workers must be 1 where neither NVML nor nvidia-smi can tell GPUs apart, got {workers}; "
            "pip install -r requirements-gpu.txt, or use search.workers=1"
        )
    if gpus and count > 1 and gpus[0].is_slice:
        raise BadSetting(
            f"device.count must be 1 on slices of a GPU (MIG), of which a process may use one, got {count}; "
            "leave it out"
        )
    if gpus and workers * count > len(gpus):
        others = len(list_gpus(library, os.environ.get(VISIBLE))) - len(gpus)
        kind = f"{gpus[0].name}{' (others are another device)' if others else ''}"
        for_each = f", {count} each" if count > 1 else ""
        raise BadSetting(
            f"search.workers must be at most the number of GPUs, {len(gpus)} of {kind}, "
            f"got {workers}{for_each}; use search.workers={len(gpus) // count or 1}"
        )


def claim_gpus(count: int = 1, library: Any = None, folder: Path | None = None) -> tuple[Gpu, ...]:
    """Take GPUs that no other trial of this user has, and let CUDA show this process those alone.

    The first time counts: CUDA looks once. (), and all stays as it is, where nobody can be asked, or too
    many stay taken for `PATIENCE_SECONDS`. `folder`: of the lock files.
    """
    global _claim
    if _claim and _claim.pid == os.getpid():
        return _claim.gpus
    gpus = list_usable_gpus(library or load_nvml())
    until = time.monotonic() + PATIENCE_SECONDS
    with suppress(OSError):
        while len(gpus) >= count:
            with signals.hold_back():  # see `cpu_cores.claim_cores`
                if locks := _lock_gpus(gpus, count, folder or make_user_folder()):
                    _claim = GpuClaim(os.getpid(), tuple(locks), tuple(locks.values()))
                    os.environ[VISIBLE] = ",".join(gpu.uuid for gpu in locks)
                    return _claim.gpus
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    return ()


def _lock_gpus(gpus: list[Gpu], count: int, folder: Path) -> dict[Gpu, int]:
    """Lock the first `count` GPUs that are free; return open lock files, {} if there are too few."""
    locks: dict[Gpu, int] = {}
    for gpu in gpus:
        if len(locks) < count and (lock := try_lock(folder / f"gpu-{gpu.uuid}.lock")) is not None:
            locks[gpu] = lock
    if len(locks) == count:
        return locks
    for lock in locks.values():
        os.close(lock)
    return {}


def release_gpus() -> None:
    """Let other processes take the GPUs; CUDA goes on showing them to this one."""
    global _claim
    with signals.hold_back():
        if _claim and _claim.pid == os.getpid():
            for lock in _claim.locks:
                os.close(lock)
        _claim = None
