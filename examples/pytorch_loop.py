"""Digits with PyTorch: a perceptron and a loop as in any tutorial, with one yield an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from sklearn.datasets import load_digits
from torch import nn

from pipeline.trial import not_counted


@dataclass
class Settings:
    """What the command line and a search may set; epochs, seed and state are filled in."""

    width: int = 64
    optimizer: Literal["sgd", "adam"] = "adam"
    lr: float = 0.003
    batch: int = 32
    epochs: int = 20
    seed: int = 0
    state: Any = None


def train(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the accuracy on the validation split after each epoch."""
    with not_counted():
        device = "cuda" if torch.cuda.is_available() else "cpu"
        samples, labels = load_digits(return_X_y=True)
        x = torch.tensor(samples / 16, dtype=torch.float32, device=device)
        y = torch.tensor(labels, device=device)
        train_rows, held, test = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(
            [1000, 397, 400]
        )
    torch.manual_seed(settings.seed)
    model = nn.Sequential(nn.Linear(64, settings.width), nn.ReLU(), nn.Linear(settings.width, 10)).to(device)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimizer = kinds[settings.optimizer](model.parameters(), lr=settings.lr)
    done = 0
    if settings.state:
        done = settings.state["done"]
        model.load_state_dict(settings.state["model"])
        optimizer.load_state_dict(settings.state["optimizer"])
    for epoch in range(done, settings.epochs):
        draw = torch.Generator().manual_seed(1000 * settings.seed + epoch)
        for rows in train_rows[torch.randperm(len(train_rows), generator=draw)].split(settings.batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with not_counted(), torch.no_grad():
            right = (model(x).argmax(1) == y).float()
        state = {"done": epoch + 1, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        yield {
            "accuracy": right[held].mean(),
            "test_accuracy": right[test].mean(),
            "model": model,
            "state": state,
        }
