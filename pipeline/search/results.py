"""What a study came to: every trial with its curve, and the frontier over all of them. Pure."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeline import frontier
from pipeline.frontier import Bounds
from pipeline.measures import Point
from pipeline.search import frontier_probability

EPOCHS = "train.epochs"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The same settings trained anew with `seeds`: validation and test accuracies, device-seconds."""

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    test_accuracies: tuple[float, ...]
    device_seconds: tuple[float, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        """One for each seed, by validation accuracy."""
        return tuple(map(Point, self.accuracies, self.device_seconds))

    @property
    def accuracy(self) -> float:
        """Mean validation accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the validation accuracies; 0 with one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    @property
    def test_accuracy(self) -> float:
        """Mean test accuracy."""
        return statistics.fmean(self.test_accuracies)

    @property
    def seconds(self) -> float:
        """Mean device-seconds."""
        return statistics.fmean(self.device_seconds)


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial as it stands.

    `number`: Optuna's; `command`: the line that repeats it; `params`: the searched keys and their values;
    `curve`: state after epoch 1..n, device-seconds from epoch 1 on, also where the trial was continued;
    `fair_midway`: see `settings.Schedule`; `state`: complete, paused or failed, `reason` why;
    `paid_seconds`: device-seconds that this trial spent itself: a continued one paid only the difference;
    `confirmations`: by the epoch that was confirmed.
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

    def fair(self) -> tuple[tuple[int, Point], ...]:
        """The states that may stand on a frontier, by epoch.

        Every epoch where that is fair, else the end, which a paused trial has not reached; none if failed.
        """
        states = tuple(enumerate(self.curve, start=1))
        if self.state == "failed":
            return ()
        if self.fair_midway:
            return states
        return states[-1:] if self.state == "complete" else ()

    def points(self) -> tuple[Point, ...]:
        """The states that may stand on a frontier."""
        return tuple(point for _, point in self.fair())


@dataclass(frozen=True, slots=True)
class Member:
    """A trial's state after `epoch` that stands on the frontier."""

    tried: Tried
    epoch: int
    point: Point

    @property
    def command(self) -> str:
        """The line that trains to exactly this state."""
        if self.epoch == len(self.tried.curve) and self.tried.state == "complete":
            return self.tried.command
        words = [word for word in shlex.split(self.tried.command) if not word.startswith(f"{EPOCHS}=")]
        return shlex.join([*words, f"{EPOCHS}={self.epoch}"])

    @property
    def confirmation(self) -> Confirmation | None:
        return self.tried.confirmations.get(self.epoch)


@dataclass(frozen=True)
class Results:
    """A study on one kind of `data`; `tried` in the order in which the trials ended; `objective`: what its
    accuracies are of. Caches: no slots.
    """

    study: str
    data: str
    tried: tuple[Tried, ...]
    objective: str = "accuracy"

    @property
    def accuracy_name(self) -> str:
        """What the accuracies are of, in words."""
        return self.objective.replace("_", " ")

    @cached_property
    def device(self) -> str:
        """The one device of all points.

        Raises:
            BadInput: there are several, or no trial has a point.
        """
        return frontier.one_device(each.device for each in self.tried if each.points())

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        fair = [(each, epoch, point) for each in self.tried for epoch, point in each.fair()]
        if fair:
            assert self.device
        return tuple(Member(*fair[index]) for index in frontier.frontier([point for _, _, point in fair]))

    def members(self) -> tuple[Member, ...]:
        """The frontier over all fair points of all trials, cheapest first; empty where there is no point.

        Raises:
            BadInput: the points are of several devices.
        """
        return self._members

    @cached_property
    def standing(self) -> frozenset[int]:
        """Numbers of the trials that have a member."""
        return frozenset(member.tried.number for member in self._members)

    def points(self) -> tuple[Point, ...]:
        """All fair points, in the order of the trials."""
        return tuple(point for each in self.tried for point in each.points())

    def knee(self) -> Member | None:
        """The best bend; see `frontier.knee`."""
        return self._members[frontier.knee(_points(self._members))] if self._members else None

    def at_least(self, accuracy: float) -> Member | None:
        """The cheapest member with at least that accuracy."""
        index = frontier.cheapest_at_least(_points(self._members), accuracy)
        return None if index is None else self._members[index]

    def within(self, device_seconds: float) -> Member | None:
        """The most accurate member that costs at most that."""
        index = frontier.best_within(_points(self._members), device_seconds)
        return None if index is None else self._members[index]

    def beaten_by(self, tried: Tried) -> Member | None:
        """The cheapest member that beats (or equals) the trial's last point; None if it is on the frontier.

        A trial without a fair point is beaten by nobody.
        """
        points = tried.points()
        if not points or tried.number in self.standing:
            return None
        last = points[-1]
        no_worse = (
            member
            for member in self._members
            if member.point == last or frontier.dominates(member.point, last)
        )
        return next(no_worse, None)

    def spent_curve(self, bounds: Bounds | None = None) -> list[tuple[float, float]]:
        """After each trial: device-seconds spent so far, share of the window that the frontier dominates.

        `bounds`: the window, by default the one around all points of this study.
        """
        window = bounds or (Bounds.around(self.points()) if self.points() else None)
        spent, steps = 0.0, list[Point]()
        told: list[tuple[float, float]] = []
        for each in self.tried:
            spent += each.paid_seconds
            steps = frontier.staircase([*steps, *each.points()])
            told.append((spent, frontier.log_hypervolume(steps, window) if window else 0.0))
        return told

    def chances(self) -> dict[tuple[int, int], float]:
        """Probability 0..1 that a confirmed member is truly on the frontier, by (number, epoch)."""
        if not any(member.confirmation for member in self._members):
            return {}
        seen = [
            frontier_probability.Seen(member.point, member.confirmation.points if member.confirmation else ())
            for member in self._members
        ]
        return {
            (member.tried.number, member.epoch): share
            for member, share in zip(self._members, frontier_probability.on_frontier(seen), strict=True)
            if member.confirmation
        }


def _points(members: Sequence[Member]) -> list[Point]:
    return [member.point for member in members]
