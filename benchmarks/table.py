"""A table of recorded curves, the space that its rows span, and what a search of it has paid and found.

Everything is read from the file: names, types, ranges, choices, conditions, curve lengths. A numeric
parameter whose range depends on a choice (a learning rate by optimizer) becomes one conditional parameter a
value of that choice, `name@value`, as a person would write the space; every strategy gets the same space.
"""

import heapq
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pipeline.frontier import Bounds, compute_log_hypervolume, select_frontier
from pipeline.frontier_sampler.conditions import Trait, learn_conditions
from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Parameter, make_key
from pipeline.measures import Point

EPOCHS = "epochs"
Curve = tuple[tuple[int, float, float], ...]
FEW = 6
"""Numbers with at most so many different values are choices."""
OWN_RANGE = 0.75
"""A choice gives a parameter an own range where it holds less than this share of the whole one."""
LEAST_ROWS = 5


class BadTable(Exception):
    """One line: file, line, rule, remedy."""


@dataclass(frozen=True, slots=True)
class Row:
    """`params` as in the file; `curve`: ((epoch, device-seconds so far, accuracy), ...), epochs rising."""

    params: Mapping[str, Any]
    curve: tuple[tuple[int, float, float], ...]

    def until(self, epochs: int) -> tuple[tuple[int, float, float], ...]:
        """The entries up to an epoch, at least the first."""
        return tuple(entry for entry in self.curve if entry[0] <= epochs) or self.curve[:1]


class Table:
    """Rows, the space that they span, and the area that all their points dominate."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list({make_key(row.params): row for row in rows}.values())
        self.parameters = _parameters([row.params for row in self.rows])
        self.space = EncodedSpace(self.parameters)
        self.inner = [_inner(row.params, self.parameters) for row in self.rows]
        self.place: dict[Key, int] = {make_key(params): at for at, params in enumerate(self.inner)}
        self.first = min(row.curve[0][0] for row in self.rows)
        self.epochs = max(row.curve[-1][0] for row in self.rows)
        points = [Point(accuracy, seconds) for row in self.rows for _, seconds, accuracy in row.curve]
        floor = 0.5 * min((1 - each.accuracy for each in points if each.accuracy < 1 - 1e-9), default=2e-4)
        self.bounds = Bounds.enclose(points, floor)
        self.whole = compute_log_hypervolume(points, self.bounds)

    @cached_property
    def features(self) -> np.ndarray:
        return self.space.encode_features(self.inner)

    @property
    def device_seconds(self) -> float:
        """Of all rows, run whole."""
        return sum(row.curve[-1][1] for row in self.rows)

    def nearest(self, params: Mapping[str, Any], taken: Sequence[bool]) -> int:
        """The row nearest to a configuration, in features 0..1: of those not taken, if there are any."""
        apart = ((self.features - self.space.encode_features([params])) ** 2).sum(1)
        free = ~np.asarray(taken)
        return int(np.where(free, apart, math.inf).argmin() if free.any() else apart.argmin())


def read(path: Path) -> Table:
    """Raises BadTable: not readable, or a line is no row."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTable(f"--table must be a readable file, got {path} ({error}); name another") from None
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise BadTable(f"{path} must hold a row of JSON a line, got none; record one (benchmarks.record)")
    return Table(rows)


