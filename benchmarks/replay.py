"""`python -m benchmarks.replay --table FILE --budget DEVICE_SECONDS --seeds N`: search recorded curves again.

`--surrogate lcbench --task 126026` instead of `--table` searches a task of LCBench, of which every
configuration has a curve (`benchmarks.surrogates`); several tasks are searched in turn and judged together.

Nothing is trained: a table has the curve of every configuration, a strategy pays for the epochs it looks at.
Its score is the area, over log device-seconds and log error, that its points dominate, as a share of what all
points of the table dominate (`Bounds.enclose` of `pipeline.frontier.hypervolume`), at each device-second.
`benchmarks.strategies` says what world the strategies meet. `tpe`, `nsga2` and `random` count one point a
trial, the others every epoch. `gp`, `moasha`, `primo` and `smac` need packages of the benchmark's own
environment (`make bench`).

Without `--budget` a table is searched for `--trials`, whatever they cost, as by a sweep with so many: what
counts is the area at the end, and the strategies that can be told of the number are.

A second table adds what device-seconds leave out: asking and telling, in seconds of the CPU so that who else
is busy does not count, and 0.16 s a trial
(`benchmarks.overhead`: what a sweep takes for a trial beside training and compiling).

`--workers 1 2 8` runs `frontier` with so many workers by simulated clocks. Its gain is the share of the area
above what the first eight trials of one worker reached, in which no model had a part. Told is the gain of
several workers as a part of one worker's, at the device-seconds at which one worker's median seed comes to
90, 95 and 99 % (means of the seeds). Device-seconds are those of the epochs that have ended: what is on its
way in several workers at that instant is not counted, and neither are its points.

Reads `{"params": {...}, "curve": [[epoch, device_seconds, accuracy], ...]}` a line, of any names and types.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import optuna
from rich.console import Console
from rich.table import Table as Grid

from benchmarks import machine, report
from benchmarks.ledger import ENOUGH, MOST_TRIALS, Ledger, Step
from benchmarks.other_tuners import Absent
from benchmarks.results import Goal
from benchmarks.strategies import STRATEGIES
from benchmarks.surrogates import LCBench
from benchmarks.table import BadTable, Space, read
from pipeline.errors import BadData, DataMissing

SHARES = (0.9, 0.95, 0.96, 0.98, 0.99)
PRINTED = (0.9, 0.95, 0.99)
OURS = "frontier"
GOALS = {"tpe": 5.0, "nsga2": 5.0, "moasha": 4.0, "tpe_epochs": 3.0}
"""How many times as much a rival shall pay for 95 %."""
WITH_LIST = {"digits": (0.54, 0.89, 2.13), "mnist-12k": (3.53, 6.22, 13.2)}
"""What `frontier` paid for PRINTED when it was handed the rows of the table (5 seeds, 2026-11-28)."""
TRIAL_SECONDS = 0.16
"""What a trial of a sweep takes beside training, compiling and asking (`benchmarks.overhead`)."""
FIRST_TRIALS = 8
TASK_GOAL = 3.0
"""How many times as much the best rival shall pay for 95 % of a task of a surrogate."""
PARALLEL = {2: 0.95, 8: 0.85}
"""The least part of one worker's gain."""


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy, one seed: what it had come to, step by step."""

    trace: tuple[Step, ...]
    share: float
    asks: int
    thought: float
    workers: int = 1

    def find_step(self, share: float) -> Step | None:
        """Find where a share was reached."""
        return next((step for step in self.trace if step.share >= share), None)

    def cost_to(self, share: float) -> float:
        """Device-seconds to a share; infinite where it was not reached."""
        step = self.find_step(share)
        return step.paid if step else math.inf

    def whole_cost_to(self, share: float) -> float:
        """Device-seconds, thinking, and what a sweep takes for each trial."""
        step = self.find_step(share)
        return step.paid + step.thought + TRIAL_SECONDS * step.trials if step else math.inf

    def share_at(self, paid: float) -> float:
        """Share that had been reached when so many device-seconds were paid."""
        return max((step.share for step in self.trace if step.paid <= paid), default=0.0)

    @property
    def first_share(self) -> float:
        """Share that the first trials came to."""
        return max((step.share for step in self.trace if step.trials <= FIRST_TRIALS), default=0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One strategy over its seeds."""

    name: str
    runs: tuple[Run, ...]

    def cost_to(self, share: float) -> float:
        """Of the median seed; infinite where that does not reach it."""
        return median(run.cost_to(share) for run in self.runs)

    def whole_cost_to(self, share: float) -> float:
        """Of the median seed, thinking and trials included."""
        return median(run.whole_cost_to(share) for run in self.runs)

    @property
    def hypervolume(self) -> float:
        return median(run.share for run in self.runs)

    def brief(self) -> dict[str, Any]:
        return {
            "cost_to": {f"{share:.2f}": _number(self.cost_to(share)) for share in PRINTED},
            "whole_cost_to": {f"{share:.2f}": _number(self.whole_cost_to(share)) for share in PRINTED},
            "hypervolume": round(self.hypervolume, 4),
            "seeds": len(self.runs),
        }


