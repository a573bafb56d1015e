"""The search: a free worker gets the next trial, and what comes out of it is written down.

    waiting row or new proposal -> compose -> open record -> job -> epochs ... outcome -> record -> study row

Knows neither Hydra nor MLflow: it is handed a way to compose words, and an observer. What is done at its end
lies in `confirmation`.
"""

import time

from optuna.trial import FrozenTrial

from pipeline import signals
from pipeline.errors import BadInput, BadSetting
from pipeline.formatting import format_count
from pipeline.frontier_sampler.curves.outlook import Outlook
from pipeline.measures import Point
from pipeline.search.ask_tell import TrialSuggester
from pipeline.search.ends.standstill import describe_standstill
from pipeline.search.outcomes import make_failed_outcome
from pipeline.search.results import Results
from pipeline.search.space import Params
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.trial_states import WORDS
from pipeline.search.study_store import StudyStore
from pipeline.search.sweep_spec import RunningTrial, SweepObserver, SweepSpec, make_run_command
from pipeline.search.workers.dispatcher import Dispatcher
from pipeline.search.workers.job import Job, Limits
from pipeline.search.workers.pool import WorkerPool
from pipeline.secrets import mask
from pipeline.settings.command_line import CommandLine

MAX_UNFIT_PROPOSALS = 100
"""Proposals in a row whose values exclude each other, until the search gives up."""

MAX_FAILURES = 40
"""Failures in a row, until a search gives up that only a budget ends: what fails at once spends nothing."""

