"""What is looked at, part by part; each part is asked by itself, so that one that breaks hides no other."""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, Literal

from pipeline import __version__
from pipeline.cli.doctor import room, training
from pipeline.cli.doctor.room import Outcome, State
from pipeline.errors import FulcrumError, format_one_line, read_first_line
from pipeline.formatting import format_count
from pipeline.hardware import gpu_faults, gpus, unseen_gpus
from pipeline.hardware.device import supports_bfloat16
from pipeline.settings.measuring import DeviceKind
from pipeline.settings.settings import Settings

STEP_SECONDS = 0.5
STEP_REMEDY = "device-seconds do not follow it, leases of several machines do: let chrony or timesyncd set it"
EXTRAS = {
    "ray": "cluster=ray (pip install -r requirements-ray.txt)",
    "openpyxl": "tables in .xlsx (pip install openpyxl)",
    "python_calamine": "tables in .xls, .xlsb and .ods (pip install python-calamine)",
    "torch": "networks of your own in torch (pip install torch)",
}
LEAST_RATIO, CLEAR_RATIO = 1.2, 1.6
"""Of the shortest times of twice the work and of the work: a clock that does not wait has 1, others 2."""
MOST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found of one part: it works (ok), could be more (note), or does not work (fails)."""

    component: str
    state: State
    text: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[CheckResult]:
    """Yield a finding for each part, the quick ones first."""
    lead = read_clock_lead()
    room.name_temporary_folder()
    looks: dict[str, Callable[[], Outcome]] = {
        "python": look_at_python,
        "driver": lambda: look_at_driver(gpus.load_nvml()),
        "tensorflow": lambda: look_at_tensorflow(settings.device.kind),
        "extras": look_at_extras,
        "memory": room.look_at_memory,
        "disk": lambda: room.look_at_disk(settings),
        "cores": room.look_at_cores,
        "bfloat16": look_at_bfloat16,
        "training": lambda: training.train_on_each_device(settings),
        "clock": lambda: look_at_clock(lead),  # after the trainings: it keeps the first GPU
        "energy": look_at_energy,
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


def look_at_driver(library: Any) -> Outcome:
    """Say which GPUs this process may use, and what is wrong; `library`: pynvml or a replay of it."""
    every, cards = gpus.list_gpus(library), gpus.list_gpus(library, os.environ.get(gpus.VISIBLE))
    faults = gpu_faults.find_gpu_faults(library)
    if not (cards or faults):
        if not unseen_gpus.has_nvidia_driver():
            return "note", "no NVIDIA driver: CPUs train", ""
        why, _, remedy = unseen_gpus.explain_unseen(library).rpartition("; ")
        return "note", f"an NVIDIA driver is here, no GPU: {why or 'nobody can be asked'}", remedy
    of = f"{len(cards)} of {len(every)}" if len(cards) < len(every) else f"{len(cards)}"
    texts = [f"{of} x {' and '.join(sorted({gpu.name for gpu in cards})) or 'GPU'}"]
    texts += [fault.text for fault in faults]
    state: State = "note" if faults else "ok"
    if any(fault.is_fatal for fault in faults):
        state = "fails"
    return state, ", ".join(texts), "; ".join(dict.fromkeys(fault.remedy for fault in faults))


def look_at_tensorflow(kind: DeviceKind = DeviceKind.auto) -> Outcome:
    """Say what TensorFlow sees; a driver whose GPUs it does not see is a fault, but for `device=cpu`."""
    from pipeline.backend import keras, tf
    from pipeline.hardware.device import explain_unseen_gpu

    devices = tf.config.list_physical_devices("GPU")
    for gpu in devices:  # the memory is for the trainings to come
        tf.config.experimental.set_memory_growth(gpu, True)
    text = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, "
    text += f"{format_count(len(devices), 'GPU')} seen"
    if unseen := explain_unseen_gpu(kind):
        return "fails", text, unseen
    return "ok", text, ""


def look_at_extras() -> Outcome:
    """Say which packages are here that not everybody needs, and how to get the others."""
    packages = [f"{name} {metadata.version(name)}" for name in EXTRAS if find_spec(name)]
    missing = [f"{name} for {use}" for name, use in EXTRAS.items() if not find_spec(name)]
    remedies = [f"not here: {', '.join(missing)}"] if missing else []
    if find_spec("torch"):
        try:
            count = import_module("torch").cuda.device_count()
            packages.append(f"torch sees {format_count(count, 'GPU')}")
        except Exception as error:  # its libraries are not those of this machine
            packages.append(f"torch cannot be imported ({read_first_line(error)})")
            remedies.append("install the torch of this machine: pytorch.org/get-started/locally")
    return "note" if remedies else "ok", ", ".join(packages) or "none", "; ".join(remedies)


def look_at_bfloat16() -> Outcome:
    """Say whether the CPU has products in bfloat16; without them a CNN takes many times as long in it."""
    if supports_bfloat16():
        return "ok", "the CPU multiplies matrices in it", ""
    text = "the CPU has no products in it: precision=mixed_bfloat16 is slower than float32 there"
    return "note", text, "a sweep of a CPU need not try it: precision=float32"


def look_at_clock(began: float | None = None) -> Outcome:
    """Say whether the clock waits for the device: twice the work must take about twice the time.

    `began`: what `read_clock_lead` said when the examination began.
    """
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
    short = long = math.inf
    for _ in range(MOST_ROUNDS):  # other programs may slow any of them down
        short = min(short, WALL.time(lambda: multiply(few)))
        long = min(long, WALL.time(lambda: multiply(many)))
        if long / short > CLEAR_RATIO:
            break
    ratio = long / short
    text = f"waits for the device: twice the work takes {ratio:.2f} times as long"
    if ratio < LEAST_RATIO:
        return (
            "fails",
            f"does not wait: twice the work takes {ratio:.2f} times as long",
            "report this machine",
        )
    step = 0.0 if began is None else read_clock_lead() - began
    if abs(step) > STEP_SECONDS:
        return "note", f"{text}; the time of day was set by {step:+.1f} s meanwhile", STEP_REMEDY
    return "ok", text, ""


def read_clock_lead() -> float:
    """Return the seconds by which the time of day leads the clock that nobody sets."""
    return time.time() - time.monotonic()


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