def _number(seconds: float) -> float | None:
    return float(f"{seconds:.5g}") if math.isfinite(seconds) else None


# ---- running ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One strategy and seed, to be run."""

    table: Space
    budget: float
    name: str
    seed: int
    workers: int = 1
    trials: int = MOST_TRIALS


def once(job: Job) -> Run:
    """Raises Absent: what the strategy needs is not installed."""
    ledger = Ledger(job.table, job.budget, job.workers, job.trials)
    STRATEGIES[job.name](ledger, job.seed)
    return Run(tuple(ledger.trace), ledger.share, ledger.trials, ledger.thought, job.workers)


def _run(job: Job) -> Run | str:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_propagation()
    try:
        return once(job)
    except Absent as error:
        return str(error)


def _in_turn(work: Sequence[Job]) -> list[Run | str]:
    """One after the other, until one says that it cannot run here."""
    found: list[Run | str] = []
    for job in work:
        found.append(_run(job))
        if isinstance(found[-1], str):
            break
    return found


def replay(work: Sequence[tuple[str, Sequence[Job]]], processes: int) -> tuple[list[Outcome], list[str]]:
    """What each strategy came to, and a line for each that could not run."""
    outcomes, absent = [], []
    with multiprocessing.get_context("spawn").Pool(processes) if processes > 1 else nullcontext() as pool:
        for name, jobs in work:
            found = list(pool.imap(_run, jobs)) if pool else _in_turn(jobs)
            runs = tuple(run for run in found if isinstance(run, Run))
            absent += sorted({told for told in found if isinstance(told, str)})
            if runs:
                outcomes.append(Outcome(name, runs))
    return outcomes, absent


def plan(table: Space, told: argparse.Namespace, budget: float) -> list[tuple[str, list[Job]]]:
    """Every strategy with one worker, and ours with several."""
    seeds = range(told.first_seed, told.first_seed + told.seeds)

    def jobs(name: str, workers: int) -> list[Job]:
        return [
            Job(
                table=table,
                budget=budget,
                name=name,
                seed=seed,
                workers=workers,
                trials=told.trials,
            )
            for seed in seeds
        ]

    names = list(dict.fromkeys(told.strategy or STRATEGIES))
    work = [(name, jobs(name, 1)) for name in names]
    if OURS in names:
        work += [(_name_workers(each), jobs(OURS, each)) for each in told.workers if each > 1]
    return work


def _name_workers(workers: int) -> str:
    return f"{OURS}, {workers} workers"


# ---- several workers ----------------------------------------------------------------------------------


def parts_of_gain(alone: Outcome, several: Outcome) -> dict[float, float]:
    """The gain of several workers as a part of one worker's, at the costs of one worker to PRINTED."""
    parts = {}
    for share in PRINTED:
        paid = alone.cost_to(share)
        pairs = list(zip(alone.runs, several.runs, strict=True))
        if math.isfinite(paid):
            one = mean(run.share_at(paid) - run.first_share for run, _ in pairs)
            more = mean(other.share_at(paid) - run.first_share for run, other in pairs)
            parts[share] = more / one if one > 0 else math.nan
    return parts


def find_parallel(outcomes: Sequence[Outcome]) -> list[tuple[int, dict[float, float]]]:
    """Workers, and their parts of one worker's gain."""
    alone = next((each for each in outcomes if each.name == OURS), None)
    several = [each for each in outcomes if each.runs[0].workers > 1]
    return [(each.runs[0].workers, parts_of_gain(alone, each)) for each in several] if alone else []


# ---- goals --------------------------------------------------------------------------------------------


def goals(outcomes: Sequence[Outcome], budget: float, table: str = "") -> list[Goal]:
    """What ours shall reach: against its own list, rivals (at least the budget), and with several workers."""
    ours = next((each for each in outcomes if each.name == OURS), None)
    if ours is None:
        return []
    found = []
    for share, listed in zip(PRINTED, WITH_LIST.get(table, ()), strict=False):
        text = f"cost to {share:.0%}, with a list of the rows by without"
        found.append(_goal(text, 1.0, listed, ours.cost_to(share), math.inf))
    rivals = [each for each in outcomes if each is not ours and each.runs[0].workers == 1]
    if math.isinf(budget):
        return [
            Goal(f"{each.name}: area of ours by its", 1.0, ours.hypervolume / each.hypervolume, "x")
            for each in rivals
        ]
    for rival in rivals:
        text = f"{rival.name}: cost to 95 % by ours"
        least = GOALS.get(rival.name, 1.0)
        found.append(_goal(text, least, rival.cost_to(0.95), ours.cost_to(0.95), budget))
    for rival in rivals:
        text = f"{rival.name}: cost to 96 % by ours to 99 %"
        found.append(_goal(text, 1.0, rival.cost_to(0.96), ours.cost_to(0.99), budget))
    for rival in rivals:
        if math.isfinite(rival.whole_cost_to(0.95)):
            text = f"{rival.name}: whole cost to 95 % by ours"
            found.append(_goal(text, 1.0, rival.whole_cost_to(0.95), ours.whole_cost_to(0.95), math.inf))
    return found + _judge_workers(outcomes)


