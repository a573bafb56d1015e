"""When a trial has no hope for now, judged by its curve; a stop is a pause, which the search may end. Pure.

A trial has hope while an optimistic continuation of its curve still meets a place that the frontier leaves
open, compared at equal *device-seconds*, never at equal epochs: what is dear per epoch is not late for that.

The continuation: error falls as a power of the epochs trained, the simplest of the forms that learning curves
of networks were fitted with (pow3 without its floor: Domhan et al. 2015, IJCAI, pp. 3460-3468; in data and
steps: Hestness et al. 2017, arXiv 1712.00409, Kaplan et al. 2020, arXiv 2001.08361). Its rate is the steepest
that the last octave of epochs has shown, times `Pruning.optimism`; its start is the best error so far, less
what the luck of a finite validation split may have taken.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.frontier import staircase
from pipeline.measures import Point
from pipeline.settings.search import Pruning

LUCK = 2.0  # standard errors of an accuracy on the validation split
APART = 1.25  # epochs a rate is read between: at least so many times as many


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop, and why in one line."""

    stop: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may become of a curve at best: after `epoch`, error falls from `error` as epochs to the -`rate`.

    `device_seconds`: spent so far; `each`: what a further epoch costs at least.
    """

    epoch: int
    error: float
    rate: float
    device_seconds: float
    each: float

    def after(self, epochs: int) -> Point:
        """The state `epochs` further on."""
        error = self.error * (self.epoch / (self.epoch + epochs)) ** self.rate
        return Point(1 - error, self.device_seconds + epochs * self.each)

    def epochs_within(self, device_seconds: float) -> int:
        """The most further epochs that keep the cost below that; 0 or less if none."""
        return math.ceil((device_seconds - self.device_seconds) / self.each) - 1


def judge(
    curve: Sequence[Point],
    frontier: Sequence[Point],
    epochs_to_come: int,
    rows: int,
    settings: Pruning,
    fair_midway: bool = True,
) -> Verdict:
    """Whether a trial with `curve` (states after epoch 1..n) should stop against `frontier`.

    `frontier`: points in any order, the trial's own may be among them; `rows`: of the validation split;
    `fair_midway`: as of the trial's schedule. Without it nothing is known: error falls fastest at the end.
    """
    if not settings.enabled:
        return Verdict(False, "pruning is off")
    if not fair_midway:
        return Verdict(False, "its schedule makes only the end count")
    if epochs_to_come < 1 or not frontier:
        return Verdict(False, "nothing to stop" if epochs_to_come < 1 else "nothing to compare with")
    if len(curve) < settings.least_epochs:
        return Verdict(False, f"{len(curve)} of at least {settings.least_epochs} epochs")
    return _against(staircase(frontier), outlook(curve, rows, settings), epochs_to_come)


def outlook(curve: Sequence[Point], rows: int, settings: Pruning) -> Outlook:
    """The optimistic continuation of a curve of at least one epoch."""
    last, errors = len(curve), [1 - point.accuracy for point in curve]
    best = min(errors)
    luck = LUCK * math.sqrt(best * (1 - best) / rows)
    rates = [
        math.log(errors[epoch - 1] / best) / math.log(last / epoch)
        for epoch in range(max(1, last // 2), last)
        if best > 0 and last / epoch >= APART
    ]
    costs = [0.0, *(point.device_seconds for point in curve)]
    each = min(costs[epoch] - costs[epoch - 1] for epoch in range(max(1, last // 2), last + 1))
    rate = settings.optimism * max(rates, default=0.0)
    return Outlook(last, max(0.0, best - luck), rate, costs[-1], max(each, 1e-9))


def _against(steps: Sequence[Point], ahead: Outlook, epochs_to_come: int) -> Verdict:
    """Between two steps of the frontier the best chance is the last epoch that fits before the dearer one."""
    costs = [step.device_seconds for step in steps]
    last = ahead.after(epochs_to_come)
    for edge in [*costs, math.inf]:
        epochs = epochs_to_come if math.isinf(edge) else min(epochs_to_come, ahead.epochs_within(edge))
        if epochs < 1:
            continue
        point = ahead.after(epochs)
        there = bisect_right(costs, point.device_seconds) - 1
        if there < 0 or point.accuracy > steps[there].accuracy:
            return Verdict(False, f"may reach {_told(point)}")
    stands = steps[bisect_right(costs, last.device_seconds) - 1]
    return Verdict(True, f"at best {_told(last)}, where the frontier has {_told(stands)}")


def _told(point: Point) -> str:
    return f"{point.accuracy:.2%} for {point.device_seconds:.3g} device-seconds"
