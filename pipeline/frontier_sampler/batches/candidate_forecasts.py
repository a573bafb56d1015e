"""What is expected of the candidates of one moment, in columns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.history import Configuration
from pipeline.frontier_sampler.observations import MIN_SECONDS

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateForecasts:
    """Candidates and what is expected of them, [m] or [m, rungs].

    `paid_seconds`: device-seconds paid already; `allowed`: rungs that may be a target; `feasible_chance`:
    0..1, that the constraints are kept.
    """

    candidates: Sequence[Configuration]
    reached: NDArray[np.int_]
    paid_seconds: Array
    fair: Flags
    allowed: Flags
    feasible_chance: Array
    costs: Array
    mean: Array
    deviation: Array

    def take(self, rows: NDArray[np.intp]) -> "CandidateForecasts":
        """Return those of some candidates."""
        values = {column.name: getattr(self, column.name) for column in fields(self)}
        values["candidates"] = [self.candidates[row] for row in rows]
        selected = {name: value if name == "candidates" else value[rows] for name, value in values.items()}
        return CandidateForecasts(**selected)

    @classmethod
    def join(cls, several: "Sequence[CandidateForecasts]") -> "CandidateForecasts":
        """Return the candidates of all, in their order."""
        columns = {column.name: [getattr(one, column.name) for one in several] for column in fields(cls)}
        candidates = list(chain.from_iterable(columns.pop("candidates")))
        joined = {name: np.concatenate(values) for name, values in columns.items()}
        return cls(candidates=candidates, **joined)

    @property
    def extra_seconds(self) -> Array:
        """Return the device-seconds still to be paid, [candidates, rungs]."""
        extra: Array = np.maximum(self.costs - self.paid_seconds[:, None], MIN_SECONDS)
        return extra

    def make_points(self, row: int, columns: NDArray[np.intp]) -> Array:
        """Make the points (log cost, log error) [columns, 2] that a candidate is expected to reach."""
        errors = np.minimum(self.mean[row, columns], 0.0)
        return np.stack([np.log(self.costs[row, columns]), errors], axis=1)
