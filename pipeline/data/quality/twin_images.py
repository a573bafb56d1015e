"""Images that show the same: by a perceptual hash of their lowest frequencies, and then by correlation."""

import numpy as np

from pipeline.data.quality.near_duplicates import Twin

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
