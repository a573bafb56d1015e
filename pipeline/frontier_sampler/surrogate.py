"""Gaussian processes for curves: (settings, log epoch) -> log error, and settings -> device-seconds.

Hyper-parameters come from maximum likelihood (Matern 5/2, one length scale a feature, noise). The posterior
is computed from one Cholesky factor, as it is asked for thousands of points at a time. Both are what
scikit-learn comes to, at a fraction of its price. (Rasmussen and Williams 2006, algorithm 2.1, equation 5.9.)
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular  # type: ignore[import-untyped]
from scipy.linalg.lapack import dpotri  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]

Array = NDArray[np.float64]

LENGTHS = (0.15, 30.0)
EPOCH_LENGTHS = (0.3, 1.5)
AMPLITUDES = (0.05, 20.0)
NOISES = (1e-4, 0.5)
"""Bounds; features lie in 0..1 and targets have variance 1."""
STEPS = 25
"""Steps of the optimizer: a rough fit is enough, and the next one comes soon."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """`amplitude` and `noise` are variances of standardised targets; `lengths`: one a feature."""

    amplitude: float
    noise: float
    lengths: tuple[float, ...]

    def covariance(self, left: Array, right: Array) -> Array:
        """Compute Matern 5/2 between rows [n, features] and [m, features]: [n, m]."""
        scale = np.asarray(self.lengths)
        return self.covariance_at(square_distances(left / scale, right / scale))

    def covariance_at(self, squares: Array) -> Array:
        """Compute Matern 5/2 at squared distances, of any shape, that are divided by the squared lengths."""
        root = np.sqrt(5.0 * squares)
        covariance: Array = self.amplitude * (1.0 + root + (5.0 / 3.0) * squares) * np.exp(-root)
        return covariance


def square_distances(left: Array, right: Array) -> Array:
    """Compute the squared distances between rows: [n, m], never below 0."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2.0 * left @ right.T
    positive: Array = np.maximum(squares, 0.0, out=squares)
    return positive


def default_kernel(features: int) -> Kernel:
    """Return the kernel that is assumed before there are data."""
    return Kernel(1.0, 0.01, (1.0,) * features)


def fit_kernel(features: Array, targets: Array, last: tuple[float, float] = LENGTHS) -> Kernel:
    """Fit hyper-parameters by maximum likelihood; features [n, d] in 0..1, targets [n] in any unit.

    `last`: bounds of the last length scale. Where there are fewer than four rows or they are all alike, the
    default. The same data give the same kernel.
    """
    rows, width = features.shape
    default = default_kernel(width)
    if rows < 4 or np.ptp(targets) <= 0 or not np.isfinite(targets).all():
        return default
    likelihood = Likelihood(features, (targets - targets.mean()) / targets.std())
    bounds = [AMPLITUDES, *[LENGTHS] * (width - 1), last, NOISES]
    start = np.clip(_to_logs(default), *np.log(bounds).T)
    options = {"maxiter": STEPS}
    found = minimize(likelihood, start, method="L-BFGS-B", jac=True, bounds=np.log(bounds), options=options)
    amplitude, *lengths, noise = np.exp(found.x).tolist()
    return Kernel(amplitude, noise, tuple(lengths))


def _to_logs(kernel: Kernel) -> Array:
    return np.log([kernel.amplitude, *kernel.lengths, kernel.noise])


class Likelihood:
    """How well kernels explain standardised targets [n] at features [n, d]."""

    def __init__(self, features: Array, targets: Array) -> None:
        self._targets = targets
        self._squares = (features.T[:, :, None] - features.T[:, None, :]) ** 2  # [d, n, n]
        self._identity = np.eye(len(targets))

    def __call__(self, logs: Array) -> tuple[float, Array]:
        """Return the negative log likelihood, and its slopes.

        `logs`: of amplitude, lengths and noise. Infinite where the covariance has no Cholesky factor.
        """
        amplitude, lengths, noise = math.exp(logs[0]), np.exp(2 * logs[1:-1]), math.exp(logs[-1])
        squares = np.tensordot(1 / lengths, self._squares, 1)
        root = np.sqrt(5.0 * squares)
        decayed = amplitude * np.exp(-root)
        smooth = (1.0 + root + (5.0 / 3.0) * squares) * decayed
        try:
            factor = cholesky(smooth + (noise + 1e-8) * self._identity, lower=True, check_finite=False)
        except LinAlgError:
            return math.inf, np.zeros_like(logs)
        lower = dpotri(factor, lower=1)[0]
        inverse = np.tril(lower) + np.tril(lower, -1).T
        weights = inverse @ self._targets
        value = 0.5 * self._targets @ weights + np.log(factor.diagonal()).sum()
        rest = inverse - np.outer(weights, weights)
        by_length = np.tensordot(self._squares, rest * (1.0 + root) * decayed, 2) * (5.0 / 3.0) / lengths
        slopes = [(rest * smooth).sum(), *by_length, noise * rest.trace()]
        return float(value + 0.5 * len(weights) * math.log(2 * math.pi)), 0.5 * np.array(slopes)


