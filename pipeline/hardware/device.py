"""The device that a trial claims: CPU cores that no other trial of this user gets, or one GPU."""

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pipeline.errors import BadDevice, BadSetting
from pipeline.formatting import format_count
from pipeline.hardware import cpu_cores, gpus, unseen_gpus
from pipeline.processes.environment import set_variable
from pipeline.settings.measuring import Device, DeviceKind

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables that libraries read when they are imported: how many threads to begin."""
SHARE = "FULCRUM_GPU_SHARE"
"""Set by `share_gpu`."""


@dataclass(frozen=True, slots=True)
class ClaimedDevice:
    """The device that a trial holds while it trains.

    `name`: as the maker calls it, with the count; `count`: CPU cores or GPUs; `tf_device`: TensorFlow's name,
    as /GPU:0; `cores`: numbers of the CPU cores that no other trial gets, () if the process is bound to none.
    """

    kind: Literal["cpu", "gpu"]
    name: str
    count: int
    tf_device: str
    cores: tuple[int, ...] = ()

    @property
    def held(self) -> float:
        """Return how many devices are paid for: a part of one where several trials share it."""
        return self.count

    def check(self) -> None:
        """Check that this process may use as many cores as are paid for.

        Raises:
            BadDevice: see `cpu_cores.check_threads`.
        """
        if self.kind == "cpu":
            cpu_cores.check_threads(self.count)

    @property
    def further(self) -> tuple[str, ...]:
        """Return TensorFlow's names of the GPUs that share each batch with the first."""
        return tuple(f"/GPU:{number}" for number in range(1, self.count)) if self.kind == "gpu" else ()


@dataclass(frozen=True, slots=True)
class SharedGpu(ClaimedDevice):
    """A part of a GPU, `share` of it by agreement: nothing keeps a trial to that."""

    share: float = 1.0

    @property
    def held(self) -> float:
        """Return the share of the GPU that the trial holds."""
        return self.share


def claim_device(device: Device, pin: bool = False) -> ClaimedDevice:
    """Return the device that the settings ask for; set the number of threads of this process.

    `pin`: also keep the device from other trials of this user, if `device.pin` asks for it: bind this process
    to cores that no other trial gets, or take a GPU that none has. That is for a process that runs trials,
    before it computes anything. Where too few are free, the process goes on with what others have, too.

    Raises:
        BadDevice: a GPU was asked for and TensorFlow sees none, or fewer than were asked for; or the process
            was forked from one in which TensorFlow had begun.
        BadSetting: `device.threads` differs from what this process already runs with.
    """
    from pipeline.backend import check_process, tf  # which `claim_plain_device` does without

    check_process()
    _set_threads(device.threads)
    if pin and device.pin and device.kind is not DeviceKind.cpu:
        gpus.claim_gpus(device.count)  # before CUDA is asked which there are
    if device.kind is DeviceKind.cpu:
        with suppress(RuntimeError):  # the process has begun to compute with the GPUs that it sees
            tf.config.set_visible_devices([], "GPU")
    elif visible := tf.config.list_physical_devices("GPU"):
        return _claim_gpus(visible, device.count)
    if device.kind is DeviceKind.gpu:
        why = _explain_unseen() if unseen_gpus.has_nvidia_driver() else "use device=cpu or device=auto"
        raise BadDevice(f"device=gpu needs a GPU that TensorFlow sees, got none; {why}")
    return _claim_cores(device, pin)


def claim_plain_device(device: Device, pin: bool = False) -> ClaimedDevice:
    """Return the device for a training loop of the user's own, in any framework; TensorFlow is not asked.

    It is what the settings say: `device=auto` is the CPU, and a process that holds the CPU sees no GPU.
    `pin`: see `claim_device`.

    Raises:
        BadDevice: GPUs were asked for, and NVIDIA's driver names none or fewer.
    """
    if device.kind is DeviceKind.gpu:
        if pin and device.pin:
            gpus.claim_gpus(device.count)
        names = _list_gpu_names()
        if not names:
            why = unseen_gpus.explain_hidden(gpus.load_nvml()) or "use device=cpu"
            raise BadDevice(f"device=gpu needs a GPU that NVIDIA's driver names, got none; {why}")
        _check_count(device.count, len(names), "that are of one kind and may be used")
        return _make_gpu(names[0], device.count)
    if pin:
        os.environ[gpus.VISIBLE] = "-1"
    limit_threads(device.threads)
    return _claim_cores(device, pin)


def limit_threads(threads: int) -> None:
    """Let libraries begin so many threads: those that are imported later, and PyTorch, which can be told.

    More threads than cores wait for each other, and what they burn meanwhile would be paid for.
    """
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    torch = sys.modules.get("torch")
    with suppress(AttributeError):
        if torch is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


