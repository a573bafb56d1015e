"""Digits with XGBoost: a round of boosting is an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import xgboost
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pipeline.trial import not_counted


@dataclass
class Settings:
    """What the command line and a search may set; epochs, seed and state are filled in."""

    depth: int = 4
    eta: float = 0.3
    subsample: float = 0.8
    epochs: int = 30
    seed: int = 0
    state: Any = None


def train(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the accuracy on the validation split after each round."""
    with not_counted():
        samples, labels = load_digits(return_X_y=True)
        rest, test, rest_labels, test_labels = train_test_split(samples, labels, random_state=0)
        rows, held, row_labels, held_labels = train_test_split(rest, rest_labels, random_state=0)
        data = xgboost.DMatrix(rows, row_labels)
        held_data, test_data = xgboost.DMatrix(held), xgboost.DMatrix(test)
    parameters = {
        "objective": "multi:softmax",
        "num_class": 10,
        "max_depth": settings.depth,
        "eta": settings.eta,
        "subsample": settings.subsample,
        "seed": settings.seed,
        "nthread": 1,
    }
    done, booster = settings.state or (0, xgboost.Booster(parameters, [data]))
    for number in range(done, settings.epochs):
        booster.update(data, number)
        with not_counted():
            scores = {
                "accuracy": (booster.predict(held_data) == held_labels).mean(),
                "test_accuracy": (booster.predict(test_data) == test_labels).mean(),
            }
        yield {**scores, "model": booster, "state": (number + 1, booster)}
