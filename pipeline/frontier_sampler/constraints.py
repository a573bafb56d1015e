"""The chance that a configuration keeps to the constraints: a Gaussian process for each of them. Pure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.surrogate import Kernel, Posterior

Array = NDArray[np.float64]

MAX_ROWS = 200
"""Rows that each process is conditioned on: those nearest to the limit."""
CLIP = 3.0
"""Values count up to so many typical distances from the limit, so that far ones do not blur it."""


def fit_constraints(features: Array, constraints: Sequence[Mapping[str, float]]) -> dict[str, Kernel]:
    """Fit a kernel for each constraint that was ever broken; features [n, d] and values of these trials."""
    kernels = {}
    for name in sorted({name for values in constraints for name in values}):
        rows, values = _select_values(constraints, name)
        if (values > 0).any():
            kernels[name] = surrogate.fit_kernel(features[rows], values)
    return kernels


class FeasibilityModel:
    """Gaussian processes for constraint values, of which 0 and less are feasible."""

    def __init__(
        self, kernels: Mapping[str, Kernel], features: Array, constraints: Sequence[Mapping[str, float]]
    ) -> None:
        """Condition on features [n, d] and the constraint values of the same trials; {} where there are none.

        `kernels`: see `fit_constraints`; a constraint that was not fitted has the default kernel.
        """
        self._posteriors: list[Posterior] = []
        for name in sorted({name for values in constraints for name in values}):
            rows, values = _select_values(constraints, name)
            if (values > 0).any():
                kernel = kernels.get(name) or surrogate.default_kernel(features.shape[1])
                self._posteriors.append(Posterior(kernel, features[rows], values))

    def predict(self, features: Array) -> Array:
        """Return the chance [m] that all constraints are kept; 1 where none was ever broken."""
        from scipy.special import ndtr  # type: ignore[import-untyped]

        chance = np.ones(len(features))
        for posterior in self._posteriors:
            mean, deviation = posterior.predict(features)
            noise = math.sqrt(posterior.kernel.noise) * posterior.std
            chance *= ndtr(-mean / np.hypot(deviation, noise))
        return chance


def _select_values(constraints: Sequence[Mapping[str, float]], name: str) -> tuple[NDArray[np.intp], Array]:
    """Select the rows that have a constraint, the nearest to its limit, and return their scaled values."""
    rows = np.array([row for row, values in enumerate(constraints) if name in values], np.intp)
    values = scale_constraint(np.array([constraints[row][name] for row in rows], float))
    nearest = np.sort(np.argsort(np.abs(values), kind="stable")[:MAX_ROWS])
    return rows[nearest], values[nearest]


def scale_constraint(values: Array) -> Array:
    """Scale values [n] by their typical distance from 0 and clip them; the sign stays."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    typical = float(np.median(finite)) if len(finite) else 1.0
    scaled: Array = np.clip(np.nan_to_num(values / typical, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)
    return scaled
