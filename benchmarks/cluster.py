"""`python -m benchmarks.cluster`: what a slot of a Ray cluster costs beside a process of our own.

Jobs of a few epochs on the embedded digits, warm, by one process and by one slot of a Ray cluster of this
machine alone, in turns: wall seconds a job, and CPU-seconds of all processes together. Then the process of a
slot is killed in the midst of a job, again and again: seconds until the pool says so, and until the next slot
trains. No network is between them, so what crosses one is not measured.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.cli.compose import compose
from pipeline.search.workers.job import Job, Progress
from pipeline.search.workers.pool import Event, Stoppage, WorkerPool

WORDS = ("device=cpu", "train.epochs=5", "schedule=cosine", "pruning=none")
LONG = "train.epochs=100000"
SLOT = "ray::Slot"
"""How Ray names the process of a slot."""
HEAD = ["pool", "seconds a job: median (min-max)", "CPU-seconds a job of all processes", "n"]
MOST_SLOWER = 1.2


@dataclass(frozen=True, slots=True)
class Round:
    """One round of jobs by one pool: wall and CPU-seconds a job."""

    seconds: float
    cpu_seconds: float


def make_pools() -> tuple[WorkerPool, WorkerPool]:
    """A pool of one process, and one of one slot."""
    from pipeline.hardware.device import claim_device
    from pipeline.search.workers.cluster.ray_pool import open_ray_pool
    from pipeline.search.workers.process_pool import make_worker_pool

    settings = compose([*WORDS, "cluster=ray", "cluster.address=local", "cluster.slots=1"]).settings
    slots, _ = open_ray_pool(settings)
    return make_worker_pool(compose(WORDS).settings, claim_device(settings.device)), slots


def iterate_events(pool: WorkerPool) -> Iterator[Event]:
    while True:
        yield from pool.events(())


def do_job(pool: WorkerPool, number: int) -> None:
    pool.start(Job(number=number, settings=compose([*WORDS, f"train.seed={number}"]).settings))
    next(event for _, event in iterate_events(pool) if not isinstance(event, Progress))


def count_cpu_seconds() -> float:
    """Of this process and all that it has started."""
    own = psutil.Process()
    seconds = 0.0
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def time_round(pool: WorkerPool, jobs: int) -> Round:
    while not pool.count_free():
        time.sleep(0.1)
    started, cpu = time.perf_counter(), count_cpu_seconds()
    for number in range(jobs):
        do_job(pool, number)
    return Round((time.perf_counter() - started) / jobs, (count_cpu_seconds() - cpu) / jobs)


def time_loss(pool: WorkerPool) -> tuple[float, float]:
    """Seconds until a killed slot is noticed, and until the next one has ended a job."""
    pool.start(Job(number=0, settings=compose([*WORDS, LONG]).settings))
    events = iterate_events(pool)
    next(event for _, event in events if isinstance(event, Progress))
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(SLOT):
                process.kill()
    killed = time.perf_counter()
    loss = next(event for _, event in events if not isinstance(event, Progress))
    noticed = time.perf_counter() - killed
    assert isinstance(loss, Stoppage), loss
    do_job(pool, 0)
    return noticed, time.perf_counter() - killed


def tabulate(rounds: dict[str, list[Round]]) -> list[list[str]]:
    rows = []
    for name, found in rounds.items():
        wall = [each.seconds for each in found]
        cpu = median(each.cpu_seconds for each in found)
        spread = f"{median(wall):.4f} ({min(wall):.4f}-{max(wall):.4f})"
        rows.append([name, spread, f"{cpu:.4f}", str(len(found))])
    return rows


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=12, help="a round (12)")
    parser.add_argument("--losses", type=int, default=5)
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    rounds: dict[str, list[Round]] = {"processes": [], "slots of Ray": []}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FULCRUM_CACHE"] = f"{folder}/prepared"
        processes, slots = make_pools()
        with closing(processes), closing(slots):
            for pool in (processes, slots):
                time_round(pool, 2)  # compiles
            for _ in range(told.rounds):
                for name, pool in zip(rounds, (processes, slots), strict=True):
                    rounds[name].append(time_round(pool, told.jobs))
            losses = [time_loss(slots) for _ in range(told.losses)]
    about |= {"load_after": machine.about()["load"]}
    ours, theirs = (median(each.seconds for each in found) for found in rounds.values())
    text = "wall seconds of a job by a slot, as a part of those by a process"
    goal = Goal(text, MOST_SLOWER, theirs / ours, at_most=True)
    noticed, again = ([loss[number] for loss in losses] for number in (0, 1))
    first = f"{median(noticed):.2f} s ({min(noticed):.2f}-{max(noticed):.2f})"
    second = f"{median(again):.1f} s ({min(again):.1f}-{max(again):.1f})"
    below = [
        f"A killed slot is noticed after {first}, and another has ended a job {second} after the kill; "
        f"n = {len(losses)}."
    ]
    load = f"load before {about['load']}, after {about['load_after']}"
    where = (
        f"{about['date']}, {about['device']}; {load}; {told.jobs} jobs a round, in turns. `{' '.join(WORDS)}`"
    )
    rows = tabulate(rounds)
    raw = {name: [asdict(each) for each in found] for name, found in rounds.items()}
    text = report.page("A slot of a cluster and a process", HEAD, rows, [goal], *below, where)
    machine.keep(told.out, about, "cluster", {"rounds": raw, "losses": losses}, text)
    for row in rows:
        console.print("  ".join(row), highlight=False)
    console.print(*below, highlight=False)
    console.print(report.goal_table([goal]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
