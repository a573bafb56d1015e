"""Which of many configurations matter for the next suggestion: a bounded number, whatever was tried. Pure.

Kept are all that have a point on the frontier or at the edge of the window, those whose ends lie nearest to
the frontier, paused ones near it, the newest, and some spread evenly over the rest. So the frontier is exact,
and the surrogates know its neighbourhood best.
"""

import math
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.acquisition import ReferencePoint, Staircase

Array = NDArray[np.float64]

NEAR, PAUSED, NEWEST, SPREAD = 200, 64, 60, 76
"""How many configurations of each kind are kept."""
LIMIT = NEAR + PAUSED + NEWEST + SPREAD
GROUP = 64
"""Configurations whose points are searched for the frontier at once; the result is kept until one changes."""
MIN_ERROR, MIN_SECONDS = 1e-6, 1e-12
FIRST, FEASIBLE, PAUSABLE, END_COST, END_ERROR, MIN_COST, MAX_COST, LOW_ERROR, HIGH_ERROR = range(9)
"""The columns: costs and errors are natural logs."""


class Configured(Protocol):
    """What the table reads of a configuration; see `history.Configuration`."""

    first: int
    curve: tuple[tuple[int, float, float], ...]
    points: Array
    row: int | None

    @property
    def feasible(self) -> bool:
        """Return whether it keeps to all constraints."""


AnyConfiguration = TypeVar("AnyConfiguration", bound=Configured)


class ConfigurationTable(Generic[AnyConfiguration]):
    """Observed configurations as rows of numbers, which are computed anew only for those that change."""

    def __init__(self) -> None:
        self._configurations: list[AnyConfiguration] = []
        self._columns: Array = np.empty((GROUP, 9))
        self._fronts: list[tuple[NDArray[np.intp], Array] | None] = []
        self._relevant: list[AnyConfiguration] | None = None

    def __len__(self) -> int:
        return len(self._configurations)

    def update(self, configuration: AnyConfiguration, pausable: bool) -> None:
        """Take over what a configuration with a curve has become; `pausable`: training can go on."""
        if configuration.row is None:
            configuration.row = len(self._configurations)
            self._configurations.append(configuration)
        row = configuration.row
        if row // GROUP == len(self._fronts):
            self._fronts.append(None)
            if row == len(self._columns):
                self._columns = np.concatenate([self._columns, np.empty_like(self._columns)])
        points = _to_plane(configuration.points)
        end = _to_plane(np.array(configuration.curve[-1:], float))[0]
        low, high = points.min(0), points.max(0)
        self._columns[row] = (
            configuration.first, configuration.feasible, pausable, *end, low[0], high[0], low[1], high[1],
        )  # fmt: skip
        self._fronts[row // GROUP] = self._relevant = None

    def sum_costs(self) -> float:
        """Return the device-seconds of all configurations, summed in the order of their first trials."""
        return float(np.exp(self._columns[self._sort_rows(), END_COST]).sum())

    def list_all(self) -> list[AnyConfiguration]:
        """List the configurations in the order of their first trials."""
        return [self._configurations[row] for row in self._sort_rows()]

    def select_relevant(self) -> list[AnyConfiguration]:
        """Select about LIMIT configurations, in the order of their first trials."""
        if self._relevant is None:
            self._relevant = self._select()
        return list(self._relevant)

    def _select(self) -> list[AnyConfiguration]:
        order = self._sort_rows()
        table = self._columns[order]
        owners, front = self._find_front()
        ends = table[:, [MIN_COST, MAX_COST]], table[:, [LOW_ERROR, HIGH_ERROR]]
        stairs = Staircase(front, ReferencePoint.around(*ends))
        above = table[:, END_ERROR] - stairs.level(table[:, END_COST])
        nearest = np.lexsort((above, table[:, FEASIBLE] == 0))
        selected = np.zeros(len(order), bool)
        selected[nearest[:NEAR]] = selected[-NEWEST:] = True
        selected[nearest[table[nearest, PAUSABLE] == 1][:PAUSED]] = True
        selected[surrogate.spread_evenly(len(order), SPREAD)] = True
        selected[[*table[:, MIN_COST:].argmin(0), *table[:, MIN_COST:].argmax(0)]] = True
        selected |= np.isin(order, owners)
        return [self._configurations[row] for row in order[selected]]

    def _sort_rows(self) -> NDArray[np.intp]:
        return np.argsort(self._columns[: len(self), FIRST], kind="stable")

    def _find_front(self) -> tuple[NDArray[np.intp], Array]:
        """Find the rows that have points on the frontier of all feasible ones, and these points [k, 2]."""
        for group, cached in enumerate(self._fronts):
            if cached is None:
                rows = range(group * GROUP, min((group + 1) * GROUP, len(self)))
                self._fronts[group] = self._find_front_among(
                    [row for row in rows if self._columns[row, FEASIBLE]]
                )
        groups = [cached for cached in self._fronts if cached is not None]
        owners = np.concatenate([rows for rows, _ in groups])
        points = np.concatenate([points for _, points in groups])
        front = _select_front(points)
        return owners[front], points[front]

    def _find_front_among(self, rows: Sequence[int]) -> tuple[NDArray[np.intp], Array]:
        points = [_to_plane(self._configurations[row].points) for row in rows]
        if not points:
            return np.empty(0, np.intp), np.empty((0, 2))
        owners, plane = np.repeat(rows, list(map(len, points))), np.concatenate(points)
        front = _select_front(plane)
        return owners[front], plane[front]


def _to_plane(entries: Array) -> Array:
    """Convert entries [n, 3] (epoch, device-seconds, accuracy) to (log cost, log error) [n, 2]."""
    errors = np.maximum(1 - entries[:, 2], MIN_ERROR)
    plane: Array = np.log(np.stack([np.maximum(entries[:, 1], MIN_SECONDS), errors], axis=1))
    return plane


def _select_front(points: Array) -> NDArray[np.intp]:
    """Select the rows of `points` [n, 2] that are cheaper or better than all others."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    errors = points[order, 1]
    before = np.minimum.accumulate(np.concatenate([[math.inf], errors]))[:-1]
    front: NDArray[np.intp] = order[errors < before]
    return front
