"""Gaussian processes: what is learned from few points, and how sure it is.

Hyper-parameters are the most probable ones (Matern 5/2, one length scale a feature, noise). The posterior is
computed from one Cholesky factor, as it is asked for thousands of points at a time. (Rasmussen and Williams
2006, algorithm 2.1, equation 5.9.) SciPy is imported where it computes: before that, the first trials begin.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LENGTHS = (0.15, 30.0)
AMPLITUDES = (0.05, 20.0)
NOISES = (1e-4, 0.5)
"""Bounds; features lie in 0..1 and targets have variance 1."""
STEPS = 25
"""Steps of the optimizer: a rough fit is enough, and the next one comes soon."""
BLOCK = 24
"""Settings whose epochs are predicted together: what is computed of them stays in the cache of a core."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """`amplitude` and `noise` are variances of standardised targets; `lengths`: one a feature."""

    amplitude: float
    noise: float
    lengths: tuple[float, ...]

    @classmethod
    def from_logs(cls, logs: Array) -> "Kernel":
        """Return the kernel of the logs of amplitude, lengths and noise."""
        amplitude, *lengths, noise = np.exp(logs).tolist()
        return cls(amplitude, noise, tuple(lengths))

    def covariance(self, left: Array, right: Array) -> Array:
        """Compute Matern 5/2 between rows [n, features] and [m, features]: [n, m]."""
        scale = np.asarray(self.lengths)
        return self.covariance_at(square_distances(left / scale, right / scale))

    def square_settings(self, settings: Array, features: Array) -> Array:
        """Compute the squared distances of settings [m, d] from those of features [n, d + 1]: [m, n]."""
        scale = np.asarray(self.lengths[:-1])
        return square_distances(settings / scale, features[:, :-1] / scale)

    def cover_grid(self, squares: Array, later: Array, features: Array) -> Array:
        """Compute Matern 5/2 between a grid and features [n, d + 1]: [m * k, n].

        The grid is m settings, of which `squares` are the squared distances, with each of `later` [k], the
        last feature; so its squared distances are sums of those of both.
        """
        by_epoch = ((later[:, None] - features[None, :, -1]) / self.lengths[-1]) ** 2
        return self.covariance_at((squares[:, None, :] + by_epoch).reshape(-1, len(features)))

    def covariance_at(self, squares: Array) -> Array:
        """Compute Matern 5/2 at squared distances, of any shape, that are divided by the squared lengths.

        They are overwritten.
        """
        covariance = squares
        covariance *= 5.0
        root = np.sqrt(covariance)
        covariance /= 3.0
        covariance += root
        covariance += 1.0
        covariance *= self.amplitude
        covariance *= np.exp(np.negative(root, out=root), out=root)
        return covariance


def square_distances(left: Array, right: Array) -> Array:
    """Compute the squared distances between rows: [n, m], never below 0."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2.0 * left @ right.T
    positive: Array = np.maximum(squares, 0.0, out=squares)
    return positive


def split_blocks(rows: Array) -> Iterator[Array]:
    """Yield rows [m, n], BLOCK at a time."""
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))


def default_kernel(features: int) -> Kernel:
    """Return the kernel that is assumed before there are data."""
    return Kernel(1.0, 0.01, (1.0,) * features)


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of a kernel before there are data: log-normal, with bounds.

    `medians` [d + 2], in the order of amplitude, lengths and noise; `deviations` [d + 2] of their logs,
    infinite where anything is as likely; `bounds` [d + 2, 2].
    """

    medians: Array
    deviations: Array
    bounds: Array

    @classmethod
    def make_default(cls, width: int) -> "Belief":
        """Return what is believed where nothing is known of the features, of which there are `width`.

        Without it a length scale of a dozen points runs to its bound, and a setting that matters is taken for
        one that does not.
        """
        kernel = default_kernel(width)
        medians = np.array([kernel.amplitude, *kernel.lengths, kernel.noise])
        deviations = np.array([1.0] * (width + 1) + [math.inf])
        return cls(medians, deviations, np.array([AMPLITUDES, *[LENGTHS] * width, NOISES]))

    def compute_doubt(self, logs: Array) -> tuple[float, Array]:
        """Compute the negative log probability of a kernel but for a constant, and its slopes."""
        steps = (logs - np.log(self.medians)) / self.deviations
        return 0.5 * float(steps @ steps), steps / self.deviations


def fit_kernel(features: Array, targets: Array) -> Kernel:
    """Fit hyper-parameters; features [n, d] in 0..1, targets [n] in any unit.

    Where there are fewer than four rows or they are all alike, the default. The same data give the same
    kernel.
    """
    width = features.shape[1]
    if not is_fittable(targets):
        return default_kernel(width)
    likelihood, belief = Likelihood(features), Belief.make_default(width)
    standardised = (targets - targets.mean()) / targets.std()

    def compute_loss(logs: Array) -> tuple[float, Array]:
        (misfit, slopes, _), (doubt, further) = likelihood(logs, standardised), belief.compute_doubt(logs)
        return misfit + doubt, slopes + further

    return Kernel.from_logs(minimize_loss(compute_loss, belief))


def is_fittable(targets: Array) -> bool:
    """Return whether targets [n] can tell one kernel from another."""
    return len(targets) >= 4 and bool(np.ptp(targets) > 0 and np.isfinite(targets).all())


def minimize_loss(compute_loss: Callable[[Array], tuple[float, Array]], belief: Belief) -> Array:
    """Return the logs at which a loss, which gives its slopes with it, is least within the bounds."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    bounds = np.log(belief.bounds)
    start = np.clip(np.log(belief.medians), *bounds.T)
    options = {"maxiter": STEPS}
    found = minimize(compute_loss, start, method="L-BFGS-B", jac=True, bounds=bounds, options=options)
    logs: Array = found.x
    return logs


