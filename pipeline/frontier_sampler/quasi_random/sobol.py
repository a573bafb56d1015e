"""Points of Sobol sequences: those of `scipy.stats.qmc.Sobol`, to the last bit.

The first trials of a search are such points, and a tenth of the time until the first one begins went into
importing `scipy.stats`. So they are made here, in as many dimensions as `DIRECTIONS` has (Joe and Kuo 2008,
doi 10.1137/070709359), scrambled by random matrices and a shift (Matousek 1998, doi 10.1006/jcom.1998.0489).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Words = NDArray[np.uint32]
"""Numbers of `BITS` binary digits, of which the first is worth a half."""
BITS = 30
DIRECTIONS = """\
3 1
7 1 3
11 1 3 1
13 1 1 1
19 1 1 3 3
25 1 3 5 13
37 1 1 5 5 17
41 1 1 5 5 5
47 1 1 7 11 19
55 1 1 5 1 1
59 1 1 1 3 11
61 1 3 5 5 31
67 1 3 3 9 7 49
91 1 1 1 15 21 21
97 1 3 1 13 27 49
103 1 1 1 15 7 5
109 1 3 1 15 13 25
115 1 1 5 5 19 61
131 1 3 7 11 23 15 103
137 1 3 7 13 13 15 69
143 1 1 3 13 7 35 63
145 1 3 5 9 1 25 53
157 1 3 1 13 9 35 107
167 1 3 1 5 27 61 31
171 1 1 5 11 19 41 61
185 1 3 5 3 3 13 69
191 1 1 7 13 1 19 1
193 1 3 7 5 13 19 59
203 1 1 3 9 25 29 41
211 1 3 5 13 23 1 55
213 1 3 7 3 13 59 17
229 1 3 1 3 5 53 69
239 1 1 5 5 23 33 13
241 1 1 7 7 1 61 123
247 1 1 7 9 13 61 49
253 1 3 3 5 3 55 33
285 1 3 1 15 31 13 49 245
299 1 3 5 15 31 59 63 97
301 1 3 1 11 11 11 77 249
"""
"""A line for each dimension after the first: its polynomial, a binary digit for each coefficient, and the
direction numbers that the others follow from."""


def draw_points(dimensions: int, numbers: Sequence[int], seed: int | np.random.Generator | None) -> Array:
    """Return points [n, dimensions] in the unit cube by their numbers in the sequence, from 0.

    `seed`: of the scrambling; None: it is not scrambled.
    """
    if dimensions > len(_make_directions()):
        return _draw_by_scipy(dimensions, numbers, seed)
    directions, shift = _make_directions()[:dimensions], np.zeros(dimensions, np.uint32)
    if seed is not None:
        directions, shift = _scramble(directions, _make_random(seed))
    chosen = np.asarray(numbers, np.uint32)
    chosen ^= chosen >> np.uint32(1)  # Gray's code: one bit changes from each point to the next
    points = np.tile(shift, (len(chosen), 1))
    for bit in range(BITS):
        points[(chosen >> np.uint32(bit)) & np.uint32(1) == 1] ^= directions[:, bit]
    scaled: Array = points / 2.0**BITS
    return scaled


def _make_random(seed: int | np.random.Generator) -> np.random.Generator:
    return seed.spawn(1)[0] if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)


@cache
def _make_directions() -> Words:
    """Make the direction numbers [dimensions, bits]: what each bit of a point's number adds to it."""
    rows = [[1] * BITS]
    for line in DIRECTIONS.splitlines():
        polynomial, *first = map(int, line.split())
        rows.append(_continue_directions(polynomial, first))
    places = np.arange(BITS - 1, -1, -1, dtype=np.uint32)
    return np.array(rows, np.uint32) << places


def _continue_directions(polynomial: int, first: list[int]) -> list[int]:
    """Continue the first direction numbers by the recurrence of their polynomial."""
    degree, row = len(first), list(first)
    while len(row) < BITS:
        value = row[-degree]
        for back in range(1, degree + 1):
            if polynomial >> (degree - back) & 1:
                value ^= row[-back] << back
        row.append(value)
    return row


def _scramble(directions: Words, random: np.random.Generator) -> tuple[Words, Words]:
    """Multiply direction numbers by random lower triangular matrices of bits; return them, and a shift."""
    dimensions, places = len(directions), np.arange(BITS, dtype=np.uint32)
    shift = random.integers(2, size=(dimensions, BITS), dtype=np.uint32) @ (np.uint32(1) << places)
    matrices = np.tril(random.integers(2, size=(dimensions, BITS, BITS), dtype=np.uint32))
    matrices[:, places, places] = 1
    falling = places[::-1]
    digits = (directions[:, None, :] >> falling[:, None]) & np.uint32(1)  # [dimensions, digit, bit]
    scrambled = (matrices @ digits) & np.uint32(1)
    return (scrambled << falling[:, None]).sum(1, dtype=np.uint32), shift


def _draw_by_scipy(dimensions: int, numbers: Sequence[int], seed: int | np.random.Generator | None) -> Array:
    from scipy.stats import qmc  # type: ignore[import-untyped]

    sequence = qmc.Sobol(dimensions, scramble=seed is not None, seed=seed)
    points: Array = sequence.random_base2(max(numbers).bit_length())[list(numbers)]
    return points
