"""Scaling from the source's units to the network's, fitted on the training split alone."""

import numpy as np

from pipeline.data.prepared import Scaling, Target
from pipeline.data.samples import estimate_width, split_into_portions
from pipeline.settings.preprocess import Preprocess, Standardise


def fit_scaling(features: np.ndarray, preprocess: Preprocess) -> Scaling:
    """Fit mean and std of the training features [n, *shape], so that a network sees (x - mean) / std.

    Standardising comes after normalising, and both together are one mean and one std. A feature that never
    changes is centred, not stretched: its normalised std counts as 1, so a value never seen stays small.
    """
    low, span = _measure_range(features) if preprocess.normalise else (0.0, 1.0)
    match preprocess.standardise:
        case Standardise.feature:
            mean, variance = _compute_moments(features)
        case Standardise.overall | Standardise.auto:
            means, variances = _compute_moments(features)
            mean = means.mean()
            variance = (variances + (means - mean) ** 2).mean()
        case Standardise.none:
            mean, variance = np.asarray(low), np.zeros(())
    std = np.where(variance > 0, np.sqrt(variance), span)
    limits = np.finfo(np.float32)  # below tiny a device may take the divisor for 0
    return Scaling(np.asarray(mean, np.float32), np.clip(std, limits.tiny, limits.max).astype(np.float32))


def fit_target(quantities: np.ndarray) -> Target:
    """Fit mean and deviation of the training labels [n], which are not all the same."""
    numbers = np.asarray(quantities, np.float64)
    return Target(float(numbers.mean()), float(numbers.std()))


def _measure_range(features: np.ndarray) -> tuple[float, float]:
    """Return the lowest value and the range; bytes have the range 0..255 whatever values occur."""
    if features.dtype == np.uint8:
        return 0.0, 255.0
    lowest, highest = find_extremes(features)
    low, high = float(lowest.min()), float(highest.max())
    return low, high - low if high > low else 1.0


def find_extremes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest value of each feature, both [*shape]."""
    portions = [features[rows] for rows in split_into_portions(len(features), estimate_width(features))]
    lowest = np.min([portion.min(axis=0) for portion in portions], axis=0)
    return lowest, np.max([portion.max(axis=0) for portion in portions], axis=0)


def _compute_moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and variance of each feature in float64, both [*shape], in two passes over portions."""
    portions = [features[rows] for rows in split_into_portions(len(features), estimate_width(features))]
    mean = sum(portion.sum(axis=0, dtype=np.float64) for portion in portions) / len(features)
    squares = sum(((portion - mean) ** 2).sum(axis=0) for portion in portions)
    return np.asarray(mean), np.asarray(squares / len(features))
