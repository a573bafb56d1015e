"""Candidates of one moment, of which several are chosen one after the other. Pure.

Each that is chosen counts as if it had reached what is expected of it, which is how running trials count: the
frontier has its points, and what is near to it is surer. Only the models are not conditioned anew.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.forecast import CandidateForecasts, Forecast

Array = NDArray[np.float64]

BOLD = (-4.0, -2.5)
"""Deviations to look at where nothing seems to improve the frontier."""
CHOICE = 3
"""Candidates that are looked at again, for each that is chosen: the best ones of the first look."""
Choice = tuple[int, int]
"""A candidate, by its row, and the epochs to train it to."""


def measure_worth(forecast: Forecast, forecasts: CandidateForecasts) -> Array:
    """Measure what candidates are worth [m, rungs]: their gains, else what may be hoped for, or learned."""
    gains = forecast.compute_gains(forecasts)
    if not gains.max() > 0:
        gains = forecast.compute_gains(forecasts, BOLD)
    if not gains.max() > 0:  # nothing is believed to help: learn most a second
        gains = np.where(forecasts.allowed, forecasts.deviation, 0.0) / forecasts.extra_seconds
    return gains


class Batch:
    """Candidates with what they are worth; the best is chosen first."""

    def __init__(self, forecast: Forecast, forecasts: CandidateForecasts, worth: Array) -> None:
        """Take candidates over; `forecast` changes with what is chosen further. `worth`: [m, rungs]."""
        self._forecast, self.forecasts, self._worth = forecast, forecasts, worth
        self._limits = forecast.find_limits(forecasts)

    def choose(self) -> Choice | None:
        """Choose the best; None where nothing is worth anything."""
        return self._choose(self._worth, self._limits)

    def _choose(self, worth: Array, limits: NDArray[np.int_]) -> Choice | None:
        if not worth.max() > 0:
            return None
        row, rung = divmod(int(worth.argmax()), worth.shape[1])
        return row, min(int(self._forecast.rungs[rung]), int(limits[row]))

    def choose_further(self, count: int) -> Iterator[Choice]:
        """Choose up to `count` further ones, each given what is expected of those before."""
        order = np.argsort(-self._worth.max(1), kind="stable")[: CHOICE * (count + 1)]
        forecast, forecasts, limits = self._forecast, self.forecasts.take(order), self._limits[order]
        deviations = forecast.expect_on_grid(forecasts, count)
        left = np.ones(len(order), bool)
        chosen = self._choose(self._worth[order], limits)
        for _ in range(min(count, len(order) - 1)):
            if chosen is None:
                return
            row, target = chosen
            left[row] = False
            deviations.expect(row, int(np.searchsorted(forecast.rungs, target)))
            forecast.expect(forecasts, row, target)
            forecasts = replace(forecasts, deviation=deviations.deviation)
            worth = np.where(left[:, None], measure_worth(forecast, forecasts), 0.0)
            chosen = self._choose(worth, limits)
            if chosen is not None:
                yield int(order[chosen[0]]), chosen[1]
