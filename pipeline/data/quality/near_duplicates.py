"""Near duplicates: rows of two splits that show the same thing, although not one number needs to be equal.

Images and texts have modules of their own; rows of numbers and words are compared by their largest distance
in any column. Time and memory are bounded by the rows, letters and pairs that are looked at.
"""

from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.01
"""Standard deviations of a column, up to which numbers are the same."""
MOST_COLUMNS = 64


@dataclass(frozen=True, slots=True)
class Twin:
    """A row and the training row that it resembles most, by their positions; `similarity` is at most 1."""

    row: int
    train_row: int
    similarity: float


def find_twin_rows(train: np.ndarray, compared: np.ndarray, is_word: np.ndarray) -> tuple[list[Twin], float]:
    """Find the rows of `compared` that agree with one of `train` in all columns, float64 [n, columns].

    Numbers agree within `TOLERANCE` deviations, words (`is_word`, bool [columns]: their numbers) where they
    are equal, an empty cell (NaN) with an empty one. Also return how many rows would agree by chance, at
    least 1: those of `compared` with each column shuffled by itself.
    """
    first, second = _scale_rows(train, compared, is_word)
    if first.shape[1] < 2 or not len(first) or not len(second):
        return [], 0.0
    from scipy.spatial import cKDTree  # type: ignore[import-untyped]

    tree = cKDTree(first, balanced_tree=False, compact_nodes=False)
    distance, nearest = tree.query(second, p=np.inf, distance_upper_bound=1 + 1e-9)
    draw = np.random.default_rng(0)
    shuffled = np.column_stack([draw.permutation(column) for column in second.T])
    by_chance, _ = tree.query(shuffled, p=np.inf, distance_upper_bound=1 + 1e-9)
    matches = np.flatnonzero(np.isfinite(distance))
    twins = [Twin(int(row), int(nearest[row]), 1 - TOLERANCE * float(distance[row])) for row in matches]
    return twins, 1.0 + float(np.isfinite(by_chance).sum())


def _scale_rows(
    train: np.ndarray, compared: np.ndarray, is_word: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both so that 1 is the largest distance of what agrees, without constant columns.

    Of many columns, those with the most different values.
    """
    both = np.concatenate([train, compared]).astype(np.float64)
    filled = np.isfinite(both)
    pairs = zip(both.T, filled.T, strict=True)
    spread = np.array([column[present].std() if present.any() else 0 for column, present in pairs])
    scale = np.where(is_word, 0.5, TOLERANCE * np.where(spread > 0, spread, 1))
    lowest = np.where(filled, both, np.inf).min(axis=0, initial=np.inf)
    empty = np.where(np.isfinite(lowest), lowest, 0) - 10 * scale
    scaled = np.where(filled, both, empty) / scale
    distinct = np.array([len(np.unique(column)) for column in scaled.T])
    chosen = np.argsort(-distinct, kind="stable")[:MOST_COLUMNS]
    chosen = chosen[distinct[chosen] > 1]
    return scaled[: len(train), chosen], scaled[len(train) :, chosen]
