"""`python -m benchmarks.record SPACE`: train real configurations whole and keep their curves as a table.

A line of a table is `{"params": {...}, "seed": 0, "curve": [[epoch, device_seconds, accuracy], ...]}`: the
words that repeat the trial, its `train.seed`, then what the product's own meter and validation split said
after every epoch (`benchmarks/tables/README.md`). Trials are drawn at random from the space. Where the table
is there already, what it lacks is added, so that a recording may be ended and begun again; its `.json` says
when. `--core-seconds` bounds one time: of an MLP the least work comes first, so that the largest is left out.
`benchmarks.replay` reads such a table, this or any other.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.recorded_spaces import SPACES, draw
from benchmarks.tables import load_public_tables
from pipeline.cli.compose import compose
from pipeline.errors import Diverged
from pipeline.frontier_sampler.encoding import make_key
from pipeline.settings.settings import Settings

TABLES = Path(__file__).resolve().parent / "tables"
TRAIN, VALIDATION, TEST = 12_000, 3_000, 2_000
"""Images of the MNIST subset, drawn without replacement: the first two from the official training split."""


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
    """What comes before a trial's own words; makes the file of the data where it is not there."""
    space = SPACES[name]
    words = ["device=cpu", *space.words]
    if not space.arrays and not space.table:
        return words
    settings = compose([]).settings
    folder = Path(settings.cache_dir).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    if space.table:
        path = folder / f"{space.table}.csv"
        frame, label = load_public_tables()[space.table]()
        frame.to_csv(path, index=False)
        return [*words, "data=csv", f"data.path={path}", f"data.label={label}"]
    path = folder / "mnist-12k.npz"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recording trains: so many configurations of a space, each with `seeds` seeds, for `epochs`."""

    name: str
    trials: int
    epochs: int
    seeds: int = 1
    drawn_by: int = 0

    def list_trials(self) -> list[tuple[dict[str, Any], int]]:
        """Return the configurations with their seeds; all of the first seed come first."""
        drawn = draw(SPACES[self.name], self.trials, self.drawn_by)
        return [(params, seed) for seed in range(self.seeds) for params in drawn]


def tables(plan: Plan, core_seconds: float, recorded: Collection[Any] = ()) -> Iterator[dict[str, Any]]:
    """Lines of the table that are not `recorded` yet, one a trial, until the core-seconds are spent."""
    from pipeline.data.preprocess import preprocess
    from pipeline.hardware import device

    wanted = [trial for trial in plan.list_trials() if _key(*trial) not in recorded]
    first = words_of(plan.name)
    settings = compose(first).settings
    prepared = preprocess(settings)
    device.claim_device(settings.device, pin=True)
    start = time.process_time()
    for number, (params, seed) in enumerate(wanted):
        own = (f"train.epochs={plan.epochs}", f"train.seed={seed}")
        told = compose([*first, *own, *(f"{key}={value}" for key, value in params.items())]).settings
        if number == 0:
            record(told, prepared)  # a rehearsal: the first trial of a process pays for more than itself
        if curve := record(told, prepared):
            yield {"params": params, "seed": seed, "curve": curve}
        if time.process_time() - start > core_seconds:
            return


def _key(params: Mapping[str, Any], seed: int) -> Any:
    return make_key(params), seed


def read_recorded(path: Path) -> set[Any]:
    """Read which trials a table has; a line that a kill has cut is taken off its end."""
    if not path.is_file():
        return set()
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    rows = [json.loads(line) for line in whole.splitlines()]
    return {_key(row["params"], row.get("seed", 0)) for row in rows}


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.record", description=__doc__)
    parser.add_argument("space", choices=sorted(SPACES))
    parser.add_argument("--trials", type=int, default=250, help="configurations that are drawn")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="each configuration with train.seed=0, 1, ...")
    parser.add_argument("--seed", type=int, default=0, help="of the configurations that are drawn")
    parser.add_argument("--core-seconds", type=float, default=1500.0)
    parser.add_argument("--table", type=Path, help="the file; the table of that name in benchmarks/tables")
    told = parser.parse_args(words)
    path = told.table or TABLES / f"{told.space}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = Plan(name=told.space, trials=told.trials, epochs=told.epochs, seeds=told.seeds, drawn_by=told.seed)
    recorded = read_recorded(path)
    count = len(recorded)
    about = machine.about()
    for row in tables(plan, told.core_seconds, recorded):
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        count += 1
        _write_about(path.with_suffix(".json"), about, plan, count)
    print(f"{count} of {told.trials} configurations x {told.seeds} seeds x {told.epochs} epochs in {path}")
    return 0


def _write_about(path: Path, about: Mapping[str, Any], plan: Plan, count: int) -> None:
    """Write where and when the rows were recorded, time by time; the times of before stay."""
    times = json.loads(path.read_text()).get("times", []) if path.is_file() else []
    own = {
        "date": about["date"],
        "ended": machine.about()["date"],
        "load": about["load"],
        "load_after": [round(load, 2) for load in os.getloadavg()],
    }
    times = [each for each in times if each["date"] != own["date"]] + [own]
    shown = {key: about[key] for key in ("device", "instructions", "cores", "versions")}
    shown |= {
        "words": ["device=cpu", *SPACES[plan.name].words],
        "data": SPACES[plan.name].table or ("mnist-12k" if SPACES[plan.name].arrays else plan.name),
        "drawn": plan.trials,
        "seed": plan.drawn_by,
        "seeds": plan.seeds,
        "epochs": plan.epochs,
        "trials": count,
        "times": times,
    }
    path.write_text(json.dumps(shown, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
