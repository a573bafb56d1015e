"""The dispatcher gives jobs to free workers, and writes down what comes back."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from optuna.trial import FrozenTrial, TrialState

from pipeline import signals
from pipeline.errors import FulcrumError
from pipeline.measures import Point
from pipeline.processes import garbage
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.outcomes import CONFIRM, get_trial_name, make_failed_outcome, make_outcome
from pipeline.search.results import Results
from pipeline.search.storage.held_trials import read_owner
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_store import StudyStore
from pipeline.search.sweep_spec import (
    EndedTrial,
    RunningTrial,
    SweepObserver,
    SweepSpec,
    make_run_command,
)
from pipeline.search.trial_rows import ResultsReader
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import Crash, End, Stoppage, WorkerPool
from pipeline.secrets import mask

P = ParamSpec("P")
T = TypeVar("T")

RECLAIM_SECONDS = 10.0
"""Between two looks for trials of processes that are gone."""

FEW, MOST_AT_ONCE, SHARE_AT_ONCE = 8, 64, 8
"""Fewer workers than this begin one by one, as each trial that ends tells the next one something; of more,
those that are free get trials that are proposed, written and begun together: at most so many, or an eighth of
all where they are very many."""

POLL_SECONDS = 0.5
"""Between two looks at the study while only other processes are at work."""

ENDED_BY_OTHERS = "others have ended it meanwhile, as after a long sleep of this machine: it does not count"
DIED_TWICE = "its process ended twice before the trial did: killed, or out of memory, or by what it does"

TASK = "task"
"""Attribute of a row of `StudyStore.task_queue`: what is done once for the study."""


def count_together(free: int, workers: int) -> int:
    """Return how many of the free workers get a trial together."""
    return 1 if workers < FEW else min(free, max(MOST_AT_ONCE, workers // SHARE_AT_ONCE))


class SearchStopped(FulcrumError):
    """A trial was refused, or ended by an error of the program: the text has the command that repeats it."""


class Dispatcher:
    """Keeps the workers of a sweep busy."""

    def __init__(self, spec: SweepSpec, store: StudyStore, pool: WorkerPool, observer: SweepObserver) -> None:
        self._spec, self._store, self._pool, self._observer = spec, store, pool, observer
        self._running: dict[int, tuple[RunningTrial, str | None]] = {}
        self._reclaimed_at = -RECLAIM_SECONDS
        self._reader = ResultsReader(store, spec.command_line.subject)
        self._results: Results | None = None

    @property
    def results(self) -> Results:
        """Return what the study has come to so far."""
        if self._results is None:
            self._results = self._reader.read()
        return self._results

    def forget_results(self) -> None:
        """Read the results anew when they are next asked for: a row was written."""
        self._results = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns where a free worker calls it, see `WorkerPool.call`."""
        return self._pool.call(function, *args, **kwargs)

    def call_here(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns on this machine, see `WorkerPool.call_here`."""
        return self._pool.call_here(function, *args, **kwargs)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def work_through(
        self,
        store: StudyStore,
        begin: Callable[[int], int],
        get_frontier: Callable[[], Sequence[Point]] = tuple,
    ) -> None:
        """Let free workers begin, and handle what comes back, until nothing is left or under way.

        `begin`: starts the next jobs with `launch`, at most so many, and returns how many there were;
        `get_frontier`: what the workers are to compare themselves with.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        garbage.collect_as_usual()
        with self._release_on_error(store):
            while self._launch_free_workers(store, begin):
                self._handle_events(store, get_frontier())

    def launch(self, trials: Sequence[RunningTrial]) -> None:
        """Open the records of trials and give their jobs to free workers."""
        for trial in trials:  # from here on they are given back, whatever happens
            self._running[trial.job.number] = trial, None
        for trial, run_id in zip(trials, self._observer.open_trials(trials), strict=True):
            self._running[trial.job.number] = trial, run_id
            self._pool.start(trial.job)

    def run_once(self, name: str, task: Callable[[], None]) -> None:
        """Run `task` unless a process of this study has done it, or is at it: then wait until it is done."""
        queue = self._store.task_queue()
        queue.queue(ProposedTrial({}, {}, {}), {TASK: name}, once=f"{TASK} {name}")

        def begin(_: int) -> int:
            row = queue.claim(lambda waiting: waiting.user_attrs.get(TASK) == name)
            if row is None:
                return 0
            try:
                task()
            except BaseException:
                with signals.hold_back():
                    queue.release(row.number)
                raise
            queue.finish(row.number, {"state": "complete", "curve": []})
            return 1

        self.work_through(queue, begin)

    def _launch_free_workers(self, store: StudyStore, begin: Callable[[int], int]) -> bool:
        """Let free workers begin until one reports; return whether anything runs, here or elsewhere."""
        self._reclaim_orphans(store)
        while free := self._pool.count_free():
            if not begin(count_together(free, free + len(self._running))):
                break
            if self._pool.has_events():  # what has ended meanwhile tells the next proposal something
                break
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
        limit = self._spec.search.most_trials if store is self._store else None
        for row in store.find_orphans(limit, self._fail_dead):
            if row.number in self._running:
                continue  # another program has ended it; it is tried again when this try is over
            # The record goes first: a kill in between leaves a trial that the next look finds again.
            # A task has none; its number may be that of a trial that counts.
            is_task = TASK in row.user_attrs
            had_begun = not is_task and self._observer.discard_trial(get_trial_name(row), read_owner(row))
            store.requeue(row, died=is_task or had_begun)

    def _fail_dead(self, row: FrozenTrial) -> dict[str, Any] | None:
        """Return the outcome of a trial whose process has died too often.

        None for what is no trial, and for one without a record: it did not begin, so it took nobody along.
        """
        if TASK in row.user_attrs:
            return None
        run_id = self._observer.fail_trial(get_trial_name(row), read_owner(row), DIED_TWICE)
        if run_id is None:
            return None
        command = "" if CONFIRM in row.user_attrs else make_run_command(self._spec.get_words_of(row))
        self._results = None
        return make_failed_outcome(row, DIED_TWICE, command, run_id)

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
                    self._give_back(store, number)
            raise

    def _give_back(self, store: StudyStore, number: int, died: bool = False) -> None:
        """Let somebody try a running trial again: it was stopped and did nothing wrong."""
        trial, _ = self._running.pop(number)
        if row := store.give_up(number):  # first: a record is only deleted of what does not count
            self._observer.discard_trial(trial.name, read_owner(row))
            store.requeue(row, died)

    def _handle_events(self, store: StudyStore, frontier: Sequence[Point]) -> None:
        """Handle what has happened since; all that ended is written together, also where an event raises."""
        ended = dict[int, TrialOutcome]()
        try:
            for job, event in self._pool.events(frontier):
                if outcome := self._handle_event(store, job, event):
                    ended[job.number] = outcome
        finally:
            if ended:
                self.write_outcomes(store, ended)

    def _handle_event(self, store: StudyStore, job: Job, event: Progress | End) -> TrialOutcome | None:
        """Handle an event; return the outcome of a trial that it has ended, to be written."""
        trial, _ = self._running[job.number]
        match event:
            case Progress(epoch=epoch, paid_seconds=paid_seconds):
                store.note_spent(job.number, paid_seconds)
                self._observer.show_epoch(trial, epoch)
            case Crash(text=text):
                error = text.strip().splitlines()[-1]
                outcome = TrialOutcome(status="failed", reason=f"error of the program: {error}")
                self.write_outcomes(store, {job.number: outcome})
                raise SearchStopped(
                    f"trial {trial.number} ended by an error of the program ({error}); the sweep stops, what "
                    f"it found is kept; repeat the trial with: {trial.command_line.command_line('run')}\n"
                    f"{text}"
                )
            case Stoppage():
                return self._handle_stoppage(store, job.number, event)
            case TrialOutcome(status="refused", reason=reason):
                raise SearchStopped(f"{reason} (trial {trial.number} is given back)")
            case TrialOutcome():
                return event
        return None

    def _handle_stoppage(self, store: StudyStore, number: int, stoppage: Stoppage) -> TrialOutcome | None:
        """Give the trial back, or let it fail where it may have ended its worker for the second time."""
        trial, _ = self._running[number]
        if not stoppage.is_innocent and store.is_last_death(number):
            twice = f"{stoppage.reason}, twice"
            return TrialOutcome(status="failed", reason=twice, paid_seconds=stoppage.paid_seconds)
        store.note_spent(number, stoppage.paid_seconds)
        with signals.hold_back():
            self._give_back(store, number, died=not stoppage.is_innocent)
        reason = mask(stoppage.reason, *trial.command_line.overrides)
        self._observer.show_loss(trial, reason, stoppage.paid_seconds)
        self._results = None
        return None

    def write_outcomes(self, store: StudyStore, outcomes: Mapping[int, TrialOutcome]) -> None:
        """Write the records first, then the study: its rows are what makes trials count."""
        with signals.hold_back():
            ended = {number: self._end_running(number, end) for number, end in outcomes.items()}
            self._observer.close_trials(list(ended.values()))
            rows = {
                number: make_outcome(
                    end.trial.command_line, end.run_id, end.outcome, self._spec.list_keys(end.trial.params)
                )
                for number, end in ended.items()
            }
            for number in rows.keys() - store.finish_all(rows):
                end = ended[number]
                self._observer.discard_trial(end.trial.name, ProcessOwner.current())
                self._observer.show_loss(end.trial, ENDED_BY_OTHERS, end.outcome.paid_seconds)
                self._reclaimed_at = -RECLAIM_SECONDS
        self._results = None
        self._observer.show_results(self.results)

    def _end_running(self, number: int, outcome: TrialOutcome) -> EndedTrial:
        trial, run_id = self._running.pop(number)
        return EndedTrial(trial, run_id, outcome.mask_texts(trial.command_line.overrides))
