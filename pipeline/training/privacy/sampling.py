"""Which rows a private step takes: each with the same chance, by itself (Poisson sampling).

It is what the account counts (`account`). Compiled code has one shape, so a step has room for somewhat more
rows than a batch on average; places that stay empty are -1. Should a draw need more room, the code is
compiled anew with that: no row that was drawn is left out, or the account would be wrong.
"""

import math
import secrets

import numpy as np

from pipeline.training.device_data import shuffle_rows
from pipeline.training.privacy.noise import PrivacyNumbers

DEVIATIONS = 5
"""Deviations of the number of drawn rows for which a step has room: more come in one of 3 million steps."""
LANES = 8
"""Room is a multiple of this, as vector units like it."""
EMPTY = -1


def find_room(rows: int, batch: int) -> int:
    """Return for how many of `rows` rows a step has room that takes `batch` on average."""
    most = batch + DEVIATIONS * math.sqrt(batch * (1 - batch / rows))
    return min(rows, -(-math.ceil(most) // LANES) * LANES)


def draw_rows(seed: int, number: int, rows: int, batch: int, room: int) -> np.ndarray:
    """Draw the rows of each step of epoch `number`, by chance.

    Returns int32 [rows // batch, `room` or more], `EMPTY` where a step drew fewer. Every row is in
    every step with chance batch / rows. How many are is drawn first, then which.
    """
    draw = np.random.default_rng([seed, 2, number])
    counts = draw.binomial(rows, batch / rows, rows // batch)
    drawn = np.full((len(counts), max(room, int(counts.max()))), EMPTY, np.int32)
    for row, count in zip(drawn, counts, strict=True):
        row[:count] = draw.choice(rows, count, replace=False, shuffle=False)
    return drawn


def order_rows(
    seed: int, privacy: PrivacyNumbers | tuple[()], number: int, rows: int, batch: int, room: int
) -> np.ndarray:
    """Draw the rows of each step of epoch `number`: all in turn by `seed`, or by chance with privacy.

    Returns row numbers [steps, batch]; with privacy as `draw_rows`.
    """
    if not privacy:
        return shuffle_rows(seed, number, rows, batch)
    return draw_rows(int(privacy.seed), number, rows, batch, room)


def choose_seed(seed: int, repeatable: bool) -> int:
    """Return the seed of rows and noise: that of the run, or 62 bits that nobody else knows."""
    return seed if repeatable else secrets.randbits(62)
