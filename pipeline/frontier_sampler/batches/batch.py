"""Candidates of one moment, of which several are chosen one after the other. Pure.

Each that is chosen counts as if it had reached what is expected of it, which is how running trials count: the
frontier has its points, and what is near to it is surer. Only the models are not conditioned anew.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.batches.candidate_forecasts import CandidateForecasts
from pipeline.frontier_sampler.encoding import Key
from pipeline.frontier_sampler.forecast import Forecast
from pipeline.frontier_sampler.history import Configuration

Array = NDArray[np.float64]

BOLD = (-4.0, -2.5)
"""Deviations to look at where nothing seems to improve the frontier."""
RATED = 48
"""Candidates of which the stops are rated: those that gain most if they go on at once."""
CHOICE = 3
"""Candidates that are looked at again, for each that is chosen: the best ones of the first look."""
AT_ONCE = 32
"""Candidates that are looked at together; those that were worth less than the best of them now is are not."""
Choice = tuple[Configuration, int]
"""A candidate, and the epochs to train it to."""
Selection = tuple[CandidateForecasts, Array, Array]
"""Some candidates: their forecasts, gains and worth [m, rungs]."""


def measure_hope(forecast: Forecast, forecasts: CandidateForecasts) -> Array:
    """Measure what may be hoped for [m, rungs] where nothing is expected to gain, or what may be learned."""
    gains = forecast.compute_gains(forecasts, BOLD)
    if not gains.max() > 0:  # nothing is believed to help: learn most a second
        gains = np.where(forecasts.allowed, forecasts.deviation, 0.0) / forecasts.extra_seconds
    return gains


class Batch:
    """Candidates with what they are worth; the best is chosen first."""

    def __init__(self, forecast: Forecast, forecasts: CandidateForecasts) -> None:
        """Take candidates over, some perhaps twice; `forecast` changes with what is chosen further."""
        self._forecast, self._dearest = forecast, float(forecasts.costs[:, -1].max())
        rows: dict[Key, int] = {}
        for row, candidate in enumerate(forecasts.candidates):
            rows.setdefault(candidate.key, row)
        self._forecasts = forecasts.take(np.array(list(rows.values())))
        self._gains = forecast.compute_gains(self._forecasts, dearest=self._dearest)

    @cached_property
    def best(self) -> Choice | None:
        """Choose the best; None where nothing is worth anything."""
        forecasts, _, worth = self._rated
        return self._choose(forecasts, worth)

    @cached_property
    def _rated(self) -> Selection:
        return self._select(RATED)

    def _choose(self, forecasts: CandidateForecasts, worth: Array) -> Choice | None:
        if not worth.max() > 0:
            return None
        row, rung = divmod(int(worth.argmax()), worth.shape[1])
        return forecasts.candidates[row], int(self._forecast.rungs[rung])

    def choose_further(self, count: int) -> Iterator[Choice]:
        """Choose up to `count` further ones, each given what is expected of those before."""
        chosen, wanted = self.best, CHOICE * (count + 1)
        forecasts, gains, worth = self._rated if wanted <= RATED else self._select(wanted)
        left = _CandidatesLeft(self._forecast, forecasts, gains, worth, count, self._dearest)
        rows = {id(candidate): row for row, candidate in enumerate(forecasts.candidates)}
        for _ in range(min(count, len(worth) - 1)):
            if chosen is None:
                return
            left.expect(rows[id(chosen[0])], chosen[1])
            chosen = self._choose(forecasts, left.measure_worth())
            if chosen:
                yield chosen

    def _select(self, count: int) -> Selection:
        """Select the candidates that gain most."""
        best = np.sort(np.argsort(-self._gains.max(1), kind="stable")[:count])
        forecasts, gains = self._forecasts.take(best), self._gains[best]
        if gains.max() > 0:
            return forecasts, gains, self._forecast.rate_stops(forecasts, gains, self._dearest)
        return forecasts, gains, measure_hope(self._forecast, forecasts)


class _CandidatesLeft:
    """Candidates that are not chosen yet, of which only those are looked at again that may be the best.

    What is expected of others only lessens what a candidate may gain, since the improvement of a frontier is
    submodular; so what it was worth when it was last looked at is a bound (lazy greedy: Minoux 1978, doi
    10.1007/BFb0006528).
    """

    def __init__(
        self,
        forecast: Forecast,
        forecasts: CandidateForecasts,
        gains: Array,
        worth: Array,
        capacity: int,
        dearest: float,
    ) -> None:
        """Take over what candidates gain and are worth [m, rungs]; at most `capacity` will be chosen."""
        self._deviations = forecast.expect_on_grid(forecasts, capacity)
        self._forecast, self._forecasts = forecast, forecasts
        self._worth, self._gains, self._bounds = worth, gains.max(1), worth.max(1)
        self._dearest = dearest
        self._is_gaining = bool(self._gains.max() > 0)

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
            rows = np.flatnonzero(np.isfinite(self._bounds))
            deviation = self._deviations.deviation[rows]
            worth[rows] = measure_hope(
                self._forecast, replace(self._forecasts.take(rows), deviation=deviation)
            )
        return worth

    def _find_gains(self, worth: Array) -> None:
        """Lessen what candidates were worth as their gains became less, which is cheaper than rating anew."""
        deviation, best = self._deviations.deviation, 0.0
        order = np.argsort(-self._bounds, kind="stable")
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            rows = rows[self._bounds[rows] > best]
            if not len(rows):
                return
            forecasts = replace(self._forecasts.take(rows), deviation=deviation[rows])
            gains = self._forecast.compute_gains(forecasts, dearest=self._dearest).max(1)
            left = np.divide(gains, self._gains[rows], out=np.zeros(len(rows)), where=self._gains[rows] > 0)
            worth[rows] = self._worth[rows] * np.minimum(left, 1.0)[:, None]
            self._bounds[rows] = worth[rows].max(1)
            best = max(best, float(self._bounds[rows].max()))
