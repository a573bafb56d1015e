"""Learning rates over a run, computed on the host before the clock runs."""

import math

import numpy as np

from pipeline.settings.optimizer import Constant, Cosine, Schedule, WarmupLinear


def learning_rates(schedule: Schedule, peak: float, steps: int) -> np.ndarray:
    """Return the rate of each of `steps` steps, float64 [steps]; `peak` is the optimizer's own rate."""
    return peak * _shares(schedule, np.arange(steps), steps)


def _shares(schedule: Schedule, step: np.ndarray, steps: int) -> np.ndarray:
    """Return the rates as shares of the highest."""
    match schedule:
        case Constant():
            return np.ones(steps)
        case Cosine(final=final):
            return np.asarray(final + (1 - final) * 0.5 * (1 + np.cos(math.pi * step / steps)))
        case WarmupLinear(warmup=warmup, final=final):
            rise = round(warmup * steps)
            falling = final + (1 - final) * (steps - step) / max(steps - rise, 1)
            return np.where(step < rise, (step + 1) / max(rise, 1), falling)
        case _:
            raise NotImplementedError(f"no learning rates for {type(schedule).__name__}")
