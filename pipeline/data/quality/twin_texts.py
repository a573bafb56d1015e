"""Texts that say the same: by MinHash over shingles of five letters, then by Jaccard similarity.

Broder 1997, doi 10.1109/SEQUEN.1997.666900.
"""

import re
from collections.abc import Sequence

import numpy as np

from pipeline.data.quality.near_duplicates import Twin

SHINGLE = 5
MOST_LETTERS = 8_000_000
"""Letters of all texts together; of long ones, the beginning is read."""
HASHES, BAND = 64, 4
JACCARD = 0.6
MOST_OF_BAND = 5
MOST_PAIRS = 20_000
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def find_twin_texts(train: Sequence[str], compared: Sequence[str]) -> list[Twin]:
    """Find the texts of `compared` of which some of `train` have nearly the same shingles.

    Case, punctuation and spaces do not count.
    """
    rows = len(train) + len(compared)
    if not train or not compared:
        return []
    letters = max(200, MOST_LETTERS // rows)
    shingles, starts = _hash_shingles([*train, *compared], letters)
    signatures = _sign(shingles, starts)
    pairs = _find_pairs(signatures[: len(train)], signatures[len(train) :])
    agreement = [
        (signatures[some[:, 1]] == signatures[len(train) + some[:, 0]]).mean(axis=1)
        for some in np.array_split(pairs, 1 + len(pairs) // MOST_PAIRS)
    ]
    pairs = pairs[np.argsort(-np.concatenate(agreement), kind="stable")][:MOST_PAIRS]
    ends = np.append(starts[1:], len(shingles))
    best: dict[int, Twin] = {}
    for row, train_row in pairs.tolist():
        first, second = (shingles[starts[n] : ends[n]] for n in (len(train) + row, train_row))
        common = len(np.intersect1d(first, second))
        alike = common / (len(np.unique(first)) + len(np.unique(second)) - common)
        if alike >= max(JACCARD, best[row].similarity if row in best else 0):
            best[row] = Twin(row, train_row, alike)
    return [best[row] for row in sorted(best)]


def _hash_shingles(texts: Sequence[str], letters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of all shingles of all texts, uint64, and where those of each text begin."""
    clean = [
        "".join(re.findall(r"\w+", text[: 2 * letters].lower()))[:letters] or text[:letters] for text in texts
    ]
    padded = [text.ljust(SHINGLE) for text in clean]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    hashes = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * MULTIPLIER + codes[offset : offset + len(hashes)]
    hashes ^= hashes >> np.uint64(29)
    begins = np.cumsum(lengths) - lengths
    is_within = np.ones(len(codes), bool)
    for offset in range(1, SHINGLE):  # a shingle that reaches into the next text is none
        is_within[begins + lengths - offset] = False
    counts = lengths - SHINGLE + 1
    return hashes[is_within[: len(hashes)]], np.cumsum(counts) - counts


def _sign(shingles: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the least value of each of `HASHES` hash functions over each text, uint64 [texts, HASHES]."""
    draw = np.random.default_rng(0)
    factors = draw.integers(0, 2**63, HASHES, np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = draw.integers(0, 2**63, HASHES, np.uint64)
    signatures = np.empty((len(starts), HASHES), np.uint64)
    for number in range(HASHES):
        mixed = shingles * factors[number] + offsets[number]
        signatures[:, number] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(31)), starts)
    return signatures


def _find_pairs(train: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """Return pairs (compared row, row of train) that agree in a whole band, int64 [pairs, 2]."""
    matches = [np.zeros((0, 2), np.int64)]
    for first in range(0, HASHES, BAND):
        keys, compared_keys = (_join(signatures[:, first : first + BAND]) for signatures in (train, compared))
        order = np.argsort(keys, kind="stable")
        low, high = (np.searchsorted(keys[order], compared_keys, side) for side in ("left", "right"))
        for offset in range(MOST_OF_BAND):
            rows = np.flatnonzero(low + offset < high)
            matches.append(np.column_stack([rows, order[low[rows] + offset]]))
    return np.unique(np.concatenate(matches), axis=0)


def _join(band: np.ndarray) -> np.ndarray:
    key = np.zeros(len(band), np.uint64)
    for number in range(band.shape[1]):
        key = key * MULTIPLIER + band[:, number]
    return key
