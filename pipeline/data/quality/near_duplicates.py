"""Near duplicates: rows of two splits that show the same thing, although not one number needs to be equal.

Images are compared by a perceptual hash of their lowest frequencies and then by correlation, texts by MinHash
(Broder 1997, doi 10.1109/SEQUEN.1997.666900) over shingles of five letters and then by Jaccard similarity,
rows of numbers and words by their largest distance in any column. Time and memory are bounded by the rows,
letters and pairs that are looked at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# ---- images
SIDE = 32
"""Of the small images that are correlated."""
SOUND_SIDE = 64
"""Of spectrograms: of 32, words of one speaker are as alike as a recording and its copy."""
FREQUENCIES = 8
FAR_HASH = 12
"""Of 63 bits, that the hashes of the same image may differ by."""
NEAREST = 4
"""Training rows for each row that are correlated with it."""
CORRELATION = 0.99
# ---- texts
SHINGLE = 5
MOST_LETTERS = 8_000_000
"""Letters of all texts together; of long ones, the beginning is read."""
HASHES, BAND = 64, 4
JACCARD = 0.6
MOST_OF_BAND = 5
MOST_PAIRS = 20_000
# ---- rows of a table
TOLERANCE = 0.01
"""Standard deviations of a column, up to which numbers are the same."""
MOST_COLUMNS = 64

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Twin:
    """A row and the training row that it resembles most, by their positions; `similarity` is at most 1."""

    row: int
    train_row: int
    similarity: float


# ---- images -------------------------------------------------------------------------------------------


def shrink_images(images: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Shrink images [n, height, width, ...] to grey ones, float32 [n, at most side, at most side].

    Each pixel is the mean of its part; further axes, such as colours, are averaged.
    """
    colours = images.reshape(*images.shape[:3], -1)
    grey = colours[..., 0].astype(np.float32)
    for number in range(1, colours.shape[3]):  # ten times as fast as a mean over so short an axis
        grey += colours[..., number]
    grey /= colours.shape[3]
    if max(grey.shape[1:]) <= side:
        return grey
    down, across = (_make_means(size, min(side, size)) for size in grey.shape[1:])
    return _multiply(down, across, grey)


def _multiply(down: np.ndarray, across: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return `down @ image @ across.T` of each image, as two large products instead of many small ones."""
    count, height, width = images.shape
    lines = (images.reshape(count * height, width) @ across.T).reshape(count, height, -1)
    columns = np.ascontiguousarray(lines.swapaxes(1, 2)).reshape(-1, height) @ down.T
    product: np.ndarray = columns.reshape(count, len(across), len(down)).swapaxes(1, 2)
    return product


def _make_means(size: int, pieces: int) -> np.ndarray:
    """Return the matrix [parts, size] that averages a line of `size` pixels to `parts`."""
    edges = np.linspace(0, size, pieces + 1)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means: np.ndarray = (np.clip(overlap, 0, None) * pieces / size).astype(np.float32)
    return means


def hash_images(small: np.ndarray) -> np.ndarray:
    """Return a perceptual hash of each small image [n, height, width], uint64 [n].

    Bits are the signs of the lowest frequencies of the discrete cosine transform, without that of the mean.
    """
    down, across = (_make_cosines(min(FREQUENCIES, size), size) for size in small.shape[1:])
    waves = _multiply(down, across, small).reshape(len(small), -1)[:, 1:]
    bits = np.zeros(len(small), np.uint64)
    for number in range(waves.shape[1]):
        bits |= (waves[:, number] > 0).astype(np.uint64) << np.uint64(number)
    return bits


def _make_cosines(waves: int, size: int) -> np.ndarray:
    return np.cos(np.pi * np.arange(waves)[:, None] * (np.arange(size) + 0.5) / size).astype(np.float32)


def find_twin_images(train: np.ndarray, compared: np.ndarray) -> list[Twin]:
    """Find the images of `compared` that some of `train` resemble; both small, [n, height, width].

    What is of one flat colour resembles nothing.
    """
    train_flat, train_shape = _standardise(train)
    other_flat, other_shape = _standardise(compared)
    hashes, compared_keys = hash_images(train), hash_images(compared)
    hashes_used = np.flatnonzero(train_shape)
    twins = []
    for row in np.flatnonzero(other_shape):
        distance = np.bitwise_count(hashes[hashes_used] ^ compared_keys[row])
        alike_hashes = np.flatnonzero(distance <= FAR_HASH)
        if not len(alike_hashes):
            continue
        near = hashes_used[alike_hashes[np.argsort(distance[alike_hashes], kind="stable")[:NEAREST]]]
        alike = train_flat[near] @ other_flat[row]
        best = int(alike.argmax())
        if alike[best] >= CORRELATION:
            twins.append(Twin(int(row), int(near[best]), min(1.0, float(alike[best]))))
    return twins


def _standardise(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images as vectors of length 1 around their mean, and which of them show anything, bool [n]."""
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True, dtype=np.float32)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    shows = length[:, 0] > 1e-6 * max(1.0, float(np.abs(small).max(initial=0)))
    flat /= np.where(shows[:, None], length, 1)
    return flat, shows


# ---- texts --------------------------------------------------------------------------------------------


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


# ---- rows of a table ----------------------------------------------------------------------------------


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
