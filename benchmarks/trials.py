"""The child of `benchmarks.clock`: `python -m benchmarks.trials CORES REPEATS WORDS...`.

Keeps to `CORES` (comma-separated), trains once as a rehearsal, says `ready`, waits for a line, then trains
REPEATS times and prints a line of JSON for each trial.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import cells, worker


def main(words: Sequence[str]) -> int:
    os.sched_setaffinity(0, {int(core) for core in words[0].split(",")})
    repeats, told = int(words[1]), words[2:]
    from pipeline.cli.compose import compose
    from pipeline.data.preprocess import preprocess

    settings = compose(told).settings
    if "data=mnist" in told and not cells.mnist_there():
        prepared = cells.random_bytes()
    else:
        prepared = preprocess(settings)
    trial(settings, prepared)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(repeats):
        print(json.dumps(trial(settings, prepared)), flush=True)
    return 0


def trial(settings: Any, prepared: Any) -> dict[str, float]:
    """What the product's meter says of the whole curve; `core_share`: core seconds by wall seconds."""
    from pipeline.trial.network import train_to_end

    start, computed = time.perf_counter(), time.process_time()
    last = train_to_end(prepared, settings)
    epochs = last.curve.epochs
    return {
        "device_seconds": last.curve.last.device_seconds,
        "train_seconds": last.seconds.train,
        "contended": sum(bool(epoch.contended) for epoch in epochs) / len(epochs),
        "core_share": (time.process_time() - computed) / (time.perf_counter() - start),
    }


def busy() -> None:
    """A neighbour: matrix products and passes over memory without end; says `ready` when it is at work."""
    import numpy as np

    left, right = np.ones((512, 512), np.float32), np.ones(4_000_000, np.float32)
    print("ready", flush=True)
    while True:
        left = np.minimum(left @ left, 1)
        right *= 1.0


if __name__ == "__main__":
    if sys.argv[1] == "busy":
        worker.settle(None)  # threads of a trial are the product's own business, the neighbour has one
        busy()
    sys.exit(main(sys.argv[1:]))
