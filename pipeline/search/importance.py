"""How much each searched key explains of the differences between trials, for each objective."""

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline.search.results import Results
from pipeline.search.study_trial import StudyTrial

MIN_TRIALS = 8
"""With fewer trials nothing can be said."""


MAX_TRIALS = 800
"""Of more trials so many are drawn, so that the time does not grow with the study."""


def compute_importances(results: Results) -> dict[str, dict[str, float]]:
    """Compute objective -> key -> share 0..1; empty with too few trials.

    It is the permutation importance in a random forest (Breiman 2001, doi 10.1023/A:1010933404324) over the
    last points of the trials: how much worse the forest predicts once the values of a key are shuffled, on
    the trials that it was grown on; less than nothing counts as nothing. The objectives are log error, log
    device-seconds and the logs of the further costs; shares of one objective sum to 1. Of a study with more
    than MAX_TRIALS trials, it is that of a random sample of them, the same one each time.
    """
    trials = _draw_sample([trial for trial in results.trials if trial.has_points])
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    if len(trials) < MIN_TRIALS or not keys:
        return {}
    features = np.column_stack([_encode([trial.params.get(key) for trial in trials]) for key in keys])
    points = [trial.points[-1] for trial in trials]
    objectives = {
        results.accuracy_name: np.log([max(1e-4, 1 - point.accuracy) for point in points]),
        "device-seconds": np.log([point.device_seconds for point in points]),
    }
    for number, kind in enumerate(results.further):
        objectives[kind.label] = np.log([max(1e-9, point.further[number]) for point in points])
    return {name: _compute_shares(features, values, keys) for name, values in objectives.items()}


def _draw_sample(trials: Sequence[StudyTrial]) -> Sequence[StudyTrial]:
    """Draw at most MAX_TRIALS trials; their order stays."""
    if len(trials) <= MAX_TRIALS:
        return trials
    drawn = np.random.default_rng(0).choice(len(trials), MAX_TRIALS, replace=False)
    return [trials[index] for index in np.sort(drawn)]


def _encode(values: Sequence[object]) -> list[float]:
    """Encode the values of one key as numbers: text by its place in the alphabet, -1 where there is none."""
    places = {text: float(place) for place, text in enumerate(sorted({str(value) for value in values}))}
    return [
        -1.0 if value is None else float(value) if isinstance(value, int | float) else places[str(value)]
        for value in values
    ]


def _compute_shares(features: np.ndarray, values: np.ndarray, keys: list[str]) -> dict[str, float]:
    forest = RandomForestRegressor(100, random_state=0, n_jobs=1).fit(features, values)
    result = permutation_importance(forest, features, values, n_repeats=5, random_state=0, n_jobs=1)
    means = np.maximum(result.importances_mean, 0.0)
    total = means.sum() or 1.0
    return {key: float(mean / total) for key, mean in zip(keys, means, strict=True)}
