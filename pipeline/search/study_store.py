"""A study on disk: Optuna's storage, in which every trial is one row that is written whole.

Optuna's own `Study.ask` writes a row for each suggested value, some 10 ms each on SQLite. Here the sampler
works on a copy in memory and the database gets the trial when all its values are known, so a kill leaves
trials that are whole: running (requeued when their owner is gone), or finished with their outcome.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import RecordDeleted
from pipeline.processes.process_owner import begin_holding, end_holding
from pipeline.search.optuna_storage import explain_unusable, open_storage
from pipeline.search.storage.heartbeat import Heartbeat, beat_during
from pipeline.search.storage.held_trials import TrialEnd
from pipeline.search.storage.our_studies import ONCE, OUTCOME, OWNER, is_our_row
from pipeline.search.storage.study_rows import MISSING
from pipeline.search.storage.study_settings import bind_settings
from pipeline.search.storage.study_table import (
    ProposedTrial,
    StudyTable,
    create_study,
    find_foreign,
    find_our_study,
    find_study,
)
from pipeline.search.storage.trial_states import (
    DEATHS,
    REQUEUES,
    SPENT,
    TURN,
    is_interrupted,
    is_last_death,
    is_trial,
    read_end,
)
from pipeline.settings.search import TASK_QUEUE_SUFFIX

TURN_POLL_SECONDS = 0.1


class StudyStore(StudyTable):
    """One study in one storage; several processes on several machines may write into it at once."""

    def __init__(self, url: str, name: str, about: Mapping[str, Any] | None = None) -> None:
        """Open the study, or create it.

        `about`: what must be the same for all of its trials; None: whatever it is.

        Raises:
            BadInput: the storage does not answer; secrets in its address are masked.
            BadSetting: the study was begun with another space, other settings or another device, or by
                another program.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            storage = open_storage(url)
            foreign = find_foreign(storage, name)
            study_id = MISSING if foreign else create_study(storage, name, about or {})
            self._attach(storage, name, study_id)
        except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
            raise explain_unusable(url, error) from None
        if foreign:
            raise foreign
        if about is not None:
            bind_settings(self._storage, self._id, name, about)

    @classmethod
    def open_for_reading(cls, url: str, name: str) -> "StudyStore":
        """Open a study that exists; nothing is written, so a user who may only read can do it.

        Raises:
            BadInput: the storage does not answer; secrets in its address are masked.
        """
        store = object.__new__(cls)
        try:
            storage = open_storage(url, create=False)
            store._attach(storage, name, find_study(storage, name))
            store.task_queue()
        except Exception as error:
            raise explain_unusable(url, error) from None
        return store

    def _attach(self, storage: Any, name: str, study_id: int, is_queue: bool = False) -> None:
        super().__init__(storage, name, study_id, is_queue)
        self._task_queue: StudyStore | None = None
        self._heartbeat = Heartbeat(self._table)
        self._owner = begin_holding()

    def close(self) -> None:
        """Leave to whoever comes next what could not be given back, as after an error of the storage."""
        for store in (self, self._task_queue):
            if store is not None:
                end_holding(store._owner)

    def task_queue(self) -> "StudyStore":
        """Return the store, in the same storage, of the tasks that follow the search, such as confirming.

        Where an earlier release has begun a study for them, they stay there.
        """
        if self._task_queue is None:
            queue, name = object.__new__(StudyStore), self.name + TASK_QUEUE_SUFFIX
            earlier = find_our_study(self._storage, name)
            study_id = self._id if earlier == MISSING else earlier
            queue._attach(self._storage, name, study_id, is_queue=earlier == MISSING)
            self._task_queue = queue
        return self._task_queue

    @contextmanager
    def explain_deleted(self) -> Iterator[None]:
        """Say in one line where the block finds the study gone.

        Raises:
            RecordDeleted: another program has deleted the study, such as Optuna's dashboard.
        """
        try:
            yield
        except KeyError:
            if find_study(self._storage, self.name) == self._id:
                raise
            raise RecordDeleted(
                f"study {self.name} was deleted from search.storage while it was searched; MLflow keeps the "
                "runs of its trials; start anew with search.study=NAME"
            ) from None

    # ---- writing ----------------------------------------------------------------------------------------

    def begin(self, proposal: ProposedTrial, limit: int, newest_seen: int | None = None) -> int | None:
        """Add a running trial of this process; its number, or None where it may not run.

        That is where `limit` trials have begun, or where another process has begun the same one since the
        proposal was made. `newest_seen`: the highest number that the sampler knew of; None: of all.
        """
        return self.begin_all([proposal], limit, newest_seen)[0]

    def begin_all(
        self, proposals: Sequence[ProposedTrial], limit: int, newest_seen: int | None = None
    ) -> list[int | None]:
        """Add running trials, which differ from each other, in one transaction; see `begin`."""
        owner = {OWNER: self._owner.to_dict()}
        rows = self._create_rows(TrialState.RUNNING, [(proposal, owner) for proposal in proposals])
        everyone, may_be_surplus = self._rows(), self.count_begun() > limit
        begun = list[int | None]()
        for row in rows:
            is_surplus = may_be_surplus and self._is_surplus(row, limit)
            if is_surplus or _is_begun_elsewhere(row, everyone, newest_seen):
                self._fail(row, surplus=True)
                begun.append(None)
            else:
                begun.append(int(row.number))
        return begun

    def queue(self, proposal: ProposedTrial, attrs: Mapping[str, Any], once: str) -> None:
        """Add a trial that waits for a free worker, unless one of the name `once` was queued before."""
        if once in {row.user_attrs.get(ONCE) for row in self._rows()}:
            return
        row = self._create_row(TrialState.WAITING, proposal, {**attrs, ONCE: once})
        if self._is_duplicate(row):  # another process queued it in the same moment
            self._fail(row, surplus=True)

    def claim(self, is_wanted: Callable[[FrozenTrial], bool] = lambda _: True) -> FrozenTrial | None:
        """Claim the first waiting trial that is wanted for this process; None where there is none."""
        for row in filter(is_trial, self._table.list_open()):
            if row.state is not TrialState.WAITING or not is_wanted(row) or self._is_duplicate(row):
                continue
            if self._table.claim(row._trial_id, self._owner):
                return self._table.get(row._trial_id)
        return None

    def list_enqueued(self) -> list[FrozenTrial]:
        """List the waiting trials that another program has put into the study."""
        waiting = (row for row in self._table.list_open() if row.state is TrialState.WAITING)
        return [row for row in waiting if not is_our_row(row)]

    def take_over(self, row: FrozenTrial, proposal: ProposedTrial, attrs: Mapping[str, Any]) -> None:
        """Queue what another program has put into the study as a trial of ours, in its place."""
        self.queue(proposal, attrs, once=f"enqueued {row.number}")
        self._fail(row, surplus=True)

    def finish(self, number: int, outcome: Mapping[str, Any]) -> bool:
        """Write down how a trial ended; False where another process has given it up: it does not count.

        `outcome`: `state` (complete, paused, failed) and `curve` ([epoch, device-seconds, accuracy] each) at
        least; the end of the curve is the trial's point.
        """
        return number in self.finish_all({number: outcome})

    def finish_all(self, outcomes: Mapping[int, Mapping[str, Any]]) -> set[int]:
        """Write down how trials ended, in one transaction; return the numbers of those that count.

        See `finish`.
        """
        ids = {self._table.find_id(number): number for number in outcomes}
        for number in outcomes:
            self._heartbeat.forget(number)
        ends = {trial_id: _make_end(outcomes[number]) for trial_id, number in ids.items()}
        ended = self._table.end(ends)
        for trial_id in ends.keys() - ended:
            if OUTCOME in self._table.get(trial_id).user_attrs:  # the answer to a commit was lost
                ended.add(trial_id)
        return {ids[trial_id] for trial_id in ended}

    def give_up(self, number: int) -> FrozenTrial | None:
        """End a running trial that has not come to its end; return it for `requeue`, None where it has."""
        row = self._get(number)
        return row if self._fail(row, spent_seconds=self._heartbeat.forget(number)) else None

    def release(self, number: int) -> None:
        """Release a running trial that failed through no fault of its own; somebody will try it again."""
        if row := self.give_up(number):
            self.requeue(row)

    def note_spent(self, number: int, device_seconds: float) -> None:
        """Note what a running trial has spent: it counts where the trial does not come to its end."""
        self._heartbeat.note_spent(number, device_seconds)

    def is_last_death(self, number: int) -> bool:
        """Return whether a trial whose process has ended just now has failed by that."""
        return is_last_death(self._get(number))

    def _get(self, number: int) -> FrozenTrial:
        return self._table.get(self._table.find_id(number))

    def find_orphans(
        self,
        limit: int | None,
        make_outcome: Callable[[FrozenTrial], Mapping[str, Any] | None] = lambda _: None,
    ) -> list[FrozenTrial]:
        """Return the trials that nobody holds any more and nobody has tried again: for `requeue`.

        Those whose process has certainly ended, at once; others once their lease is over. A trial beyond
        `limit`, which lost a race that it did not live to hear of, is not among them; None: no limit.
        One whose process has died `MAX_DEATHS` times fails with what `make_outcome` says, or None: never.
        """
        for row in self._table.find_abandoned():
            self._end_orphan(row, limit, make_outcome)
        requeued = {row.user_attrs.get(REQUEUES) for row in self.trials()}
        return [row for row in self.trials() if is_interrupted(row) and row.number not in requeued]

    def requeue(self, row: FrozenTrial, died: bool = False) -> None:
        """Let somebody try an interrupted trial again. `died`: its process did, nobody gave it back."""
        attrs = {key: value for key, value in row.user_attrs.items() if key not in (OWNER, ONCE, SPENT)}
        attrs[DEATHS] = row.user_attrs.get(DEATHS, 0) + died
        proposal = ProposedTrial(row.params, row.distributions, row.system_attrs)
        self.queue(proposal, attrs | {REQUEUES: row.number}, once=f"again {row.number}")

    # ---- staying alive ----------------------------------------------------------------------------------

    def send_heartbeat(self) -> None:
        """Record that the running trials of this process are alive."""
        self._heartbeat.send()

    def heartbeat(self) -> AbstractContextManager[None]:
        """Return a block during which a thread sends the heartbeat, however long an epoch takes."""
        return beat_during(self._heartbeat, self.task_queue()._heartbeat)

    # ---- taking turns -----------------------------------------------------------------------------------

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Keep other processes of the study out of the blocks of that name: first come, first served.

        Rows get their numbers one by one, in any database; who has the lowest is next (Lamport's bakery).
        """
        queue, owner = self.task_queue(), begin_holding()
        attrs = {OWNER: owner.to_dict(), TURN: name}
        row = None
        try:
            row = queue._create_row(TrialState.RUNNING, ProposedTrial({}, {}, {}), attrs)
            while queue._is_occupied(name, row.number):
                time.sleep(TURN_POLL_SECONDS)
            yield
        finally:
            end_holding(owner)  # a row that Ctrl-C kept from being known here is abandoned by that
            if row is not None:
                queue._end(row, TrialEnd(TrialState.FAIL))

    def _is_occupied(self, name: str, before: int) -> bool:
        """Return whether a living process came earlier and has not left yet."""
        earlier = {
            row.number
            for row in self._table.list_open()
            if row.state is TrialState.RUNNING and row.number < before and row.user_attrs.get(TURN) == name
        }
        return bool(earlier and earlier - {row.number for row in self._table.find_abandoned()})

    def _end_orphan(
        self,
        row: FrozenTrial,
        limit: int | None,
        make_outcome: Callable[[FrozenTrial], Mapping[str, Any] | None],
    ) -> None:
        """End an orphan as what it was: left over, interrupted, failed, or finished but for the last stroke.

        The last is what earlier versions left, which wrote outcome and state one after the other.
        """
        if outcome := row.user_attrs.get(OUTCOME):
            self._end(row, TrialEnd(*read_end(outcome)))
        else:
            surplus = self._is_surplus(row, limit)
            if not surplus and is_last_death(row) and (outcome := make_outcome(row)):
                self._end(row, _make_end(outcome))
            else:
                self._fail(row, surplus=surplus)


def _is_begun_elsewhere(row: FrozenTrial, rows: Sequence[FrozenTrial], newest_seen: int | None) -> bool:
    """Return whether a row after `newest_seen` has the same params: two samplers made one proposal."""
    if newest_seen is None:
        return False
    since = takewhile(lambda earlier: earlier.number > newest_seen, reversed(rows))
    return any(earlier.number < row.number and earlier.params == row.params for earlier in since)


def _make_end(outcome: Mapping[str, Any]) -> TrialEnd:
    return TrialEnd(*read_end(outcome), {OUTCOME: dict(outcome)})
