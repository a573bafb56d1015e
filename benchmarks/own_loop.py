"""`python -m benchmarks.own_loop`: training loops of one's own, in PyTorch, JAX, scikit-learn and XGBoost.

Each example of `docs/own-loop/` is run as its page says, which shows that it works where its framework is
installed (`make bench` has it). Then a sweep of it, an epoch a trial: the seconds until the first epoch has
ended and is recorded, and those that each further trial takes, both beside training. At last the sweep over
PyTorch's example, ours against Optuna's TPE at equal device-seconds, as in `benchmarks.live`: each seed
once with each, the first one alternating; TPE trains each configuration whole, and all its epochs count.
Where others use the machine, `--clock cpu` counts the CPU seconds of a sweep with all its processes instead
of wall seconds.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import live, machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.hardware.process_seconds import count_tree_seconds

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = {
    "scikit-learn": "sklearn",
    "pytorch": "torch",
    "jax": "jax",
    "xgboost": "xgboost",
    "command": "sklearn",
}
"""The pages of docs/own-loop/, and the framework that each of them needs."""
POLL_SECONDS = 0.1
START = "python -m pipeline "
TRIALS = 12
MOST_START, MOST_A_TRIAL = 3.0, 0.1
TORCH = (
    *("trial=function", "trial.call=examples.pytorch_loop:train", "width=tag(log,int(interval(8,512)))"),
    *("optimizer=sgd,adam", "lr=tag(log,interval(1e-4,1))", "batch=16,64,256", "epochs=30"),
    *("device=cpu", "search.confirm=0"),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of a command with all its processes (s), at moments (s since the epoch of the clock)."""

    begun: float = field(default_factory=time.time)
    samples: list[tuple[float, float]] = field(default_factory=list)

    def count_until(self, moment: float, clock: str) -> float:
        """The seconds from its begin to a moment, by the wall clock or those of the CPU."""
        if clock == "wall":
            return moment - self.begun
        times, seconds = zip((self.begun, 0.0), *self.samples, strict=True)
        return float(np.interp(moment, times, seconds))


@dataclass(frozen=True, slots=True)
class Timed:
    """A sweep of an example: seconds until its first epoch had ended, and of a further trial of one epoch.

    From both the device-seconds of training are taken off.
    """

    page: str
    start: float
    a_trial: float


def commands_of(page: str) -> list[str]:
    """The commands of a page, as its reader types them."""
    text = (CHECKOUT / "docs" / "own-loop" / f"{page}.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(START)]


def run(words: Sequence[str], folder: str) -> Spent:
    """Run a command, whose store lies in the folder, and return what it has spent."""
    spent = Spent()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        most = 0.0
        while process.poll() is None:
            most = max(most, count_tree_seconds(process.pid))
            spent.samples.append((time.time(), most))
            time.sleep(POLL_SECONDS)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{shlex.join(words)}: {errors.read().strip()[-2000:]}")
    return spent


def time_sweep(page: str, clock: str) -> Timed:
    """The sweep of a page with trials of one epoch, until the first one ended, and until the last one did."""
    words = shlex.split(commands_of(page)[1].removeprefix(START))
    typed = [word for word in words if not word.startswith(("epochs=", "search."))]
    more = [f"search.trials={1 + TRIALS}", "search.confirm=0", "search.study=s", "pruning=none"]
    with tempfile.TemporaryDirectory() as folder:
        spent = run([*typed, *more, "search.sampler=random", "epochs=1"], folder)
        ended = _read_ends(f"sqlite:///{folder}/studies.db")
    first, *others = [
        spent.count_until(moment, clock) - trained
        for (moment, _), trained in zip(ended, accumulate(trained for _, trained in ended), strict=True)
    ]
    return Timed(page, round(first, 2), round((others[-1] - first) / TRIALS, 3))


def _read_ends(address: str) -> list[tuple[float, float]]:
    """When each trial of the study had ended and was recorded, and the device-seconds of its training."""
    from pipeline.search.study_store import StudyStore
    from pipeline.search.trial_rows import read_results

    store = StudyStore(address, "s")
    trained = {trial.number: trial.paid_seconds for trial in read_results(store, "s").trials}
    ends = {row.number: row.datetime_complete.timestamp() for row in store.trials() if row.datetime_complete}
    return sorted((ends[number], seconds) for number, seconds in trained.items())


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.own_loop", description=__doc__)
    parser.add_argument("--budget", type=float, default=10.0, help="device-seconds of each sweep (10)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--pages", nargs="*", choices=list(PAGES), default=list(PAGES), help="examples to time"
    )
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use"
    )
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    there = [page for page, module in PAGES.items() if find_spec(module)]
    timed = []
    for page in (page for page in there if page in told.pages):
        with tempfile.TemporaryDirectory() as folder:
            run(shlex.split(commands_of(page)[0].removeprefix(START)), folder)
        timed.append(time_sweep(page, told.clock))
        console.print(
            f"{page}: start {timed[-1].start:.2f} s, a trial {timed[-1].a_trial:.3f} s", highlight=False
        )
    found: list[live.Swept] = []
    for seed in range(told.seeds if "pytorch" in there else 0):
        for sampler in list(live.SAMPLERS)[:: 1 if seed % 2 else -1]:
            found.append(live.sweep(sampler, seed, told.budget, (), base=TORCH))
            console.print(f"{sampler}, seed {seed}: {found[-1].trials} trials", highlight=False)
    goals = [Goal(f"{each.page}: start", MOST_START, each.start, "s", at_most=True) for each in timed]
    goals += [Goal(f"{each.page}: a trial", MOST_A_TRIAL, each.a_trial, "s", at_most=True) for each in timed]
    about |= {"load_after": machine.about()["load"], "budget": told.budget}
    where = f"{about['date']}, {about['device']}; load before {about['load']}, after {about['load_after']}."
    how = (
        f"`python -m pipeline sweep {' '.join(TORCH)}`; TPE with `pruning=none`, all its epochs counted. "
        f"A start is the {told.clock} time from the begin of the command until the first epoch had ended and "
        f"was recorded, a trial a {TRIALS}th of what the {TRIALS} after it took, of an epoch each; both less "
        "the device-seconds that were trained."
    )
    shown, better = (live.rows(found), live.goals(found)) if found else ([], [])
    title = f"PyTorch's example, swept for {told.budget:g} device-seconds each"
    text = report.page(title, live.HEAD, shown, [*goals, *better], where, how)
    raw = {"sweeps": [asdict(each) for each in found], "timed": [asdict(each) for each in timed]}
    machine.keep(told.out, about, "own-loop", raw, text)
    console.print(report.goal_table([*goals, *better]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
