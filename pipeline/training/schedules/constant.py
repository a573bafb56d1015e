"""The same learning rate at every step."""

import numpy as np

from pipeline.settings.optimizer import Constant


def compute_shares(_schedule: Constant, _step: np.ndarray, steps: int) -> np.ndarray:
    """Return the rates as shares of the highest, [steps]."""
    return np.ones(steps)