class Posterior:
    """A posterior over functions with values [n] or [n, outputs] at features [n, d]."""

    def __init__(self, kernel: Kernel, features: Array, targets: Array) -> None:
        self.kernel = kernel
        self._scale = np.asarray(kernel.lengths)
        self._inputs = features / self._scale
        self.mean, self.std = targets.mean(0), np.maximum(targets.std(0), 1e-9)
        covariance = kernel.covariance_at(square_distances(self._inputs, self._inputs))
        covariance[np.diag_indices_from(covariance)] += kernel.noise + 1e-8
        factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        # The inverse factor: a product with it is faster for many points than a triangular solve.
        eye = np.eye(len(features))
        self._inverse = solve_triangular(factor, eye, lower=True, overwrite_b=True, check_finite=False)
        self._weights = self._inverse.T @ (self._inverse @ ((targets - self.mean) / self.std))

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Predict mean [m] or [m, outputs], and standard deviation of the function without noise."""
        squares = square_distances(features / self._scale, self._inputs)
        mean, deviation, _ = self._predict_from(self.kernel.covariance_at(squares))
        return mean, deviation

    def predict_grid(self, settings: Array, last: Array) -> tuple[Array, Array]:
        """Predict mean and deviation [m, k] for each row of `settings` [m, d - 1] and value of `last` [k]."""
        mean, deviation, _ = self.explain_grid(settings, last)
        return mean, deviation

    def explain_grid(self, settings: Array, last: Array) -> tuple[Array, Array, Array]:
        """Return what `predict_grid` does, and what the data explain of each point [m, k, n]."""
        near, far = self._scale[:-1], self._scale[-1]
        settings_squares = square_distances(settings / near, self._inputs[:, :-1])
        epoch_squares = (np.asarray(last)[:, None] / far - self._inputs[None, :, -1]) ** 2
        squares = settings_squares[:, None, :] + epoch_squares[None, :, :]
        rows, columns = len(settings), len(last)
        between = self.kernel.covariance_at(squares.reshape(rows * columns, -1))
        mean, deviation, explained = self._predict_from(between)
        shape = rows, columns
        return mean.reshape(shape), deviation.reshape(shape), explained.reshape(*shape, -1)

    def _predict_from(self, between: Array) -> tuple[Array, Array, Array]:
        mean = between @ self._weights
        explained = between @ self._inverse.T
        variance = self.kernel.amplitude - np.einsum("ij,ij->i", explained, explained)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        if mean.ndim == 2:
            deviation = deviation[:, None]
        return mean * self.std + self.mean, deviation * self.std, explained


class GridExpectations:
    """Deviations on a grid of settings and epochs that shrink as values at some of its points are expected.

    The means stay, since what is expected is the mean; so each value costs a product of a matrix and a vector
    (a further column of the Cholesky factor), and no new fit. (Kriging believer: Ginsbourger et al. 2010.)
    """

    def __init__(
        self, posterior: Posterior, settings: Array, last: Array, explained: Array, capacity: int
    ) -> None:
        """Begin with nothing expected; at most `capacity` values will be.

        `settings`, `last`, `explained`: of a grid, see `Posterior.explain_grid`.
        """
        self._shape, self._kernel, self._std = (len(settings), len(last)), posterior.kernel, posterior.std
        grid = np.concatenate(
            [np.repeat(settings, len(last), axis=0), np.tile(last, len(settings))[:, None]], axis=1
        )
        self._inputs = grid / np.asarray(posterior.kernel.lengths)
        explained = explained.reshape(len(grid), -1)
        self._used = explained.shape[1]
        self._explained = np.concatenate([explained, np.empty((len(grid), capacity))], axis=1)
        self._variance = self._kernel.amplitude - np.einsum("ij,ij->i", explained, explained)

    @property
    def deviation(self) -> Array:
        """Return the standard deviation of the function without noise, [settings, epochs]."""
        deviation: Array = np.sqrt(np.maximum(self._variance, 1e-12)).reshape(self._shape) * self._std
        return deviation

    def expect(self, row: int, column: int) -> None:
        """Take the mean at a point of the grid for its value."""
        index = row * self._shape[1] + column
        columns = self._explained[:, : self._used]
        covariance = self._kernel.covariance_at(
            square_distances(self._inputs, self._inputs[index : index + 1])
        )
        shared = covariance[:, 0] - columns @ columns[index]
        shared /= math.sqrt(max(self._variance[index], 1e-12) + self._kernel.noise)
        self._explained[:, self._used] = shared
        self._used += 1
        self._variance -= shared**2


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


@cache
def make_ladder(low: int, high: int, ratio: float = 4 / 3) -> tuple[int, ...]:
    """Make rising whole numbers from `low` to `high` by about `ratio`: 1 2 3 4 6 8 11 15 20."""
    rungs = [low]
    while rungs[-1] < high:
        rungs.append(min(high, max(rungs[-1] + 1, math.ceil(rungs[-1] * ratio - 0.5))))
    return tuple(rungs)
