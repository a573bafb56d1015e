"""`python -m benchmarks.networks`: an epoch of a CNN and of a text model, ours against the others.

Interleaved, one thread, one core, as `benchmarks.engine` does it for the perceptron; a part of an epoch is
timed and the rest counted from it.
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
from benchmarks.network_cells import CELLS, NetworkCell, count_bytes, count_flops
from benchmarks.worker import Lap, Share, Worker

FAMILIES = ("network_ours", "network_keras", "network_torch", "network_jax")
OURS = "ours"
ARRAY = 2**24
"""Bytes of the triad's arrays: about those of an embedding and its two means."""


def measure_ceilings() -> tuple[float, float]:
    """Return operations a second of a product and bytes a second of a triad, in the process of ours."""
    from pipeline.profiling import device_peaks

    return device_peaks.measure_product(1024, "float32"), device_peaks.measure_triad(ARRAY)


def time_cell(
    workers: Sequence[Worker], cell: Cell | NetworkCell, told: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return a row for each contestant: seconds of an epoch in every round, what part was timed."""
    shares: dict[tuple[Worker, str], Share] = {}
    for each in workers:
        for name in each.names:
            share = each.prepare(name, cell, told.budget)
            if isinstance(share, Share):
                shares[each, name] = share
    laps: dict[tuple[Worker, str], list[Lap]] = {key: [] for key in shares}
    for _ in range(told.rounds):
        for each, name in shares:
            laps[each, name].append(each.lap(name))
    for each in workers:
        each.forget()
    rows = []
    for (each, name), share in shares.items():
        clocked = [lap.core_seconds if told.clock == "cpu" else lap.seconds for lap in laps[each, name]]
        rows.append(
            {
                "cell": str(cell),
                "name": name,
                "engine": share.note,
                "seconds": [share.whole(seconds) for seconds in clocked],
                "steps": share.steps,
                "of": share.of,
                "loss": laps[each, name][-1].loss,
            }
        )
    return rows


def describe(cell: NetworkCell, rows: Sequence[dict[str, Any]], peaks: tuple[float, float]) -> list[str]:
    """Return the lines of a markdown table for a cell."""
    ours = next(median(row["seconds"]) for row in rows if row["name"] == OURS)
    samples = next(row["of"] for row in rows) * cell.batch
    by_flops, by_bytes = count_flops(cell, samples) / peaks[0], count_bytes(cell, samples) / peaks[1]
    least, bound = max((by_flops, "products"), (by_bytes, "memory"))
    lines = [
        f"### {cell}",
        "",
        f"Floor of the core: {least:.2f} s ({bound}); ours reaches {least / ours:.0%} of it.",
        "",
        "| contestant | seconds of an epoch (lowest - highest) | times ours | mean loss |",
        "|---|---|---|---|",
    ]
    for row in rows:
        seconds, part = row["seconds"], "" if row["steps"] == row["of"] else "*"
        name = f"{row['name']} ({row['engine']})" if row["engine"] else row["name"]
        lines.append(
            f"| {name} | {median(seconds):.2f}{part} ({min(seconds):.2f} - {max(seconds):.2f}) "
            f"| {median(seconds) / ours:.2f} | {row['loss']:.4f} |"
        )
    return [*lines, ""]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="laps of each contestant in a cell")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds a lap; longer epochs in part")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a core that others use"
    )
    parser.add_argument("--only", nargs="*", choices=("cnn", "text"), default=("cnn", "text"))
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, core = parser.parse_args(words), Console(width=120), machine.cores()[-1]
    worker.settle(core)
    about, workers, absent = machine.about(), [], []
    for family in FAMILIES:
        opened = Worker(family, core)
        if opened.missing:
            absent.append(f"without {family}: {opened.missing}")
        else:
            workers.append(opened)
    text, found = [], []
    try:
        peaks = workers[0].call(measure_ceilings)
        for cell in [cell for cell in CELLS if cell.kind in told.only]:
            rows = time_cell(workers, cell, told)
            found += rows
            text += describe(cell, rows, peaks)
            console.print("\n".join(text[-len(rows) - 7 :]), highlight=False, markup=False)
    finally:
        for each in workers:
            each.close()
    about |= {"load_after": machine.about()["load"], "clock": told.clock, "core": core}
    head = [
        "# Networks: an epoch of ours against the others",
        "",
        f"{about['device']}, one core and one thread, {about['date']}, load {about['load']} at the start and "
        f"{about['load_after']} at the end (1, 5, 15 minutes); {told.clock} seconds, {told.rounds} rounds in "
        "turns, float32, Adam, random data. `*`: a part of the epoch was timed.",
        *absent,
        "",
    ]
    folder = machine.keep(
        told.out, about, "networks", {"rows": found, "peaks": peaks}, "\n".join([*head, *text])
    )
    console.print(f"kept in {folder}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
