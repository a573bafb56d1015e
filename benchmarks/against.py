"""`python -m benchmarks.against OTHER_CHECKOUT`: epoch and overhead, here and in another checkout.

Both run in turns, each round in fresh processes with the same interpreter, so that a slow minute of the
machine hits both. What counts is the ratio of each round, here / other; below 1 this checkout is faster.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import machine

HERE = Path(__file__).resolve().parents[1]


def measure(checkout: Path, command: Sequence[str]) -> dict[str, float]:
    """Run one benchmark of a checkout once; seconds by what was timed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", *command, "--out", folder],
            cwd=checkout,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (path,) = Path(folder).rglob("*.json")
        return dict(read_seconds(json.loads(path.read_text())))


def read_seconds(result: dict[str, object]) -> Iterator[tuple[str, float]]:
    """Yield (what was timed, median seconds) of a result of `benchmarks.engine` or `.overhead`."""
    for timing in result.get("timings", []):  # type: ignore[attr-defined]
        if timing["name"] == "ours":
            cell = timing["cell"]
            label = "epoch, " + " ".join(f"{key} {cell[key]}" for key in sorted(cell))
            yield label, median(timing["seconds"])
    for overhead in result.get("overhead", []):  # type: ignore[attr-defined]
        yield f"overhead of a trial, {overhead['before']} before it", median(overhead["seconds"])


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.against", description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout, such as an earlier commit")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, both checkouts in each (5)")
    parser.add_argument("--batch", nargs="*", default=["1", "32", "128", "512"], help="batch sizes timed")
    settings, console = parser.parse_args(words), Console(width=150)
    commands = (
        ["benchmarks.engine", "--only", "ours", "--rounds", "3", "--batch", *settings.batch],
        ["benchmarks.overhead", "--before", "100"],
    )
    ratios: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    before = machine.about()
    for number in range(settings.rounds):
        for command in commands:
            order = [HERE, settings.other.resolve()]
            results = {
                checkout: measure(checkout, command) for checkout in (order if number % 2 else order[::-1])
            }
            for label, value in results[HERE].items():
                ratios[label].append(value / results[settings.other.resolve()][label])
                seconds[label].append(value)
        console.print(f"round {number + 1} of {settings.rounds}", highlight=False)
    table = Table("timed", "seconds here: median", "here / other: median (min - max)", title=before["device"])
    for label, values in ratios.items():
        spread = f"{median(values):.3f} ({min(values):.3f} - {max(values):.3f})"
        table.add_row(label, f"{median(seconds[label]):.4f}", spread)
    console.print(table)
    load = f"load before {before['load']}, after {machine.about()['load']}"
    console.print(f"{before['date']}, n = {settings.rounds}, {load}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
