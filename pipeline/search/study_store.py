"""A study on disk: Optuna's storage, in which every trial is one row that is written whole.

Optuna's own `Study.ask` writes a row for each suggested value, some 10 ms each on SQLite. Here the sampler
works on a copy in memory and the database gets the trial when all its values are known, so a kill leaves
trials that are whole: running (requeued when their owner is gone), or finished with their outcome.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.errors import BadSetting
from pipeline.search.optuna_storage import (
    AFTERWARDS,
    HEARTBEAT_SECONDS,
    OWNER,
    is_orphan,
    opened,
    owner,
    take,
    unusable,
)

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
"""Accuracy, device-seconds."""

OUTCOME, REQUEUES, SURPLUS, WORDS, ONCE, TURN = "outcome", "requeues", "surplus", "words", "once", "turn"
TURN_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a sampler chose: values by dimension, and what it wants to remember of the trial."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attrs: Mapping[str, Any]


class Ledger:
    """One study in one storage; several processes on several machines may write into it at once."""

    def __init__(self, url: str, name: str, about: Mapping[str, Any] | None = None) -> None:
        """Open the study, or create it.

        `about`: what must be the same for all of its trials; None: whatever it is, for reading.

        Raises:
            BadInput: the storage does not answer; secrets in its address are masked.
            BadSetting: the study was begun with another space, other settings or another device.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name = name
        self._after: Ledger | None = None
        try:
            self._storage = opened(url)
            self._id = self._study(name)
        except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
            raise unusable(url, error) from None
        if about is not None:
            self._check(about)

    def _study(self, name: str) -> int:
        optuna.create_study(
            storage=self._storage, study_name=name, directions=DIRECTIONS, load_if_exists=True
        )
        return int(self._storage.get_study_id_from_name(name))

    def afterwards(self) -> "Ledger":
        """The ledger of what is done once the search is over, in the same storage."""
        if self._after is None:
            self._after = object.__new__(Ledger)
            self._after.name, self._after._storage = self.name + AFTERWARDS, self._storage
            self._after._id = self._after._study(self._after.name)
        return self._after

    def _check(self, about: Mapping[str, Any]) -> None:
        known = self.attrs().get("about")
        if known is None:
            self._storage.set_study_user_attr(self._id, "about", dict(about))
            return
        differing = [key for key in about if known.get(key) != about[key]]
        if differing:
            key = differing[0]
            raise BadSetting(
                f"search.study={self.name} was begun with {key} {_short(known.get(key))}, "
                f"got {_short(about[key])}; start anew with search.study=NAME, or leave it as it was"
            )

    # ---- reading ----------------------------------------------------------------------------------------

    def attrs(self) -> dict[str, Any]:
        """What is written down about the study itself."""
        found: dict[str, Any] = self._storage.get_study_user_attrs(self._id)
        return found

    def note(self, key: str, value: Any) -> None:
        """Write it down about the study itself."""
        self._storage.set_study_user_attr(self._id, key, value)

    def trials(self) -> list[FrozenTrial]:
        """All rows, in the order in which they were begun; those left over from a race are not among them."""
        return [row for row in self._rows() if not {SURPLUS, TURN} & row.user_attrs.keys()]

    def begun(self) -> int:
        """How many trials there are or will be; an interrupted one and its next try are one."""
        return sum(REQUEUES not in row.user_attrs for row in self.trials())

    def _rows(self) -> list[FrozenTrial]:
        found: list[FrozenTrial] = self._storage.get_all_trials(self._id, deepcopy=False)
        return found

    # ---- writing ----------------------------------------------------------------------------------------

    def begin(self, proposal: Proposal, most: int) -> int | None:
        """A new running trial of this process; its number, or None where `most` have begun elsewhere."""
        trial_id = self._create(TrialState.RUNNING, proposal, {OWNER: owner()})
        self._storage.record_heartbeat(trial_id)
        row = self._storage.get_trial(trial_id)
        if self._is_beyond(row, most):
            self._give_up(row, surplus=True)
            return None
        return int(row.number)

    def queue(self, proposal: Proposal, attrs: Mapping[str, Any], once: str) -> None:
        """A trial that waits for whoever is free, unless one of the name `once` was queued before."""
        if once in {row.user_attrs.get(ONCE) for row in self._rows()}:
            return
        trial_id = self._create(TrialState.WAITING, proposal, {**attrs, ONCE: once})
        row = self._storage.get_trial(trial_id)
        if self._is_second(row):  # another process queued it in the same moment
            self._give_up(row, surplus=True)

    def claim(self, wanted: Callable[[FrozenTrial], bool] = lambda _: True) -> FrozenTrial | None:
        """The first waiting trial that is wanted, which is this process' from now on."""
        for row in self.trials():
            if row.state is not TrialState.WAITING or not wanted(row) or self._is_second(row):
                continue
            trial_id = self._of(row.number)
            self._storage.record_heartbeat(trial_id)  # before: a kill then leaves one that grows old
            if take(self._storage, trial_id):
                self._storage.set_trial_user_attr(trial_id, OWNER, owner())
                claimed: FrozenTrial = self._storage.get_trial(trial_id)
                return claimed
        return None

    def finish(self, number: int, outcome: Mapping[str, Any]) -> bool:
        """Write down how a trial ended; False where another process has given it up: it does not count.

        `outcome`: `state` (complete, paused, failed) and `curve` ([epoch, device-seconds, accuracy] each) at
        least; the end of the curve is the trial's point.
        """
        try:
            self._storage.set_trial_user_attr(self._of(number), OUTCOME, dict(outcome))
            self._conclude(number, outcome)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        return True

    def drop(self, number: int) -> None:
        """Give a running trial back: it failed through no fault of its own, and somebody shall try again."""
        row = self._storage.get_trial(self._of(number))
        if self._give_up(row):
            self.requeue(row)

    def orphans(self, most: int) -> list[FrozenTrial]:
        """Trials of processes that are gone, which nobody has tried again: for `requeue`.

        Of this host by process id and start time, at once; of others once their heartbeat has been silent.
        A trial beyond `most`, which lost a race that it did not live to hear of, is not among them.
        """
        stale = set(self._storage._get_stale_trial_ids(self._id))
        for row in self._rows():
            if row.state is TrialState.RUNNING and (is_orphan(row) or row._trial_id in stale):
                self._settle(row, most)
        tried_again = {row.user_attrs.get(REQUEUES) for row in self.trials()}
        return [row for row in self.trials() if is_interrupted(row) and row.number not in tried_again]

    def requeue(self, row: FrozenTrial) -> None:
        """Let somebody try an interrupted trial again."""
        attrs = {key: value for key, value in row.user_attrs.items() if key not in (OWNER, ONCE)}
        proposal = Proposal(row.params, row.distributions, row.system_attrs)
        self.queue(proposal, attrs | {REQUEUES: row.number}, once=f"again {row.number}")

    # ---- staying alive ----------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say that the running trials of this process live."""
        mine = owner()
        for row in self._rows():
            if row.state is TrialState.RUNNING and row.user_attrs.get(OWNER) == mine:
                self._storage.record_heartbeat(self._of(row.number))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """A thread says it every few seconds, however long an epoch takes."""
        over, ledgers = threading.Event(), (self, self.afterwards())

        def beat() -> None:
            while not over.wait(HEARTBEAT_SECONDS):
                for ledger in ledgers:
                    with suppress(Exception):  # the storage is away for a moment: try again
                        ledger.beat()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # ---- taking turns -----------------------------------------------------------------------------------

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """No other process of the study is in a block of that name: first come, first served.

        Rows get their numbers one by one, in any database; who has the lowest is next (Lamport's bakery).
        """
        beside = self.afterwards()
        trial_id = beside._create(TrialState.RUNNING, Proposal({}, {}, {}), {OWNER: owner(), TURN: name})
        self._storage.record_heartbeat(trial_id)
        mine = self._storage.get_trial_number_from_id(trial_id)
        try:
            while beside._is_taken(name, mine):
                time.sleep(TURN_POLL_SECONDS)
            yield
        finally:
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _is_taken(self, name: str, before: int) -> bool:
        """Whether a living process came earlier and has not left yet."""
        gone = set(self._storage._get_stale_trial_ids(self._id))
        return any(
            row.state is TrialState.RUNNING and not is_orphan(row) and row._trial_id not in gone
            for row in self._rows()
            if row.number < before and row.user_attrs.get(TURN) == name
        )

    # ---- rows -------------------------------------------------------------------------------------------

    def _create(self, state: TrialState, proposal: Proposal, attrs: Mapping[str, Any]) -> int:
        template = create_trial(
            state=state,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            system_attrs=dict(proposal.system_attrs),
            user_attrs=dict(attrs),
        )
        return int(self._storage.create_new_trial(self._id, template_trial=template))

    def _is_beyond(self, row: FrozenTrial, most: int) -> bool:
        """Whether `most` trials had begun before this one."""
        before = sum(each.number < row.number and REQUEUES not in each.user_attrs for each in self.trials())
        return REQUEUES not in row.user_attrs and before >= most

    def _is_second(self, row: FrozenTrial) -> bool:
        once = row.user_attrs.get(ONCE)
        return once is not None and any(
            each.number < row.number and each.user_attrs.get(ONCE) == once for each in self._rows()
        )

    def _settle(self, row: FrozenTrial, most: int) -> None:
        """End an orphan as what it was: finished but for the last stroke, left over, or interrupted."""
        if outcome := row.user_attrs.get(OUTCOME):
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                self._conclude(row.number, outcome)
        else:
            self._give_up(row, surplus=self._is_beyond(row, most))

    def _give_up(self, row: FrozenTrial, surplus: bool = False) -> bool:
        """End it without an outcome; False where another process was faster."""
        trial_id = self._of(row.number)
        try:
            if surplus:
                self._storage.set_trial_user_attr(trial_id, SURPLUS, True)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        return True

    def _conclude(self, number: int, outcome: Mapping[str, Any]) -> None:
        if outcome["state"] == "complete" and outcome["curve"]:
            _, device_seconds, accuracy = outcome["curve"][-1]
            values = (accuracy, device_seconds)
            self._storage.set_trial_state_values(self._of(number), TrialState.COMPLETE, values)
        else:
            ended = TrialState.PRUNED if outcome["state"] == "paused" else TrialState.FAIL
            self._storage.set_trial_state_values(self._of(number), ended)

    def _of(self, number: int) -> int:
        trial_id: int = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return trial_id


def is_interrupted(row: FrozenTrial) -> bool:
    """Whether a trial ended because its process did."""
    return row.state is TrialState.FAIL and OUTCOME not in row.user_attrs


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
