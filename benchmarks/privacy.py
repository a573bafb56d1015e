"""`python -m benchmarks.privacy`: an epoch of private training, ours and that of Opacus, against plain ones.

Interleaved, one thread, one core, as `benchmarks.engine` does it. Opacus is in an environment of its own:
`.venv-bench/bin/pip install opacus==1.6.0`; without it ours is timed alone.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks import machine, worker
from benchmarks.cells import Cell
from benchmarks.engine import KEPT
from benchmarks.networks import time_cell
from benchmarks.worker import Worker

FAMILIES = ("privacy_ours", "privacy_opacus")
PLAIN = {"ours private": "ours", "opacus": "torch"}


def describe(cell: Cell, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table of one cell: seconds of an epoch, and of the plain one of the same library."""
    middle = {row["name"]: median(row["seconds"]) for row in rows}
    lines = [f"## {cell}", "", "| | seconds an epoch (least - most) | of the plain one |", "|---|---|---|"]
    for row in rows:
        seconds, base = row["seconds"], middle.get(PLAIN.get(row["name"], ""))
        times = f"{middle[row['name']] / base:.2f}" if base else ""
        part = "" if row["steps"] == row["of"] else "*"
        spread = f"({min(seconds):.3f} - {max(seconds):.3f})"
        lines.append(f"| {row['name']} | {middle[row['name']]:.3f}{part} {spread} | {times} |")
    return [*lines, ""]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="laps of each contestant in a cell")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds a lap; longer epochs in part")
    parser.add_argument("--batch", type=int, nargs="*", default=(256,))
    parser.add_argument("--hidden", type=int, nargs="*", default=(128, 500))
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a core that others use"
    )
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, core = parser.parse_args(words), Console(width=120), machine.cores()[-1]
    worker.settle(core)
    about, opened = machine.about(), [Worker(family, core) for family in FAMILIES]
    workers = [each for each in opened if not each.missing]
    absent = [f"without {each.family}: {each.missing}" for each in opened if each.missing]
    text, found = [], []
    try:
        for cell in [Cell(batch, hidden, "sgd") for batch in told.batch for hidden in told.hidden]:
            rows = time_cell(workers, cell, told)
            found += rows
            text += describe(cell, rows)
    finally:
        for each in opened:
            each.close()
    about |= {"load_after": machine.about()["load"], "clock": told.clock, "core": core}
    head = [
        "# Private training: an epoch against the plain one",
        "",
        f"{about['device']}, one core and one thread, {about['date']}, load {about['load']} at the start and "
        f"{about['load_after']} at the end (1, 5, 15 minutes); {told.clock} seconds, {told.rounds} rounds in "
        "turns, float32, SGD, noise 1.1, clip norm 1. `*`: a part of the epoch was timed. Ours draws rows by "
        "Poisson sampling; Opacus is given batches of one size, without its loader.",
        *absent,
        "",
    ]
    console.print("\n".join([*head, *text]), highlight=False, markup=False)
    folder = machine.keep(told.out, about, "privacy", {"rows": found}, "\n".join([*head, *text]))
    console.print(f"kept in {folder}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
