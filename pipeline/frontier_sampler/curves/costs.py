"""What epochs cost: device-seconds of any configuration after any epoch. Pure.

    log seconds = 0.9 log epoch + log work + level + slopes . (settings, t) + z(settings, t)

where t in 0..1 is the scaled log epoch, z a Gaussian process, and work is part of it only where it is known.
Slopes are believed to be small until data say otherwise, and are learned together with z: most trials lie
close to each other, and a line through these alone would promise that a training far away costs a hundred
times as much as it does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.curves.stops import list_stops
from pipeline.frontier_sampler.encoding import Params
from pipeline.frontier_sampler.history import Configuration, Curve, Fidelity
from pipeline.frontier_sampler.observations import MIN_SECONDS
from pipeline.frontier_sampler.surrogate import Conditioned, Kernel

Array = NDArray[np.float64]
Work = Callable[[Mapping[str, Any]], Sequence[float]]

MAX_COSTS, MAX_FITTED = 120, 150
"""Configurations that the model learns from, and points of their curves that its kernel is fitted to."""
POWER = 0.9
"""Of the number of epochs, before data: seconds rise a little less than in proportion, as the first epoch
is often the dearest. Two entries of a curve may stand still by chance, which makes no gift of the rest."""
LEVEL, SLOPE = 3.0, 0.5
"""Deviations that are believed of the level and of each slope, in log seconds."""
LEAST_DEVIATION = 0.4
"""Of z in log seconds: a line through few points leaves next to nothing of them, and is no truth for that."""
RIDGE = 0.1


class CostModel:
    """Device-seconds of any configuration after any epoch."""

    def __init__(
        self, configurations: Sequence[Configuration], work: Work | None, fidelity: Fidelity
    ) -> None:
        """Collect the curves, of an even selection where there are many."""
        self._work, self._fidelity = work, fidelity
        selected = [
            configurations[place] for place in surrogate.spread_evenly(len(configurations), MAX_COSTS)
        ]
        settings = np.array([configuration.features for configuration in selected])
        inputs = self.encode_inputs(settings, [configuration.params for configuration in selected])
        curves = [_pick_entries(configuration.curve) for configuration in selected]
        epochs, seconds = np.array([entry[:2] for curve in curves for entry in curve], float).T
        inputs = np.repeat(inputs, [len(curve) for curve in curves], axis=0)
        self.features: Array = np.concatenate([inputs, fidelity.scale(epochs)[:, None]], axis=1)
        expected = POWER * np.log(epochs) + self._average_work(inputs, settings.shape[1])
        self.targets: Array = np.log(np.maximum(seconds, MIN_SECONDS)) - expected
        self._centre, self._level = self.features.mean(0), float(self.targets.mean())
        self._residuals = _subtract_line(self.features - self._centre, self.targets - self._level)
        self._conditioned: Conditioned | None = None

    def encode_inputs(self, features: Array, configurations: Sequence[Params]) -> Array:
        """Return the features of the settings [n, d], with the logs of their work if it is known."""
        if self._work is None:
            return features
        work = [
            [math.log(max(float(number), 1e-12)) for number in self._work(params)]
            for params in configurations
        ]
        return np.concatenate([features, np.array(work)], axis=1)

    @staticmethod
    def _average_work(inputs: Array, settings: int) -> Array:
        """Return the mean of the logs of the work [n], behind the settings; 0 where there are none."""
        work = inputs[:, settings:]
        average: Array = work.mean(1) if work.size else np.zeros(len(inputs))
        return average

    def fit(self) -> Kernel:
        """Fit the kernel to what a straight line leaves."""
        rows = surrogate.spread_evenly(len(self.features), MAX_FITTED)
        return surrogate.fit_kernel(self.features[rows], self._residuals[rows])

    def condition(self, kernel: Kernel) -> None:
        """Learn from all targets with this kernel; `predict` needs it."""
        self._kernel = kernel
        self._variance = max(float(self._residuals.std()), LEAST_DEVIATION) ** 2
        centred = self.features - self._centre
        covariance = kernel.covariance(self.features, self.features)
        covariance *= self._variance
        covariance += SLOPE**2 * (centred @ centred.T) + LEVEL**2
        covariance[np.diag_indices_from(covariance)] += kernel.noise * self._variance
        self._conditioned = Conditioned(covariance, self.targets - self._level)
        self._slopes = SLOPE**2 * self._conditioned.predict_mean(centred.T)
        self._offset = self._level + LEVEL**2 * float(self._conditioned.predict_mean(np.ones(len(centred))))

    def predict(self, configurations: Sequence[Configuration], features: Array) -> Array:
        """Predict device-seconds [m, rungs]: measured where there is a curve, beyond it in proportion."""
        inputs = self.encode_inputs(features, [configuration.params for configuration in configurations])
        rungs = np.array(self._fidelity.rungs)
        later = self._fidelity.scale(self._fidelity.rungs)
        nodes = later[list(list_stops(self._fidelity.rungs))]  # a straight line goes from one to the next
        between = np.array([np.interp(later, nodes, each) for each in np.eye(len(nodes))])
        at_nodes = self._predict_grid(inputs, nodes)
        expected = POWER * np.log(rungs) + self._average_work(inputs, features.shape[1])[:, None]
        logs = np.maximum.accumulate(at_nodes @ between + expected, axis=1)
        seconds: Array = np.exp(logs)
        for row, configuration in enumerate(configurations):
            if configuration.curve:
                seconds[row] = _follow_measured(configuration.curve, rungs, logs[row])
        return np.maximum(seconds, MIN_SECONDS)

    def _predict_grid(self, inputs: Array, later: Array) -> Array:
        """Predict what log seconds are beyond power and work, after scaled log epochs [k]: [m, k]."""
        assert self._conditioned is not None
        squares = self._kernel.square_settings(inputs, self.features)
        blocks = surrogate.split_blocks(squares)
        grids = (self._kernel.cover_grid(block, later, self.features) for block in blocks)
        curved = np.concatenate([self._conditioned.predict_mean(grid) for grid in grids])
        by_setting = (inputs - self._centre[:-1]) @ self._slopes[:-1]
        by_epoch = (later - self._centre[-1]) * self._slopes[-1]
        predicted: Array = self._variance * curved.reshape(len(inputs), -1) + by_setting[:, None] + by_epoch
        return predicted + self._offset


def _pick_entries(curve: Curve) -> Curve:
    """Pick the first entry of a curve, the last one, and that midway."""
    return tuple(curve[place] for place in sorted({0, len(curve) // 2, len(curve) - 1}))


def _subtract_line(features: Array, targets: Array) -> Array:
    """Subtract a straight line, by ridge regression, from targets [n]; both have a mean of 0."""
    gram = features.T @ features + RIDGE * np.eye(features.shape[1])
    residuals: Array = targets - features @ np.linalg.solve(gram, features.T @ targets)
    return residuals


def _follow_measured(curve: Curve, rungs: NDArray[np.int_], expected: Array) -> Array:
    """Return seconds as measured, and behind the last entry in proportion to those of the logs expected."""
    epochs, seconds, _ = np.array(curve, float).T
    measured = np.interp(rungs, epochs, seconds) * np.minimum(rungs / epochs[0], 1.0)
    so_far = np.interp(math.log(epochs[-1]), np.log(rungs), expected)
    followed: Array = np.where(rungs <= epochs[-1], measured, seconds[-1] * np.exp(expected - so_far))
    return followed
