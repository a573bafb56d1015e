"""Digits with scikit-learn: `partial_fit`, an epoch a call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from pipeline.trial import not_counted


@dataclass
class Settings:
    """What the command line and a search may set; epochs, seed and state are filled in."""

    alpha: float = 1e-4
    loss: Literal["log_loss", "hinge"] = "log_loss"
    epochs: int = 10
    seed: int = 0
    state: Any = None


def train(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the accuracy on the validation split after each epoch."""
    with not_counted():
        samples, labels = load_digits(return_X_y=True)
        rest, test, rest_labels, test_labels = train_test_split(samples / 16, labels, random_state=0)
        rows, held, row_labels, held_labels = train_test_split(rest, rest_labels, random_state=0)
    done, model = settings.state or (0, SGDClassifier(loss=settings.loss, alpha=settings.alpha))
    for epoch in range(done, settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(rows))
        model.set_params(random_state=settings.seed * 1000 + epoch)
        model.partial_fit(rows[order], row_labels[order], classes=np.arange(10))
        with not_counted():
            scores = {
                "accuracy": model.score(held, held_labels),
                "test_accuracy": model.score(test, test_labels),
            }
        yield {**scores, "model": model, "state": (epoch + 1, model)}
