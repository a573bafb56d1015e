"""The search: a free worker gets the next trial, and what comes out of it is written down.

    waiting row or new proposal -> compose -> open record -> job -> epochs ... outcome -> record -> study row

Knows neither Hydra nor MLflow: it is handed a way to compose words, and an observer. What is done at its end
lies in `confirmation`.
"""

import hashlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from pipeline import signals
from pipeline.errors import BadInput, BadSetting, FulcrumError
from pipeline.frontier_sampler.observations import Work
from pipeline.measures import Epoch, Point
from pipeline.search.ask_tell import TrialSuggester
from pipeline.search.job import Job, Limits, TrialOutcome
from pipeline.search.results import Results
from pipeline.search.space import Params, SearchSpace
from pipeline.search.study_store import WORDS, ProposedTrial, StudyStore
from pipeline.search.trial_rows import CONFIRM, make_outcome, read_results
from pipeline.search.worker_pool import Crash, WorkerPool
from pipeline.settings.command_line import EPOCHS, CommandLine, Overrides
from pipeline.settings.search import Search as SearchSettings

RECLAIM_SECONDS = 10.0
"""Between two looks for trials of processes that are gone."""

POLL_SECONDS = 0.5
"""Between two looks at the study while only other processes are at work."""

MAX_UNFIT_PROPOSALS = 100
"""Proposals in a row whose values exclude each other, until the search gives up."""

TASK = "task"
"""Attribute of a row of `StudyStore.task_queue`: what is done once for the study."""


class SearchStopped(FulcrumError):
    """A trial ended by an error of the program; the text has the command that repeats it."""


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


# ---- the search -----------------------------------------------------------------------------------------


