"""The results of a study: every trial with its curve, and the frontier over all of them. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.formatting import format_device_seconds
from pipeline.frontier.choosing import (
    find_best_within,
    find_cheapest_with,
    find_knee,
    keeps_to,
    select_spread,
)
from pipeline.frontier.dominance import dominates, find_frontier, require_one_device, select_frontier
from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point
from pipeline.search.estimation.estimates import RepeatedPoint, Spread, estimate_points
from pipeline.search.estimation.frontier_probability import estimate_probabilities
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.study_trial import FrontierPoint, StudyTrial
from pipeline.settings.searching.measures import Measure, find_measure
from pipeline.settings.searching.objectives import COST, FIRST, ObjectiveKind

MOST_REPRESENTATIVES = 24
"""Points of a frontier over more than two objectives that are confirmed and shown in tables."""
LEAST_SHARE_OF_KNEE = 0.5
"""Of the accuracy between chance level and the best point: what a knee has at least."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of a study on one kind of `data`.

    `trials`: in the order in which they ended; `objective`: the measure that its accuracies are of; `split`:
    the rows that they are counted on, None where that is unknown; `contenders`: those of the trials that may
    have a point on the frontier, None where it may be any; `interrupted_seconds`: device-seconds of tries
    that were interrupted and begun again, as far as they are known; `confirming_seconds`: those that new
    seeds of its points have spent, which are no part of its budget; `further`: the objectives beside accuracy
    and device-seconds, in the order of `Point.further`; `at_most`: bounds by the name of an objective, which
    points must keep to be chosen; `remarks`: what was found in the data before the search. It has no slots,
    since it caches.
    """

    study: str
    data: str
    trials: tuple[StudyTrial, ...]
    objective: str = "accuracy"
    split: ValidationSplit | None = None
    interrupted_seconds: float = 0.0
    confirming_seconds: float = 0.0
    contenders: tuple[StudyTrial, ...] | None = field(default=None, compare=False, repr=False)
    further: tuple[ObjectiveKind, ...] = ()
    at_most: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def paid_seconds(self) -> float:
        """Return the device-seconds that all trials have spent, also those that came to nothing."""
        return sum(trial.paid_seconds for trial in self.trials) + self.interrupted_seconds

    @property
    def failed_seconds(self) -> float:
        """Return the device-seconds that trials spent which failed."""
        return sum(trial.paid_seconds for trial in self.trials if trial.state == "failed")

    def describe_confirming(self, to_text: Callable[[float], str] = format_device_seconds) -> str:
        """Describe what new seeds have spent beside the trials: `, and 12 s for new seeds`; else nothing."""
        return f", and {to_text(self.confirming_seconds)} for new seeds" if self.confirming_seconds else ""

    def describe_losses(self, to_text: Callable[[float], str] = format_device_seconds) -> str:
        """Describe the device-seconds that came to nothing: `12.3 device-seconds in trials that failed`."""
        losses = {
            "failed": self.failed_seconds,
            "were interrupted": self.interrupted_seconds,
        }
        return ", ".join(
            f"{to_text(seconds)} in trials that {how}" for how, seconds in losses.items() if seconds > 0
        )

    @property
    def accuracy_name(self) -> str:
        """Return what the accuracies are of, in words."""
        return self.measure.label

    @property
    def measure(self) -> Measure:
        """Return what the accuracies are."""
        return find_measure(self.objective)

    @cached_property
    def chance_level(self) -> float | None:
        """Return the largest accuracy that is no better than guessing, None where that is unknown."""
        return None if self.split is None else self.split.compute_chance_level(self.measure)

    @property
    def objective_names(self) -> tuple[str, ...]:
        """Return the names of all objectives, accuracy and cost first."""
        return *FIRST, *(kind.name for kind in self.further)

    @cached_property
    def device(self) -> str:
        """Return the one device of all points.

        Raises:
            BadInput: there are several, or no trial has a point.
        """
        return require_one_device(trial.device for trial in self.trials if trial.has_points)

    @cached_property
    def frontier(self) -> tuple[FrontierPoint, ...]:
        """Return the frontier over all fair points of all trials, cheapest first; it may be empty.

        A point at chance level is none of it: it has learnt nothing, however cheaply.

        Raises:
            BadInput: the points are of several devices.
        """
        states = [
            (trial, epoch, point)
            for trial in (self.trials if self.contenders is None else self.contenders)
            for epoch, point in trial.fair_states
            if not self.is_at_chance(point.accuracy)
        ]
        if states:
            assert self.device
        indices = find_frontier([point for _, _, point in states])
        repeated = [_repeat(*states[index]) for index in indices]
        estimates = estimate_points(repeated, self.split, self.measure)
        return tuple(
            FrontierPoint(*states[index], estimate, self.further)
            for index, estimate in zip(indices, estimates, strict=True)
        )

    @cached_property
    def representatives(self) -> tuple[FrontierPoint, ...]:
        """Return the points of the frontier that are confirmed in the end.

        All of them in the plane. Over more objectives a frontier has a point for nearly every state, so that
        some stand for the others: both ends, the knee, and those farthest from each other.
        """
        return tuple(self.select_shown(self.frontier, keep_confirmed=False))

    def select_shown(
        self, members: Sequence[FrontierPoint], keep_confirmed: bool = True
    ) -> Sequence[FrontierPoint]:
        """Select the members that stand for all where these are too many for a table, cheapest first."""
        if not self.further:
            return members
        points = [member.point for member in members]
        knee = self._find_knee(points)
        kept = [index for index, each in enumerate(members) if keep_confirmed and each.confirmation]
        chosen = select_spread(points, MOST_REPRESENTATIVES, [*kept, *([] if knee is None else [knee])])
        return [members[index] for index in chosen]

    def is_at_chance(self, accuracy: float) -> bool:
        """Return whether an accuracy is no better than guessing (see `Measure.guess`), if that is known."""
        return self.chance_level is not None and accuracy <= self.chance_level

    @cached_property
    def trials_on_frontier(self) -> frozenset[int]:
        """Return the numbers of the trials that have a point on the frontier."""
        return frozenset(member.trial.number for member in self.frontier)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Return all fair points, in the order of the trials."""
        return tuple(point for trial in self.trials for point in trial.points)

    # ---- choosing -----------------------------------------------------------------------------------

    @cached_property
    def candidates(self) -> tuple[FrontierPoint, ...]:
        """Return the points to choose from: those of the frontier that are confirmed; all where none is.

        They are chosen by their estimates. A point whose estimate is at chance level is none of them, nor
        one that does not keep to `at_most`.
        """
        confirmed = tuple(member for member in self.frontier if member.confirmation)
        return tuple(
            member
            for member in confirmed or self.frontier
            if not self.is_at_chance(member.estimate.accuracy) and self.is_within_bounds(member)
        )

    def is_within_bounds(self, member: FrontierPoint) -> bool:
        """Return whether the estimate of a point keeps to `at_most`."""
        return all(keeps_to(self.read_cost(member, name)[0], bound) for name, bound in self.at_most.items())

    def read_cost(self, member: FrontierPoint, name: str) -> tuple[float, Spread]:
        """Return the mean cost of a point by an objective, and its spread."""
        estimate = member.estimate
        if name == COST:
            return estimate.device_seconds, estimate.seconds_spread
        number = [objective.name for objective in self.further].index(name)
        return estimate.further[number], estimate.further_spreads[number]

    @property
    def is_confirmed(self) -> bool:
        """Return whether the candidates are confirmed with new seeds."""
        return any(member.confirmation for member in self.frontier)

    @property
    def knee(self) -> FrontierPoint | None:
        """Return the best bend of the candidates, see `frontier.choosing`; None where there is none."""
        return self._choose(self._find_knee)

    def _find_knee(self, points: Sequence[Point]) -> int | None:
        """Find the knee of points; one near chance level, with less than half of what is learnt, is none."""
        chance = self.chance_level or 0.0
        best = max((point.accuracy for point in points), default=chance)
        return find_knee(points, chance + (best - chance) * LEAST_SHARE_OF_KNEE)

    @property
    def best(self) -> FrontierPoint | None:
        """Return the most accurate candidate, of equally accurate ones the cheapest."""
        return self.find_best_within(math.inf)

    @property
    def cheapest(self) -> FrontierPoint | None:
        """Return the cheapest candidate."""
        return self.find_cheapest_with(0.0)

    def find_cheapest_with(self, accuracy: float) -> FrontierPoint | None:
        """Return the cheapest candidate with at least that accuracy, or None."""
        return self._choose(lambda points: find_cheapest_with(points, accuracy))

    def find_best_within(self, device_seconds: float) -> FrontierPoint | None:
        """Return the most accurate candidate that costs at most that, or None."""
        return self._choose(lambda points: find_best_within(points, device_seconds))

    def find_least(self, objective: ObjectiveKind) -> FrontierPoint | None:
        """Return the candidate with the least of a further cost, of equal ones the most accurate, or None."""
        number = self.further.index(objective)

        def rank(member: FrontierPoint) -> tuple[float, float, float]:
            estimate = member.estimate
            return estimate.further[number], -estimate.accuracy, estimate.device_seconds

        return min(self.candidates, key=rank, default=None)

    def _choose(self, find: Callable[[Sequence[Point]], int | None]) -> FrontierPoint | None:
        index = find([member.estimate.point for member in self.candidates])
        return None if index is None else self.candidates[index]

    # ---- the others ---------------------------------------------------------------------------------

    def find_dominator(self, trial: StudyTrial) -> FrontierPoint | None:
        """Return the cheapest point of the frontier that beats or equals the last point of `trial`.

        None where the trial is on the frontier itself, or has no fair point.
        """
        points = trial.points
        if not points or trial.number in self.trials_on_frontier:
            return None
        last = points[-1]
        no_worse = (
            member for member in self.frontier if member.point == last or dominates(member.point, last)
        )
        return next(no_worse, None)

    def compute_progress(self, bounds: Bounds | None = None) -> list[tuple[float, float]]:
        """Return device-seconds spent so far and the log hypervolume (0..1), after each trial.

        `bounds`: the window of the hypervolume, by default the one around all points of this study.
        """
        window = bounds or (Bounds.enclose(self.points) if self.points else None)
        paid_seconds, share, steps = 0.0, 0.0, list[Point]()
        progress: list[tuple[float, float]] = []
        for trial in self.trials:
            paid_seconds += trial.paid_seconds
            learnt = (point for point in trial.points if not self.is_at_chance(point.accuracy))
            further = select_frontier([*steps, *learnt])
            if window and further != steps:
                steps, share = further, compute_log_hypervolume(further, window)
            progress.append((paid_seconds, share))
        return progress

    def estimate_probabilities(self) -> dict[tuple[int, int], float]:
        """Return the probability 0..1 that a confirmed point is truly on the frontier.

        The keys are number and epoch of its trial.
        """
        if not any(member.confirmation for member in self.frontier):
            return {}
        points = [_repeat(member.trial, member.epoch, member.point) for member in self.frontier]
        return {
            member.key: share
            for member, share in zip(self.frontier, estimate_probabilities(points), strict=True)
            if member.confirmation
        }


def _repeat(trial: StudyTrial, epoch: int, point: Point) -> RepeatedPoint:
    """Return a point with what its new seeds reached."""
    confirmation = trial.confirmations.get(epoch)
    return RepeatedPoint(point, confirmation.points if confirmation else ())
