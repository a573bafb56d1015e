"""`python -m benchmarks.live`: real sweeps on MNIST, ours against Optuna's TPE at equal device-seconds.

Each seed searches the standard space once with each sampler, in a store of its own, one after the other, the
first one alternating. TPE trains each configuration whole (`pruning=none`), and all its epochs count.
`--workers 2` adds ours with two workers at the same device-seconds; its gain is what came above the first
eight trials of one worker, as in `benchmarks.replay`. `--samplers frontier` leaves TPE out. The score is the
area over log device-seconds and log error that the points paid within the budget dominate, as a share of what
the points of all sweeps together dominate.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point

WORDS = ("data=mnist", "train.epochs=20", "device=cpu", "search.confirm=0", "search.enqueue=[]")
SAMPLERS = {"frontier": (), "tpe": ("pruning=none",)}
OURS = "frontier"
FIRST_TRIALS = 8
PARALLEL = 0.95
"""The least part of one worker's gain."""
HEAD = ["sampler", "hypervolume: median (min-max)", "trials", "best accuracy", "seeds"]


@dataclass(frozen=True, slots=True)
class Swept:
    """One sweep; `points` (accuracy, device-seconds) that were paid within the budget.

    `first`: how many of them the first eight trials came to; `seconds`: of the whole command.
    """

    sampler: str
    seed: int
    trials: int
    points: tuple[tuple[float, float], ...]
    first: int = 0
    workers: int = 1
    seconds: float = 0.0

    def plane(self) -> list[Point]:
        return [Point(*each) for each in self.points]


def name_of(sampler: str, workers: int) -> str:
    return sampler if workers == 1 else f"{sampler}, {workers} workers"


def sweep(
    sampler: str,
    seed: int,
    budget: float,
    more: Sequence[str],
    workers: int = 1,
    base: Sequence[str] = WORDS,
) -> Swept:
    """A whole sweep in a process of its own. `base`: the words that say what is trained."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        words = [
            *(*base, *SAMPLERS[sampler], *more, f"search.sampler={sampler}", f"search.seed={seed}"),
            f"search.workers={workers}",
            *("search.study=live", "search.trials=100000", f"search.budget_device_seconds={budget}"),
        ]
        command = [sys.executable, "-m", "pipeline", "sweep", *words]
        start = time.perf_counter()
        done = subprocess.run(
            command,
            env={**os.environ, "MLFLOW_TRACKING_URI": uri},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-2000:])
        found = _read(sampler, seed, budget, f"sqlite:///{folder}/studies.db")
        return replace(
            found,
            sampler=name_of(sampler, workers),
            workers=workers,
            seconds=round(time.perf_counter() - start, 1),
        )


def _read(sampler: str, seed: int, budget: float, address: str) -> Swept:
    from pipeline.search.study_store import StudyStore
    from pipeline.search.trial_rows import read_results

    tried, spent, points, first = read_results(StudyStore(address, "live"), "mnist").trials, 0.0, [], 0
    for number, each in enumerate(tried):
        curve = each.points
        before = curve[-1].device_seconds - each.paid_seconds if curve else 0.0  # of a trial that went on
        points += [
            (point.accuracy, point.device_seconds)
            for point in curve
            if spent + point.device_seconds - before <= budget
        ]
        spent += each.paid_seconds
        first = len(points) if number < FIRST_TRIALS else first
    return Swept(sampler, seed, len(tried), tuple(points), first)


def scores(found: Sequence[Swept]) -> dict[str, list[float]]:
    """Shares by sampler, a seed each."""
    together = [point for each in found for point in each.plane()]
    bounds = Bounds.enclose(together)
    whole = compute_log_hypervolume(together, bounds)
    return {
        sampler: [
            compute_log_hypervolume(each.plane(), bounds) / whole for each in found if each.sampler == sampler
        ]
        for sampler in dict.fromkeys(each.sampler for each in found)
    }


def parts_of_gain(found: Sequence[Swept]) -> list[float]:
    """What several workers gained as parts of what one worker gained, a seed each."""
    bounds = Bounds.enclose([point for each in found for point in each.plane()])
    parts = []
    for several in (each for each in found if each.workers > 1):
        (alone,) = (each for each in found if (each.sampler, each.seed) == (OURS, several.seed))
        base = compute_log_hypervolume(alone.plane()[: alone.first], bounds)
        gains = [compute_log_hypervolume(each.plane(), bounds) - base for each in (several, alone)]
        parts.append(gains[0] / gains[1] if gains[1] > 0 else 1.0)
    return parts


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
    told, goals = scores(found), []
    ours = told[OURS]
    if theirs := told.get("tpe"):
        ahead = sum(one > other for one, other in zip(ours, theirs, strict=True))
        goals += [
            Goal("hypervolume over TPE's, medians", 1.0, median(ours) / median(theirs), "x"),
            Goal(f"seeds of {len(ours)} in which ours is larger", len(ours), ahead, ""),
        ]
    if parts := parts_of_gain(found):
        goals.append(Goal("part of one worker's gain, median of the seeds", PARALLEL, median(parts), ""))
    return goals


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.live", description=__doc__)
    parser.add_argument("--budget", type=float, default=60.0, help="device-seconds of each sweep (60)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    parser.add_argument("--workers", type=int, default=1, help="ours with so many workers, too")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    parser.add_argument("more", nargs="*", help="more words for all sweeps, such as data.fraction=0.25")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    found: list[Swept] = []
    runs = [(sampler, 1) for sampler in dict.fromkeys([OURS, *told.samplers])]
    runs += [(OURS, told.workers)] if told.workers > 1 else []
    for seed in range(told.seeds):
        for sampler, workers in runs[:: 1 if seed % 2 else -1]:
            found.append(sweep(sampler, seed, told.budget, told.more, workers))
            last = found[-1]
            line = f"{last.sampler}, seed {seed}: {last.trials} trials, {last.seconds:.0f} s"
            console.print(line, highlight=False)
    about |= {"load_after": machine.about()["load"], "budget": told.budget, "more": told.more}
    where = f"{about['date']}, {about['device']}; load before {about['load']}, after {about['load_after']}."
    line = " ".join(("python -m pipeline sweep", *WORDS, *told.more))
    how = f"`{line}`; TPE with `pruning=none`, all its epochs counted."
    title = f"Sweeps on MNIST for {told.budget:g} device-seconds each"
    text = report.page(title, HEAD, rows(found), goals(found), where, how)
    name = "live" if told.workers == 1 else f"live-{told.workers}-workers"
    machine.keep(told.out, about, name, {"sweeps": [asdict(each) for each in found]}, text)
    console.print(report.goal_table(goals(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
