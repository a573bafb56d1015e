"""What the device that a trial holds can do at best; measured once and kept in the cache folder."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pipeline.backend import tf
from pipeline.hardware.device import Held
from pipeline.profiling.roofline import Ceilings

SIDE = {"cpu": 1024, "gpu": 8192}
"""Of the square matrices that are multiplied."""
ARRAYS = {"cpu": (2**16, 2**18, 2**19, 2**20, 2**21, 2**23, 2**26), "gpu": (2**24, 2**28)}
"""Bytes of an array of the triad: for each level of a CPU's memory, and a GPU's cache and memory."""
SECONDS = 0.25
"""Of each measurement; the best call of it counts."""
REPEATS = 16
"""Products or triads in a call, so that calling weighs little."""


def ceilings(held: Held, cache_dir: str) -> Ceilings:
    """From the cache if this device was measured before with as many cores and this TensorFlow."""
    path = (
        Path(cache_dir).expanduser()
        / "ceilings"
        / f"{_slug(f'{held.name} tensorflow {tf.__version__}')}.json"
    )
    if path.is_file():
        kept = json.loads(path.read_text())
        return Ceilings(kept["device"], kept["flops"], [(size, rate) for size, rate in kept["bandwidth"]])
    found = measure(held)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{time.time_ns()}")
    draft.write_text(json.dumps(asdict(found), indent=1))
    draft.replace(path)
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def measure(held: Held) -> Ceilings:
    """Some seconds of matrix products and triads."""
    types = ["float32", "bfloat16", *(["float16"] if held.kind == "gpu" else ["float64"])]
    with tf.device(held.place):
        flops = {name: product(SIDE[held.kind], name) for name in types}
        bandwidth = [(2 * size, triad(size)) for size in ARRAYS[held.kind]]
    return Ceilings(held.name, flops, bandwidth)


def product(side: int, name: str) -> float:
    """Operations a second of a square matrix product, operands and result in the type `name`."""
    left = tf.cast(tf.random.stateless_normal((side, side), (0, 1)), name)
    right = tf.cast(tf.random.stateless_normal((side, side), (0, 2)), name)
    multiply = tf.function(lambda: tf.matmul(left, right), autograph=False)
    return 2 * side**3 / fastest(multiply)


def triad(size: int) -> float:
    """Bytes a second of `y += x` over two arrays of `size` bytes: two are read, one is written."""
    added = tf.fill([size // 4], 1e-9)
    sums = tf.Variable(tf.zeros([size // 4]))

    def add() -> None:
        for _ in range(REPEATS):
            sums.assign_add(added)

    return 3 * size * REPEATS / fastest(tf.function(add, autograph=False))


def fastest(call: Callable[[], object]) -> float:
    """Seconds of the quickest of some calls, after one that is not counted."""
    call()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        tf.test.experimental.sync_devices()
        start = time.perf_counter()
        call()
        tf.test.experimental.sync_devices()
        best = min(best, time.perf_counter() - start)
    return best
