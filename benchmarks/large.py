"""`python -m benchmarks.large --trials 10000`: what a study of many trials costs beside training them.

The trials are invented and written into SQLite (see `benchmarks.invented`). Then everything that a sweep does
with such a study is timed: reading it again, asking for the next trial (in our own search, and of
`FrontierSampler` in a plain study of Optuna), writing and reading back a trial, the command `frontier`,
importances, pictures and pages. Memory is what the process gains with each further trial. To tell whether a
cost is flat, asking is timed in a study of a tenth of the trials, too. Beside seconds on the wall stand those
in which this process had a core: they say what a busy machine hides.
"""

import argparse
import gc
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import optuna
import psutil
from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.invented import InventedTrial, Inventor, make_outcome, write_trials
from benchmarks.results import Goal
from pipeline.cli.frontier import command as frontier_command
from pipeline.cli.sweep import plan as sweep_plan
from pipeline.frontier_sampler.sampler import FrontierSampler
from pipeline.reports import study_html, study_markdown, study_plots
from pipeline.search.ask_tell import TrialSuggester
from pipeline.search.importance import compute_importances
from pipeline.search.samplers import make_distribution, suggest_value
from pipeline.search.study_store import StudyStore
from pipeline.search.trial_rows import ResultsReader
from pipeline.settings.search import Sampler

DEVICE, NAME = "a CPU, 1 core", "large"
WORDS = ("data=digits", "search=standard", "search.enqueue=[]", "device=cpu", f"search.study={NAME}")
HEAD = ["what", "trials", "seconds: median (min-max)", "CPU seconds: median (min-max)", "n"]
LIMITS = {
    "reopening: reading the storage": 2.0,
    "the command frontier, imports apart": 2.0,
    "asking, our search": 0.05,
    "asking, a plain study of Optuna": 0.05,
    "importances": 3.0,
    "pictures and pages of a study": 3.0,
}
FLAT = 1.5
"""How many times as long asking may take with ten times as many trials."""


class Moment(NamedTuple):
    """Seconds on the wall, and seconds in which this process had a core."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(time.perf_counter(), time.process_time())

    def since(self) -> "Moment":
        """Return how long ago this was."""
        now = self.now()
        return Moment(now.wall - self.wall, now.cpu - self.cpu)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one thing that a study of `trials` trials needs, one a repetition."""

    what: str
    trials: int
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    def row(self) -> list[str]:
        spreads = [write_spread(self.seconds), write_spread(self.cpu_seconds)]
        return [self.what, f"{self.trials:,}", *spreads, str(len(self.seconds))]


def write_spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.3g} ({min(seconds):.3g}-{max(seconds):.3g})"


class Clock:
    """Collects costs and prints each as it is known."""

    def __init__(self, trials: int, console: Console) -> None:
        self.trials, self.costs, self._console = trials, list[Cost](), console

    def add(self, what: str, taken: Sequence[Moment], trials: int | None = None) -> None:
        wall, cpu = zip(*taken, strict=True)
        self.costs.append(Cost(what, trials or self.trials, wall, cpu))
        self._console.print("  ".join(self.costs[-1].row()), highlight=False)

    @contextmanager
    def time(self, what: str) -> Iterator[None]:
        start = Moment.now()
        yield
        self.add(what, [start.since()])

    def repeat(self, what: str, task: Callable[[], object], times: int = 3) -> None:
        self.add(what, [measure(task) for _ in range(times)])


def measure(task: Callable[[], object]) -> Moment:
    start = Moment.now()
    task()
    return start.since()


