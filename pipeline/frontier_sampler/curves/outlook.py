"""What more training of a study is expected to add to its best accuracy. Pure."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.frontier_sampler.batches.candidate_forecasts import CandidateForecasts
from pipeline.frontier_sampler.forecast import Forecast

TENTH = 1.2816
"""Deviations from the mean to the first and the last tenth of a normal distribution."""
NEARLY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What more training is expected to add to the best accuracy: of one configuration, to `epochs`.

    `gain`: expected, in 0..1; `low`, `high`: where it lies with 80 %; `reached`: epochs it was trained for, 0
    where it is a new one; `extra_seconds`: device-seconds that the rest costs.
    """

    epochs: int
    reached: int
    extra_seconds: float
    gain: float
    low: float
    high: float


def look_ahead(forecast: Forecast, forecasts: CandidateForecasts, best_accuracy: float) -> Outlook | None:
    """Find what would add most to the best accuracy, for at most as much again as was paid so far.

    `best_accuracy`: of what the history does not hold, such as a baseline.

    The gain is the expected improvement under a lognormal error (in closed form as the value of a put:
    Black and Scholes 1973, doi 10.1086/260062). Of what adds nearly as much as the best, the cheapest;
    None where nothing is affordable.
    """
    from scipy.special import ndtr  # type: ignore[import-untyped]

    best = max(1 - best_accuracy, forecast.floor)
    best = min([best, *(math.exp(error) for error in forecast.points[:, 1].tolist())])
    mean = np.maximum(forecasts.mean, math.log(forecast.floor))
    deviation = np.maximum(forecasts.deviation, 1e-9)
    place = (math.log(best) - mean) / deviation
    gains = best * ndtr(place) - np.exp(mean + deviation**2 / 2) * ndtr(place - deviation)
    counts = forecasts.allowed & (forecast.rungs[None, :] > forecasts.reached[:, None])
    counts &= forecasts.fair[:, None] | (forecast.rungs == forecast.fidelity.high)[None, :]
    counts &= forecasts.extra_seconds <= forecast.paid_seconds
    if not counts.any():
        return None
    gains = np.where(counts, gains * forecasts.feasible_chance[:, None], -1.0)
    costs = np.where(gains >= NEARLY * gains.max(), forecasts.extra_seconds, math.inf)
    row, rung = divmod(int(costs.argmin()), costs.shape[1])
    low, high = (
        max(0.0, best - math.exp(mean[row, rung] + side * deviation[row, rung])) for side in (TENTH, -TENTH)
    )
    gain = max(0.0, float(gains[row, rung]))
    return Outlook(
        epochs=int(forecast.rungs[rung]),
        reached=int(forecasts.reached[row]),
        extra_seconds=float(forecasts.extra_seconds[row, rung]),
        gain=gain,
        low=min(low, gain),
        high=max(high, gain),
    )
