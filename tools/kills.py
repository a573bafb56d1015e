"""Kill sweeps again and again, and look whether anything is lost: `python -m tools.kills --kills 20`.

A small search on digits is killed with SIGKILL and started again; after the end of each study both of its
records are compared, and whatever a kill may leave is looked for. Half of the kills come at a random time
(the process alone, it and its workers, or one worker), half before a random write into one of the databases
or to the tracking server (`--tracking server`).
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psutil

from pipeline.settings.addresses import make_sqlite_address
from tests.support.killed_sweeps import EndedStudy, KilledSweep, list_workers, make_context
from tests.support.mlflow_server import running_mlflow_server
from tests.support.postgres import find_programs, running_postgres

TRIALS, CONFIRMED = 8, 1
WORDS = ("search=smoke", f"search.trials={TRIALS}", f"search.confirm={CONFIRMED}", "train.epochs=3")
LONGEST_SECONDS = 6.0
"""A kill comes at most so long after a start; a study of some trials takes several starts."""
MOST_WRITES = 250
"""A start that is not killed makes some such number of commits."""
END_SECONDS = 600.0


@dataclass
class Tally:
    """What was done so far, and what was found."""

    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    trials: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ground:
    """Where the studies of a session lie, and how they are searched."""

    folder: Path
    storage: str
    workers: int
    context: ForkServerContext
    draw: random.Random

    def make_sweep(self, study: str, at_write: int | None = None) -> KilledSweep:
        words = (*WORDS, f"search.study={study}", f"search.workers={self.workers}", "device=cpu")
        return KilledSweep(
            words=(*words, f"search.storage={self.storage}"),
            environment=dict(os.environ),
            output=self.folder / "output.txt",
            at_write=at_write,
        )


def kill_once(ground: Ground, study: str) -> str | None:
    """Start the search and kill it; return how, or None where it came to its end before."""
    draw = ground.draw
    if draw.random() < 0.5:
        # Most come early: each start reads and opens before it writes down a trial.
        process = ground.make_sweep(study, 1 + int(MOST_WRITES * draw.random() ** 2)).start(ground.context)
        process.join(END_SECONDS)
        return "before a write" if process.exitcode == -9 else _check_end(ground, process)
    process = ground.make_sweep(study).start(ground.context)
    process.join(draw.uniform(0.2, LONGEST_SECONDS))
    if not process.is_alive():
        return _check_end(ground, process)
    kind = draw.choice(("the process alone", "process and workers", "one worker"))
    workers = list_workers(process)
    if kind == "one worker" and workers:
        _kill(draw.choice(workers))
        process.join(draw.uniform(0.2, LONGEST_SECONDS))
    if process.is_alive():
        process.kill()
        process.join()
    if kind == "process and workers":
        for worker in workers:
            _kill(worker)
    return kind


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _check_end(ground: Ground, process: ForkServerProcess) -> None:
    if process.exitcode != 0:
        said = (ground.folder / "output.txt").read_text()[-3000:]
        raise SystemExit(f"a sweep ended with exit code {process.exitcode}:\n{said}")


def finish(ground: Ground, study: str) -> None:
    """Let the search come to its end."""
    process = ground.make_sweep(study).start(ground.context)
    process.join(END_SECONDS)
    if process.is_alive():
        process.kill()
        raise SystemExit(f"study {study} did not end within {END_SECONDS:.0f} s")
    _check_end(ground, process)
    deadline = time.monotonic() + 30
    while (
        list_workers(process) and time.monotonic() < deadline
    ):  # those of killed processes end within a second
        time.sleep(0.1)


def kill_until(ground: Ground, kills: int, per_study: int) -> Tally:
    """Kill until so many kills are done, and look at each study after its end."""
    tally = Tally()
    while tally.kills.total() < kills and not tally.faults:
        study = f"killed {tally.studies}"
        here = 0
        while here < per_study and tally.kills.total() < kills:
            kind = kill_once(ground, study)
            if kind is None:
                break
            tally.kills[kind] += 1
            here += 1
        finish(ground, study)
        ended = EndedStudy(name=study, trials=TRIALS, storage=ground.storage, folder=ground.folder)
        faults = ended.find_faults()
        tally.faults += [f"{study}: {fault}" for fault in faults]
        tally.studies += 1
        tally.trials += TRIALS
        print(f"{study}: {here} kills, {'; '.join(faults) or 'whole'}", flush=True)
    return tally


def print_table(tally: Tally, kills: int) -> None:
    """Print goal and what was reached."""
    rows = [
        ("kills", f"{kills}", f"{tally.kills.total()}"),
        *(("  " + kind, "", str(count)) for kind, count in sorted(tally.kills.items())),
        ("studies that came to their end", "all", f"{tally.studies}"),
        ("trials, each once in both records", "all", f"{tally.trials}"),
        ("lost, doubled, different, left RUNNING, left over", "0", f"{len(tally.faults)}"),
    ]
    for what, goal, reached in rows:
        print(f"{what:52} {goal:>6} {reached:>8}")


def end_session(folder: Path, faults: Sequence[str], is_whole: bool) -> int:
    """Print what was found; keep the files of a session that was not whole. Return the exit code."""
    for fault in faults:
        print(f"FAULT {fault}")
    if faults or not is_whole:
        print(f"the files are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def main() -> int:
    """Kill as the words say; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tools.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--tracking", choices=("sqlite", "server"), default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--per-study", type=int, default=10, help="kills of one study before it may end")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    (folder / "tmp").mkdir()
    os.environ |= {
        "FULCRUM_CACHE": str(folder / "cache" / "prepared"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(folder / "tmp"),
        "XDG_RUNTIME_DIR": "",
    }
    with ExitStack() as stack:
        tracking = make_sqlite_address(folder / "mlflow.db")
        if options.tracking == "server":
            tracking = stack.enter_context(running_mlflow_server(folder / "server"))
        os.environ["MLFLOW_TRACKING_URI"] = tracking
        storage = make_sqlite_address(folder / "studies.db")
        if options.storage == "postgresql":
            programs = find_programs()
            if programs is None:
                parser.error("PostgreSQL is not installed: apt-get install postgresql")
            storage = stack.enter_context(running_postgres(programs))
        draw = random.Random(options.seed)
        ground = Ground(folder, storage, options.workers, make_context(), draw)
        tally = kill_until(ground, options.kills, options.per_study)
    print_table(tally, options.kills)
    return end_session(folder, tally.faults, is_whole=True)


if __name__ == "__main__":
    sys.exit(main())
