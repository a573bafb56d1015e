"""Why this process may use no GPU although the machine has a driver for one, and what to do about it."""

import os
import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import read_first_line
from pipeline.hardware.gpus import VISIBLE, list_gpus

INSTALL = "install TensorFlow's CUDA libraries with: pip install -r requirements-gpu.txt"
ASK_FOR_ONE = "ask for one: docker run --gpus all, nvidia.com/gpu: 1 on Kubernetes, sbatch --gpus=1"
DRIVER_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""Through which programs reach the driver: on Linux, and in Windows' subsystem for Linux."""
DRIVER_REMEDIES = {
    "mismatch": "the driver was updated while it ran: restart the machine",
    "not loaded": "load the driver (sudo modprobe nvidia), or install it anew for this kernel",
    "not found": "set NVIDIA_DRIVER_CAPABILITIES=compute,utility in a container; else install the driver",
    "permission": "let your user read and write /dev/nvidia*",
}
"""What NVML says, in small letters, and what helps."""
LEAST_DRIVERS = {11: "450", 12: "525", 13: "580"}
"""The first driver for each major version of CUDA: docs.nvidia.com/deploy/cuda-compatibility."""


def has_nvidia_driver() -> bool:
    """Return whether the machine has an NVIDIA driver, as far as its files tell."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def find_driver_fault(library: Any) -> str:
    """Return what NVML says is wrong with the driver, and the remedy; "" where it answers.

    `library`: pynvml or a replay of it, None: it is not installed.
    """
    if library is None:
        return ""
    try:
        library.nvmlInit()
        library.nvmlDeviceGetCount()
    except Exception as error:  # the library, too, may be one of another version
        words = read_first_line(error)
        fitting = (remedy for key, remedy in DRIVER_REMEDIES.items() if key in words.lower())
        return f"the driver does not answer ({words}); {next(fitting, 'see what nvidia-smi says')}"
    return ""


def explain_hidden(library: Any = None) -> str:
    """Return that CUDA_VISIBLE_DEVICES shows none of the GPUs, and the remedy; "" where it shows one."""
    visible = os.environ.get(VISIBLE)
    if visible is None or list_gpus(library, visible):
        return ""
    present = list_gpus(library)
    of = f" of the {len(present)} GPUs" if present else " here"
    return f"{VISIBLE}={visible} shows none{of}; unset it, or give it the number or the UUID of a GPU"


def explain_unseen(library: Any, cuda: str | None = None) -> str:
    """Return why CUDA shows this process no GPU, and the remedy, in one line.

    `library`: see `find_driver_fault`; `cuda`: the version of CUDA that the framework was built for, as 12.5,
    None: it is unknown.
    """
    if fault := explain_hidden(library) or find_driver_fault(library):
        return fault
    if not any(file.exists() for file in DRIVER_FILES) or (library is not None and not list_gpus(library)):
        return f"this container or job was given no GPU; {ASK_FOR_ONE}"
    return _find_old_driver(library, cuda) or INSTALL


def _find_old_driver(library: Any, cuda: str | None) -> str:
    """Return that the driver is too old for the CUDA of the framework, and the remedy; "" where it is not."""
    try:
        supported = library.nvmlSystemGetCudaDriverVersion() // 1000
        driver = library.nvmlSystemGetDriverVersion()
        needed = int(str(cuda).partition(".")[0])
    except Exception:  # nobody knows: NVML is not here, or the framework was built without CUDA
        return ""
    if supported >= needed:
        return ""
    driver = driver.decode() if isinstance(driver, bytes) else driver
    version = LEAST_DRIVERS.get(needed)
    remedy = f"install driver {version} or later" if version else "install a newer driver"
    return f"driver {driver} knows CUDA {supported}, TensorFlow was built for {cuda}; {remedy}"