def _judge_workers(outcomes: Sequence[Outcome]) -> list[Goal]:
    return [
        Goal(f"{workers} workers: part of one's gain at its cost to {share:.0%}", PARALLEL[workers], part, "")
        for workers, parts in find_parallel(outcomes)
        for share, part in parts.items()
        if workers in PARALLEL
    ]


def judge_tasks(judged: Mapping[str, tuple[float, Sequence[Outcome]]]) -> list[Goal]:
    """What ours shall reach over several tasks: on each a third of the best rival's cost to 95 %."""
    found = []
    for name, (budget, outcomes) in judged.items():
        ours = next((each for each in outcomes if each.name == OURS), None)
        rivals = [each for each in outcomes if each is not ours and each.runs[0].workers == 1]
        if ours is not None and rivals:
            best = min(rivals, key=lambda each: each.cost_to(0.95))
            text = f"{name}: cost to 95 %, best rival ({best.name}) by ours"
            found.append(_goal(text, TASK_GOAL, best.cost_to(0.95), ours.cost_to(0.95), budget))
    return found


def _goal(text: str, wanted: float, theirs: float, ours: float, budget: float) -> Goal:
    if not math.isfinite(ours):
        return Goal(f"{text} (ours did not get there)", wanted, 0.0, "x")
    more = "" if math.isfinite(theirs) else " (not within the budget: at least)"
    return Goal(text + more, wanted, min(theirs, budget) / ours, "x")


# ---- telling ------------------------------------------------------------------------------------------


HEAD = [
    "strategy",
    *(f"cost to {share:.0%}" for share in SHARES),
    "hypervolume",
    "seeds",
    "asks",
    "ms an ask",
]


def lines(outcomes: Sequence[Outcome]) -> list[list[str]]:
    found = []
    for each in outcomes:
        costs = [_told(each.cost_to(share)) for share in SHARES]
        asks = median(run.asks for run in each.runs)
        pace = median(1000 * run.thought / max(run.asks, 1) for run in each.runs)
        found.append(
            [each.name, *costs, f"{each.hypervolume:.3f}", str(len(each.runs)), f"{asks:g}", f"{pace:.0f}"]
        )
    return found


WHOLE = "With the CPU seconds of asking and telling, and 0.16 s a trial:"
WHOLE_HEAD = ["strategy", *(f"whole cost to {share:.0%}" for share in PRINTED)]


