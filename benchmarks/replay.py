"""`python -m benchmarks.replay --table FILE --budget DEVICE_SECONDS --seeds N`: search recorded curves again.

Nothing is trained: a table has the curve of every configuration, a strategy pays for the epochs it looks at.
Its score is the area, over log device-seconds and log error, that its points dominate, as a share of what all
points of the table dominate (`pipeline.frontier.Bounds.around` these points), at each device-second paid.
`benchmarks.strategies` says how each strategy meets the table: who suggests configurations outside of it is
snapped to the nearest row not yet run. `tpe`, `nsga2`, `gp` and `random` choose their epochs and count one
point a trial; `tpe_epochs` is `tpe` with every epoch counted, and `frontier`, `pareto_pruning` and `moasha`
count every epoch, too. `gp` and `moasha` need packages of the benchmark's own environment (`make bench`).

Reads `{"params": {...}, "curve": [[epoch, device_seconds, accuracy], ...]}` a line, of any names and types.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from rich.console import Console
from rich.table import Table as Grid

from benchmarks import machine, report
from benchmarks.results import Goal
from benchmarks.strategies import STRATEGIES, Absent
from benchmarks.table import ENOUGH, BadTable, Ledger, Table, read

SHARES = (0.9, 0.95, 0.96, 0.98, 0.99)
PRINTED = (0.9, 0.95, 0.99)
OURS = "frontier"
GOALS = {"tpe": 5.0, "nsga2": 5.0, "moasha": 4.0, "tpe_epochs": 3.0}
"""How many times as much a rival shall pay for 95 %."""


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy, one seed. `costs`: device-seconds to each of SHARES, infinite where not reached."""

    costs: tuple[float, ...]
    share: float
    asks: int
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One strategy over its seeds."""

    name: str
    runs: tuple[Run, ...]

    def cost_to(self, share: float) -> float:
        """Of the median seed; infinite where that does not reach it."""
        place = SHARES.index(share)
        return median(run.costs[place] for run in self.runs)

    @property
    def hypervolume(self) -> float:
        return median(run.share for run in self.runs)

    def brief(self) -> dict[str, Any]:
        costs = {f"{share:.2f}": _number(self.cost_to(share)) for share in PRINTED}
        return {"cost_to": costs, "hypervolume": round(self.hypervolume, 4), "seeds": len(self.runs)}


def _number(seconds: float) -> float | None:
    return float(f"{seconds:.5g}") if math.isfinite(seconds) else None


# ---- running ------------------------------------------------------------------------------------------


def once(table: Table, budget: float, name: str, seed: int) -> Run:
    """Raises Absent: what the strategy needs is not installed."""
    ledger, start = Ledger(table, budget), time.perf_counter()
    STRATEGIES[name](ledger, seed)
    spent = time.perf_counter() - start
    return Run(tuple(ledger.cost_to(share) for share in SHARES), ledger.share, ledger.trials, spent)


def _job(job: tuple[Table, float, str, int]) -> Run | str:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_propagation()
    try:
        return once(*job)
    except Absent as error:
        return str(error)


def _in_turn(work: Sequence[tuple[Table, float, str, int]]) -> list[Run | str]:
    """One after the other, until one says that it cannot run here."""
    found: list[Run | str] = []
    for job in work:
        found.append(_job(job))
        if isinstance(found[-1], str):
            break
    return found


def replay(
    table: Table, budget: float, names: Sequence[str], seeds: Sequence[int], jobs: int
) -> tuple[list[Outcome], list[str]]:
    """What each strategy came to, and a line for each that could not run."""
    outcomes, absent = [], []
    with multiprocessing.get_context("spawn").Pool(jobs) if jobs > 1 else nullcontext() as pool:
        for name in names:
            work = [(table, budget, name, seed) for seed in seeds]
            found = list(pool.imap(_job, work)) if pool else _in_turn(work)
            runs = tuple(run for run in found if isinstance(run, Run))
            absent += sorted({told for told in found if isinstance(told, str)})
            if runs:
                outcomes.append(Outcome(name, runs))
    return outcomes, absent


# ---- goals --------------------------------------------------------------------------------------------


def goals(outcomes: Sequence[Outcome], budget: float) -> list[Goal]:
    """Each rival's device-seconds to 95 % by ours, and to 96 % by ours to 99 %; at least the budget."""
    by_name = {each.name: each for each in outcomes}
    ours = by_name.get(OURS)
    if ours is None:
        return []
    found = []
    for name, wanted in GOALS.items():
        if rival := by_name.get(name):
            found.append(
                _goal(
                    f"{name}: cost to 95 % by ours", wanted, rival.cost_to(0.95), ours.cost_to(0.95), budget
                )
            )
    for name in GOALS:
        if rival := by_name.get(name):
            found.append(
                _goal(
                    f"{name}: cost to 96 % by ours to 99 %",
                    1.0,
                    rival.cost_to(0.96),
                    ours.cost_to(0.99),
                    budget,
                )
            )
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
        pace = median(1000 * run.wall_seconds / max(run.asks, 1) for run in each.runs)
        found.append(
            [each.name, *costs, f"{each.hypervolume:.3f}", str(len(each.runs)), f"{asks:g}", f"{pace:.0f}"]
        )
    return found


