"""What is looked at, part by part; each part is asked by itself, so that one that breaks hides no other."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Literal

from pipeline import __version__
from pipeline.cli.doctor import training
from pipeline.errors import FulcrumError, format_one_line
from pipeline.hardware import gpus
from pipeline.settings.settings import Settings

GIB = 1024**3
LEAST_MEMORY = 1 * GIB
SPIN_SECONDS = 0.5
EXTRAS = {
    "ray": "cluster=ray (pip install -r requirements-ray.txt)",
    "openpyxl": "tables in .xlsx (pip install openpyxl)",
    "torch": "networks of your own in torch (pip install torch)",
}
LEAST_RATIO = 1.2
"""Of the times of twice the work and of the work, shortest of three: a clock that does not wait has 1."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found of one part: it works (ok), could be more (note), or does not work (fails)."""

    component: str
    state: Literal["ok", "note", "fails"]
    text: str
    remedy: str = ""


Outcome = tuple[Literal["ok", "note", "fails"], str, str]


def examine(settings: Settings) -> Iterator[CheckResult]:
    """Yield a finding for each part, the quick ones first."""
    looks: dict[str, Callable[[], Outcome]] = {
        "python": look_at_python,
        "driver": lambda: look_at_driver(gpus.load_nvml()),
        "tensorflow": look_at_tensorflow,
        "extras": look_at_extras,
        "memory": look_at_memory,
        "cores": look_at_cores,
        "contention": look_at_contention,
        "clock": look_at_clock,
        "energy": look_at_energy,
        "training": lambda: training.train_on_each_device(settings),
    }
    for component, look in looks.items():
        try:
            yield CheckResult(component, *look())
        except FulcrumError as error:
            yield CheckResult(component, "fails", str(error))
        except Exception as error:  # whatever a driver or a library raises is a finding, too
            text = format_one_line(str(error)) or "without a word"
            yield CheckResult(component, "fails", f"{type(error).__name__}: {text}")


def look_at_python() -> Outcome:
    """Say which versions run, on what."""
    where = f"{platform.system()} {platform.machine()}"
    return "ok", f"Python {platform.python_version()}, fulcrum {__version__} on {where}", ""


def look_at_driver(library: object) -> Outcome:
    """Say which GPUs the driver knows; `library`: pynvml or a replay of it, None without it."""
    has_driver = shutil.which("nvidia-smi") is not None or os.path.exists("/proc/driver/nvidia")
    cards = gpus.list_gpus(library)
    if cards:
        kinds = sorted({gpu.name for gpu in cards})
        return "ok", f"{len(cards)} x {' and '.join(kinds)}", ""
    if not has_driver:
        return "note", "no NVIDIA driver: CPUs train", ""
    missing = "NVML finds no GPU" if library else "NVML cannot be asked"
    return "note", f"an NVIDIA driver is here, {missing}", "pip install -r requirements-gpu.txt"


def look_at_tensorflow() -> Outcome:
    """Say what TensorFlow sees; a driver whose GPUs it does not see is a fault."""
    from pipeline.backend import keras, tf
    from pipeline.hardware.device import explain_unseen_gpu

    devices = tf.config.list_physical_devices("GPU")
    for gpu in devices:  # the memory is for the trainings to come
        tf.config.experimental.set_memory_growth(gpu, True)
    text = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {len(devices)} GPUs seen"
    if unseen := explain_unseen_gpu():
        return "fails", text, unseen
    return "ok", text, ""


def look_at_extras() -> Outcome:
    """Say which packages are here that not everybody needs, and how to get the others."""
    packages = [f"{name} {metadata.version(name)}" for name in EXTRAS if find_spec(name)]
    if find_spec("torch"):
        torch = import_module("torch")
        packages.append(f"torch sees {torch.cuda.device_count()} GPUs")
    missing = [f"{name} for {use}" for name, use in EXTRAS.items() if not find_spec(name)]
    text = ", ".join(packages) or "none"
    return ("note", text, f"not here: {', '.join(missing)}") if missing else ("ok", text, "")


def look_at_memory() -> Outcome:
    """Say how much memory trials may use."""
    from pipeline.hardware.memory import read_memory

    memory = read_memory()
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    if memory.available < LEAST_MEMORY:
        return "fails", text, f"a worker needs some {LEAST_MEMORY // GIB} GiB; end other programs"
    return "ok", text, ""


def look_at_cores() -> Outcome:
    """Say whether a trial can have a core of its own; take one, and give it back."""
    from pipeline.hardware import cpu_cores

    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    before = cpu_cores.get_claimed_cores()
    cores = cpu_cores.claim_cores(1)
    if not before:
        cpu_cores.release_cores()
    if not cores:
        why = "none can be bound: others hold them, or this system cannot"
        return "note", f"{count} cores, {why}", "trials share cores; let other trials end"
    return "ok", f"{count} cores, a trial gets its own (core {cores[0]} was free)", ""


def look_at_contention() -> Outcome:
    """Say what other processes take of a core that this one wants."""
    from pipeline.hardware import cpu_cores
    from pipeline.hardware.contention import CLEAR_SHARE, ContentionMonitor
    from pipeline.hardware.counters import KernelCounters
    from pipeline.hardware.energy import SilentGauge

    had = cpu_cores.get_claimed_cores()
    cpu_cores.claim_cores(1)
    try:
        counters, monitor = KernelCounters(SilentGauge(), 1), ContentionMonitor(1)
        before, until = counters.read(), time.perf_counter() + SPIN_SECONDS
        while time.perf_counter() < until:
            pass
        monitor.add_epoch(counters.read().since(before))
    finally:
        if not had:
            cpu_cores.release_cores()
    share = monitor.verdict.share
    if share is None:
        return "note", "nobody counts here what others take of a core", "device-seconds are wall seconds"
    text = f"others left {share:.0%} of a core in {SPIN_SECONDS:g} s"
    if share < CLEAR_SHARE:
        return "note", text, "trials will be tagged contended; what others take is no cost"
    return "ok", text, ""


def look_at_clock() -> Outcome:
    """Say whether the clock waits for the device: twice the work must take about twice the time."""
    from pipeline.backend import tf
    from pipeline.hardware.stopwatch import WALL

    matrix = tf.random.stateless_uniform((512, 512), (1, 2))

    def multiply_by_loop(times: int) -> object:
        product = matrix
        for _ in tf.range(times):
            product = tf.linalg.matmul(product, matrix) / 256.0
        return product

    multiply = tf.function(multiply_by_loop)
    few, many = tf.constant(20), tf.constant(40)
    multiply(few)
    short = min(WALL.time(lambda: multiply(few)) for _ in range(3))
    ratio = min(WALL.time(lambda: multiply(many)) for _ in range(3)) / short
    text = f"waits for the device: twice the work takes {ratio:.2f} times as long"
    if ratio < LEAST_RATIO:
        return (
            "fails",
            f"does not wait: twice the work takes {ratio:.2f} times as long",
            "report this machine",
        )
    return "ok", text, ""


def look_at_energy() -> Outcome:
    """Say whether energy can be read."""
    from pipeline.backend import tf
    from pipeline.hardware.energy import open_gauge

    kind: Literal["cpu", "gpu"] = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
    reading = open_gauge(kind).read()
    if not reading.is_measured:
        source = "NVML (pip install nvidia-ml-py)" if kind == "gpu" else "/sys/class/powercap as root"
        return (
            "note",
            f"the {kind.upper()} lets nobody read its energy",
            f"runs have an estimate of it; needs {source}",
        )
    return "ok", f"of the {kind.upper()} can be read", ""