@contextmanager
def lend_process() -> Iterator[None]:
    """Give a program back what a CPU trial takes in the block: the sight of GPUs, and threads of libraries.

    GPUs that a trial has claimed stay what CUDA shows, as it looks once.
    """
    torch = sys.modules.get("torch")
    before = {name: os.environ.get(name) for name in (*THREADS, gpus.VISIBLE)}
    threads = torch.get_num_threads() if torch is not None and hasattr(torch, "get_num_threads") else 0
    try:
        yield
    finally:
        if os.environ.get(gpus.VISIBLE) != "-1":
            del before[gpus.VISIBLE]
        for name, value in before.items():
            set_variable(name, value)
        if torch is not None and threads and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def _claim_cores(device: Device, pin: bool) -> ClaimedDevice:
    if device.count > 1:
        raise BadDevice(f"device.count must be 1 without a GPU, got {device.count}; leave it out")
    if pin and device.pin:
        cpu_cores.claim_cores(device.threads)
    name = f"{_read_cpu_name()}, {format_count(device.threads, 'core')}"
    return ClaimedDevice("cpu", name, device.threads, "/CPU:0", cpu_cores.get_claimed_cores())


def _list_gpu_names() -> list[str]:
    """List what NVIDIA's driver calls the GPUs that this process may use; [] where there are none.

    Of slices (MIG) CUDA shows a process one.
    """
    usable = gpus.list_usable_gpus(gpus.load_nvml())
    return [gpu.name for gpu in usable[: 1 if usable and usable[0].is_slice else None]]


def _check_count(count: int, available: int, which: str) -> None:
    if count > available:
        raise BadDevice(f"device.count must be at most {available}, the GPUs {which}, got {count}")


def explain_unused_gpu(device: Device) -> str | None:
    """Return one line where a loop of the user's own gets the CPU because nobody said which device."""
    if device.kind is not DeviceKind.auto or not _list_gpu_names():
        return None
    return "a GPU is here, but a loop of your own gets it only with device=gpu, so the CPU trains"


def explain_unseen_gpu(kind: DeviceKind = DeviceKind.auto) -> str | None:
    """Return one line with the remedy where an NVIDIA driver is here but TensorFlow sees no GPU.

    None for `device=cpu`: whoever asks for the CPU misses nothing.
    """
    from pipeline.backend import tf

    if kind is DeviceKind.cpu or not unseen_gpus.has_nvidia_driver():
        return None
    if tf.config.list_physical_devices("GPU"):
        return None
    return f"an NVIDIA driver is here but TensorFlow sees no GPU, so the CPU trains; {_explain_unseen()}"


def _explain_unseen() -> str:
    from pipeline.backend import tf

    build = tf.sysconfig.get_build_info()
    if not build.get("is_cuda_build", True):
        return f"this build of TensorFlow has no CUDA; {unseen_gpus.INSTALL}"
    return unseen_gpus.explain_unseen(gpus.load_nvml(), build.get("cuda_version"))


def _set_threads(threads: int) -> None:
    from pipeline.backend import tf

    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        running = tf.config.threading.get_intra_op_parallelism_threads()
        raise BadSetting(
            f"device.threads must stay {running} in a process that has computed with {running}, "
            f"got {threads}; start a new process"
        ) from None


def _count_gpus(count: int) -> str:
    return format_count(count, "GPU")


def _claim_gpus(visible: Sequence[object], count: int) -> ClaimedDevice:
    from pipeline.backend import tf

    _check_count(count, len(visible), "that TensorFlow sees")
    try:
        tf.config.set_visible_devices(list(visible[:count]), "GPU")
    except RuntimeError:
        raise BadSetting(
            "device.kind must stay cpu in a process that has computed with device=cpu, got a GPU; "
            "start a new process"
        ) from None
    for gpu in visible[:count]:
        with suppress(RuntimeError):  # a device that was started before keeps the way it takes memory
            tf.config.experimental.set_memory_growth(gpu, True)
    details = tf.config.experimental.get_device_details(visible[0])
    return _make_gpu(details.get("device_name", "GPU"), count)


def _make_gpu(name: str, count: int) -> ClaimedDevice:
    """Return GPUs that are held, or the part of one that `share_gpu` has said."""
    share = read_share()
    if share < 1:
        return SharedGpu("gpu", f"{name}, {share:g} GPU", 1, "/GPU:0", share=share)
    return ClaimedDevice("gpu", f"{name}, {_count_gpus(count)}", count, "/GPU:0")


def read_share() -> float:
    """Return the part of a GPU that trials of this process hold; 1: whole ones."""
    return float(os.environ.get(SHARE, "1"))


def share_gpu(share: float) -> None:
    """Let this process hold a part of a GPU from here on, for its own trials and for what it starts."""
    os.environ[SHARE] = f"{share:g}"


def _read_cpu_name() -> str:
    return _read_cpuinfo("model name") or platform.processor() or platform.machine()


def supports_bfloat16() -> bool:
    """Return whether this CPU has matrix products in bfloat16 (AMX or AVX-512 BF16)."""
    return bool({"amx_bf16", "avx512_bf16"} & set(_read_cpuinfo("flags").split()))


@cache
def _read_cpuinfo(key: str) -> str:
    """Read what Linux says about `key` of the first core; "" on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
