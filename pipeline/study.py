"""A study on disk: Optuna's storage, in which every trial is one row that is written whole.

Optuna's own `Study.ask` writes a row for each suggested value, some 10 ms each on SQLite. Here the sampler
works on a copy in memory and the database gets the trial when all its values are known, so a kill leaves
trials that are whole: running (requeued when their owner is gone), or finished with their outcome.
"""

import socket
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
import psutil
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage, get_storage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.errors import BadInput, BadSetting
from pipeline.masking import masked

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
"""Accuracy, device-seconds."""

HEARTBEAT_SECONDS, GRACE_SECONDS = 20, 90
OWNER, OUTCOME, REQUEUES, SURPLUS, WORDS = "owner", "outcome", "requeues", "surplus", "words"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a sampler chose: values by dimension, and what it wants to remember of the trial."""

    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attrs: Mapping[str, Any]


class Ledger:
    """One study in one storage; several processes on several machines may write into it at once."""

    def __init__(self, url: str, name: str, about: Mapping[str, Any]) -> None:
        """Open the study, or create it.

        `about`: what must be the same for all of its trials.

        Raises:
            BadInput: the storage does not answer; secrets in its address are masked.
            BadSetting: the study was begun with another space, other settings or another device.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.url, self.name = url, name
        try:
            self._storage = _opened(url)
            optuna.create_study(
                storage=self._storage, study_name=name, directions=DIRECTIONS, load_if_exists=True
            )
        except Exception as error:  # whatever a driver or the network raises, the user's remedy is one
            raise _unusable(url, error) from None
        self._id = self._storage.get_study_id_from_name(name)
        self._check(about)
        self._beaten = 0.0

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
        rows = self._storage.get_all_trials(self._id, deepcopy=False)
        return [row for row in rows if SURPLUS not in row.user_attrs]

    def begun(self) -> int:
        """How many trials there are or will be without a new one; an interrupted one and its next try are one."""
        return sum(REQUEUES not in row.user_attrs for row in self.trials())

    # ---- writing ----------------------------------------------------------------------------------------

    def begin(self, proposal: Proposal, most: int, attrs: Mapping[str, Any]) -> int | None:
        """A new running trial of this process; its number, or None where `most` have begun elsewhere."""
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            system_attrs=dict(proposal.system_attrs),
            user_attrs={OWNER: owner(), **attrs},
        )
        trial_id = self._storage.create_new_trial(self._id, template_trial=template)
        self._storage.record_heartbeat(trial_id)
        number: int = self._storage.get_trial_number_from_id(trial_id)
        earlier = sum(row.number < number and REQUEUES not in row.user_attrs for row in self.trials())
        if REQUEUES not in attrs and earlier >= most:
            self._storage.set_trial_user_attr(trial_id, SURPLUS, True)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
            return None
        return number

    def queue(self, proposal: Proposal, attrs: Mapping[str, Any]) -> None:
        """A trial that waits for whoever is free."""
        template = create_trial(
            state=TrialState.WAITING,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            system_attrs=dict(proposal.system_attrs),
            user_attrs=dict(attrs),
        )
        self._storage.create_new_trial(self._id, template_trial=template)

    def claim(self) -> FrozenTrial | None:
        """The first waiting trial, which is this process' from now on."""
        for row in self.trials():
            if row.state is TrialState.WAITING:
                trial_id = self._of(row.number)
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    if self._storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                        self._storage.set_trial_user_attr(trial_id, OWNER, owner())
                        self._storage.record_heartbeat(trial_id)
                        claimed: FrozenTrial = self._storage.get_trial(trial_id)
                        return claimed
        return None

    def finish(self, number: int, outcome: Mapping[str, Any], values: tuple[float, float] | None) -> None:
        """Write down how a trial ended; `values` (accuracy, device-seconds) where it has a point."""
        trial_id, state = self._of(number), outcome["state"]
        self._storage.set_trial_user_attr(trial_id, OUTCOME, dict(outcome))
        if state == "complete" and values:
            self._storage.set_trial_state_values(trial_id, TrialState.COMPLETE, values)
        else:
            ended = TrialState.PRUNED if state == "paused" else TrialState.FAIL
            self._storage.set_trial_state_values(trial_id, ended)

    def drop(self, number: int) -> None:
        """Give a running trial back: it failed through no fault of its own, and somebody shall try again."""
        row = self._storage.get_trial(self._of(number))
        self._storage.set_trial_state_values(self._of(number), TrialState.FAIL)
        self._requeue(row)

    def beat(self) -> None:
        """Say that the running trials of this process live; cheap to call often."""
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten, mine = time.monotonic(), owner()
        for row in self.trials():
            if row.state is TrialState.RUNNING and row.user_attrs.get(OWNER) == mine:
                self._storage.record_heartbeat(self._of(row.number))

    def reclaim(self) -> list[int]:
        """Requeue the trials of processes that are gone; their numbers.

        Of this host by process id and start time, at once; of others once their heartbeat has been silent.
        """
        gone = [row for row in self.trials() if row.state is TrialState.RUNNING and _is_orphan(row)]
        stale = set(self._storage._get_stale_trial_ids(self._id))
        gone += [row for row in self.trials() if row._trial_id in stale and row not in gone]
        lost = []
        for row in gone:
            with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another process was faster
                self._storage.set_trial_state_values(self._of(row.number), TrialState.FAIL)
                lost.append(row.number)
        self._requeue_interrupted()
        return lost

    def _requeue_interrupted(self) -> None:
        """Failed without an outcome and without a next try: also where a kill came between the two."""
        rows = self.trials()
        tried_again = {row.user_attrs.get(REQUEUES) for row in rows}
        for row in rows:
            if is_interrupted(row) and row.number not in tried_again:
                self._requeue(row)

    def _requeue(self, row: FrozenTrial) -> None:
        attrs = {key: value for key, value in row.user_attrs.items() if key != OWNER}
        proposal = Proposal(row.params, row.distributions, row.system_attrs)
        self.queue(proposal, attrs | {REQUEUES: row.number})

    def _of(self, number: int) -> int:
        trial_id: int = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return trial_id