class Sweep:
    """A search in progress."""

    def __init__(
        self,
        spec: SweepSpec,
        epochs_name: str | None,
        store: StudyStore,
        pool: WorkerPool,
        observer: SweepObserver,
    ) -> None:
        """`epochs_name`: name of the dimension that says how long to train, if there is one."""
        self.spec, self.store, self.observer, self._pool = spec, store, observer, pool
        search = spec.search
        self._proposer = TrialSuggester(
            spec.space,
            search.sampler,
            epochs_name,
            search.seed,
            search.workers,
            spec.work,
            Limits(search.max_latency_ms, search.max_parameters),
        )
        self._running: dict[int, tuple[RunningTrial, str | None]] = {}
        self._reclaimed_at, self._started_at = -RECLAIM_SECONDS, time.monotonic()
        self._is_exhausted = False
        self._results: Results | None = None
        self._points: tuple[Point, ...] | None = None
        self._data_name = spec.command_line.choices["data"]

    @property
    def results(self) -> Results:
        """Return what the study has come to so far."""
        if self._results is None:
            self._results = read_results(self.store, self._data_name)
            self._points = None
        return self._results

    def run(self) -> None:
        """Try until all trials are done or the budget is spent.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        self._queue_baselines()
        self.observer.show_results(self.results)
        self.work_through(self.store, self._begin_trial, self._get_frontier)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    # ---- keeping the workers busy -----------------------------------------------------------------------

    def work_through(
        self,
        store: StudyStore,
        begin: Callable[[], bool],
        get_frontier: Callable[[], Sequence[Point]] = tuple,
    ) -> None:
        """Let free workers begin, and handle what comes back, until nothing is left or under way.

        `begin`: starts the next job with `launch` and returns whether there was one; `get_frontier`: what the
        workers are to compare themselves with.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        with self._release_on_error(store):
            while self._launch_free_workers(store, begin):
                for job, event in self._pool.events(get_frontier()):
                    self._handle_event(store, job, event)

    def launch(self, trial: RunningTrial) -> None:
        """Open the record of a trial and give its job to a free worker."""
        self._running[trial.job.number] = trial, None  # from here on it is given back, whatever happens
        self._running[trial.job.number] = trial, self.observer.open_trial(trial)
        self._pool.start(trial.job)

    def run_once(self, name: str, task: Callable[[], None]) -> None:
        """Run `task` unless a process of this study has done it, or is at it: then wait until it is done."""
        queue = self.store.task_queue()
        queue.queue(ProposedTrial({}, {}, {}), {TASK: name}, once=f"{TASK} {name}")

        def begin() -> bool:
            row = queue.claim(lambda waiting: waiting.user_attrs.get(TASK) == name)
            if row is None:
                return False
            try:
                task()
            except BaseException:
                with signals.hold_back():
                    queue.release(row.number)
                raise
            queue.finish(row.number, {"state": "complete", "curve": []})
            return True

        self.work_through(queue, begin)

    def _launch_free_workers(self, store: StudyStore, begin: Callable[[], bool]) -> bool:
        """Let free workers begin; return whether anything is under way, here or elsewhere."""
        self._reclaim_orphans(store)
        while self._pool.count_free() and begin():
            pass
        if self._running:
            return True
        self._results = None
        if not any(row.state is TrialState.RUNNING for row in store.trials()):
            return False
        time.sleep(POLL_SECONDS)  # another process may yet die and leave its trial to us
        return True

    def _reclaim_orphans(self, store: StudyStore) -> None:
        """Return what dead processes left to the queue."""
        if time.monotonic() - self._reclaimed_at < RECLAIM_SECONDS:
            return
        self._reclaimed_at = time.monotonic()
        for row in store.find_orphans(self.spec.search.trials):
            # The record goes first: a kill in between leaves a trial that the next look finds again.
            self.observer.discard_trial(get_trial_name(row))
            store.requeue(row)

    @contextmanager
    def _release_on_error(self, store: StudyStore) -> Iterator[None]:
        """End the workers and give their trials back where the block raises."""
        self._reclaimed_at = -RECLAIM_SECONDS
        try:
            yield
        except BaseException:
            with signals.hold_back():
                self._pool.close()
                for number in list(self._running):
                    trial, _ = self._running.pop(number)
                    self.observer.discard_trial(trial.name)
                    store.release(number)
            raise

    def _is_budget_spent(self) -> bool:
        """Return whether no new trial may begin."""
        search = self.spec.search
        if search.timeout is not None and time.monotonic() - self._started_at > search.timeout:
            return True
        spent_seconds = sum(trial.paid_seconds for trial in self.results.trials)
        return search.budget_device_seconds is not None and spent_seconds >= search.budget_device_seconds

    # ---- beginning --------------------------------------------------------------------------------------

    def _queue_baselines(self) -> None:
        """Add to the queue the baselines that the study has not had yet, within the total."""
        for line in self.spec.search.enqueue:
            if self.store.count_begun() < self.spec.search.trials:
                words = self.spec.fixed.with_(*line.split())
                self.store.queue(ProposedTrial({}, {}, {}), {WORDS: words}, once=f"baseline {line}")

    def _begin_trial(self) -> bool:
        """Start a trial that waits, or a new one; return whether there was one."""
        if self._is_budget_spent():
            return False
        with signals.hold_back():
            if row := self.store.claim():
                self._begin_waiting(row)
                return True
        if self._is_exhausted or self.store.count_begun() >= self.spec.search.trials:
            return False
        return self._begin_new()

    def _begin_waiting(self, row: FrozenTrial) -> None:
        words = self.get_words_of(row)
        try:
            self._launch_search_trial(row.number, self.spec.compose(words), row.params)
        except BadInput as error:  # it was queued by other code or under another conf/
            command = shlex.join(["python", "-m", "pipeline", "run", *words])
            self.store.finish(row.number, _make_unfit_outcome(str(error), command))
            self._results = None

    def _begin_new(self) -> bool:
        """Start what the sampler proposes; again, where another process was faster with the same."""
        limit = self.spec.search.trials
        while True:
            rows = self.store.trials()
            self._proposer.show(rows)
            fitting = self._propose_fitting()
            if fitting is None:
                self._is_exhausted = True
                return False
            proposal, command_line = fitting
            newest_seen = max((row.number for row in rows), default=-1)
            with signals.hold_back():
                number = self.store.begin(proposal, limit, newest_seen)
                self._proposer.bind(number)
                if number is not None:
                    self._launch_search_trial(number, command_line, proposal.params)
                    return True
            if self.store.count_begun() >= limit:
                return False

    def _propose_fitting(self) -> tuple[ProposedTrial, CommandLine] | None:
        """Return a proposal whose values do not exclude each other, and what it is composed to."""
        for _ in range(MAX_UNFIT_PROPOSALS):
            proposal = self._proposer.suggest()
            if proposal is None:
                return None
            try:
                return proposal, self.spec.compose(self.spec.get_words(proposal.params))
            except BadSetting:
                self._proposer.bind(None)
        return None

    def _launch_search_trial(self, number: int, command_line: CommandLine, params: Params) -> None:
        search = self.spec.search
        job = Job(
            number=number,
            settings=command_line.settings,
            checkpoint=self.spec.get_checkpoint_path(command_line),
            limits=Limits(search.max_latency_ms, search.max_parameters),
            under_shift=search.under_shift,
        )
        self.launch(
            RunningTrial(name=str(number), number=number, command_line=command_line, params=params, job=job)
        )

    def get_words_of(self, row: FrozenTrial) -> Overrides:
        """Return the command line of a row of the study: as it was queued, or of its params."""
        queued = row.user_attrs.get(WORDS)
        return Overrides(queued) if queued else self.spec.get_words(row.params)

    # ---- what comes back --------------------------------------------------------------------------------

    def _get_frontier(self) -> tuple[Point, ...]:
        """Return the points of the frontier: the same object as long as nothing is new."""
        frontier = self.results.frontier
        if self._points is None:
            self._points = tuple(member.point for member in frontier)
        return self._points

    def _handle_event(self, store: StudyStore, job: Job, event: Epoch | TrialOutcome | Crash) -> None:
        trial, _ = self._running[job.number]
        match event:
            case Epoch():
                self.observer.show_epoch(trial, event)
            case Crash(text=text):
                error = text.strip().splitlines()[-1]
                outcome = TrialOutcome(status="failed", reason=f"error of the program: {error}")
                self._write_outcome(store, job.number, outcome)
                raise SearchStopped(
                    f"trial {trial.number} ended by an error of the program ({error}); the sweep stops, what "
                    f"it found is kept; repeat the trial with: {trial.command_line.command_line('run')}\n"
                    f"{text}"
                )
            case TrialOutcome():
                self._write_outcome(store, job.number, event)

    def _write_outcome(self, store: StudyStore, number: int, outcome: TrialOutcome) -> None:
        """Write the record first, then the study: its row is what makes a trial count."""
        with signals.hold_back():
            trial, run_id = self._running.pop(number)
            self.observer.close_trial(trial, run_id, outcome)
            row = make_outcome(trial.command_line, run_id, outcome, self.spec.space.keys)
            if not store.finish(number, row):
                self.observer.discard_trial(trial.name)
        self._results = None
        self.observer.show_results(self.results)


def get_trial_name(row: FrozenTrial) -> str:
    """Return the name of a row of the study, or of its task queue."""
    return f"{CONFIRM} {row.number}" if CONFIRM in row.user_attrs else str(row.number)


def _make_unfit_outcome(reason: str, command: str) -> dict[str, Any]:
    """Return the outcome of a trial whose words say nothing (any more)."""
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
