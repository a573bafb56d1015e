"""The search: who is free gets the next trial; what comes out is written down; the end is confirmed.

Knows neither Hydra nor MLflow: it is handed a way to compose words, and somebody who watches.
"""

import hashlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from pipeline import signals
from pipeline.errors import BadInput, BadSetting, FulcrumError
from pipeline.frontier_sampler.observations import Work
from pipeline.measures import Epoch, Point
from pipeline.search.ask_tell import Proposer
from pipeline.search.job import Ended, Job, Limits
from pipeline.search.results import EPOCHS, Member, Results
from pipeline.search.space import Dimension, Params, Space, When
from pipeline.search.study_store import WORDS, Ledger, Proposal
from pipeline.search.trial_rows import CONFIRM, confirms, outcome, results
from pipeline.search.worker_pool import Bug, Crew
from pipeline.settings.command_line import CommandLine
from pipeline.settings.search import Sampler
from pipeline.settings.search import Search as SearchSettings

RECLAIM_SECONDS = 10.0
"""Between two looks for trials of processes that are gone."""

POLL_SECONDS = 0.5
"""Between two looks at the study while only other processes are at work."""

UNFIT_AT_MOST = 100
"""Proposals in a row whose values exclude each other, until the search gives up."""

TASK = "task"
"""Attribute of a row of `Ledger.afterwards`: what is done once for the study."""


class SearchStopped(FulcrumError):
    """A trial ended by an error of the program; the text has the command that repeats it."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is searched. `fixed`: words that all trials share; `compose`: from words to settings; `work`: what
    an epoch of some params takes (see `work`), where that can be told.
    """

    told: CommandLine
    fixed: tuple[str, ...]
    space: Space
    compose: Callable[[Sequence[str]], CommandLine]
    checkpoints: Path
    work: Work | None = None

    @property
    def search(self) -> SearchSettings:
        return self.told.settings.search

    def words(self, params: Params) -> tuple[str, ...]:
        """The command line of a trial: what is shared, then what is its own."""
        own = self.space.words(params)
        return (*without(self.fixed, own), *own)

    def checkpoint(self, words: Sequence[str], fair_midway: bool) -> Path:
        """One place for all trials that differ in nothing but how long they train, where that is fair."""
        same = sorted(word for word in words if not (fair_midway and word.startswith(f"{EPOCHS}=")))
        return self.checkpoints / f"{hashlib.sha256(repr(same).encode()).hexdigest()[:24]}.npz"


