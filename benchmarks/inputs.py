"""`python -m benchmarks.inputs`: what each kind of input reaches on its test split, over seeds.

The lines are those of the table in docs/how-to/kinds-of-data.md; each seed trains afresh, device-seconds are
the product's own.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal
from benchmarks.seeds import Reached, keep, over_seeds

LINES = {
    "digits": "data=digits train.epochs=30",
    "MNIST": "data=mnist model=cnn train.epochs=3",
    "spoken digits, cnn": "data=fsdd model=cnn model.dropout=0.5 train.epochs=20 "
    "schedule=cosine train.batch_size=32",
    "spoken digits, mlp": "data=fsdd model.hidden=512 model.dropout=0.5 train.epochs=30 "
    "schedule=cosine train.batch_size=32 optimizer.learning_rate=0.0005",
    "spoken digits, unseen speaker": "data=fsdd data.speaker_split=true model=cnn model.dropout=0.5 "
    "train.epochs=20 schedule=cosine train.batch_size=32",
    "film reviews, n-grams": "data=rt_polarity model.hidden=64 model.dropout=0.7 train.epochs=4",
    "film reviews, embedding": "data=rt_polarity model=text train.epochs=10",
}
GOALS = {"spoken digits, cnn": 96.0, "spoken digits, mlp": 90.0, "film reviews, n-grams": 76.0}
"""Median test accuracy in percent."""


def goals(found: Sequence[Reached]) -> list[Goal]:
    return [
        Goal(f"{each.name}: median test accuracy", GOALS[each.name], 100 * median(each.accuracies), " %")
        for each in found
        if each.name in GOALS
    ]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.inputs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(LINES), help="names of the lines")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    told, console, about = parser.parse_args(words), Console(width=130), machine.about()
    found = []
    for name in told.only:
        found.append(over_seeds(name, (*LINES[name].split(), "device=cpu"), told.seeds))
        console.print("  ".join(found[-1].row()), highlight=False)
    keep(told.out, about, "inputs", "Kinds of input", found, goals(found))
    console.print(report.goal_table(goals(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