NO_OTHER = "the space has no other trial"


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
        self.spec, self.store, self.observer = spec, store, observer
        self.dispatcher = Dispatcher(spec, store, pool, observer)
        search = spec.search
        self._proposer = TrialSuggester(
            spec.space,
            search.sampler,
            epochs_name,
            search.seed,
            spec.command_line.settings.parallel_trials,
            spec.work,
            Limits(search.max_latency_ms, search.max_parameters),
            search.describe_objectives(),
            search.most_trials if search.is_capped else None,
        )
        self._started_at = time.monotonic()
        self._is_exhausted = self._is_shown = False
        self._ended_before = 0
        """How many trials had ended when this search began: a reason to fail may have been mended since."""
        self.end = ""
        """Why no further trial begins, in words; empty as long as one may."""
        self._points: tuple[Results, tuple[Point, ...]] | None = None

    @property
    def results(self) -> Results:
        """Return what the study has come to so far."""
        return self.dispatcher.results

    def run(self) -> None:
        """Try until all trials are done, the budget is spent, or the frontier has stood still.

        Raises:
            SearchStopped: a trial showed an error of the program.
        """
        self._ended_before = len(self.results.trials)
        self._queue_baselines()
        self.dispatcher.work_through(self.store, self._begin_trials, self._get_frontier)

    def close(self) -> None:
        """End the workers."""
        self.dispatcher.close()

    def look_ahead(self) -> Outlook | None:
        """Forecast what more device-seconds would add to the best point; None where nobody can say."""
        accuracies = [member.point.accuracy for member in self.results.frontier]
        if not accuracies:
            return None
        self._proposer.show(self.store.trials())
        return self._proposer.look_ahead(max(accuracies))

    def explain_end(self) -> str:
        """Explain why no trial may begin any more, not even one that waits; empty where one may."""
        search, price = self.spec.search, self.spec.command_line.settings.price
        if search.timeout is not None and time.monotonic() - self._started_at > search.timeout:
            return f"the time is over: search.timeout={search.timeout:g} s"
        budget = search.budget_device_seconds
        if budget is not None and self.results.paid_seconds >= budget:
            return f"the budget of {format_count(float(f'{budget:.4g}'), 'device-second')} is spent"
        if not search.is_capped and (failures := self._describe_failures()):
            return failures
        if not search.patience:
            return ""
        seconds = search.window.count_seconds(price.per_hour)
        return describe_standstill(self.results, search.window.trials, seconds) or ""

    def _describe_failures(self) -> str:
        """Describe the last trials where all of them failed, in this search; empty where they did not."""
        last = self.results.trials[self._ended_before :][-MAX_FAILURES:]
        if len(last) < MAX_FAILURES or any(trial.state != "failed" for trial in last):
            return ""
        return f"the last {MAX_FAILURES} trials have all failed, the last one: {last[-1].reason}"

    # ---- beginning --------------------------------------------------------------------------------------

    def _queue_baselines(self) -> None:
        """Add to the queue the baselines that the study has not had yet, within the total."""
        for line in self.spec.search.enqueue:
            if self.store.count_begun() < self.spec.search.most_trials:
                # Its own words alone: those that all trials share may have secrets.
                self.store.queue(ProposedTrial({}, {}, {}), {WORDS: line.split()}, once=f"baseline {line}")

    def _begin_trials(self, count: int) -> int:
        """Start trials, at most so many; return how many there were. The first time, show what is there."""
        begun = self._begin_waiting_or_new(count)
        if not self._is_shown:
            self._is_shown = True
            self.observer.show_results(self.results)
        return begun

    def _begin_waiting_or_new(self, count: int) -> int:
        self.end = self.explain_end()
        if self.end:
            return 0
        with signals.hold_back():
            self._adopt_enqueued()
            if row := self.store.claim():
                self._begin_waiting(row)
                return 1
        left = self.spec.search.most_trials - self.store.count_begun()
        if self._is_exhausted:
            self.end = NO_OTHER
        elif left <= 0:
            self.end = self._describe_done()
        return 0 if self.end else self._begin_new(min(count, left))

    def _adopt_enqueued(self) -> None:
        """Queue within the total what somebody has put into the study by Optuna's `enqueue_trial`."""
        for row in self.store.list_enqueued():
            if self.store.count_begun() < self.spec.search.most_trials:
                self.store.take_over(row, *self.spec.propose_enqueued(row))

    def _describe_done(self) -> str:
        trials, left = self.spec.search.most_trials, len(self.store.list_enqueued())
        done = "its one trial is done" if trials == 1 else f"all {trials} trials are done"
        return f"{done}; {left} enqueued by Optuna wait for a larger search.trials" if left else done

    def _begin_waiting(self, row: FrozenTrial) -> None:
        words = self.spec.get_words_of(row)
        try:
            trial = self._make_trial(row.number, self.spec.compose(words), row.params)
        except BadInput as error:  # it was queued by other code or under another conf/
            outcome = make_failed_outcome(row, mask(str(error), *words), make_run_command(words), None)
            self.store.finish(row.number, outcome)
            self.dispatcher.forget_results()
        else:
            self.dispatcher.launch([trial])

    def _begin_new(self, count: int) -> int:
        """Start what the sampler proposes; again, where another process was faster with the same."""
        limit = self.spec.search.most_trials
        while True:
            rows = self.store.trials()
            self._proposer.show(rows)
            fitting = self._propose_fitting(count)
            if not fitting:
                self._is_exhausted = True
                self.end = NO_OTHER
                return 0
            newest_seen = rows[-1].number if rows else -1
            proposals = [proposal for proposal, _ in fitting]
            with signals.hold_back():
                numbers = self.store.begin_all(proposals, limit, newest_seen)
                begun = []
                for number, (proposal, command_line) in zip(numbers, fitting, strict=True):
                    self._proposer.bind(number, proposal)
                    if number is not None:
                        begun.append(self._make_trial(number, command_line, proposal.params))
                if begun:
                    self.dispatcher.launch(begun)
                    return len(begun)
            if self.store.count_begun() >= limit:
                self.end = self._describe_done()
                return 0

    def _propose_fitting(self, count: int) -> list[tuple[ProposedTrial, CommandLine]]:
        """Return proposals whose values do not exclude each other, and what they are composed to."""
        fitting, unfit = list[tuple[ProposedTrial, CommandLine]](), 0
        while len(fitting) < count and unfit < MAX_UNFIT_PROPOSALS:
            proposals = self._proposer.suggest_many(count - len(fitting))
            if not proposals:
                break
            for proposal in proposals:
                try:
                    fitting.append((proposal, self.spec.compose(self.spec.get_words(proposal.params))))
                    unfit = 0
                except BadSetting:
                    self._proposer.bind(None, proposal)
                    unfit += 1
        return fitting

    def _make_trial(self, number: int, command_line: CommandLine, params: Params) -> RunningTrial:
        search = self.spec.search
        job = Job(
            number=number,
            settings=command_line.settings,
            checkpoint=self.spec.get_checkpoint_path(command_line),
            limits=Limits(search.max_latency_ms, search.max_parameters),
            under_shift=search.under_shift,
            source=self.spec.get_source(command_line),
            further=tuple(search.objectives[2:]),
            measure=self.spec.command_line.settings.measure,
        )
        return RunningTrial(
            name=str(number), number=number, command_line=command_line, params=params, job=job
        )

    def _get_frontier(self) -> tuple[Point, ...]:
        """Return the points of the frontier: the same object as long as nothing is new."""
        if self._points is None or self._points[0] is not self.results:
            self._points = self.results, tuple(member.point for member in self.results.frontier)
        return self._points[1]
