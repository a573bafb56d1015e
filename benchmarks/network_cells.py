"""What `benchmarks.networks` times: an epoch of a small CNN and of a bag of embeddings; no TensorFlow."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks import cells
from pipeline.cli.compose import compose
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared, Split
from pipeline.settings.settings import Settings

WORDS, LENGTH = 20_000, 60
"""Rows of the embedding, and words of a text."""
TYPED = {
    "cnn": ("model=cnn",),
    "text": ("model=text", "model.dropout=0"),
}


@dataclass(frozen=True, slots=True)
class NetworkCell:
    """One line of the table: the product's default network of a `kind` (cnn, text), without dropout."""

    kind: str
    batch: int

    def __str__(self) -> str:
        return f"{self.kind}, batch {self.batch}"

    def words(self) -> list[str]:
        """Return the command line of the product that trains this."""
        return [*TYPED[self.kind], f"train.batch_size={self.batch}", "optimizer=adam", "device=cpu"]


CELLS = (*(NetworkCell("cnn", batch) for batch in (16, 64, 256)), NetworkCell("text", 64))


@dataclass(frozen=True, slots=True)
class NetworkProblem:
    """The same start for every contestant.

    `features`: scaled images float32 [n, 28, 28, 1] or words int32 [n, 60]; `labels`: int32 [n]; `order`:
    int32 [steps, batch]; `weights`: in Keras' order and shapes.
    """

    cell: NetworkCell
    settings: Settings
    prepared: Prepared
    features: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    weights: list[np.ndarray]

    @property
    def rate(self) -> float:
        return self.settings.optimizer.learning_rate


def make_problem(cell: NetworkCell) -> NetworkProblem:
    """Return random images of MNIST's shape, or texts of words drawn evenly."""
    settings = compose(cell.words()).settings
    prepared = cells.random_bytes() if cell.kind == "cnn" else make_texts()
    features: np.ndarray = np.asarray(prepared.train.features)
    if cell.kind == "cnn":
        scaled = (features.astype(np.float32) - prepared.scaling.mean) / prepared.scaling.std
        features = scaled[..., None]
    labels = np.asarray(prepared.train.labels, np.int32)
    order = cells.batches(settings.train.seed, len(labels), cell.batch)
    weights = draw_weights(SHAPES[cell.kind])
    return NetworkProblem(cell, settings, prepared, features, labels, order, weights)


SHAPES: dict[str, list[tuple[int, ...]]] = {
    "cnn": [(3, 3, 1, 16), (3, 3, 16, 32), (7 * 7 * 32, 64), (64, 10)],
    "text": [(WORDS, 64), (128, 2)],
}
"""Of the kernels; each but that of the embedding has a bias."""


def draw_weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    draw, weights = np.random.default_rng(0), []
    for shape in shapes:
        limit = np.sqrt(6 / (np.prod(shape[:-1]) + np.prod(shape[:-2]) * shape[-1]))
        is_embedding = shape[0] == WORDS
        limit = 0.05 if is_embedding else limit
        weights.append(draw.uniform(-limit, limit, shape).astype(np.float32))
        if not is_embedding:
            weights.append(np.zeros(shape[-1], np.float32))
    return weights


@lru_cache(maxsize=1)
def make_texts() -> Prepared:
    draw, base = np.random.default_rng(0), cells.random_bytes()

    def make_split(rows: int) -> Split:
        return Split(
            draw.integers(2, WORDS, (rows, LENGTH)).astype(np.int32),
            draw.integers(0, 2, rows).astype(np.int32),
        )

    splits: dict[str, Any] = {
        "train": make_split(cells.ROWS),
        "validation": make_split(cells.UNSEEN),
        "test": make_split(cells.UNSEEN),
    }
    front = Tokens(tuple(f"w{number}" for number in range(WORDS - 2)), LENGTH)
    return replace(base, **splits, classes=("a", "b"), shape=(LENGTH,), front=front)


# ---- the least work ------------------------------------------------------------------------------------


def count_flops(cell: NetworkCell, rows: int) -> float:
    """Return the operations of an epoch's products; nobody needs the gradient of the samples."""
    places = {"cnn": (28 * 28, 14 * 14, 1, 1), "text": (0, 1)}[cell.kind]
    forward = [2 * np.prod(shape) * count for shape, count in zip(SHAPES[cell.kind], places, strict=True)]
    return float(rows * (2 * forward[0] + 3 * sum(forward[1:])))


def count_bytes(cell: NetworkCell, rows: int) -> float:
    """Return the bytes of an epoch's updates: Adam reads a gradient, reads and writes three arrays."""
    parameters = sum(np.prod(shape) for shape in SHAPES[cell.kind])
    return float(rows // cell.batch * 7 * 4 * parameters)
