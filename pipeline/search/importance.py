"""How much each searched key explains of what was found, for both objectives."""

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline.search.results import Results

FEWEST = 8
"""Trials below which nothing can be said."""


def importances(results: Results) -> dict[str, dict[str, float]]:
    """Objective -> key -> share 0..1: permutation importance in a random forest (Breiman 2001,
    doi 10.1023/A:1010933404324) over the trials' ends; empty with too few trials.

    The objectives are log error and log device-seconds; shares of one objective sum to 1.
    """
    ended = [each for each in results.tried if each.points()]
    keys = list(dict.fromkeys(key for each in ended for key in each.params))
    if len(ended) < FEWEST or not keys:
        return {}
    features = np.array([[_number(each.params.get(key), key, ended) for key in keys] for each in ended])
    points = [each.points()[-1] for each in ended]
    told = {
        "accuracy": np.log([max(1e-4, 1 - point.accuracy) for point in points]),
        "device-seconds": np.log([point.device_seconds for point in points]),
    }
    return {name: _shares(features, values, keys) for name, values in told.items()}


def _number(value: object, key: str, ended: object) -> float:
    if value is None:
        return -1.0
    if isinstance(value, bool | int | float):
        return float(value)
    values = sorted({str(each.params.get(key)) for each in ended})  # type: ignore[attr-defined]
    return float(values.index(str(value)))


def _shares(features: np.ndarray, values: np.ndarray, keys: list[str]) -> dict[str, float]:
    forest = RandomForestRegressor(100, random_state=0, n_jobs=1).fit(features, values)
    found = permutation_importance(forest, features, values, n_repeats=5, random_state=0, n_jobs=1)
    means = np.maximum(found.importances_mean, 0.0)
    total = means.sum() or 1.0
    return {key: float(mean / total) for key, mean in zip(keys, means, strict=True)}


Importances = Mapping[str, Mapping[str, float]]
