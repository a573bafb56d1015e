"""What epochs cost: device-seconds of any configuration after any epoch. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.encoding import Params
from pipeline.frontier_sampler.history import Configuration, Curve
from pipeline.frontier_sampler.observations import MIN_SECONDS
from pipeline.frontier_sampler.surrogate import Kernel, Posterior

Array = NDArray[np.float64]
Work = Callable[[Mapping[str, Any]], Sequence[float]]

MAX_COSTS = 120
"""Configurations that the model learns from."""
BELIEVED_EPOCHS = 4.0
"""What is expected of the price of a further epoch counts as so many that were measured: two entries of a
curve may stand still by chance, which makes no gift of the whole training."""
LEAST_RATIO = 1e-3


class CostModel:
    """Device-seconds of any configuration after any epoch: first epoch + rate x further epochs."""

    def __init__(self, configurations: Sequence[Configuration], work: Work | None) -> None:
        """Collect what was measured, of an even selection where there are many."""
        indices = np.linspace(0, len(configurations) - 1, min(len(configurations), MAX_COSTS))
        selected = [configurations[index] for index in indices.round().astype(int)]
        self._work = work
        settings = np.array([configuration.features for configuration in selected])
        self.features = self.encode_inputs(settings, [configuration.params for configuration in selected])
        measured = np.array([_measure_further(configuration) for configuration in selected])
        usual = (BELIEVED_EPOCHS + measured[:, 1].sum()) / (BELIEVED_EPOCHS + measured[:, 0].sum())
        ratios = np.log([_join_ratio(usual, *pair) for pair in measured.tolist()])
        firsts = np.log([_measure_first(configuration) for configuration in selected])
        self.targets: Array = np.stack([firsts, firsts + ratios], axis=1)
        self._trend: Trend | None = None

    def encode_inputs(self, features: Array, configurations: Sequence[Params]) -> Array:
        """Return the features of the settings [n, d], with the logs of their work if it is known."""
        if self._work is None:
            return features
        work = [
            [math.log(max(float(number), 1e-12)) for number in self._work(params)]
            for params in configurations
        ]
        return np.concatenate([features, np.array(work)], axis=1)

    def fit(self) -> Kernel:
        """Fit the kernel to the residuals of a straight line."""
        return surrogate.fit_kernel(self.features, Trend.compute_residuals(self.features, self.targets)[:, 0])

    def condition(self, kernel: Kernel) -> None:
        """Learn from all targets with this kernel; `predict` needs it."""
        self._trend = Trend(kernel, self.features, self.targets)

    def predict(
        self, configurations: Sequence[Configuration], features: Array, rungs: NDArray[np.int_]
    ) -> Array:
        """Predict device-seconds [m, rungs]: measured where there is a curve, beyond it by its own rate."""
        assert self._trend is not None
        predicted = self._trend.predict(
            self.encode_inputs(features, [configuration.params for configuration in configurations])
        )
        first, rate = np.exp(predicted[:, 0]), np.exp(predicted[:, 1])
        seconds: Array = first[:, None] + rate[:, None] * np.maximum(rungs - 1, 0)[None, :]
        for row, configuration in enumerate(configurations):
            if configuration.curve:
                ratio = _join_ratio(float(rate[row] / first[row]), *_measure_further(configuration))
                further = ratio * _measure_first(configuration)
                seconds[row] = _extend_measured(configuration.curve, further, rungs)
        return np.maximum(seconds, MIN_SECONDS)


def _measure_first(configuration: Configuration) -> float:
    """Return the device-seconds of the first epoch, at least what a clock can tell."""
    return max(configuration.first_cost(), MIN_SECONDS)


def _measure_further(configuration: Configuration) -> tuple[float, float]:
    """Return how many epochs came after the first, and what they cost, in units of it.

    Where a curve starts later, its first epochs are as many that cost alike.
    """
    end, seconds, _ = configuration.curve[-1]
    return end - 1.0, max(seconds / _measure_first(configuration) - 1.0, 0.0)


def _join_ratio(expected: float, epochs: float, cost: float) -> float:
    """Return the cost of a further epoch, in units of the first, from what is expected and was measured."""
    return max((BELIEVED_EPOCHS * expected + cost) / (BELIEVED_EPOCHS + epochs), LEAST_RATIO)


def _extend_measured(curve: Curve, rate: float, rungs: NDArray[np.int_]) -> Array:
    epochs, seconds = np.array([entry[0] for entry in curve]), np.array([entry[1] for entry in curve])
    measured = np.interp(rungs, epochs, seconds) * np.minimum(rungs / epochs[0], 1.0)
    extended: Array = measured + np.maximum(rungs - epochs[-1], 0) * rate
    return extended


class Trend:
    """A straight line by ridge regression, and a Gaussian process for its residuals."""

    def __init__(self, kernel: Kernel, features: Array, targets: Array) -> None:
        """Fit the line and condition the process; `features` [n, d], `targets` [n, outputs]."""
        self._centre, self._level = features.mean(0), targets.mean(0)
        self._slopes = fit_ridge(features - self._centre, targets - self._level)
        self._residual_process = Posterior(kernel, features, targets - self._predict_line(features))

    def _predict_line(self, features: Array) -> Array:
        line: Array = self._level + (features - self._centre) @ self._slopes
        return line

    def predict(self, features: Array) -> Array:
        """Predict the mean [m, outputs]."""
        return self._predict_line(features) + self._residual_process.predict(features)[0]

    @staticmethod
    def compute_residuals(features: Array, targets: Array) -> Array:
        """Compute the residuals of the line, [n, outputs]."""
        centred = features - features.mean(0)
        centred_targets = targets - targets.mean(0)
        residuals: Array = centred_targets - centred @ fit_ridge(centred, centred_targets)
        return residuals


def fit_ridge(features: Array, targets: Array, penalty: float = 0.1) -> Array:
    """Return the slopes [d, outputs] of centred features [n, d] and targets [n, outputs]."""
    gram = features.T @ features + penalty * np.eye(features.shape[1])
    slopes: Array = np.asarray(np.linalg.solve(gram, features.T @ targets), np.float64)
    return slopes
