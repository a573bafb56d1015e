"""A trial of a study as its record has it: its curve, its confirmations, its points of the frontier. Pure."""

import math
import shlex
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.measures import Point
from pipeline.search.estimation.estimates import Estimate, average
from pipeline.settings.command_line import EPOCHS, Overrides
from pipeline.settings.searching.measures import Measure
from pipeline.settings.searching.objectives import ObjectiveKind


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The results of the same settings, trained anew once with each of `seeds`.

    `test_accuracies`: none where a loop of the user's own reports no `test_accuracy`; `further`: the further
    costs of each seed, where the search has such.
    """

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    test_accuracies: tuple[float, ...]
    device_seconds: tuple[float, ...]
    further: tuple[tuple[float, ...], ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """Return a point for each seed, by validation accuracy."""
        return tuple(
            map(Point, self.accuracies, self.device_seconds, self.further or ((),) * len(self.seeds))
        )

    @property
    def accuracy(self) -> float:
        """Return the mean validation accuracy."""
        return average(self.accuracies)

    @property
    def spread(self) -> float:
        """Return the sample standard deviation of the validation accuracies; 0 with one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    @property
    def test_accuracy(self) -> float | None:
        """Return the mean test accuracy; None where nobody read the test split."""
        return average(self.test_accuracies) if self.test_accuracies else None

    @property
    def seconds(self) -> float:
        """Return the mean device-seconds."""
        return average(self.device_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrial:
    """A trial of a study, with what it has reached so far.

    `number`: Optuna's; `command`: the line that repeats it; `params`: the searched keys and their values;
    `curve`: state after epoch 1..n; its device-seconds count from epoch 1 on, also where the trial continued
    another one; `fair_midway`: see `settings.optimizer.Schedule`; `state`: complete, paused or failed;
    `reason`: why; `paid_seconds`: device-seconds that this trial itself spent (a trial that continued another
    one paid only the difference); `confirmations`: by the epoch that was confirmed; `failed_seeds`: the new
    seeds with which the same settings came to nothing, by epoch.
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
    failed_seeds: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def fair_states(self) -> tuple[tuple[int, Point], ...]:
        """Return epoch and point of each state that may stand on a frontier.

        These are all epochs where every epoch is a fair point, else only the last one, which a paused trial
        has not reached. A failed trial has none, nor one of which an objective was not measured.
        """
        if not self.has_points:
            return ()
        states = tuple(enumerate(self.curve, start=1))
        return states if self.fair_midway else states[-1:]

    @property
    def has_points(self) -> bool:
        """Return whether it has a state that may stand on a frontier."""
        fair = self.fair_midway or self.state == "complete"
        measured = bool(self.curve) and not any(map(math.isnan, self.curve[-1].further))
        return fair and measured and self.state != "failed"

    @property
    def points(self) -> tuple[Point, ...]:
        """Return the states that may stand on a frontier."""
        if not self.has_points:
            return ()
        return self.curve if self.fair_midway else self.curve[-1:]

    def ends_at(self, epoch: int) -> bool:
        """Return whether its own words end at this epoch, also where they ask for more and patience ran out.

        With fewer epochs, a rate that falls until the last or the noise of an epsilon would be other ones.
        """
        return epoch == len(self.curve) and self.state == "complete"

    def write_command(self, epoch: int) -> str:
        """Write the command line that trains to exactly the state after `epoch` epochs."""
        if self.ends_at(epoch):
            return self.command
        return write_until(self.command, epoch)


def write_until(command: str, epoch: int) -> str:
    """Write a command line with another number of epochs, which stands last."""
    return shlex.join([*Overrides(shlex.split(command)).without(EPOCHS), f"{EPOCHS}={epoch}"])


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A point of the frontier: the state of `trial` after `epoch` epochs.

    `point`: as the search saw it; `estimate`: by all of its seeds; `kinds`: the objectives of both beside
    accuracy and device-seconds.
    """

    trial: StudyTrial
    epoch: int
    point: Point
    estimate: Estimate
    kinds: tuple[ObjectiveKind, ...] = ()

    @property
    def measure(self) -> Measure:
        """Return what its accuracies are."""
        return self.estimate.measure

    @property
    def key(self) -> tuple[int, int]:
        """Return the number of the trial and the epoch, which name the point in its study."""
        return self.trial.number, self.epoch

    @property
    def name(self) -> str:
        """Return `TRIAL EPOCH`, which names the point on the page of the study and in tags of models."""
        return f"{self.trial.number} {self.epoch}"

    @property
    def command(self) -> str:
        """Return the command line that trains to exactly this state."""
        return self.trial.write_command(self.epoch)

    @property
    def params(self) -> dict[str, object]:
        """Return the searched settings of its command: its own epochs, where its trial may have gone on."""
        epochs = {EPOCHS: self.epoch} if EPOCHS in self.trial.params else {}
        return {**self.trial.params, **epochs}

    @property
    def settings(self) -> dict[str, object]:
        """Return the searched settings but for the epochs, which are told beside them."""
        return {key: value for key, value in self.trial.params.items() if key != EPOCHS}

    @property
    def confirmation(self) -> Confirmation | None:
        """Return what new seeds reached at this state, or None where it was not confirmed."""
        return self.trial.confirmations.get(self.epoch)

    @property
    def failed_seeds(self) -> tuple[int, ...]:
        """Return the new seeds that failed: its estimate is of those alone that did not."""
        return self.trial.failed_seeds.get(self.epoch, ())

    @property
    def new_seeds(self) -> tuple[int, ...]:
        """Return all new seeds that have ended, those that failed at the end."""
        return (*(self.confirmation.seeds if self.confirmation else ()), *self.failed_seeds)

    def count_failed(self) -> str:
        """Count the new seeds that failed: `1 of 2`."""
        return f"{len(self.failed_seeds)} of {len(self.new_seeds)}"