def without(words: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    taken = {word.partition("=")[0] for word in own}
    return tuple(word for word in words if word.partition("=")[0] not in taken)


def with_epochs(space: Space, told: CommandLine, fair: Callable[[str], bool]) -> tuple[Space, str | None]:
    """The space with how long to train, where a sampler may choose that, and the name of that dimension.

    Only the frontier sampler does, and only where the states on the way are fair points. `fair`: whether they
    are under a schedule of that name.
    """
    most = told.settings.train.epochs
    if told.settings.search.sampler is not Sampler.frontier or most == 1 or EPOCHS in space.searched():
        return space, None
    schedules = next((each for each in space.dimensions if each.key == "schedule"), None)
    when = None
    if schedules is not None:
        fair_ones = [choice for choice in schedules.choices if fair(str(choice))]
        if len(fair_ones) != 1:
            return space, None
        when = When(schedules.name, fair_ones[0])
    elif not told.settings.schedule.fair_midway:
        return space, None
    epochs = Dimension(EPOCHS, low=1, high=most, whole=True, when=when)
    return Space((*space.dimensions, epochs)), epochs.name


# ---- who watches --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that runs, or the confirmation of one (`seed`): its words and what it is asked to do.

    `name`: told apart from all other tries of the study.
    """

    name: str
    number: int
    told: CommandLine
    params: Params
    job: Job
    seed: int | None = None


class Watcher(Protocol):
    """Sees everything; writes it into MLflow, shows it on the terminal."""

    def began(self, trial: Trial) -> str | None:
        """A trial begins; the id of its run."""

    def epoch(self, trial: Trial, epoch: Epoch) -> None: ...

    def ended(self, trial: Trial, run_id: str | None, ended: Ended) -> None: ...

    def standing(self, results: Results) -> None:
        """What the study has come to so far."""

    def dropped(self, name: str) -> None:
        """The trial of that name was interrupted; its record counts for nothing."""


# ---- the search -----------------------------------------------------------------------------------------


class Search:
    """A sweep in progress."""

    def __init__(
        self, sweep: Sweep, epochs: str | None, ledger: Ledger, crew: Crew, watcher: Watcher
    ) -> None:
        """`epochs`: name of the dimension that says how long to train, if there is one."""
        self._sweep, self._ledger, self._crew, self._watcher = sweep, ledger, crew, watcher
        told = sweep.search
        self._proposer = Proposer(sweep.space, told.sampler, epochs, told.seed, told.workers, sweep.work)
        self._running: dict[int, tuple[Trial, str | None]] = {}
        self._looked, self._started, self._exhausted = -RECLAIM_SECONDS, time.monotonic(), False
        self._results: Results | None = None
        self._points: tuple[Point, ...] | None = None
        self._data = sweep.told.choices["data"]

    @property
    def results(self) -> Results:
        """As of now."""
        if self._results is None:
            self._results = results(self._ledger, self._data)
            self._points = None
        return self._results

    def run(self) -> None:
        """Try until all trials are done or the budget is spent.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        self._queue_baselines()
        self._watcher.standing(self.results)
        with self._at_work(self._ledger):
            while self._tend(self._ledger, self._begin):
                for job, event in self._crew.events(self._frontier()):
                    self._on(self._ledger, job, event)

    def close(self) -> None:
        """Send the workers home."""
        self._crew.close()

    # ---- keeping everybody at work ----------------------------------------------------------------------

    def _tend(self, ledger: Ledger, begin: Callable[[], bool]) -> bool:
        """Let whoever is free begin; whether anything is under way, here or elsewhere."""
        self._take_back(ledger)
        while self._crew.free() and begin():
            pass
        if self._running:
            return True
        self._results = None
        if not any(row.state is TrialState.RUNNING for row in ledger.trials()):
            return False
        time.sleep(POLL_SECONDS)  # another process may yet die and leave its trial to us
        return True

    def _take_back(self, ledger: Ledger) -> None:
        """Queue again what dead processes left."""
        if time.monotonic() - self._looked < RECLAIM_SECONDS:
            return
        self._looked = time.monotonic()
        for row in ledger.orphans(self._sweep.search.trials):
            # The record goes first: a kill in between leaves a trial that the next look finds again.
            self._watcher.dropped(_name(row))
            ledger.requeue(row)

    @contextmanager
    def _at_work(self, ledger: Ledger) -> Iterator[None]:
        """Whatever comes out of the block, nobody goes on with what runs here, and it is given back."""
        self._looked = -RECLAIM_SECONDS
        try:
            yield
        except BaseException:
            with signals.held_back():
                self._crew.close()
                for number in list(self._running):
                    trial, _ = self._running.pop(number)
                    self._watcher.dropped(trial.name)
                    ledger.drop(number)
            raise

    def _over(self) -> bool:
        """Whether no new trial may begin."""
        told = self._sweep.search
        if told.timeout is not None and time.monotonic() - self._started > told.timeout:
            return True
        spent = sum(each.paid_seconds for each in self.results.tried)
        return told.budget_device_seconds is not None and spent >= told.budget_device_seconds

    # ---- beginning --------------------------------------------------------------------------------------

    def _queue_baselines(self) -> None:
        """Those that the study has not had yet, within the total."""
        for line in self._sweep.search.enqueue:
            if self._ledger.begun() < self._sweep.search.trials:
                own = line.split()
                words = (*without(self._sweep.fixed, own), *own)
                self._ledger.queue(Proposal({}, {}, {}), {WORDS: words}, once=f"baseline {line}")

    def _begin(self) -> bool:
        """Start a trial that waits, or a new one; whether there was one."""
        if self._over():
            return False
        with signals.held_back():
            if row := self._ledger.claim():
                self._resume(row)
                return True
        if self._exhausted or self._ledger.begun() >= self._sweep.search.trials:
            return False
        return self._begin_new()

    def _resume(self, row: FrozenTrial) -> None:
        words = tuple(row.user_attrs.get(WORDS) or self._sweep.words(row.params))
        try:
            self._start(row.number, self._sweep.compose(words), row.params)
        except BadInput as error:  # it was queued by other code or under another conf/
            command = shlex.join(["python", "-m", "pipeline", "run", *words])
            self._ledger.finish(row.number, _unfit(str(error), command))
            self._results = None

    def _begin_new(self) -> bool:
        self._proposer.see(self._ledger.trials())
        found = self._fitting()
        if found is None:
            self._exhausted = True
            return False
        proposal, told = found
        with signals.held_back():
            number = self._ledger.begin(proposal, self._sweep.search.trials)
            self._proposer.bind(number)
            if number is not None:
                self._start(number, told, proposal.params)
        return number is not None

    def _fitting(self) -> tuple[Proposal, CommandLine] | None:
        """A proposal whose values do not exclude each other."""
        for _ in range(UNFIT_AT_MOST):
            proposal = self._proposer.propose()
            if proposal is None:
                return None
            try:
                return proposal, self._sweep.compose(self._sweep.words(proposal.params))
            except BadSetting:
                self._proposer.bind(None)
        return None

    def _start(self, number: int, told: CommandLine, params: Params) -> None:
        search = self._sweep.search
        place = self._sweep.checkpoint(told.overrides, told.settings.schedule.fair_midway)
        limits = Limits(search.max_latency_ms, search.max_parameters)
        job = Job(number, told.settings, place, limits, under_shift=search.under_shift)
        self._go(Trial(str(number), number, told, params, job))

    def _go(self, trial: Trial) -> None:
        self._running[trial.job.number] = trial, None  # from here on it is given back, whatever happens
        self._running[trial.job.number] = trial, self._watcher.began(trial)
        self._crew.start(trial.job)

    # ---- what comes back --------------------------------------------------------------------------------

    def _frontier(self) -> tuple[Point, ...]:
        """The same object as long as nothing is new."""
        members = self.results.members()
        if self._points is None:
            self._points = tuple(member.point for member in members)
        return self._points

    def _on(self, ledger: Ledger, job: Job, event: Epoch | Ended | Bug) -> None:
        trial, _ = self._running[job.number]
        match event:
            case Epoch():
                self._watcher.epoch(trial, event)
            case Bug(text=text):
                last = text.strip().splitlines()[-1]
                self._write(ledger, job.number, Ended("failed", f"error of the program: {last}"))
                raise SearchStopped(
                    f"trial {trial.number} ended by an error of the program ({last}); the sweep stops, what "
                    f"it found is kept; repeat the trial with: {trial.told.command_line('run')}\n{text}"
                )
            case Ended():
                self._write(ledger, job.number, event)

    def _write(self, ledger: Ledger, number: int, ended: Ended) -> None:
        """First the record, then the study: its row is what makes a trial count."""
        with signals.held_back():
            trial, run_id = self._running.pop(number)
            self._watcher.ended(trial, run_id, ended)
            kept = outcome(trial.told, run_id, ended, self._sweep.space.searched())
            if not ledger.finish(number, kept):
                self._watcher.dropped(trial.name)
        self._results = None
        self._watcher.standing(self.results)

    # ---- the end ----------------------------------------------------------------------------------------

    def confirm(self) -> None:
        """Train each member of the frontier again with new seeds, and read the test split: once.

        What was confirmed before is left as it is; several processes share the work.

        Raises:
            SearchStopped: as `run`.
        """
        wanted = {
            (member.tried.number, member.epoch, self._sweep.told.settings.train.seed + more): member
            for member in self.results.members()
            for more in range(1, self._sweep.search.confirm + 1)
        }
        ledger = self._ledger.afterwards()
        for number, epoch, seed in wanted:
            about = {CONFIRM: {"trial": number, "epoch": epoch, "seed": seed}}
            ledger.queue(Proposal({}, {}, {}), about, once=f"{CONFIRM} {number} {epoch} {seed}")

        def begin() -> bool:
            with signals.held_back():
                row = ledger.claim(lambda waiting: confirms(waiting) in wanted)
                if row is not None:
                    self._start_confirming(row, wanted[confirms(row)])  # type: ignore[index]
            return row is not None

        with self._at_work(ledger):
            while self._tend(ledger, begin):
                for job, event in self._crew.events(()):
                    self._on(ledger, job, event)
        self._watcher.standing(self.results)

    def _start_confirming(self, row: FrozenTrial, member: Member) -> None:
        seed = row.user_attrs[CONFIRM]["seed"]
        told = self._again(member, f"train.seed={seed}")
        pruning = replace(told.settings.pruning, enabled=False)
        settings, under_shift = replace(told.settings, pruning=pruning), self._sweep.search.under_shift
        job = Job(row.number, settings, test=True, under_shift=under_shift)
        self._go(Trial(_name(row), member.tried.number, told, {EPOCHS: member.epoch}, job, seed))

    def _again(self, member: Member, *more: str) -> CommandLine:
        """The settings that train to exactly this member's state, and more words."""
        own = [*more, f"{EPOCHS}={member.epoch}"]
        row = next(row for row in self._ledger.trials() if row.number == member.tried.number)
        words = row.user_attrs.get(WORDS) or self._sweep.words(row.params)
        return self._sweep.compose((*without(words, own), *own))

    def model_of(self, member: Member) -> tuple[CommandLine, Any]:
        """A member's settings and its trained state: from its checkpoint, or trained again to the same."""
        from pipeline.search.job import prepared_for
        from pipeline.training import checkpoints
        from pipeline.training.train import train

        told = self._again(member)
        path = self._sweep.checkpoint(told.overrides, told.settings.schedule.fair_midway)
        found = checkpoints.load(path)
        if found is not None and found.kept == member.epoch == len(found.curve.epochs):
            return told, list(found.parameters)
        *_, trained = train(prepared_for(told.settings), told.settings)
        return told, trained.weights()

    def once(self, name: str, work: Callable[[], None]) -> None:
        """Do `work` unless a process of this study has done it, or is at it: then wait until it is done."""
        ledger = self._ledger.afterwards()
        ledger.queue(Proposal({}, {}, {}), {TASK: name}, once=f"{TASK} {name}")

        def begin() -> bool:
            row = ledger.claim(lambda waiting: waiting.user_attrs.get(TASK) == name)
            if row is None:
                return False
            try:
                work()
            except BaseException:
                with signals.held_back():
                    ledger.drop(row.number)
                raise
            ledger.finish(row.number, {"state": "complete", "curve": []})
            return True

        with self._at_work(ledger):
            while self._tend(ledger, begin):
                pass


def _name(row: FrozenTrial) -> str:
    """Of a row of the study, or of what is done afterwards."""
    return f"{CONFIRM} {row.number}" if CONFIRM in row.user_attrs else str(row.number)


def _unfit(reason: str, command: str) -> dict[str, Any]:
    """The outcome of a trial whose words say nothing (any more)."""
    return {
        "state": "failed",
        "reason": reason,
        "run_id": None,
        "command": command,
        "params": {},
        "curve": [],
        "fair_midway": False,
        "paid_seconds": 0.0,
        "device": "",
        "ended": time.time(),
    }
