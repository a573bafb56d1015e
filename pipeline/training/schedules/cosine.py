"""Half a cosine down (arXiv 1608.03983, without restarts)."""

import math

import numpy as np

from pipeline.settings.optimizer import Cosine


def compute_shares(schedule: Cosine, step: np.ndarray, steps: int) -> np.ndarray:
    """Return the rates as shares of the highest, [steps]; `step`: 0, 1, ..."""
    final = schedule.final
    return np.asarray(final + (1 - final) * 0.5 * (1 + np.cos(math.pi * step / steps)))
