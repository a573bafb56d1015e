"""`python -m benchmarks.seeds`: what training reaches, over seeds: bf16 against float32, and the speedruns.

Accuracy is of MNIST's official test split; device-seconds are the product's own.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console

from benchmarks import cells, machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from pipeline.cli.compose import compose
from pipeline.settings.settings import Settings

HALF = {
    "float32": ("data=mnist", "model.hidden=500", "train.batch_size=128", "train.epochs=5", "device=cpu"),
}
HALF["bf16"] = (*HALF["float32"], "precision=mixed_bfloat16")
RUNS = {
    "speedrun": (98.0, 0.85),
    "speedrun_long": (98.5, 2.7),
    "speedrun_98": (98.0, 0.6),
    "speedrun_99": (99.0, 6.0),
}
"""Experiment -> median test accuracy in percent, and the device-seconds to reach it in."""
HEAD = ["", "test accuracy: median (min-max)", "device-seconds: median (min-max)", "seeds"]


@dataclass(frozen=True, slots=True)
class Reached:
    """Test accuracy in 0..1 and device-seconds, one of each a seed."""

    name: str
    words: tuple[str, ...]
    accuracies: tuple[float, ...]
    device_seconds: tuple[float, ...]

    def row(self) -> list[str]:
        best, cost = self.accuracies, self.device_seconds
        return [
            self.name,
            f"{median(best):.2%} ({min(best):.2%}-{max(best):.2%})",
            f"{median(cost):.2f} ({min(cost):.2f}-{max(cost):.2f})",
            str(len(best)),
        ]


def train_once(settings: Settings) -> tuple[float, float]:
    """Test accuracy, device-seconds."""
    from pipeline.data.preprocess import preprocess
    from pipeline.models.predictor import make_predictor
    from pipeline.trial.network import train_to_end

    prepared = preprocess(settings)
    last = train_to_end(prepared, settings)
    answers = make_predictor(last.build_model())(prepared.test.samples)
    return float((answers.argmax(1) == prepared.test.labels).mean()), last.curve.last.device_seconds


def over_seeds(name: str, words: Sequence[str], seeds: int) -> Reached:
    found = [train_once(compose([*words, f"train.seed={seed}"]).settings) for seed in range(seeds)]
    accuracies, seconds = zip(*found, strict=True)
    return Reached(name, tuple(words), accuracies, seconds)


def goals(found: Sequence[Reached]) -> list[Goal]:
    """bf16 against float32 by the means; the speedruns by their medians."""
    by_name = {each.name: each for each in found}
    judged = []
    if {"float32", "bf16"} <= set(by_name):
        points = 100 * (mean(by_name["float32"].accuracies) - mean(by_name["bf16"].accuracies))
        judged.append(Goal("bf16: points of mean test accuracy lost", 0.2, points, at_most=True, unit=""))
    for name, (percent, seconds) in RUNS.items():
        if run := by_name.get(name):
            judged.append(Goal(f"{name}: median test accuracy", percent, 100 * median(run.accuracies), " %"))
            judged.append(
                Goal(f"{name}: device-seconds", seconds, median(run.device_seconds), " s", at_most=True)
            )
    return judged


def keep(
    root: Path, about: dict[str, Any], name: str, title: str, found: Sequence[Reached], judged: list[Goal]
) -> None:
    """Write down what was reached."""
    told = f"{about['date']}, {about['device']}, one core; load before {about['load']}."
    lines = "\n".join(f"- {each.name}: `{' '.join(each.words)}`" for each in found)
    text = report.page(title, HEAD, [each.row() for each in found], judged, told, lines)
    machine.keep(root, about, name, {"reached": [asdict(each) for each in found]}, text)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.seeds", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=5, help="of bf16 and float32; the speedruns have twice as many"
    )
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console = parser.parse_args(words), Console(width=130)
    if not cells.mnist_there():
        console.print("benchmarks.seeds needs MNIST, which is not in data_dir; set FULCRUM_DATA", style="red")
        return 2
    about = machine.about()
    found = [over_seeds(name, line, told.seeds) for name, line in HALF.items()]
    found += [over_seeds(name, (f"experiment={name}", "device=cpu"), 2 * told.seeds) for name in RUNS]
    keep(told.out, about, "seeds", "Over seeds", found, goals(found))
    for each in found:
        console.print("  ".join(each.row()), highlight=False)
    console.print(report.goal_table(goals(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
