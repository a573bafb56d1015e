"""Learning rates over a run: one module a schedule, named after its conf option (see README.md).

They are computed on the host before the clock runs.
"""

import numpy as np

from pipeline.settings.kinds import module_of
from pipeline.settings.optimizer import Schedule


def learning_rates(schedule: Schedule, peak: float, steps: int) -> np.ndarray:
    """Return the rate of each of `steps` steps, float64 [steps]; `peak` is the optimizer's own rate."""
    shares: np.ndarray = module_of(__name__, schedule).compute_shares(schedule, np.arange(steps), steps)
    return peak * shares
