"""A table of recorded curves, and the space that its rows span.

Rows of one configuration that differ in their seed are one: the mean of their curves.

Everything is read from the file: names, types, ranges, choices, conditions, curve lengths. A numeric
parameter whose range depends on a choice (a learning rate by optimizer) becomes one conditional parameter a
value of that choice, `name@value`, as a person would write the space; every strategy gets the same space.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
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


def average_seeds(rows: Sequence[Row]) -> Row:
    """Return one row for those of one configuration: the mean of their curves, as far as all of them go."""
    if len(rows) == 1:
        return rows[0]
    curves = [{epoch: (seconds, accuracy) for epoch, seconds, accuracy in row.curve} for row in rows]
    epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
    means = [np.mean([curve[epoch] for curve in curves], axis=0) for epoch in epochs]
    entries = zip(epochs, means, strict=True)
    curve = tuple((epoch, float(seconds), float(accuracy)) for epoch, (seconds, accuracy) in entries)
    return Row(rows[0].params, curve or rows[0].curve)


class Space:
    """Configurations that can be trained, the space that they span, and the area that all points dominate."""

    recorded = False
    """Whether suggestions are trained as the nearest of some rows, and not as they are."""

    def __init__(self, parameters: Sequence[Parameter], first: int, epochs: int) -> None:
        self.parameters, self.first, self.epochs = list(parameters), first, epochs
        self.space = EncodedSpace(self.parameters)
        self.rows: list[Row] = []
        self.inner: list[dict[str, Any]] = []
        self.place: dict[Key, int] = {}

    def measure(self, points: Sequence[Point]) -> None:
        """Take the area of `points` for the whole."""
        floor = 0.5 * min((1 - each.accuracy for each in points if each.accuracy < 1 - 1e-9), default=2e-4)
        self.bounds = Bounds.enclose(points, floor)
        self.whole = compute_log_hypervolume(points, self.bounds)

    @property
    def about(self) -> str:
        """What there is to search."""
        raise NotImplementedError

    def nearest(self, params: Mapping[str, Any], free: Sequence[bool] | None = None) -> int:
        """The row as which a configuration is trained."""
        raise NotImplementedError


class Table(Space):
    """Rows that were recorded."""

    recorded = True

    def __init__(self, rows: Sequence[Row]) -> None:
        alike: dict[Key, list[Row]] = {}
        for row in rows:
            alike.setdefault(make_key(row.params), []).append(row)
        rows = [average_seeds(seeds) for seeds in alike.values()]
        first, last = min(row.curve[0][0] for row in rows), max(row.curve[-1][0] for row in rows)
        super().__init__(_parameters([row.params for row in rows]), first, last)
        self.rows += rows
        self.inner += [select_searched(row.params, self.parameters) for row in rows]
        self.place |= {make_key(params): at for at, params in enumerate(self.inner)}
        self.measure([Point(accuracy, seconds) for row in rows for _, seconds, accuracy in row.curve])

    @property
    def about(self) -> str:
        """What there is to search."""
        return f"{len(self.rows)} configurations, {self.device_seconds:.4g} device-seconds in all"

    @cached_property
    def features(self) -> np.ndarray:
        return self.space.encode_features(self.inner)

    @property
    def device_seconds(self) -> float:
        """Of all rows, run whole."""
        return sum(row.curve[-1][1] for row in self.rows)

    def nearest(self, params: Mapping[str, Any], free: Sequence[bool] | None = None) -> int:
        """The row nearest to a configuration, in features 0..1: of the `free` ones, if there are any."""
        apart = ((self.features - self.space.encode_features([params])) ** 2).sum(1)
        if free is not None and any(free):
            apart = np.where(free, apart, math.inf)
        return int(apart.argmin())


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


def select_searched(params: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A row's values under the names of the space."""
    found: dict[str, Any] = {}
    for each in parameters:
        name = each.name
        if each.parent is not None and name not in params:
            name = name.removesuffix(f"@{each.among[0]}")
        if name in params and (each.parent is None or params.get(each.parent) in each.among):
            found[each.name] = params[name]
    return found