def _row(path: Path, number: int, line: str) -> Row:
    try:
        told = json.loads(line)
        params = {str(name): value for name, value in told["params"].items()}
        entries = {
            int(epoch): (float(seconds), float(accuracy)) for epoch, seconds, accuracy in told["curve"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadTable(
            f'{path}:{number} must be {{"params": {{}}, "curve": [[epoch, device_seconds, accuracy], ...]}}, '
            f"got {type(error).__name__} ({error}); mend the line"
        ) from None
    curve = tuple((epoch, *entries[epoch]) for epoch in sorted(entries))
    fit = all(0 < seconds < math.inf and 0 <= accuracy <= 1 for _, seconds, accuracy in curve)
    if not curve or not fit or curve[0][0] < 1:
        raise BadTable(
            f"{path}:{number} must have epochs >= 1, device-seconds > 0 and accuracies in 0..1, "
            f"got {told['curve'][:3]}...; mend the line"
        )
    return Row({name: _plain(value) for name, value in params.items()}, curve)


def _plain(value: Any) -> Any:
    """Lists and objects become their text: one choice each."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


# ---- the space ----------------------------------------------------------------------------------------


def _parameters(configurations: Sequence[Mapping[str, Any]]) -> list[Parameter]:
    """Of all names that differ between rows."""
    names = sorted({name for params in configurations for name in params})
    columns = {name: [params[name] for params in configurations if name in params] for name in names}
    domains = {name: _domain(values) for name, values in columns.items()}
    choices = {name for name, domain in domains.items() if isinstance(domain, Choices)}
    traits = [
        Trait(frozenset(params), tuple(sorted((name, params[name]) for name in choices if name in params)))
        for params in configurations
    ]
    when = learn_conditions(traits)
    found: list[Parameter] = []
    for name in names:
        parent, among = when.get(name, (None, ()))
        domain = domains[name]
        if isinstance(domain, Numeric) and (
            twins := _twins(name, domain, choices if parent is None else {parent}, configurations)
        ):
            found += twins
        elif len(columns[name]) < len(configurations) or domain.count() > 1:
            found.append(Parameter(name, domain, parent, among))
    return found


def _domain(values: Sequence[Any]) -> Numeric | Choices:
    distinct = list(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    if not numbers or len(distinct) <= FEW:
        return Choices(
            tuple(sorted(distinct, key=lambda value: (not numbers and str(value), value if numbers else 0)))
        )
    whole = all(isinstance(value, int) for value in distinct)
    low, high = min(distinct), max(distinct)
    return Numeric(low, high, log=low > 0 and high / low >= 10 and _is_log(values), integer=whole)


def _is_log(values: Sequence[float]) -> bool:
    """Whether the median lies nearer to the middle of the logs than to that of the numbers."""
    low, high, middle = min(values), max(values), median(values)
    linear = abs((middle - low) / (high - low) - 0.5)
    return abs(math.log(middle / low) / math.log(high / low) - 0.5) < linear


def _twins(
    name: str,
    whole: Numeric,
    choices: set[str],
    configurations: Sequence[Mapping[str, Any]],
) -> list[Parameter]:
    """One parameter a value of the choice that decides its range; [] where none does."""
    rows = [params for params in configurations if name in params]
    best: tuple[float, list[Parameter]] = (OWN_RANGE, [])
    for parent in sorted(choices):
        groups: dict[Any, list[Any]] = {}
        for params in rows:
            groups.setdefault(params.get(parent), []).append(params[name])
        if None in groups or len(groups) < 2 or min(map(len, groups.values())) < LEAST_ROWS:
            continue
        held = [whole.scale(max(values)) - whole.scale(min(values)) for values in groups.values()]
        share = float(np.mean(held))
        if share < best[0]:
            best = (
                share,
                [
                    Parameter(f"{name}@{value}", _domain(values), parent, (value,))
                    for value, values in groups.items()
                ],
            )
    return best[1]


def _inner(params: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A row's values under the names of the space."""
    found: dict[str, Any] = {}
    for each in parameters:
        name = each.name
        if each.parent is not None and name not in params:
            name = name.removesuffix(f"@{each.among[0]}")
        if name in params and (each.parent is None or params.get(each.parent) in each.among):
            found[each.name] = params[name]
    return found


# ---- what was paid and found --------------------------------------------------------------------------


class Ledger:
    """Device-seconds paid, and the share of the table's area that they bought.

    With several workers each has a clock; what is paid at an instant is the instant times the workers.
    """

    def __init__(self, table: Table, budget: float, workers: int = 1) -> None:
        self.table, self.budget, self.workers = table, budget, workers
        self.paid, self.share = 0.0, 0.0
        self.trace: list[tuple[float, float]] = []
        self.reached = [0] * len(table.rows)  # epochs, by row
        self.trials = 0
        self.busy: set[int] = set()
        self._events: list[tuple[float, int, Point | None, int, Any, Curve]] = []
        self._stairs: list[Point] = []
        self._pushed = 0

    @property
    def open(self) -> bool:
        return self.paid < self.budget and self.share < ENOUGH

    def run(
        self, place: int, epochs: int, *, every: bool, resume: bool = False
    ) -> tuple[tuple[int, float, float], ...]:
        """Train row `place` up to an epoch. `every`: each epoch is a point, else the last alone.

        `resume`: go on from where the row was left and pay the difference, else from the start. Gives the
        curve, whole.
        """
        curve = self.table.rows[place].until(epochs)
        behind = self.reached[place] if resume else 0
        before = max((seconds for epoch, seconds, _ in curve if epoch <= behind), default=0.0)
        start = self.paid
        for entry in curve:
            epoch, seconds, accuracy = entry
            if epoch > behind:
                self.paid = start + seconds - before
                if every or entry is curve[-1]:
                    self._add(Point(accuracy, seconds))
        self.reached[place] = max(self.reached[place], curve[-1][0])
        return curve

    # ---- several workers ------------------------------------------------------------------------------

    @property
    def has_free_worker(self) -> bool:
        """Return whether a trial can start now."""
        return len(self.busy) < self.workers

    def start(self, row: int, epochs: int, trial: Any, *, every: bool, resume: bool) -> None:
        """Let a free worker train a row up to an epoch; `every` and `resume` as in `run`."""
        self.trials += 1
        self.busy.add(row)
        curve = self.table.rows[row].until(epochs)
        behind = self.reached[row] if resume else 0
        before = max((seconds for epoch, seconds, _ in curve if epoch <= behind), default=0.0)
        now = self.paid / self.workers
        for epoch, seconds, accuracy in curve:
            if epoch > behind and (every or epoch == curve[-1][0]):
                self._push(now + seconds - before, Point(accuracy, seconds), row, trial, curve)
        self._push(now + max(curve[-1][1] - before, 0.0), None, row, trial, curve)
        self.reached[row] = max(self.reached[row], curve[-1][0])

    def _push(self, instant: float, point: Point | None, row: int, trial: Any, curve: Curve) -> None:
        self._pushed += 1
        heapq.heappush(self._events, (instant, self._pushed, point, row, trial, curve))

    def finish_next(self) -> tuple[Any, Curve]:
        """Turn the clock until a trial ends; return it with its curve."""
        while True:
            instant, _, point, row, trial, curve = heapq.heappop(self._events)
            self.paid = max(self.paid, instant * self.workers)
            if point is not None:
                self._add(point)
            else:
                self.busy.discard(row)
                return trial, curve

    def taken(self) -> list[bool]:
        return [epochs > 0 for epochs in self.reached]

    def _add(self, point: Point) -> None:
        if self.paid > self.budget:
            return
        self._stairs = select_frontier([*self._stairs, point])
        self.share = compute_log_hypervolume(self._stairs, self.table.bounds) / self.table.whole
        self.trace.append((self.paid, self.share))

    def share_at(self, paid: float) -> float:
        """Return the share that had been reached when so many device-seconds were paid."""
        return max((share for seconds, share in self.trace if seconds <= paid), default=0.0)

    def cost_to(self, share: float) -> float:
        """Device-seconds until that share was reached; infinite where it was not."""
        return next((paid for paid, reached in self.trace if reached >= share), math.inf)


ENOUGH = 0.995
"""A run ends at this share, or when its budget is spent."""
