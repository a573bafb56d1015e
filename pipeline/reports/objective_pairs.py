"""The objectives of a study in pairs: their axes, and the line of points that none beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.frontier.dominance import find_frontier
from pipeline.measures import Point
from pipeline.search.results import Results

LEAST_MISSING = 1e-4
"""Of a share that should be 1: a log scale has no place for nothing."""


@dataclass(frozen=True, slots=True)
class PairAxis:
    """One objective as an axis: its place in a point's costs, its name, and the least that is drawn."""

    number: int
    heading: str
    least: float = 0.0

    def read(self, point: Point) -> float:
        """Return the cost by this objective, of accuracy the error."""
        return max(self.least, (1 - point.accuracy, point.device_seconds, *point.further)[self.number])


def list_pairs(results: Results) -> list[tuple[PairAxis, PairAxis]]:
    """List each two of the objectives as (upwards, across); accuracy goes upwards."""
    axes = [PairAxis(0, f"validation {results.accuracy_name}"), PairAxis(1, "device-seconds")]
    for number, kind in enumerate(results.further, start=2):
        share = kind.maximise
        heading = f"1 - {kind.heading}" if share else kind.heading
        axes.append(PairAxis(number, heading, LEAST_MISSING if share else 0.0))
    return list(combinations(axes, 2))


def find_pair_frontier(points: Sequence[Point], up: PairAxis, across: PairAxis) -> list[int]:
    """Find the points that none dominates by these two objectives alone, in the order of `across`."""
    return find_frontier([Point(-up.read(point), across.read(point)) for point in points])
