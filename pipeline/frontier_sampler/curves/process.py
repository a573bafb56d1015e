"""The Gaussian process of learning curves: (settings, log epoch) -> log error. Pure.

    log error = mean + (1 + growth t) z(settings, t)

where t in 0..1 is the scaled log epoch and z a process with a Matern 5/2 kernel. After an epoch
configurations are mostly nearly alike, at the end they are not: a process without growth is sure of ends that
it has not seen, as most trials are short.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.surrogate import Belief, Conditioned, Kernel, Likelihood

Array = NDArray[np.float64]

END_DEVIATION, END_DOUBT = 0.7, 0.5
"""By how much log errors are believed to differ at the last epoch, before many ends are known, and the
deviation of its log: most are within a factor of two of each other."""
GROWN, GROWN_DOUBT, GROWN_BOUNDS = 2.0, 0.25, (1.0, 6.0)
"""How many times as much as after the first epoch that is believed to be; its doubt as above; its bounds."""
EPOCH_LENGTH, EPOCH_LENGTHS, EPOCH_DOUBT = 0.5, (0.3, 1.5), 0.5
"""The length scale of the scaled log epoch that is believed, its bounds, and the deviation of its log."""


@dataclass(frozen=True, slots=True)
class CurveKernel:
    """The kernel of z, in log errors, and how much deviations grow until the last epoch: `growth` >= 0."""

    levels: Kernel
    growth: float

    def grow(self, later: Array) -> Array:
        """Return by how much deviations grow until each scaled log epoch, of the same shape."""
        grown: Array = 1.0 + self.growth * later
        return grown

    def cover(self, left: Array, right: Array) -> Array:
        """Compute the covariance between features [m, d + 1] and [n, d + 1]: [m, n]."""
        covariance = self.levels.covariance(left, right)
        covariance *= np.outer(self.grow(left[:, -1]), self.grow(right[:, -1]))
        return covariance

    def cover_grid(self, squares: Array, later: Array, features: Array) -> Array:
        """Compute the covariance between a grid and features, see `Kernel.cover_grid`: [m * k, n]."""
        covariance = self.levels.cover_grid(squares, later, features)
        covariance *= np.outer(np.tile(self.grow(later), len(squares)), self.grow(features[:, -1]))
        return covariance

    def cover_rungs(self, later: Array) -> Array:
        """Compute the covariance between scaled log epochs of one configuration: [k, k]."""
        squares = ((later[:, None] - later[None, :]) / self.levels.lengths[-1]) ** 2
        grown = self.grow(later)
        covariance: Array = self.levels.covariance_at(squares) * np.outer(grown, grown)
        return covariance

    def compute_variance(self, later: Array) -> Array:
        """Compute the variance of z, grown, at each scaled log epoch: that of `cover_rungs` with itself."""
        variance: Array = self.levels.amplitude * self.grow(later) ** 2
        return variance

    def compute_noise(self, later: Array) -> Array:
        """Compute the variance of the noise at each scaled log epoch."""
        noise: Array = self.levels.noise * self.grow(later) ** 2
        return noise


def fit_curve_kernel(features: Array, targets: Array) -> CurveKernel:
    """Fit to log errors [n] at features [n, d + 1]; the last is the scaled log epoch.

    The same data give the same kernel.
    """
    width, later = features.shape[1], features[:, -1]
    if not surrogate.is_fittable(targets):
        first = (END_DEVIATION / GROWN) ** 2
        return CurveKernel(_scale_variances(surrogate.default_kernel(width), first), GROWN - 1)
    unit = float(targets.std())
    centred = (targets - targets.mean()) / unit
    likelihood, belief = Likelihood(features), _believe(width)

    def compute_loss(logs: Array) -> tuple[float, Array]:
        last = math.exp(logs[-1])
        grown = 1 + (last - 1) * later
        steeper = last * later / grown  # of the log of what has grown, by the log of what it is at the end
        levels = centred / grown
        misfit, slopes, by_level = likelihood(logs[:-1], levels)
        misfit += float(np.log(grown).sum())
        by_growth = steeper.sum() - by_level @ (levels * steeper)
        doubt, further = belief.compute_doubt(logs)
        end = (0.5 * logs[0] + logs[-1] + math.log(unit / END_DEVIATION)) / END_DOUBT
        further[0] += 0.5 * end / END_DOUBT
        further[-1] += end / END_DOUBT
        return misfit + doubt + 0.5 * end**2, np.append(slopes, by_growth) + further

    logs = surrogate.minimize_loss(compute_loss, belief)
    return CurveKernel(_scale_variances(Kernel.from_logs(logs[:-1]), unit**2), math.exp(logs[-1]) - 1)


def _believe(width: int) -> Belief:
    """Return what is believed of amplitude, lengths, noise, and of what has grown until the last epoch."""
    belief = Belief.make_default(width)
    medians, deviations, bounds = belief.medians, belief.deviations, belief.bounds
    deviations[0] = math.inf  # see END_DEVIATION
    medians[-2], deviations[-2], bounds[-2] = EPOCH_LENGTH, EPOCH_DOUBT, EPOCH_LENGTHS
    return Belief(
        np.append(medians, GROWN),
        np.append(deviations, GROWN_DOUBT),
        np.append(bounds, [GROWN_BOUNDS], axis=0),
    )


def _scale_variances(kernel: Kernel, factor: float) -> Kernel:
    return replace(kernel, amplitude=kernel.amplitude * factor, noise=kernel.noise * factor)


class CurveProcess:
    """What is believed of all curves after some epochs of some of them."""

    def __init__(self, kernel: CurveKernel, features: Array, targets: Array) -> None:
        """Condition on log errors [n] at features [n, d + 1]; the last is the scaled log epoch."""
        self.kernel, self._features = kernel, features
        self._mean = float(targets.mean())
        covariance = kernel.cover(features, features)
        covariance[np.diag_indices_from(covariance)] += kernel.compute_noise(features[:, -1])
        self._conditioned = Conditioned(covariance, targets - self._mean)

    def predict_grid(self, settings: Array, later: Array) -> tuple[Array, Array]:
        """Predict mean and deviation [m, k] for each row of `settings` [m, d] and scaled log epoch [k]."""
        squares = self.kernel.levels.square_settings(settings, self._features)
        blocks = (self._explain(block, later)[:2] for block in surrogate.split_blocks(squares))
        mean, deviation = zip(*blocks, strict=True)
        shape = len(settings), len(later)
        return np.concatenate(mean).reshape(shape) + self._mean, np.concatenate(deviation).reshape(shape)

    def _explain(self, squares: Array, later: Array) -> tuple[Array, Array, Array]:
        """See `Conditioned.explain`; `squares`: the squared distances of settings from those of the data."""
        between = self.kernel.cover_grid(squares, later, self._features)
        variance = np.tile(self.kernel.compute_variance(later), len(squares))
        return self._conditioned.explain(between, variance)

    def explain_grid(self, settings: Array, later: Array) -> Array:
        """Return what the data explain of each point of the grid, [m * k, n]; see `Conditioned.explain`."""
        squares = self.kernel.levels.square_settings(settings, self._features)
        return self._explain(squares, later)[2]

    def cover_rungs(self, settings: Array, later: Array) -> Array:
        """Compute the covariance between the epochs of each curve, given the data: [m, k, k]."""
        explained = self.explain_grid(settings, later).reshape(len(settings), len(later), -1)
        covariance: Array = self.kernel.cover_rungs(later) - explained @ explained.transpose(0, 2, 1)
        return covariance


def make_grid(settings: Array, later: Array) -> Array:
    """Make features [m * k, d + 1] of every row of `settings` [m, d] at every scaled log epoch [k]."""
    repeated = np.repeat(settings, len(later), axis=0)
    return np.concatenate([repeated, np.tile(later, len(settings))[:, None]], axis=1)


class GridExpectations:
    """Deviations on a grid of settings and epochs that shrink as values at some of its points are expected.

    The means stay, since what is expected is the mean; so each value costs a product of a matrix and a vector
    (a further column of the Cholesky factor), and no new fit. (Kriging believer: Ginsbourger et al. 2010.)
    """

    def __init__(self, process: CurveProcess, settings: Array, later: Array, capacity: int) -> None:
        """Begin with nothing expected; at most `capacity` values will be.

        `settings`, `later`: of the grid, see `CurveProcess.predict_grid`.
        """
        self._shape, self._kernel = (len(settings), len(later)), process.kernel
        self._grid = make_grid(settings, later)
        explained = process.explain_grid(settings, later)
        self._used = explained.shape[1]
        self._explained = np.concatenate([explained, np.empty((len(self._grid), capacity))], axis=1)
        self._noise = process.kernel.compute_noise(self._grid[:, -1])
        variance = np.tile(process.kernel.compute_variance(later), len(settings))
        self._variance = variance - np.einsum("ij,ij->i", explained, explained)

    @property
    def deviation(self) -> Array:
        """Return the standard deviation of the function without noise, [settings, epochs]."""
        deviation: Array = np.sqrt(np.maximum(self._variance, 1e-12)).reshape(self._shape)
        return deviation

    def expect(self, row: int, column: int) -> None:
        """Take the mean at a point of the grid for its value."""
        index = row * self._shape[1] + column
        columns = self._explained[:, : self._used]
        covariance = self._kernel.cover(self._grid, self._grid[index : index + 1])
        shared = covariance[:, 0] - columns @ columns[index]
        shared /= math.sqrt(max(self._variance[index], 1e-12) + self._noise[index])
        self._explained[:, self._used] = shared
        self._used += 1
        self._variance -= shared**2