def _told(seconds: float) -> str:
    return report.number(seconds) if math.isfinite(seconds) else "-"


def markdown(
    name: str, table: Table, budget: float, outcomes: Sequence[Outcome], notes: Sequence[str]
) -> str:
    parts = [
        f"# Searching {name} again",
        about_table(name, table, budget),
        report.markdown_table(HEAD, lines(outcomes)),
        "## Goals",
        report.goal_lines(goals(outcomes, budget)),
        "\n".join(f"- {note}" for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def about_table(name: str, table: Table, budget: float) -> str:
    return (
        f"{name}: {len(table.rows)} configurations, up to {table.epochs} epochs, {table.device_seconds:.4g} "
        f"device-seconds in all; budget {budget:g}. Device-seconds of the median seed until a share of the "
        f"table's area; a run ends at {ENOUGH:.1%}."
    )


def show(name: str, table: Table, budget: float, outcomes: Sequence[Outcome], console: Console) -> None:
    console.print(about_table(name, table, budget), highlight=False)
    grid = Grid()
    for column in HEAD:
        grid.add_column(column, justify="left" if column == "strategy" else "right")
    for row in lines(outcomes):
        grid.add_row(*row, style="bold" if row[0] == OURS else "")
    console.print(grid)
    if found := goals(outcomes, budget):
        console.print(report.goal_table(found))


def keep(
    folder: Path,
    name: str,
    table: Table,
    told: argparse.Namespace,
    outcomes: Sequence[Outcome],
    absent: Sequence[str],
) -> None:
    about = machine.about()
    raw = {
        "table": name,
        "budget": told.budget,
        "first_seed": told.first_seed,
        "shares": SHARES,
        "strategies": {
            each.name: each.brief()
            | {
                "costs": [[_number(cost) for cost in run.costs] for run in each.runs],
                "shares": [round(run.share, 5) for run in each.runs],
            }
            for each in outcomes
        },
        "absent": list(absent),
    }
    versions = ", ".join(f"{key} {found}" for key, found in about["versions"].items())
    notes = [f"{about['date']}, {about['device']}; seeds from {told.first_seed}; {versions}.", *absent]
    text = markdown(name, table, told.budget, outcomes, notes)
    machine.keep(folder, about, f"replay-{name}", raw, text)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="JSON lines, one configuration each")
    parser.add_argument("--budget", type=float, required=True, help="device-seconds that a strategy may pay")
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
    parser.add_argument("--json", action="store_true", help="print medians as JSON, nothing else")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="processes")
    parser.add_argument("--out", type=Path, help="keep results in a folder of date and machine in this one")
    told = parser.parse_args(words)
    if told.seeds < 1 or not told.budget > 0:
        parser.error("--seeds must be >= 1 and --budget > 0")
    return told


def main(words: Sequence[str]) -> int:
    told = arguments(words)
    aside = Console(width=130, stderr=True)
    try:
        table = read(told.table)
    except BadTable as error:
        aside.print(str(error), style="red", markup=False, highlight=False)
        return 2
    names = list(dict.fromkeys(told.strategy or STRATEGIES))
    seeds = range(told.first_seed, told.first_seed + told.seeds)
    outcomes, absent = replay(table, told.budget, names, seeds, told.jobs)
    for line in absent:
        aside.print(line, style="yellow", markup=False, highlight=False)
    if told.json:
        print(json.dumps({each.name: each.brief() for each in outcomes}, indent=1))
    else:
        show(told.table.stem, table, told.budget, outcomes, Console(width=130))
    if told.out:
        keep(told.out, told.table.stem, table, told, outcomes, absent)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
