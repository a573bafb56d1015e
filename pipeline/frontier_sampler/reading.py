"""Trials of Optuna as plain values, and what kind of study they make: with curves, or any objectives."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pipeline.frontier_sampler.encoding import Params
from pipeline.frontier_sampler.general import ValueRecord
from pipeline.frontier_sampler.history import Curve, TrialRecord, TrialStatus

STATUSES = {
    TrialState.COMPLETE: TrialStatus.finished,
    TrialState.PRUNED: TrialStatus.finished,
    TrialState.FAIL: TrialStatus.failed,
    TrialState.RUNNING: TrialStatus.running,
    TrialState.WAITING: TrialStatus.running,
}
Rows = tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReading:
    """One trial as it stands in the study.

    `rows`: the curve that it reported, its epochs rising from 1 on; () where it reported none,
    None where what stands in its place is none.
    """

    number: int
    params: Params
    state: TrialState
    values: tuple[float, ...]
    rows: Rows | None
    fair: bool
    constraints: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CurveScale:
    """Which of a study's two values is the accuracy and which the cost; `full`: what an accuracy of 1 is."""

    accuracy: int
    cost: int
    full: float = 1.0


def read_trial(trial: FrozenTrial) -> TrialReading | None:
    """Read a trial; None where nothing is known of it yet."""
    params = dict(trial.params)
    if trial.state in (TrialState.WAITING, TrialState.RUNNING):
        params = {**trial.system_attrs.get("fixed_params", {}), **params}
    if not params:
        return None
    complete = trial.state is TrialState.COMPLETE and trial.values is not None
    return TrialReading(
        number=trial.number,
        params=params,
        state=trial.state,
        values=tuple(trial.values) if complete else (),
        rows=_read_rows(trial.user_attrs.get("curve")) if trial.state is not TrialState.FAIL else (),
        fair=bool(trial.user_attrs.get("fair_midway", True)),
        constraints=dict(trial.constraints),
    )


def _read_rows(reported: Any) -> Rows | None:
    """Read a curve; what is before the first epoch is no point, and of one epoch the last report counts."""
    try:
        rows = [(int(epoch), float(cost), float(gain)) for epoch, cost, gain in reported or ()]
    except (TypeError, ValueError, OverflowError):
        return None
    return tuple(sorted({row[0]: row for row in rows if row[0] >= 1}.values()))


def find_scale(study: Study, readings: Sequence[TrialReading]) -> CurveScale | None:
    """Find out whether the study is one of accuracy against cost: see `ScaleFinder.find`."""
    finder = ScaleFinder(study.directions)
    for reading in readings:
        finder.add(reading)
    return finder.find(())


class ScaleFinder:
    """Finds out what the values of a study are, from trials that are looked at once."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        """Start without trials."""
        self._accuracy = (
            directions.index(StudyDirection.MAXIMIZE)
            if sorted(directions) == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
            else None
        )
        self._has_curves, self._most = False, 1.0
        self._odd: tuple[int, str] | None = None

    def add(self, reading: TrialReading) -> None:
        """Look at a trial."""
        if self._accuracy is None:
            return
        self._has_curves |= reading.rows != ()
        if reading.rows is None:
            self._add_odd(reading.number, "something else")
            return
        accuracies, cost = _read_range(reading.rows, reading, self._accuracy)
        if not accuracies:
            return
        if min(accuracies) < 0 or max(accuracies) > 100 or not cost > 0:
            self._add_odd(reading.number, f"{max(accuracies, key=abs):g} and {cost:g}")
        self._most = max(self._most, *accuracies)

    def _add_odd(self, number: int, shown: str) -> None:
        if self._odd is None or number < self._odd[0]:
            self._odd = number, shown

    def find(self, further: Iterable[TrialReading]) -> CurveScale | None:
        """Find out whether the study is one of accuracy against cost; None: its objectives are any others.

        It is where one of two values is maximised and the other minimised, accuracies lie in 0..1 or in
        0..100 and costs are positive. `further`: trials that are not over yet, and so are not added.

        Raises:
            ValueError: trials reported curves, and these are not of that kind.
        """
        if self._accuracy is None:
            return None
        finder = copy(self)
        for reading in further:
            finder.add(reading)
        if finder._odd is None:
            return CurveScale(self._accuracy, 1 - self._accuracy, 100.0 if finder._most > 1 else 1.0)
        if finder._has_curves:
            number, shown = finder._odd
            raise ValueError(
                f"a curve must have accuracies in 0..1 or 0..100 and device-seconds > 0, got {shown} in "
                f"trial {number}; report [[epoch, device_seconds, accuracy], ...] or no attribute 'curve'"
            )
        return None


def _read_range(rows: Rows, reading: TrialReading, accuracy: int) -> tuple[list[float], float]:
    """Return all accuracies of a trial, and its cost in the end."""
    accuracies = [row[2] for row in rows if math.isfinite(row[2])]
    if accuracies:
        return accuracies, rows[-1][1]
    if rows or not reading.values or not math.isfinite(reading.values[accuracy]):
        return [], 1.0
    return [reading.values[accuracy]], reading.values[1 - accuracy]


def make_curve_record(
    reading: TrialReading, scale: CurveScale, epochs: str | None, names: Collection[str]
) -> TrialRecord:
    """Convert a trial of accuracy against cost; its configuration is what it has of the space's `names`."""
    target = reading.params.get(epochs) if epochs else None
    target = int(target) if isinstance(target, int | float) else None
    curve = _make_curve(reading, scale, target or 1)
    if not reading.fair and reading.state is TrialState.PRUNED:
        curve = ()  # it did not reach the end that alone would count
    short = target is not None and bool(curve) and curve[-1][0] < target
    return TrialRecord(
        number=reading.number,
        params=_select_params(reading.params, names),
        status=STATUSES[reading.state],
        curve=curve,
        target=target,
        fair=reading.fair,
        constraints=reading.constraints,
        ended=short and reading.state is TrialState.COMPLETE,
    )


def _make_curve(reading: TrialReading, scale: CurveScale, epochs: int) -> Curve:
    """Return the curve that was reported, else the one point that the values are."""
    rows = reading.rows or ()
    if not rows and reading.values:
        rows = ((epochs, reading.values[scale.cost], reading.values[scale.accuracy]),)
    return tuple(
        (epoch, seconds, accuracy / scale.full)
        for epoch, seconds, accuracy in rows
        if math.isfinite(accuracy) and 0 < seconds < math.inf
    )


def _select_params(params: Params, names: Collection[str]) -> dict[str, Any]:
    """Select what the sampler may choose: other parameters (fixed, or of another space) are not its own."""
    return {name: value for name, value in params.items() if name in names}


def make_value_record(
    reading: TrialReading, directions: Sequence[StudyDirection], names: Collection[str]
) -> ValueRecord:
    """Convert a trial of any objectives; those to be maximised change their sign."""
    signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in directions]
    losses = tuple(sign * value for sign, value in zip(signs, reading.values, strict=bool(reading.values)))
    params = _select_params(reading.params, names)
    return ValueRecord(reading.number, params, STATUSES[reading.state], losses, reading.constraints)
