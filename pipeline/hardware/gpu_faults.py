"""What is wrong with GPUs that a driver knows: lost, with broken memory, closed, cut into nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.errors import read_first_line
from pipeline.hardware.gpus import list_slices

DEFAULT, PROHIBITED = 0, 2
"""Modes of NVML's nvmlComputeMode_t: many processes may compute; none may. Others: one at a time."""
UNCORRECTED, SINCE_START = 1, 0
"""Of NVML's nvmlMemoryErrorType_t and nvmlEccCounterType_t."""
SHORT_SHARE = 0.1
"""Of a GPU's memory: less than this left, and others hold the rest."""
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class GpuFault:
    """What is wrong with a GPU; `is_fatal`: nothing can be computed on it, or not rightly."""

    text: str
    remedy: str
    is_fatal: bool


def find_gpu_faults(library: Any) -> list[GpuFault]:
    """Find what is wrong with the GPUs of this machine, as far as NVML tells.

    `library`: pynvml or a replay of it, None: nobody can be asked.
    """
    faults: list[GpuFault] = []
    try:
        library.nvmlInit()
        count = library.nvmlDeviceGetCount()
    except Exception:  # see `unseen_gpus`
        return faults
    for number in range(count):
        name = f"GPU {number}"
        try:
            handle = library.nvmlDeviceGetHandleByIndex(number)
        except library.NVMLError as error:
            text = f"{name} cannot be asked ({read_first_line(error)})"
            faults.append(GpuFault(text, "restart the machine; if it stays, have it replaced", True))
            continue
        for look in (_find_memory_errors, _find_mode, _find_no_slice, _find_short_memory):
            with suppress(library.NVMLError, AttributeError):  # not every GPU or version knows every question
                for text, remedy, is_fatal in look(library, handle):
                    faults.append(GpuFault(f"{name} {text}", remedy, is_fatal))
    return faults


Found = Iterator[tuple[str, str, bool]]


def _find_memory_errors(library: Any, handle: Any) -> Found:
    """Find errors of memory that could not be corrected (ECC), and rows that wait to be exchanged."""
    asked: list[tuple[Callable[[], int], str, str]] = [
        (
            lambda: library.nvmlDeviceGetTotalEccErrors(handle, UNCORRECTED, SINCE_START),
            "has {} memory errors that nothing corrected (ECC)",
            "reset it (sudo nvidia-smi --gpu-reset); if they come back, have it replaced",
        ),
        (
            lambda: library.nvmlDeviceGetRemappedRows(handle)[3],
            "has no spare rows left for its broken memory",
            "have it replaced",
        ),
        (
            lambda: library.nvmlDeviceGetRemappedRows(handle)[2],
            "waits to exchange broken rows of its memory",
            "reset it (sudo nvidia-smi --gpu-reset)",
        ),
    ]
    for ask, text, remedy in asked:
        with suppress(library.NVMLError, AttributeError, IndexError):
            if count := ask():
                yield text.format(count), remedy, True


def _find_mode(library: Any, handle: Any) -> Found:
    mode = library.nvmlDeviceGetComputeMode(handle)
    if mode == PROHIBITED:
        yield "lets no program compute", "allow it: sudo nvidia-smi --compute-mode=DEFAULT", True
    elif mode != DEFAULT:
        yield (
            "takes one process at a time (exclusive)",
            "one trial a GPU works, cluster.share does not",
            False,
        )


def _find_no_slice(library: Any, handle: Any) -> Found:
    if list_slices(library, handle) == []:
        yield "is to be cut (MIG) and has no slice", "cut it: sudo nvidia-smi mig -cgi 9 -C; or -mig 0", True


def _find_short_memory(library: Any, handle: Any) -> Found:
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    if memory.free < SHORT_SHARE * memory.total:
        text = f"has {memory.free / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
        yield text, "end other programs on it, which nvidia-smi names", False