def read_megabytes() -> float:
    """Return the memory of this process that is in use."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


# ---- one study ----------------------------------------------------------------------------------------


def fill(address: str, plan: sweep_plan.SweepPlan, count: int) -> list[InventedTrial]:
    """Write a study of `count` invented trials."""
    trials = Inventor(plan.space, plan.epochs).invent(count)
    store = StudyStore(address, NAME, plan.describe_study(DEVICE))
    store.task_queue()
    write_trials(address, NAME, trials, DEVICE)
    return trials


def time_study(clock: Clock, address: str, plan: sweep_plan.SweepPlan, asks: int) -> dict[str, float]:
    """Time what a sweep does with a study that it takes up again; return its memory."""
    before = read_megabytes()
    with clock.time("reopening: reading the storage"):
        store = StudyStore(address, NAME, plan.describe_study(DEVICE))
        rows = store.trials()
        reader = ResultsReader(store, "digits")
        results = reader.read()
    asker = TrialSuggester(plan.space, Sampler.frontier, plan.epochs, 0, 1)
    with clock.time("reopening: showing the sampler all trials, and its first proposal"):
        asker.show(rows)
        first = asker.suggest()
        assert first is not None
        asker.bind(None, first)
    held = read_megabytes()
    asking, telling = time_trials(store, reader, asker, plan, asks)
    clock.add("asking, our search", asking)
    clock.add("beginning, ending and reading back a trial", telling)
    grown = read_megabytes()
    time_results(clock, results)
    return {
        "held_kb_a_trial": 1e3 * (held - before) / clock.trials,
        "grown_kb_a_trial": 1e3 * (grown - held) / asks,
    }


def time_trials(
    store: StudyStore, reader: ResultsReader, asker: TrialSuggester, plan: sweep_plan.SweepPlan, asks: int
) -> tuple[list[Moment], list[Moment]]:
    """Run trials as a sweep does, without training; return the seconds of asking and of the rest."""
    asking, telling = [], []
    inventor = Inventor(plan.space, plan.epochs, seed=1)
    limit = store.count_begun() + asks
    for _ in range(asks):
        start = Moment.now()
        rows = store.trials()
        asker.show(rows)
        proposal = asker.suggest()
        asking.append(start.since())
        assert proposal is not None
        start = Moment.now()
        number = store.begin(proposal, limit, max(row.number for row in rows))
        asker.bind(number, proposal)
        assert number is not None
        trial = inventor.train(number, dict(proposal.params))
        store.finish(number, make_outcome(trial, DEVICE))
        assert reader.read().frontier
        telling.append(start.since())
    return asking, telling


def time_results(clock: Clock, results: Any) -> None:
    """Time what is computed and drawn at the end of a study."""
    clock.repeat("importances", lambda: compute_importances(results))
    importances = compute_importances(results)
    parts: dict[str, Callable[[], object]] = {
        "frontier.png": lambda: study_plots.draw_frontier(results),
        "hypervolume.png": lambda: study_plots.draw_progress(results),
        "importance.png": lambda: study_plots.draw_importance(NAME, importances),
        "frontier.html": lambda: study_html.render_frontier(results),
        "note": lambda: study_markdown.write_note(results, "#/link"),
    }
    study_plots.draw_importance(NAME, importances)  # fonts are looked for once
    seconds = {name: measure(task) for name, task in parts.items()}
    wall, cpu = map(sum, zip(*seconds.values(), strict=True))
    clock.add("pictures and pages of a study", [Moment(wall, cpu)])
    for name, taken in seconds.items():
        clock.add(f"  {name}", [taken])


def time_command(clock: Clock, address: str) -> None:
    """Time `frontier` with everything imported."""

    def command() -> None:
        with redirect_stdout(io.StringIO()):
            frontier_command.run([f"search.storage={address}", "--study", NAME, "--json"])

    clock.repeat("the command frontier, imports apart", command)


# ---- a plain study of Optuna --------------------------------------------------------------------------


def time_plain(clock: Clock, plan: sweep_plan.SweepPlan, count: int, asks: int) -> None:
    """Time asking and telling in a study of Optuna that has `count` trials, in memory."""
    inventor = Inventor(plan.space, plan.epochs)
    trials = [make_plain(trial) for trial in inventor.invent(count) if trial.state != "interrupted"]
    distributions = {row.name: make_distribution(row) for row in plan.space.dimensions}
    sampler = FrontierSampler(seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.add_trials(trials)
    asking = []
    for _ in range(asks):
        trial, params = None, dict[str, Any]()
        start = Moment.now()
        trial = study.ask()
        for dimension in plan.space.iterate_active(params):
            params[dimension.name] = suggest_value(trial, dimension.name, distributions[dimension.name])
        asking.append(start.since())
        curve = inventor.train(trial.number, params).curve
        trial.set_user_attr("curve", curve)
        study.tell(trial, (curve[-1][2], curve[-1][1]))
    clock.add("asking, a plain study of Optuna, the first time", asking[:1], count)
    clock.add("asking, a plain study of Optuna", asking[1:], count)


def make_plain(trial: InventedTrial) -> optuna.trial.FrozenTrial:
    """Return a trial as a user of the sampler has it: the curve as an attribute and as reported values."""
    state = {"complete": optuna.trial.TrialState.COMPLETE, "paused": optuna.trial.TrialState.PRUNED}
    ended = state.get(trial.state, optuna.trial.TrialState.FAIL)
    return optuna.trial.create_trial(
        state=ended,
        values=(trial.curve[-1][2], trial.curve[-1][1])
        if ended is optuna.trial.TrialState.COMPLETE
        else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={"curve": trial.curve},
        intermediate_values={int(epoch): accuracy for epoch, _, accuracy in trial.curve},
    )


# ---- goals --------------------------------------------------------------------------------------------


def list_goals(costs: Sequence[Cost], trials: int) -> list[Goal]:
    """List the limits, and for asking how much longer it takes than with a tenth of the trials."""
    walls = {(cost.what, cost.trials): median(cost.seconds) for cost in costs}
    cpus = {(cost.what, cost.trials): median(cost.cpu_seconds) for cost in costs}
    goals = []
    for clock, by_key in (("wall", walls), ("CPU", cpus)):
        for what, wanted in LIMITS.items():
            name = f"{what}, {trials:,} trials, {clock}"
            goals.append(Goal(name, wanted, by_key[what, trials], " s", at_most=True))
        for what in ("asking, our search", "asking, a plain study of Optuna"):
            ratio = by_key[what, trials] / by_key[what, trials // 10]
            goals.append(Goal(f"{what}, against {trials // 10:,} trials, {clock}", FLAT, ratio, at_most=True))
    return goals


def measure_all(trials: int, asks: int, console: Console) -> tuple[list[Cost], dict[str, float]]:
    """Time a study of a tenth of the trials, then one of all."""
    plan, costs, memory = sweep_plan.make_plan(WORDS), list[Cost](), dict[str, float]()
    for count in (trials // 10, trials):
        clock = Clock(count, console)
        with tempfile.TemporaryDirectory() as folder:
            address = f"sqlite:///{folder}/studies.db"
            with clock.time("inventing and writing the trials"):
                fill(address, plan, count)
            memory = time_study(clock, address, plan, asks)
            time_command(clock, address)
        time_plain(clock, plan, count, asks)
        costs += clock.costs
    return costs, memory


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.large", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="trials in the study (10000)")
    parser.add_argument("--asks", type=int, default=30, help="trials on top of them (30)")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    os.environ.setdefault("FULCRUM_CACHE", tempfile.mkdtemp())
    costs, memory = measure_all(told.trials, told.asks, console)
    about |= {"load_after": machine.about()["load"]}
    goals = list_goals(costs, told.trials)
    where = f"{about['date']}, {about['device']}; load before {about['load']}, after {about['load_after']}."
    kept = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in memory.items())
    text = report.page(
        "A study of many trials", HEAD, [cost.row() for cost in costs], goals, f"Memory: {kept}.", where
    )
    machine.keep(
        told.out, about, "large", {"costs": [asdict(cost) for cost in costs], "memory": memory}, text
    )
    console.print(kept)
    console.print(report.goal_table(goals))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
