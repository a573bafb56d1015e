"""What a search of a table has paid and found, with one worker or several by simulated clocks."""

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.table import Curve, Space
from pipeline.frontier.dominance import select_frontier
from pipeline.frontier.hypervolume import compute_log_hypervolume
from pipeline.frontier_sampler.encoding import Key, make_key
from pipeline.measures import Point

ENOUGH = 0.995
"""A run ends at this share, or when its budget is spent."""
MOST_TRIALS = 400
"""And after so many trials."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a search stood when its share grew: device-seconds paid, trials begun, CPU seconds to think."""

    paid: float
    share: float
    trials: int
    thought: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial that has ended."""

    row: int
    trial: Any
    curve: Curve


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """The end of an epoch, which took `seconds`, or of a trial; of one instant in the order of `number`."""

    instant: float
    number: int
    seconds: float = field(compare=False)
    point: Point | None = field(compare=False)
    ended: Trained | None = field(compare=False)


class Ledger:
    """Device-seconds paid, and the share of the table's area that they bought.

    What was trained of a row is never paid twice: its checkpoint is kept, and going on costs the difference.
    With several workers each has a clock. An epoch is paid, and is a point, at the instant at which it ends;
    what is on its way then is neither bought nor lost, so equal device-seconds are equal work that was done.
    """

    def __init__(self, table: Space, budget: float, workers: int = 1, most_trials: int = MOST_TRIALS) -> None:
        self.table, self.budget, self.workers, self.most_trials = table, budget, workers, most_trials
        self.paid, self.share, self.thought = 0.0, 0.0, 0.0
        self.trace: list[Step] = []
        self.reached: Counter[int] = Counter()  # epochs, by row
        self.trials = 0
        self._busy: set[int] = set()
        self._rows: dict[Key, int] = {}
        self.clock = 0.0
        self._events: list[Event] = []
        self._stairs: list[Point] = []
        self._pushed = 0

    @property
    def open(self) -> bool:
        return self.paid < self.budget and self.share < ENOUGH and self.trials < self.most_trials

    @contextmanager
    def thinking(self) -> Iterator[None]:
        """Measure the CPU seconds that a strategy takes to suggest, or to learn, whoever else is busy."""
        start = time.process_time()
        yield
        self.thought += time.process_time() - start

    def find_row(self, params: Mapping[str, Any], epochs: int) -> int:
        """Find the row as which a configuration is trained: its own from before, else the nearest.

        Of the rows that nobody trained as far: the table has one curve a row and cannot be asked twice.
        """
        key = make_key(params)
        row = self._rows.get(key, self.table.place.get(key))
        if row is None or row in self._busy or self.reached[row] >= epochs:
            free = [
                place not in self._busy and self.reached[place] < min(epochs, each.curve[-1][0])
                for place, each in enumerate(self.table.rows)
            ]
            row = self._rows[key] = self.table.nearest(params, free)
        return row

    def run(self, place: int, epochs: int, *, every: bool) -> Curve:
        """Train row `place` up to an epoch. `every`: each epoch is a point, else the last alone.

        Gives the curve, whole.
        """
        curve = self.table.rows[place].until(epochs)
        behind, before = self._find_paid(place, curve)
        start = self.paid
        for entry in curve:
            epoch, seconds, accuracy = entry
            self.paid = max(self.paid, start + seconds - before)
            if epoch > behind and (every or entry is curve[-1]):
                self._add(Point(accuracy, seconds))
        self.reached[place] = max(behind, curve[-1][0])
        return curve

    def _find_paid(self, row: int, curve: Curve) -> tuple[int, float]:
        """Find the epochs of a row, and their device-seconds, that were paid before."""
        behind = self.reached[row]
        return behind, max((seconds for epoch, seconds, _ in curve if epoch <= behind), default=0.0)

    # ---- several workers ------------------------------------------------------------------------------

    @property
    def has_free_worker(self) -> bool:
        """Return whether a trial can start now."""
        return len(self._busy) < self.workers

    def start(self, row: int, epochs: int, trial: Any, *, every: bool) -> None:
        """Let a free worker train a row up to an epoch; `every` as in `run`."""
        self.trials += 1
        self._busy.add(row)
        curve = self.table.rows[row].until(epochs)
        behind, before = self._find_paid(row, curve)
        instant = self.clock
        for entry in curve:
            epoch, seconds, accuracy = entry
            if epoch > behind:
                taken = max(seconds - before, 0.0)
                instant, before = instant + taken, max(before, seconds)
                point = Point(accuracy, seconds) if every or entry is curve[-1] else None
                self._push(Event(instant, self._pushed, taken, point, None))
        self._push(Event(instant, self._pushed, 0.0, None, Trained(row, trial, curve)))

    def _push(self, event: "Event") -> None:
        self._pushed += 1
        heapq.heappush(self._events, event)

    def finish_next(self) -> Trained:
        """Turn the clock until a trial ends; return it."""
        while True:
            event = heapq.heappop(self._events)
            self.clock = event.instant
            self.paid += event.seconds
            if event.point is not None:
                self._add(event.point)
            if event.ended is not None:
                ended = event.ended
                self.reached[ended.row] = max(self.reached[ended.row], ended.curve[-1][0])
                self._busy.discard(ended.row)
                return ended

    def _add(self, point: Point) -> None:
        if self.paid > self.budget:
            return
        self._stairs = select_frontier([*self._stairs, point])
        share = compute_log_hypervolume(self._stairs, self.table.bounds) / self.table.whole
        if share > self.share or not self.trace:
            self.share = share
            self.trace.append(Step(self.paid, share, self.trials, self.thought))
