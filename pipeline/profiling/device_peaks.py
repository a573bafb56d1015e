"""What the device that a trial holds can do at best; measured once and stored in the cache folder."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict

from pipeline.backend import tf
from pipeline.files import expand_home, write_content
from pipeline.hardware.device import ClaimedDevice
from pipeline.profiling.roofline import DevicePeaks

SIDE = {"cpu": 1024, "gpu": 8192}
"""Of the square matrices that are multiplied."""
ARRAYS = {"cpu": (2**16, 2**18, 2**19, 2**20, 2**21, 2**23, 2**26), "gpu": (2**24, 2**28)}
"""Bytes of an array of the triad: for each level of a CPU's memory, and a GPU's cache and memory."""
SECONDS = 0.25
"""Of each measurement; the best call of it counts."""
REPEATS = 16
"""Products or triads in a call, so that calling weighs little."""


def load_or_measure_peaks(device: ClaimedDevice, cache_dir: str) -> DevicePeaks:
    """Load the peaks of this device (as many cores, the same TensorFlow), or measure and store them."""
    name = _make_file_name(f"{device.name} tensorflow {tf.__version__}")
    path = expand_home(cache_dir) / "ceilings" / f"{name}.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        bandwidth = [(size, rate) for size, rate in stored["bandwidth"]]
        return DevicePeaks(stored["device"], stored["flops"], bandwidth)
    peaks = measure_peaks(device)
    write_content(path, json.dumps(asdict(peaks), indent=1))
    return peaks


def _make_file_name(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def measure_peaks(device: ClaimedDevice) -> DevicePeaks:
    """Measure matrix products and triads for some seconds."""
    types = ["float32", "bfloat16", *(["float16"] if device.kind == "gpu" else ["float64"])]
    with tf.device(device.tf_device):
        flops = {name: measure_product(SIDE[device.kind], name) for name in types}
        bandwidth = [(2 * size, measure_triad(size)) for size in ARRAYS[device.kind]]
    return DevicePeaks(device.name, flops, bandwidth)


def measure_product(side: int, name: str) -> float:
    """Return operations a second of a square matrix product, operands and result in the type `name`."""
    left = tf.cast(tf.random.stateless_normal((side, side), (0, 1)), name)
    right = tf.cast(tf.random.stateless_normal((side, side), (0, 2)), name)
    multiply = tf.function(lambda: tf.matmul(left, right), autograph=False)
    return 2 * side**3 / time_fastest_call(multiply)


def measure_triad(size: int) -> float:
    """Return bytes a second of `y += x` over two arrays of `size` bytes: two are read, one is written."""
    added = tf.fill([size // 4], 1e-9)
    sums = tf.Variable(tf.zeros([size // 4]))

    def add() -> None:
        for _ in range(REPEATS):
            sums.assign_add(added)

    return 3 * size * REPEATS / time_fastest_call(tf.function(add, autograph=False))


def time_fastest_call(call: Callable[[], object]) -> float:
    """Return the seconds of the quickest of some calls, after one that is not counted."""
    call()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        tf.test.experimental.sync_devices()
        start = time.perf_counter()
        call()
        tf.test.experimental.sync_devices()
        best = min(best, time.perf_counter() - start)
    return best
