"""`python -m benchmarks.record SPACE`: train real configurations whole and keep their curves as a table.

A line of a table is `{"params": {...}, "curve": [[epoch, device_seconds, accuracy], ...]}`: the words that
repeat the trial, then what the product's own meter and validation split said after every epoch. Trials are
drawn at random from the space and recorded from the least work to the most; what does not fit into
`--core-seconds` is left out, the largest first. `benchmarks.replay` reads such a table, this or any other.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline.cli.compose import compose
from pipeline.errors import Diverged
from pipeline.settings.settings import Settings

TABLES = Path(__file__).resolve().parent / "tables"
TRAIN, VALIDATION, TEST = 12_000, 3_000, 2_000
"""Images of the MNIST subset, drawn without replacement: the first two from the official training split."""


@dataclass(frozen=True, slots=True)
class Space:
    """Ranges of an MLP and the words that say on which data; rates by optimizer."""

    words: tuple[str, ...]
    hidden: tuple[int, int]
    batches: tuple[int, ...]
    rates: Mapping[str, tuple[float, float]]
    momentum: tuple[float, float] = (0.0, 0.95)
    precisions: tuple[str, ...] = ("float32", "mixed_bfloat16")


SPACES = {
    "mnist-12k": Space(
        words=("preprocess.validation=0.2",),
        hidden=(16, 1024),
        batches=(32, 128, 512),
        rates={"sgd": (0.01, 1.0), "adam": (1e-4, 3e-2)},
    ),
    "digits": Space(
        words=("data=digits", "preprocess.validation=0.4"),
        hidden=(8, 512),
        batches=(8, 16, 64, 256),
        rates={"sgd": (0.005, 0.5), "adam": (2e-4, 5e-2)},
    ),
}


def draw(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Random configurations, the least work first (weights x steps)."""
    random = np.random.default_rng(seed)
    found = [_one(space, random) for _ in range(count)]
    return sorted(found, key=lambda params: params["model.hidden"] / params["train.batch_size"])


def _one(space: Space, random: np.random.Generator) -> dict[str, Any]:
    optimizer = str(random.choice(list(space.rates)))
    params: dict[str, Any] = {
        "model.hidden": round(_log_uniform(space.hidden, random)),
        "optimizer": optimizer,
        "optimizer.learning_rate": float(f"{_log_uniform(space.rates[optimizer], random):.4g}"),
        "train.batch_size": int(random.choice(space.batches)),
        "precision": str(random.choice(space.precisions)),
    }
    if optimizer == "sgd":
        params["optimizer.momentum"] = round(float(random.uniform(*space.momentum)), 3)
    return params


def _log_uniform(ends: tuple[float, float], random: np.random.Generator) -> float:
    return math.exp(random.uniform(math.log(ends[0]), math.log(ends[1])))


def mnist_subset(data_dir: Path, path: Path, seed: int = 0) -> None:
    """A random subset of MNIST as one .npz; its test images are of the official test split."""
    from pipeline.data.sources import load
    from pipeline.settings.data import Mnist

    loaded = load(Mnist(fraction=1.0, in_memory_limit=sys.maxsize), data_dir)
    random = np.random.default_rng(seed)
    assert loaded.test is not None
    train = random.choice(len(loaded.train.labels), TRAIN + VALIDATION, replace=False)
    test = random.choice(len(loaded.test.labels), TEST, replace=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        features=loaded.train.features[train],
        labels=loaded.train.labels[train],
        test_features=loaded.test.features[test],
        test_labels=loaded.test.labels[test],
    )


def words_of(name: str) -> list[str]:
    """What comes before a trial's own words; makes the subset where it is not there."""
    words = ["device=cpu", *SPACES[name].words]
    if name != "mnist-12k":
        return words
    settings = compose([]).settings
    path = Path(settings.cache_dir).expanduser() / "mnist-12k.npz"
    if not path.is_file():
        mnist_subset(Path(settings.data_dir).expanduser(), path)
    arrays = ("data.test_features=test_features", "data.test_labels=test_labels")
    return [*words, "data=arrays", f"data.path={path}", *arrays]


def record(settings: Settings, prepared: Any) -> list[list[float]]:
    """[[epoch, device-seconds so far, validation accuracy], ...]; up to where it diverged."""
    from pipeline.trial.network import train_trial

    curve: list[list[float]] = []
    try:
        for trained in train_trial(prepared, settings):
            last = trained.curve.last
            row = [
                last.number,
                float(f"{last.device_seconds:.5g}"),
                round(float(last.validation_accuracy), 5),
            ]
            curve.append(row)
    except Diverged:
        pass
    return curve


def tables(name: str, trials: int, epochs: int, seed: int, core_seconds: float) -> Iterator[dict[str, Any]]:
    """Lines of the table, one a trial, until the core-seconds are spent."""
    from pipeline.data.preprocess import preprocess
    from pipeline.hardware import device

    first = words_of(name)
    settings = compose(first).settings
    prepared = preprocess(settings)
    device.claim_device(settings.device, pin=True)
    start = time.process_time()
    for number, params in enumerate(draw(SPACES[name], trials, seed)):
        words = [*first, f"train.epochs={epochs}", *(f"{key}={value}" for key, value in params.items())]
        told = compose(words).settings
        if number == 0:
            record(told, prepared)  # a rehearsal: the first trial of a process pays for more than itself
        if curve := record(told, prepared):
            yield {"params": params, "curve": curve}
        if time.process_time() - start > core_seconds:
            return


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.record", description=__doc__)
    parser.add_argument("space", choices=sorted(SPACES))
    parser.add_argument("--trials", type=int, default=250)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the configurations that are drawn")
    parser.add_argument("--core-seconds", type=float, default=1500.0)
    parser.add_argument("--table", type=Path, help="the file; the table of that name in benchmarks/tables")
    told = parser.parse_args(words)
    path = told.table or TABLES / f"{told.space}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    about, count = machine.about(), 0
    with path.open("w") as file:
        for row in tables(told.space, told.trials, told.epochs, told.seed, told.core_seconds):
            file.write(json.dumps(row) + "\n")
            file.flush()
            count += 1
    about |= {"trials": count, "drawn": told.trials, "seed": told.seed, "load_after": list(os.getloadavg())}
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{count} of {told.trials} configurations x {told.epochs} epochs in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
