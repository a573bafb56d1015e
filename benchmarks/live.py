"""`python -m benchmarks.live`: real sweeps on MNIST, ours against Optuna's TPE at equal device-seconds.

Each seed searches the standard space twice, once with each sampler, in a store of its own, one after the
other, the first one alternating. TPE trains each configuration whole (`pruning=none`), and all its epochs
count. The score is the area over log device-seconds and log error that the points paid within the budget
dominate, as a share of what the points of all sweeps together dominate.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.frontier import Bounds, compute_log_hypervolume
from pipeline.measures import Point

WORDS = ("data=mnist", "train.epochs=20", "device=cpu", "search.confirm=0", "search.enqueue=[]")
SAMPLERS = {"frontier": (), "tpe": ("pruning=none",)}
HEAD = ["sampler", "hypervolume: median (min-max)", "trials", "best accuracy", "seeds"]


@dataclass(frozen=True, slots=True)
class Swept:
    """One sweep; `points` (accuracy, device-seconds) that were paid within the budget."""

    sampler: str
    seed: int
    trials: int
    points: tuple[tuple[float, float], ...]

    def plane(self) -> list[Point]:
        return [Point(*each) for each in self.points]


def sweep(sampler: str, seed: int, budget: float, more: Sequence[str]) -> Swept:
    """A whole sweep in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        words = [
            *(*WORDS, *SAMPLERS[sampler], *more, f"search.sampler={sampler}", f"search.seed={seed}"),
            *("search.study=live", "search.trials=100000", f"search.budget_device_seconds={budget}"),
        ]
        command = [sys.executable, "-m", "pipeline", "sweep", *words]
        done = subprocess.run(
            command,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-2000:])
        return _read(sampler, seed, budget, f"sqlite:///{folder}/studies.db")


def _read(sampler: str, seed: int, budget: float, address: str) -> Swept:
    from pipeline.search.study_store import StudyStore
    from pipeline.search.trial_rows import read_results

    tried, spent, points = read_results(StudyStore(address, "live"), "mnist").trials, 0.0, []
    for each in tried:
        curve = each.points
        before = curve[-1].device_seconds - each.paid_seconds if curve else 0.0  # of a trial that went on
        points += [
            (point.accuracy, point.device_seconds)
            for point in curve
            if spent + point.device_seconds - before <= budget
        ]
        spent += each.paid_seconds
    return Swept(sampler, seed, len(tried), tuple(points))


def scores(found: Sequence[Swept]) -> dict[str, list[float]]:
    """Shares by sampler, a seed each."""
    together = [point for each in found for point in each.plane()]
    bounds = Bounds.enclose(together)
    whole = compute_log_hypervolume(together, bounds)
    return {
        sampler: [
            compute_log_hypervolume(each.plane(), bounds) / whole for each in found if each.sampler == sampler
        ]
        for sampler in SAMPLERS
    }


def rows(found: Sequence[Swept]) -> list[list[str]]:
    told = []
    for sampler, shares in scores(found).items():
        own = [each for each in found if each.sampler == sampler]
        best = median(max(point.accuracy for point in each.plane()) for each in own)
        spread = f"{median(shares):.3f} ({min(shares):.3f}-{max(shares):.3f})"
        told.append(
            [sampler, spread, f"{median(each.trials for each in own):g}", f"{best:.2%}", str(len(own))]
        )
    return told


def goals(found: Sequence[Swept]) -> list[Goal]:
    ours, theirs = scores(found)["frontier"], scores(found)["tpe"]
    ahead = sum(one > other for one, other in zip(ours, theirs, strict=True))
    return [
        Goal("hypervolume over TPE's, medians", 1.0, median(ours) / median(theirs), "x"),
        Goal(f"seeds of {len(ours)} in which ours is larger", len(ours), ahead, ""),
    ]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.live", description=__doc__)
    parser.add_argument("--budget", type=float, default=60.0, help="device-seconds of each sweep (60)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    parser.add_argument("more", nargs="*", help="more words for all sweeps, such as data.fraction=0.25")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    found: list[Swept] = []
    for seed in range(told.seeds):
        for sampler in list(SAMPLERS)[:: 1 if seed % 2 else -1]:
            found.append(sweep(sampler, seed, told.budget, told.more))
            console.print(f"{sampler}, seed {seed}: {found[-1].trials} trials", highlight=False)
    about |= {"load_after": machine.about()["load"], "budget": told.budget, "more": told.more}
    where = f"{about['date']}, {about['device']}; load before {about['load']}, after {about['load_after']}."
    line = " ".join(("python -m pipeline sweep", *WORDS, *told.more))
    how = f"`{line}`; TPE with `pruning=none`, all its epochs counted."
    title = f"Sweeps on MNIST for {told.budget:g} device-seconds each"
    text = report.page(title, HEAD, rows(found), goals(found), where, how)
    machine.keep(told.out, about, "live", {"sweeps": [asdict(each) for each in found]}, text)
    console.print(report.goal_table(goals(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
