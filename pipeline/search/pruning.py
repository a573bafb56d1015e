"""Pruning: whether the curve of a trial can still reach the frontier; if not, the trial is paused. Pure.

A paused trial may be continued later. A trial goes on while an optimistic continuation of its curve still
reaches a point that the frontier does not dominate. Both are compared at equal *device-seconds*, never at
equal epochs: a trial whose epochs are dear is not late because of that.

The continuation: error falls as a power of the epochs trained, the simplest of the forms that learning curves
of networks were fitted with (pow3 without its floor: Domhan et al. 2015, IJCAI, pp. 3460-3468; in data and
steps: Hestness et al. 2017, arXiv 1712.00409, Kaplan et al. 2020, arXiv 2001.08361). Its rate is the steepest
that the last octave of epochs has shown, times `Pruning.optimism`; it starts at the best error so far, less
what may be bad luck with a finite validation split.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.formatting import format_count, format_device_seconds
from pipeline.frontier.dominance import flatten, select_frontier
from pipeline.measures import Point
from pipeline.settings.search import Pruning
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

LUCK = 2.0  # standard errors of an accuracy on the validation split
MIN_EPOCH_RATIO = 1.25  # a rate is read between two epochs whose numbers have at least this ratio


@dataclass(frozen=True, slots=True)
class PruningDecision:
    """The decision whether to stop, with its reason in one line."""

    stop: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CurveForecast:
    """The optimistic continuation of a curve: after `epoch`, `error` falls as epochs to the power of -`rate`.

    `device_seconds`: spent so far; `seconds_per_epoch`: what a further epoch costs at least.
    """

    epoch: int
    error: float
    rate: float
    device_seconds: float
    seconds_per_epoch: float

    def predict_after(self, epochs: int) -> Point:
        """Predict the state after `epochs` more epochs."""
        error = self.error * (self.epoch / (self.epoch + epochs)) ** self.rate
        return Point(1 - error, self.device_seconds + epochs * self.seconds_per_epoch)

    def count_epochs_within(self, device_seconds: float) -> int:
        """Return how many more epochs keep the cost below `device_seconds`; 0 or less if none."""
        return math.ceil((device_seconds - self.device_seconds) / self.seconds_per_epoch) - 1


def judge_curve(
    curve: Sequence[Point],
    frontier: Sequence[Point],
    epochs_to_come: int,
    rows: int,
    settings: Pruning,
    fair_midway: bool = True,
    measure: Measure = ACCURACY_MEASURE,
) -> PruningDecision:
    """Judge whether a trial with `curve` (states after epoch 1..n) should stop, given `frontier`.

    `frontier`: points in any order, those of this trial may be among them; `rows`: of the validation split;
    `fair_midway`: as the schedule of the trial says. Where it is false nothing can be predicted, since error
    falls fastest at the end. `measure`: what the accuracies are.
    """
    if not settings.enabled:
        return PruningDecision(False, "pruning is off")
    if not fair_midway:
        return PruningDecision(False, "its schedule makes only the end count")
    if epochs_to_come < 1 or not frontier:
        return PruningDecision(False, "nothing to stop" if epochs_to_come < 1 else "nothing to compare with")
    if len(curve) < settings.least_epochs:
        return PruningDecision(
            False, f"{len(curve)} of at least {format_count(settings.least_epochs, 'epoch')}"
        )
    return _compare_with_frontier(
        select_frontier(frontier), forecast_curve(curve, rows, settings, measure), epochs_to_come, measure
    )


def select_rivals(frontier: Sequence[Point], least: Sequence[float]) -> list[Point]:
    """Select the points of a frontier that may stand in a trial's way, by accuracy and cost alone.

    `least`: what is known of the trial's further costs: it will have these, or more of those that grow. A
    point that costs more by one of them dominates nothing that the trial may become.
    """
    return flatten(
        point
        for point in frontier
        if all(own <= known for own, known in zip(point.further, least, strict=True))
    )


def forecast_curve(
    curve: Sequence[Point], rows: int, settings: Pruning, measure: Measure = ACCURACY_MEASURE
) -> CurveForecast:
    """Compute the optimistic continuation of a curve of at least one epoch."""
    last, errors = len(curve), [1 - point.accuracy for point in curve]
    best = min(errors)
    luck = LUCK * measure.compute_luck(best, rows)
    rates = [
        math.log(errors[epoch - 1] / best) / math.log(last / epoch)
        for epoch in range(max(1, last // 2), last)
        if best > 0 and last / epoch >= MIN_EPOCH_RATIO
    ]
    costs = [0.0, *(point.device_seconds for point in curve)]
    seconds_per_epoch = min(costs[epoch] - costs[epoch - 1] for epoch in range(max(1, last // 2), last + 1))
    rate = settings.optimism * max(rates, default=0.0)
    return CurveForecast(last, max(0.0, best - luck), rate, costs[-1], max(seconds_per_epoch, 1e-9))


def _compare_with_frontier(
    steps: Sequence[Point], forecast: CurveForecast, epochs_to_come: int, measure: Measure
) -> PruningDecision:
    """Judge a forecast at each step of the frontier.

    Between two steps the best chance is the last epoch that still costs less than the dearer one.
    """
    costs = [step.device_seconds for step in steps]
    last = forecast.predict_after(epochs_to_come)
    for edge in [*costs, math.inf]:
        epochs = (
            epochs_to_come if math.isinf(edge) else min(epochs_to_come, forecast.count_epochs_within(edge))
        )
        if epochs < 1:
            continue
        point = forecast.predict_after(epochs)
        column = bisect_right(costs, point.device_seconds) - 1
        if column < 0 or point.accuracy > steps[column].accuracy:
            return PruningDecision(False, f"may reach {_format_point(point, measure)}")
    rival = steps[bisect_right(costs, last.device_seconds) - 1]
    return PruningDecision(
        True,
        f"at best {_format_point(last, measure)}, where the frontier has {_format_point(rival, measure)}",
    )


def _format_point(point: Point, measure: Measure) -> str:
    return f"{measure.format(point.accuracy)} for {format_device_seconds(point.device_seconds)}"
