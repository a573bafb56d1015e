"""The results of a study: every trial with its curve, and the frontier over all of them. Pure."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.frontier import (
    Bounds,
    compute_log_hypervolume,
    dominates,
    find_best_within,
    find_cheapest_with,
    find_frontier,
    find_knee,
    require_one_device,
    select_frontier,
)
from pipeline.measures import Point
from pipeline.search.frontier_probability import RepeatedPoint, estimate_probabilities
from pipeline.settings.command_line import EPOCHS, Overrides


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The results of the same settings, trained anew once with each of `seeds`."""

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    test_accuracies: tuple[float, ...]
    device_seconds: tuple[float, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """Return a point for each seed, by validation accuracy."""
        return tuple(map(Point, self.accuracies, self.device_seconds))

    @property
    def accuracy(self) -> float:
        """Return the mean validation accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Return the sample standard deviation of the validation accuracies; 0 with one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    @property
    def test_accuracy(self) -> float:
        """Return the mean test accuracy."""
        return statistics.fmean(self.test_accuracies)

    @property
    def seconds(self) -> float:
        """Return the mean device-seconds."""
        return statistics.fmean(self.device_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrial:
    """A trial of a study, with what it has reached so far.

    `number`: Optuna's; `command`: the line that repeats it; `params`: the searched keys and their values;
    `curve`: state after epoch 1..n; its device-seconds count from epoch 1 on, also where the trial continued
    another one; `fair_midway`: see `settings.optimizer.Schedule`; `state`: complete, paused or failed;
    `reason`: why; `paid_seconds`: device-seconds that this trial itself spent (a trial that continued another
    one paid only the difference); `confirmations`: by the epoch that was confirmed.
    """

    number: int
    run_id: str | None
    command: str
    params: Mapping[str, object]
    curve: tuple[Point, ...]
    fair_midway: bool
    state: str
    reason: str
    paid_seconds: float
    device: str
    confirmations: Mapping[int, Confirmation] = field(default_factory=dict)

    @property
    def fair_states(self) -> tuple[tuple[int, Point], ...]:
        """Return epoch and point of each state that may stand on a frontier.

        These are all epochs where every epoch is a fair point, else only the last one, which a paused trial
        has not reached. A failed trial has none.
        """
        states = tuple(enumerate(self.curve, start=1))
        if self.state == "failed":
            return ()
        if self.fair_midway:
            return states
        return states[-1:] if self.state == "complete" else ()

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the states that may stand on a frontier."""
        return tuple(point for _, point in self.fair_states)


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A point of the frontier: the state of `trial` after `epoch` epochs."""

    trial: StudyTrial
    epoch: int
    point: Point

    @property
    def command(self) -> str:
        """Return the command line that trains to exactly this state."""
        if self.epoch == len(self.trial.curve) and self.trial.state == "complete":
            return self.trial.command
        words = Overrides(shlex.split(self.trial.command)).without(EPOCHS)
        return shlex.join([*words, f"{EPOCHS}={self.epoch}"])

    @property
    def confirmation(self) -> Confirmation | None:
        """Return what new seeds reached at this state, or None where it was not confirmed."""
        return self.trial.confirmations.get(self.epoch)


@dataclass(frozen=True)
class Results:
    """The results of a study on one kind of `data`.

    `trials`: in the order in which they ended; `objective`: the measure that its accuracies are of. It has no
    slots, since it caches.
    """

    study: str
    data: str
    trials: tuple[StudyTrial, ...]
    objective: str = "accuracy"

    @property
    def accuracy_name(self) -> str:
        """Return what the accuracies are of, in words."""
        return self.objective.replace("_", " ")

    @cached_property
    def device(self) -> str:
        """Return the one device of all points.

        Raises:
            BadInput: there are several, or no trial has a point.
        """
        return require_one_device(trial.device for trial in self.trials if trial.points)

    @cached_property
    def frontier(self) -> tuple[FrontierPoint, ...]:
        """Return the frontier over all fair points of all trials, cheapest first; it may be empty.

        Raises:
            BadInput: the points are of several devices.
        """
        states = [(trial, epoch, point) for trial in self.trials for epoch, point in trial.fair_states]
        if states:
            assert self.device
        indices = find_frontier([point for _, _, point in states])
        return tuple(FrontierPoint(*states[index]) for index in indices)

    @cached_property
    def trials_on_frontier(self) -> frozenset[int]:
        """Return the numbers of the trials that have a point on the frontier."""
        return frozenset(member.trial.number for member in self.frontier)

    @property
    def points(self) -> tuple[Point, ...]:
        """Return all fair points, in the order of the trials."""
        return tuple(point for trial in self.trials for point in trial.points)

    @property
    def knee(self) -> FrontierPoint | None:
        """Return the best bend, see `frontier.find_knee`; None where there is no point."""
        return self.frontier[find_knee(_points(self.frontier))] if self.frontier else None

    def find_cheapest_with(self, accuracy: float) -> FrontierPoint | None:
        """Return the cheapest point of the frontier with at least that accuracy, or None."""
        index = find_cheapest_with(_points(self.frontier), accuracy)
        return None if index is None else self.frontier[index]

    def find_best_within(self, device_seconds: float) -> FrontierPoint | None:
        """Return the most accurate point of the frontier that costs at most that, or None."""
        index = find_best_within(_points(self.frontier), device_seconds)
        return None if index is None else self.frontier[index]

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
        paid_seconds, steps = 0.0, list[Point]()
        progress: list[tuple[float, float]] = []
        for trial in self.trials:
            paid_seconds += trial.paid_seconds
            steps = select_frontier([*steps, *trial.points])
            progress.append((paid_seconds, compute_log_hypervolume(steps, window) if window else 0.0))
        return progress

    def estimate_probabilities(self) -> dict[tuple[int, int], float]:
        """Return the probability 0..1 that a confirmed point is truly on the frontier.

        The keys are number and epoch of its trial.
        """
        if not any(member.confirmation for member in self.frontier):
            return {}
        points = [
            RepeatedPoint(member.point, member.confirmation.points if member.confirmation else ())
            for member in self.frontier
        ]
        return {
            (member.trial.number, member.epoch): share
            for member, share in zip(self.frontier, estimate_probabilities(points), strict=True)
            if member.confirmation
        }


def _points(members: Sequence[FrontierPoint]) -> list[Point]:
    return [member.point for member in members]