class Likelihood:
    """How well kernels explain targets of variance 1 at features [n, d]."""

    def __init__(self, features: Array) -> None:
        self._squares = (features.T[:, :, None] - features.T[:, None, :]) ** 2  # [d, n, n]
        self._identity = np.eye(len(features))

    def __call__(self, logs: Array, targets: Array) -> tuple[float, Array, Array]:
        """Return the negative log likelihood of targets [n], and its slopes by `logs` and by the targets.

        `logs`: of amplitude, lengths and noise. Infinite where the covariance has no Cholesky factor.
        """
        from scipy.linalg import cholesky  # type: ignore[import-untyped]
        from scipy.linalg.lapack import dpotri  # type: ignore[import-untyped]

        amplitude, lengths, noise = math.exp(logs[0]), np.exp(2 * logs[1:-1]), math.exp(logs[-1])
        squares = np.tensordot(1 / lengths, self._squares, 1)
        root = np.sqrt(5.0 * squares)
        decayed = amplitude * np.exp(-root)
        smooth = (1.0 + root + (5.0 / 3.0) * squares) * decayed
        try:
            factor = cholesky(smooth + (noise + 1e-8) * self._identity, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(logs), np.zeros_like(targets)
        lower = dpotri(factor, lower=1)[0]
        inverse = np.tril(lower) + np.tril(lower, -1).T
        weights = inverse @ targets
        value = 0.5 * targets @ weights + np.log(factor.diagonal()).sum()
        rest = inverse - np.outer(weights, weights)
        by_length = np.tensordot(self._squares, rest * (1.0 + root) * decayed, 2) * (5.0 / 3.0) / lengths
        slopes = [(rest * smooth).sum(), *by_length, noise * rest.trace()]
        return float(value + 0.5 * len(weights) * math.log(2 * math.pi)), 0.5 * np.array(slopes), weights


class Conditioned:
    """A Gaussian process that has seen targets [n] or [n, outputs]; whose covariance it is, others know."""

    def __init__(self, covariance: Array, targets: Array) -> None:
        """Condition on targets of mean 0; `covariance` [n, n], noise included, is overwritten."""
        from scipy.linalg import cholesky
        from scipy.linalg.blas import dtrmm  # type: ignore[import-untyped]
        from scipy.linalg.lapack import dtrtri

        covariance[np.diag_indices_from(covariance)] += 1e-8
        factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        # The inverse factor: a product with it is faster for many points than a triangular solve.
        self._inverse = dtrtri(factor, lower=1, overwrite_c=1)[0]
        self._multiply = dtrmm
        self._weights = self._inverse.T @ (self._inverse @ targets)

    def predict_mean(self, between: Array) -> Array:
        """Predict the mean [m] or [m, outputs] of points of which `between` [m, n] is the covariance."""
        mean: Array = between @ self._weights
        return mean

    def explain(self, between: Array, variance: Array | float) -> tuple[Array, Array, Array]:
        """Predict points of which the covariance with the data is `between` [m, n] and the variance [m].

        `between` is overwritten.
        Returns mean [m] or [m, outputs], deviation of the function without noise [m], and what the data
        explain of each point [m, n]: the covariance of two points is less by the product of theirs.
        """
        mean = self.predict_mean(between)
        explained = self._multiply(1.0, self._inverse, between.T, lower=1, overwrite_b=1).T
        left = variance - np.einsum("ij,ij->i", explained, explained)
        return mean, np.sqrt(np.maximum(left, 1e-12)), explained


class Posterior:
    """A posterior over functions with values [n] or [n, outputs] at features [n, d]."""

    def __init__(self, kernel: Kernel, features: Array, targets: Array) -> None:
        self.kernel = kernel
        self._scale = np.asarray(kernel.lengths)
        self._inputs = features / self._scale
        self.mean, self.std = targets.mean(0), np.maximum(targets.std(0), 1e-9)
        covariance = kernel.covariance_at(square_distances(self._inputs, self._inputs))
        covariance[np.diag_indices_from(covariance)] += kernel.noise
        self._conditioned = Conditioned(covariance, (targets - self.mean) / self.std)

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Predict mean [m] or [m, outputs], and standard deviation of the function without noise."""
        between = self.kernel.covariance_at(square_distances(features / self._scale, self._inputs))
        mean, deviation, _ = self._conditioned.explain(between, self.kernel.amplitude)
        if mean.ndim == 2:
            deviation = deviation[:, None]
        return mean * self.std + self.mean, deviation * self.std


@cache
def make_ladder(low: int, high: int, ratio: float = 4 / 3) -> tuple[int, ...]:
    """Make rising whole numbers from `low` to `high` by about `ratio`: 1 2 3 4 6 8 11 15 20."""
    rungs = [low]
    while rungs[-1] < high:
        rungs.append(min(high, max(rungs[-1] + 1, math.ceil(rungs[-1] * ratio - 0.5))))
    return tuple(rungs)


def spread_evenly(count: int, limit: int) -> NDArray[np.intp]:
    """Spread at most `limit` places evenly over so many, the first and the last among them."""
    places: NDArray[np.intp] = np.linspace(0, count - 1, min(count, limit)).round().astype(np.intp)
    return places