def whole_lines(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Device-seconds, thinking and 0.16 s a trial; of one worker, as clocks of several are simulated."""
    alone = [each for each in outcomes if each.runs[0].workers == 1]
    return [[each.name, *(_told(each.whole_cost_to(share)) for share in PRINTED)] for each in alone]


def _told(seconds: float) -> str:
    return report.number(seconds) if math.isfinite(seconds) else "-"


def markdown(
    name: str, table: Space, budget: float, outcomes: Sequence[Outcome], notes: Sequence[str]
) -> str:
    parts = [
        f"# Searching {name} again",
        about_table(name, table, budget),
        report.markdown_table(HEAD, lines(outcomes)),
        WHOLE,
        report.markdown_table(WHOLE_HEAD, whole_lines(outcomes)),
        "## Goals",
        report.goal_lines(goals(outcomes, budget, name)),
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def about_table(name: str, table: Space, budget: float) -> str:
    return (
        f"{name}: {table.about}, up to {table.epochs} epochs; {_describe_budget(budget)}. "
        "Device-seconds of the median seed until a share of the "
        f"table's area; a run ends at {ENOUGH:.1%} or at its most trials."
    )


def _describe_budget(budget: float) -> str:
    return f"budget {budget:.4g}" if math.isfinite(budget) else "no budget, so the trials end it"


def show(name: str, table: Space, budget: float, outcomes: Sequence[Outcome], console: Console) -> None:
    console.print(about_table(name, table, budget), highlight=False)
    console.print(_grid(HEAD, lines(outcomes)))
    console.print(WHOLE, highlight=False)
    console.print(_grid(WHOLE_HEAD, whole_lines(outcomes)))
    if found := goals(outcomes, budget, name):
        console.print(report.goal_table(found))


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Grid:
    grid = Grid()
    for column in head:
        grid.add_column(column, justify="left" if column == "strategy" else "right")
    for row in rows:
        grid.add_row(*row, style="bold" if row[0] == OURS else "")
    return grid


def keep(
    folder: Path,
    name: str,
    table: Space,
    told: argparse.Namespace,
    budget: float,
    outcomes: Sequence[Outcome],
    absent: Sequence[str],
) -> None:
    about = machine.about() | {"load_before": told.load}
    raw = {
        "table": name,
        "budget": _number(budget),
        "most_trials": told.trials,
        "parts_of_gain": {
            str(workers): {f"{share:.2f}": round(part, 4) for share, part in parts.items()}
            for workers, parts in find_parallel(outcomes)
        },
        "first_seed": told.first_seed,
        "shares": SHARES,
        "strategies": {
            each.name: each.brief()
            | {
                "workers": each.runs[0].workers,
                "costs": [[_number(run.cost_to(share)) for share in SHARES] for run in each.runs],
                "shares": [round(run.share, 5) for run in each.runs],
                "asks": [run.asks for run in each.runs],
                "thought": [round(run.thought, 2) for run in each.runs],
            }
            for each in outcomes
        },
        "absent": list(absent),
    }
    versions = ", ".join(f"{key} {found}" for key, found in about["versions"].items())
    where = f"load before {told.load}, after {about['load']}; at most {told.trials} trials a seed"
    notes = [
        f"{about['date']}, {about['device']}; {where}; seeds from {told.first_seed}; {versions}.",
        *absent,
    ]
    text = markdown(name, table, budget, outcomes, notes)
    ended_by = "" if math.isfinite(budget) else f"-{told.trials}-trials"
    machine.keep(folder, about, f"replay-{name}{ended_by}", raw, text)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.replay", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--table", type=Path, help="JSON lines, one configuration each")
    source.add_argument("--surrogate", choices=["lcbench"], help="a published surrogate; --task says of what")
    parser.add_argument("--task", nargs="+", default=[], help="OpenML tasks of the surrogate, as 126026 3945")
    parser.add_argument("--budget", type=float, help="device-seconds that a strategy may pay; none: any")
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--strategy",
        nargs="+",
        action="extend",
        choices=list(STRATEGIES),
        metavar="NAME",
        help=f"of {', '.join(STRATEGIES)}; all, if not told",
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[1], help=f"of {OURS}: 1 2 8")
    parser.add_argument("--trials", type=int, help=f"most trials of a seed ({MOST_TRIALS})")
    parser.add_argument("--json", action="store_true", help="print medians as JSON, nothing else")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="processes")
    parser.add_argument("--out", type=Path, help="keep results in a folder of date and machine in this one")
    told = parser.parse_args(words)
    is_endless = told.table is not None and told.budget is None and told.trials is None
    told.trials = MOST_TRIALS if told.trials is None else told.trials
    if told.seeds < 1 or told.trials < 1 or min(told.workers) < 1 or (told.budget or 1.0) <= 0:
        parser.error("--seeds, --trials and --workers must be >= 1 and --budget > 0")
    if is_endless or bool(told.surrogate) != bool(told.task):
        parser.error(
            "--table needs --budget or --trials, and --surrogate needs --task (which has a budget of its own)"
        )
    return told


def open_tables(told: argparse.Namespace) -> Iterator[tuple[str, Space, float]]:
    """Open what shall be searched: name, space and budget.

    Raises:
        BadTable: it cannot be read, or there is no such task.
    """
    if told.table is not None:
        yield told.table.stem, read(told.table), told.budget or math.inf
    for task in told.task:
        try:
            surrogate = LCBench(task)
        except (Absent, BadData, DataMissing) as error:
            raise BadTable(str(error)) from None
        yield f"lcbench-{task}", surrogate, told.budget or surrogate.budget


def main(words: Sequence[str]) -> int:
    told = arguments(words)
    aside, console = Console(width=130, stderr=True), Console(width=130)
    told.load = machine.about()["load"]
    judged: dict[str, tuple[float, list[Outcome]]] = {}
    try:
        for name, table, budget in open_tables(told):
            outcomes, absent = replay(plan(table, told, budget), told.jobs)
            for line in absent:
                aside.print(line, style="yellow", markup=False, highlight=False)
            if told.json:
                print(json.dumps({each.name: each.brief() for each in outcomes}, indent=1))
            else:
                show(name, table, budget, outcomes, console)
            if told.out:
                keep(told.out, name, table, told, budget, outcomes, absent)
            judged[name] = budget, outcomes
    except BadTable as error:
        aside.print(str(error), style="red", markup=False, highlight=False)
        return 2
    if len(judged) > 1 and not told.json:
        console.print(report.goal_table(judge_tasks(judged)))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
