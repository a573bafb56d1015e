"""What a sweep is told to search, and who sees what becomes of it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.frontier_sampler.observations import Work
from pipeline.measures import Epoch
from pipeline.search.results import Results
from pipeline.search.space import Params, SearchSpace
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.settings.command_line import EPOCHS, CommandLine, Overrides
from pipeline.settings.search import Search as SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """What is searched.

    `fixed`: words that all trials share; `compose`: from words to settings; `checkpoints`: folder of the
    states of its trials; `work`: what an epoch of some params takes (see `epoch_work`), where it is known.
    """

    command_line: CommandLine
    fixed: Overrides
    space: SearchSpace
    compose: Callable[[Sequence[str]], CommandLine]
    checkpoints: Path
    work: Work | None = None

    @property
    def search(self) -> SearchSettings:
        """Return the settings of the search."""
        return self.command_line.settings.search

    def get_words(self, params: Params) -> Overrides:
        """Return the command line of a trial: what is shared, then what is its own."""
        return self.fixed.with_(*self.space.to_overrides(params))

    def get_checkpoint_path(self, trial: CommandLine) -> Path:
        """Return one path for all trials that differ only in how long they train, where that is fair."""
        fair = trial.settings.schedule.fair_midway
        words = sorted(trial.overrides.without(EPOCHS) if fair else trial.overrides)
        return self.checkpoints / f"{hashlib.sha256(repr(words).encode()).hexdigest()[:24]}.npz"


# ---- the observer -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """A trial that runs, or the confirmation of one (`seed`): its words and what it is asked to do.

    `name`: of its own in the study; `number`: of the trial, also where it is confirmed.
    """

    name: str
    number: int
    command_line: CommandLine
    params: Params
    job: Job
    seed: int | None = None


class SweepObserver(Protocol):
    """Sees every event of a sweep; writes it into MLflow and shows it on the terminal."""

    def open_trial(self, trial: RunningTrial) -> str | None:
        """Open the record of a trial that begins, and return the id of its run."""

    def show_epoch(self, trial: RunningTrial, epoch: Epoch) -> None:
        """Show an epoch that has ended."""

    def close_trial(self, trial: RunningTrial, run_id: str | None, outcome: TrialOutcome) -> None:
        """Write down how a trial ended."""

    def show_results(self, results: Results) -> None:
        """Show what the study has come to so far."""

    def discard_trial(self, name: str) -> None:
        """Mark the record of an interrupted trial: it counts for nothing."""