def is_interrupted(row: FrozenTrial) -> bool:
    """Whether a trial ended because its process did."""
    return row.state is TrialState.FAIL and OUTCOME not in row.user_attrs


def owner() -> dict[str, Any]:
    """Enough to tell, later and on the same host, whether this process still lives."""
    me = psutil.Process()
    return {"host": socket.gethostname(), "pid": me.pid, "started": round(me.create_time())}


def _is_orphan(row: FrozenTrial) -> bool:
    told = row.user_attrs.get(OWNER)
    if told is None or told["host"] != socket.gethostname():
        return False
    try:
        return round(psutil.Process(told["pid"]).create_time()) != int(told["started"])
    except psutil.Error:
        return True


def exists(url: str, name: str) -> bool:
    """Whether that storage has that study.

    Raises:
        BadInput: the storage does not answer.
    """
    return name in names(url)


def names(url: str) -> list[str]:
    """The studies of a storage, the newest last.

    Raises:
        BadInput: the storage does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return [study.study_name for study in _opened(url).get_all_studies()]
    except Exception as error:
        raise _unusable(url, error) from None


def _opened(url: str) -> Any:
    """Finished trials are read once: Optuna keeps them in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
        storage = RDBStorage(url, heartbeat_interval=HEARTBEAT_SECONDS, grace_period=GRACE_SECONDS)
    return get_storage(storage)


def _unusable(url: str, error: Exception) -> BadInput:
    lines = masked(str(error)).strip().splitlines() or [type(error).__name__]
    return BadInput(
        f"search.storage must be an Optuna URL that answers, got {masked(url)} ({lines[0][:200]}); "
        "leave it out to use studies.db beside mlflow.db"
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
