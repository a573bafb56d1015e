"""Candidates of one moment, of which several are chosen one after the other. Pure.

Each that is chosen counts as if it had reached what is expected of it, which is how running trials count: the
frontier has its points, and what is near to it is surer. Only the models are not conditioned anew.
"""

import math
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
AT_ONCE = 32
"""Candidates that are looked at together; those that were worth less than the best of them now is are not."""
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
        left = _CandidatesLeft(forecast, forecasts, self._worth[order], count)
        chosen = self._choose(self._worth[order], limits)
        for _ in range(min(count, len(order) - 1)):
            if chosen is None:
                return
            row, target = chosen
            left.expect(row, target)
            chosen = self._choose(left.measure_worth(), limits)
            if chosen is not None:
                yield int(order[chosen[0]]), chosen[1]


class _CandidatesLeft:
    """Candidates that are not chosen yet, of which only those are looked at again that may be the best.

    What is expected of others only lessens what a candidate may gain, since the improvement of a frontier is
    submodular; so what it was worth when it was last looked at is a bound (lazy greedy: Minoux 1978, doi
    10.1007/BFb0006528).
    """

    def __init__(
        self, forecast: Forecast, forecasts: CandidateForecasts, worth: Array, capacity: int
    ) -> None:
        """Take over what candidates are worth [m, rungs]; at most `capacity` will be chosen."""
        self._deviations = forecast.expect_on_grid(forecasts, capacity)
        explained = forecasts.explained[:, :0]  # which is large, and of no use from here on
        self._forecast, self._forecasts = forecast, replace(forecasts, explained=explained)
        self._bounds = worth.max(1)
        self._dearest = float(forecasts.costs[:, -1].max())
        self._is_gaining = True

    def expect(self, row: int, target: int) -> None:
        """Take a candidate away, and what is expected of it until the epoch `target` for reached."""
        self._bounds[row] = -math.inf
        self._deviations.expect(row, int(np.searchsorted(self._forecast.rungs, target)))
        self._forecast.expect(self._forecasts, row, target)

    def measure_worth(self) -> Array:
        """Measure what candidates are worth [m, rungs], of those that may be the best; 0 for all others."""
        worth = np.zeros_like(self._forecasts.costs)
        if self._is_gaining:
            self._find_gains(worth)
            self._is_gaining = bool(worth.max() > 0)
        if not self._is_gaining:
            forecasts = replace(self._forecasts, deviation=self._deviations.deviation)
            left = np.isfinite(self._bounds)[:, None]
            worth = np.where(left, measure_worth(self._forecast, forecasts), 0.0)
        return worth

    def _find_gains(self, worth: Array) -> None:
        deviation, best = self._deviations.deviation, 0.0
        order = np.argsort(-self._bounds, kind="stable")
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            rows = rows[self._bounds[rows] > best]
            if not len(rows):
                return
            forecasts = replace(self._forecasts.take(rows), deviation=deviation[rows])
            worth[rows] = self._forecast.compute_gains(forecasts, dearest=self._dearest)
            self._bounds[rows] = worth[rows].max(1)
            best = max(best, float(self._bounds[rows].max()))
