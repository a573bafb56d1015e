"""GPUs for several trials on one machine: each process takes one that no other trial of this user has.

CUDA shows a process the GPUs of CUDA_VISIBLE_DEVICES, which it reads when it is first asked; so a GPU is
taken before that, by its UUID, which neither other orders of counting nor a restart change. A slice of a GPU
(MIG) has a UUID of its own and is a device like any other. A GPU is claimed as a core is, see `cpu_cores`.
Where NVML (package nvidia-ml-py) cannot be asked, nothing is claimed and TensorFlow's first GPU is taken.
"""

import importlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """List the GPUs and slices that CUDA shows this process; [] where NVML cannot be asked.

    `library`: pynvml or a replay of it; `visible`: as in CUDA_VISIBLE_DEVICES, numbers or UUIDs; None: all.
    """
    if library is None:
        return []
    try:
        library.nvmlInit()
        devices = list(_list_all(library))
    except library.NVMLError:  # no driver
        return []
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
    return number == int(word) if word.isdigit() else bool(word) and gpu.uuid.startswith(word)


def _list_all(library: Any) -> Iterator[tuple[int, Gpu]]:
    """Yield each device with the number of its GPU; the slices of a GPU that is cut stand for it."""
    for number in range(library.nvmlDeviceGetCount()):
        handle = library.nvmlDeviceGetHandleByIndex(number)
        slices = list(_list_slices(library, handle))
        for device_handle in slices or [handle]:
            yield (
                number,
                Gpu(
                    _text(library.nvmlDeviceGetUUID(device_handle)),
                    _text(library.nvmlDeviceGetName(device_handle)),
                ),
            )


def _list_slices(library: Any, handle: Any) -> Iterator[Any]:
    try:
        is_cut = library.nvmlDeviceGetMigMode(handle)[0]
        limit = library.nvmlDeviceGetMaxMigDeviceCount(handle) if is_cut else 0
    except library.NVMLError:  # no GPU of that kind
        return
    for index in range(limit):
        with suppress(library.NVMLError):  # no slice of this number
            yield library.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def list_usable_gpus(library: Any) -> list[Gpu]:
    """List the GPUs that trials of one study may have: those of the kind of the first that is visible."""
    gpus = list_gpus(library, os.environ.get(VISIBLE))
    return [gpu for gpu in gpus if gpu.name == gpus[0].name]


def check_workers(workers: int, count: int = 1, library: Any = None) -> None:
    """Check that each worker can have `count` GPUs of its own, as far as NVML can be asked.

    Raises:
        BadSetting: there are fewer.
    """
    library = library or load_nvml()
    gpus = list_usable_gpus(library)
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

    The first time counts: CUDA looks once. (), and all stays as it is, where NVML cannot be asked, or too
    many stay taken for `PATIENCE_SECONDS`. `folder`: of the lock files.
    """
    global _claim
    if _claim and _claim.pid == os.getpid():
        return _claim.gpus
    gpus = list_usable_gpus(library or load_nvml())
    until = time.monotonic() + PATIENCE_SECONDS
    with suppress(OSError):
        while len(gpus) >= count:
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
    if _claim and _claim.pid == os.getpid():
        for lock in _claim.locks:
            os.close(lock)
    _claim = None
