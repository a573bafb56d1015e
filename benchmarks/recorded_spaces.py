"""What `benchmarks.record` draws configurations from: on which data, and which ranges and choices."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What is drawn: ranges, choices, and rates by optimizer; `words` say on which data.

    `arrays`: the data is the MNIST subset. `table`: it is one of the public tables of `benchmarks.tables`.
    """

    words: tuple[str, ...] = ()
    hidden: tuple[int, int] | None = None
    batches: tuple[int, ...]
    rates: Mapping[str, tuple[float, float]]
    momentum: tuple[float, float] = (0.0, 0.95)
    precisions: tuple[str, ...] = ("float32",)
    choices: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    arrays: bool = False
    table: str = ""


BOTH_PRECISIONS = ("float32", "mixed_bfloat16")


def _tabular(name: str) -> Space:
    return Space(
        hidden=(8, 512),
        batches=(16, 64, 256),
        rates={"sgd": (0.005, 0.5), "adam": (2e-4, 3e-2)},
        choices={"model.layers": (1, 2), "model.dropout": (0.0, 0.2, 0.5)},
        table=name,
    )


SPACES = {
    "mnist-12k": Space(
        words=("preprocess.validation=0.2",),
        hidden=(16, 1024),
        batches=(32, 128, 512),
        rates={"sgd": (0.01, 1.0), "adam": (1e-4, 3e-2)},
        precisions=BOTH_PRECISIONS,
        arrays=True,
    ),
    "digits": Space(
        words=("data=digits", "preprocess.validation=0.4"),
        hidden=(8, 512),
        batches=(8, 16, 64, 256),
        rates={"sgd": (0.005, 0.5), "adam": (2e-4, 5e-2)},
        precisions=BOTH_PRECISIONS,
    ),
    "cnn-mnist-12k": Space(
        words=("preprocess.validation=0.2", "model=cnn"),
        hidden=(16, 256),
        batches=(32, 128),
        rates={"sgd": (0.01, 0.5), "adam": (3e-4, 1e-2)},
        precisions=BOTH_PRECISIONS,
        choices={"model.filters": (4, 8, 16), "model.blocks": (2, 3)},
        arrays=True,
    ),
    "rt-polarity": Space(
        words=("data=rt_polarity", "model=text"),
        batches=(16, 64, 256),
        rates={"sgd": (0.05, 2.0), "adam": (3e-4, 1e-2)},
        choices={
            "model.width": (16, 32, 64, 128),
            "model.hidden": (0, 32),
            "model.dropout": (0.0, 0.25, 0.5),
        },
    ),
    "churn": _tabular("churn"),
    "credit": _tabular("credit"),
}


def draw(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Random configurations; of an MLP the least work first (weights x steps)."""
    random = np.random.default_rng(seed)
    found = [_one(space, random) for _ in range(count)]
    if space.hidden is None:
        return found
    return sorted(found, key=lambda params: params["model.hidden"] / params["train.batch_size"])


def _one(space: Space, random: np.random.Generator) -> dict[str, Any]:
    optimizer = str(random.choice(list(space.rates)))
    params: dict[str, Any] = {}
    if space.hidden is not None:
        params["model.hidden"] = round(_log_uniform(space.hidden, random))
    params |= {
        "optimizer": optimizer,
        "optimizer.learning_rate": float(f"{_log_uniform(space.rates[optimizer], random):.4g}"),
        "train.batch_size": int(random.choice(space.batches)),
    }
    if len(space.precisions) > 1:
        params["precision"] = str(random.choice(space.precisions))
    if optimizer == "sgd":
        params["optimizer.momentum"] = round(float(random.uniform(*space.momentum)), 3)
    return params | {key: random.choice(values).item() for key, values in space.choices.items()}


def _log_uniform(ends: tuple[float, float], random: np.random.Generator) -> float:
    return math.exp(random.uniform(math.log(ends[0]), math.log(ends[1])))
