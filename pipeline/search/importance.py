"""How much each searched key explains of the differences between trials, for each objective."""

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial

MIN_TRIALS = 8
"""With fewer trials nothing can be said."""


def compute_importances(results: Results) -> dict[str, dict[str, float]]:
    """Compute objective -> key -> share 0..1; empty with too few trials.

    It is the permutation importance in a random forest (Breiman 2001, doi 10.1023/A:1010933404324) over the
    last points of the trials. The objectives are log error and log device-seconds; shares of one objective
    sum to 1.
    """
    trials = [trial for trial in results.trials if trial.points]
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    if len(trials) < MIN_TRIALS or not keys:
        return {}
    features = np.array([[_encode(trial.params.get(key), key, trials) for key in keys] for trial in trials])
    points = [trial.points[-1] for trial in trials]
    objectives = {
        "accuracy": np.log([max(1e-4, 1 - point.accuracy) for point in points]),
        "device-seconds": np.log([point.device_seconds for point in points]),
    }
    return {name: _compute_shares(features, values, keys) for name, values in objectives.items()}


def _encode(value: object, key: str, trials: Sequence[StudyTrial]) -> float:
    if value is None:
        return -1.0
    if isinstance(value, bool | int | float):
        return float(value)
    values = sorted({str(trial.params.get(key)) for trial in trials})
    return float(values.index(str(value)))


def _compute_shares(features: np.ndarray, values: np.ndarray, keys: list[str]) -> dict[str, float]:
    forest = RandomForestRegressor(100, random_state=0, n_jobs=1).fit(features, values)
    result = permutation_importance(forest, features, values, n_repeats=5, random_state=0, n_jobs=1)
    means = np.maximum(result.importances_mean, 0.0)
    total = means.sum() or 1.0
    return {key: float(mean / total) for key, mean in zip(keys, means, strict=True)}
