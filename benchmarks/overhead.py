"""`python -m benchmarks.overhead`: what a trial of a sweep costs beside training, compiling and warming up.

A real sweep on the embedded digits with the frontier sampler, SQLite and MLflow, in one warm process:
compose, propose, look the data up, validate, record, refresh the frontier. Once in a young study, once in one
that already holds many trials, which are written into it beforehand.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.settings import addresses

WORDS = ("search=standard", "search.enqueue=[]", "search.confirm=0", "train.epochs=3", "device=cpu")
HEAD = ["trials before", "seconds a trial: median (min-max)", "proposing", "the rest", "n"]


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds beside training, compiling and warming up, one a trial; `proposing`: the sampler's part."""

    before: int
    seconds: tuple[float, ...]
    proposing: tuple[float, ...]

    def row(self) -> list[str]:
        middle, asked = median(self.seconds), median(self.proposing)
        return [
            str(self.before),
            f"{middle:.3f} ({min(self.seconds):.3f}-{max(self.seconds):.3f})",
            f"{asked:.3f}",
            f"{middle - asked:.3f}",
            str(len(self.seconds)),
        ]


def measure(before: int, trials: int) -> Overhead:
    """A study with `before` invented trials, and `trials` real ones on top."""
    from pipeline.cli.sweep import command as sweep_command
    from pipeline.cli.sweep.observer import StudyObserver
    from pipeline.search import ask_tell
    from pipeline.search.study_store import StudyStore
    from pipeline.search.workers.dispatcher import Dispatcher
    from pipeline.search.workers.job import TrialOutcome

    words = [*WORDS, f"search.study=after-{before}", f"search.trials={before + trials}"]
    fill(words, before)
    stops: list[float] = []
    asked: list[float] = []
    apart: list[float] = []
    propose, write = ask_tell.TrialSuggester.suggest, Dispatcher.write_outcomes

    def timed_propose(self: ask_tell.TrialSuggester) -> object:
        start = time.perf_counter()
        found = propose(self)
        asked.append(time.perf_counter() - start)
        return found

    def timed_write(self: Dispatcher, store: StudyStore, outcomes: Mapping[int, TrialOutcome]) -> None:
        write(self, store, outcomes)
        ((_, outcome),) = outcomes.items()  # one worker
        seconds = outcome.seconds
        apart.append(seconds.train + seconds.compile + seconds.warm_up)
        stops.append(time.perf_counter())

    # Models are kept at the end of a study, not with each trial, and invented trials have none.
    with (
        patch.object(ask_tell.TrialSuggester, "suggest", timed_propose),
        patch.object(Dispatcher, "write_outcomes", timed_write),
        patch.object(StudyObserver, "finish", lambda *_: None),
    ):
        sweep_command.run(words)
    # The first trial compiles and reads the study; from the second on the process is warm.
    laps = [
        later - earlier - spent for earlier, later, spent in zip(stops, stops[1:], apart[1:], strict=False)
    ]
    return Overhead(before, tuple(laps), tuple(asked[1 : len(laps) + 1]))


def fill(words: Sequence[str], count: int) -> None:
    """Finished trials with invented curves, as a long sweep would have left them."""
    from pipeline.cli.sweep import plan as plans
    from pipeline.hardware import device
    from pipeline.search import study_store
    from pipeline.search.ask_tell import TrialSuggester
    from pipeline.settings.search import Sampler

    plan = plans.make_plan(words)
    told = plan.command_line.settings
    held = device.claim_device(told.device, pin=True)
    ledger = study_store.StudyStore(
        addresses.make_study_address(), told.search.study or "", plan.describe_study(held.name)
    )
    asker = TrialSuggester(plan.space, Sampler.random, None, 0, 1)
    draw = np.random.default_rng(0)
    for _ in range(count):
        proposal = asker.suggest()
        assert proposal is not None
        number = ledger.begin(proposal, count)
        assert number is not None
        cost, rate = math.exp(draw.normal(-5, 1)), draw.uniform(0.2, 0.8)
        curve = [[epoch, cost * epoch, 1 - 0.5 * epoch**-rate] for epoch in range(1, 4)]
        outcome = {
            "state": "complete", "reason": "", "run_id": None, "command": "", "params": dict(proposal.params),
            "curve": curve, "fair_midway": True, "paid_seconds": 3 * cost, "device": held.name,
            "ended": time.time(), "latency_p99_ms": None, "parameters": None,
        }  # fmt: skip
        ledger.finish(number, outcome)


def goals(found: Sequence[Overhead]) -> list[Goal]:
    """The limits are those of a study with 100 and with 2,000 trials."""
    return [
        Goal(
            f"seconds a trial beside training, {each.before} trials before",
            0.15 if each.before <= 100 else 0.3,
            median(each.seconds),
            " s",
            at_most=True,
        )
        for each in found
    ]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--before", type=int, nargs="*", default=[100, 2000], help="trials in the study")
    parser.add_argument("--trials", type=int, default=20, help="trials timed in each (20)")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ["FULCRUM_CACHE"] = f"{folder}/cache/prepared"
        for before in told.before:
            found.append(measure(before, told.trials))
            console.print("  ".join(found[-1].row()), highlight=False)
    about |= {"load_after": machine.about()["load"]}
    where = f"{about['date']}, {about['device']}; load before {about['load']}, after {about['load_after']}."
    rows, judged = [each.row() for each in found], goals(found)
    text = report.page("Overhead of a trial", HEAD, rows, judged, where, f"`{' '.join(WORDS)}`")
    machine.keep(told.out, about, "overhead", {"overhead": [asdict(each) for each in found]}, text)
    console.print(report.goal_table(goals(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
