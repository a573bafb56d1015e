"""What turns raw units into the network's, found on the training split alone."""

import numpy as np

from pipeline.data.prepared import Scaling
from pipeline.data.samples import measure_width, split_into_portions
from pipeline.settings.preprocess import Preprocess, Standardise


def scaling_of(features: np.ndarray, preprocess: Preprocess) -> Scaling:
    """What turns raw units into the network's, from the training split alone.

    Standardising comes after normalising, and both together are one mean and one std. A feature that never
    changes is centred, not stretched: its normalised std counts as 1, so a value never seen stays small.
    """
    low, span = _range(features) if preprocess.normalise else (0.0, 1.0)
    match preprocess.standardise:
        case Standardise.feature:
            mean, variance = _moments(features)
        case Standardise.overall | Standardise.auto:
            means, variances = _moments(features)
            mean = means.mean()
            variance = (variances + (means - mean) ** 2).mean()
        case Standardise.none:
            mean, variance = np.asarray(low), np.zeros(())
    std = np.where(variance > 0, np.sqrt(variance), span)
    limits = np.finfo(np.float32)  # below tiny a device may take the divisor for 0
    return Scaling(np.asarray(mean, np.float32), np.clip(std, limits.tiny, limits.max).astype(np.float32))


def _range(features: np.ndarray) -> tuple[float, float]:
    """Lowest value and range; bytes have the range 0..255 whatever values occur."""
    if features.dtype == np.uint8:
        return 0.0, 255.0
    lowest, highest = extremes(features)
    low, high = float(lowest.min()), float(highest.max())
    return low, high - low if high > low else 1.0


def extremes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each feature, [*shape]."""
    rows = [features[part] for part in split_into_portions(len(features), measure_width(features))]
    lowest = np.min([chunk.min(axis=0) for chunk in rows], axis=0)
    return lowest, np.max([chunk.max(axis=0) for chunk in rows], axis=0)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each feature in float64, [*shape]; two passes, a portion of rows at a time."""
    rows = [features[part] for part in split_into_portions(len(features), measure_width(features))]
    mean = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in rows) / len(features)
    squares = sum(((chunk - mean) ** 2).sum(axis=0) for chunk in rows)
    return np.asarray(mean), np.asarray(squares / len(features))
