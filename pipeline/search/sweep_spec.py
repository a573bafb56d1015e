"""What a sweep is told to search, and who sees what becomes of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial

from pipeline.frontier_sampler.curves.costs import Work
from pipeline.measures import Epoch
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.results import Results
from pipeline.search.samplers import arrange_params, make_distributions
from pipeline.search.space import Params, SearchSpace, format_word, strip_condition
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.trial_states import WORDS
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.secrets import mask_all
from pipeline.settings.command_line import EPOCHS, CommandLine, Overrides, format_command
from pipeline.settings.search import Search as SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """What is searched.

    `fixed`: words that all trials share; `compose`: from words to settings; `checkpoints`: folder of the
    states of its trials; `work`: what an epoch of some params takes (see `epoch_work`), where it is known;
    `sources`: SHA-256 (hex) of each data set that the study is bound to, by the words that name it.
    """

    command_line: CommandLine
    fixed: Overrides
    space: SearchSpace
    compose: Callable[[Sequence[str]], CommandLine]
    checkpoints: Path
    work: Work | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def search(self) -> SearchSettings:
        """Return the settings of the search."""
        return self.command_line.settings.search

    def get_words(self, params: Params) -> Overrides:
        """Return the command line of a trial: what is shared, then what is its own."""
        return self.fixed.with_(*self.space.to_overrides(params))

    def get_words_of(self, row: FrozenTrial) -> Overrides:
        """Return the command line of a row of the study: as it was queued, or of its params."""
        queued = row.user_attrs.get(WORDS)
        return self.fixed.with_(*queued) if queued else self.get_words(row.params)

    def propose_enqueued(self, row: FrozenTrial) -> tuple[ProposedTrial, Mapping[str, Any]]:
        """Return what somebody has enqueued by Optuna as a trial of ours, and its attributes.

        What the space contains, the sampler learns from; all else is a command line.
        """
        values = {
            strip_condition(name): value for name, value in row.system_attrs.get("fixed_params", {}).items()
        }
        params = self.space.find_params(values)
        if params is not None and {strip_condition(name) for name in params} == values.keys():
            arranged = arrange_params(self.space, params, make_distributions(self.space))
            return ProposedTrial(*arranged, {}), {}
        return ProposedTrial({}, {}, {}), {WORDS: [format_word(*pair) for pair in values.items()]}

    def list_keys(self, params: Params) -> tuple[str, ...]:
        """List the searched keys that a trial of these params sets; all of them where it has no params."""
        keys = {strip_condition(name) for name in params} or {*self.space.keys}
        return tuple(key for key in self.space.keys if key in keys)

    def get_source(self, trial: CommandLine) -> str | None:
        """Return the SHA-256 (hex) that the data of a trial must have; None where the study says nothing."""
        return self.sources.get(trial.overrides.name_data())

    def get_checkpoint_path(self, trial: CommandLine) -> Path:
        """Return one path for all trials that differ only in how long they train, where that is fair."""
        fair = trial.settings.fair_midway
        words = sorted(trial.overrides.without(EPOCHS) if fair else trial.overrides)
        return self.checkpoints / f"{hashlib.sha256(repr(words).encode()).hexdigest()[:24]}.npz"


# ---- the observer -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """A trial that runs, or the confirmation of one (`seed`): its words and what it is asked to do.

    `name`: of its own in the study; `number`: of the trial, also where it is confirmed; `confirmed_run`: that
    of the trial which is confirmed.
    """

    name: str
    number: int
    command_line: CommandLine
    params: Params
    job: Job
    seed: int | None = None
    confirmed_run: str | None = None


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that ran and has ended, with the id of its run."""

    trial: RunningTrial
    run_id: str | None
    outcome: TrialOutcome


def make_run_command(words: Sequence[str]) -> str:
    """Return the command that trains the words of a trial, without secrets: it is kept in the study."""
    return format_command("run", mask_all(words))


class SweepObserver(Protocol):
    """Sees every event of a sweep; writes it into MLflow and shows it on the terminal."""

    def open_trials(self, trials: Sequence[RunningTrial]) -> Sequence[str | None]:
        """Open the records of trials that begin, and return the ids of their runs."""

    def show_epoch(self, trial: RunningTrial, epoch: Epoch) -> None:
        """Show an epoch that has ended."""

    def show_loss(self, trial: RunningTrial, reason: str, device_seconds: float) -> None:
        """Show that a trial was given back because its worker ended, and what it had spent."""

    def close_trials(self, ended: Sequence[EndedTrial]) -> None:
        """Write down how trials ended."""

    def show_results(self, results: Results) -> None:
        """Show what the study has come to so far."""

    def discard_trial(self, name: str, owner: ProcessOwner | None) -> bool:
        """Mark the record of an interrupted trial: it counts for nothing. Return whether it had one.

        `owner`: the process that ran it, None where nobody knows. A study that was put back from a copy, or
        copied, has trials of a name that another process has recorded.
        """

    def fail_trial(self, name: str, owner: ProcessOwner | None, reason: str) -> str | None:
        """Write down that a trial whose process has died has failed; return its run, None without one."""

    def begin_phase(self, name: str, total: int) -> None:
        """Show that what follows the search begins, in so many steps; a confirmation is one."""

    def advance_phase(self) -> None:
        """Show that a step of the phase is done."""
