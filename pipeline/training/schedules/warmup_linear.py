"""A linear rise, then a linear fall."""

import numpy as np

from pipeline.settings.optimizer import WarmupLinear


def compute_shares(schedule: WarmupLinear, step: np.ndarray, steps: int) -> np.ndarray:
    """Return the rates as shares of the highest, [steps]; `step`: 0, 1, ..."""
    rise = round(schedule.warmup * steps)
    falling = schedule.final + (1 - schedule.final) * (steps - step) / max(steps - rise, 1)
    return np.where(step < rise, (step + 1) / max(rise, 1), falling)
