"""The rows of one study, kept up to date at the price of what has changed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from optuna.trial import FrozenTrial

from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.storage.held_trials import (
    TrialEnd,
    claim_waiting,
    end_trials,
    find_abandoned,
    write_heartbeats,
)

MISSING = -1
"""The id of a study that is not there: it has no rows."""


class StudyRows:
    """All rows of a study in order of their numbers; finished ones never change and are looked at once."""

    def __init__(self, storage: Any, study_id: int, is_wanted: Callable[[FrozenTrial], bool]) -> None:
        """Read nothing yet. `storage`: as `get_storage` gives it; `is_wanted`: what `list_wanted` lists."""
        self._storage, self._id, self._is_wanted = storage, study_id, is_wanted
        self._rows: dict[int, FrozenTrial] = {}
        self._wanted: dict[int, FrozenTrial] = {}
        self._open: dict[int, FrozenTrial] = {}
        self._lock = threading.Lock()
        self._reads = -1

    def list_all(self) -> list[FrozenTrial]:
        """List all rows."""
        with self._lock:
            self._refresh()
            return list(self._rows.values())

    def list_wanted(self) -> list[FrozenTrial]:
        """List the rows that are wanted."""
        with self._lock:
            self._refresh()
            return list(self._wanted.values())

    def list_open(self) -> list[FrozenTrial]:
        """List the rows, wanted or not, that have not ended."""
        with self._lock:
            self._refresh()
            return list(self._open.values())

    def find_id(self, number: int) -> int:
        """Return the id of the row of that number."""
        trial_id: int = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return trial_id

    def get(self, trial_id: int) -> FrozenTrial:
        """Return a row as it is now."""
        row: FrozenTrial = self._storage.get_trial(trial_id)
        return row

    # ---- writing: see `held_trials` ---------------------------------------------------------------------

    def create(self, templates: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Add rows in one transaction; a running one has its first heartbeat."""
        rows: list[FrozenTrial] = self._storage._backend.create_new_trials(self._id, templates)
        return rows

    def claim(self, trial_id: int, owner: ProcessOwner) -> bool:
        """Set a waiting row running, held by `owner`; False where another process was faster."""
        self._storage.record_heartbeat(trial_id)  # before: a kill then leaves one that grows old
        return claim_waiting(self._storage, trial_id, owner)

    def end(self, ends: Mapping[int, TrialEnd]) -> set[int]:
        """End rows by their ids; return the ids of those that were in their state `before`."""
        return end_trials(self._storage, ends)

    def beat(self, trial_ids: Sequence[int], attrs: Mapping[int, Mapping[str, Any]]) -> None:
        """Record that running rows are alive, and attributes by the id of their row."""
        write_heartbeats(self._storage, trial_ids, attrs)

    def find_abandoned(self) -> list[FrozenTrial]:
        """Find the running rows that nobody holds any more."""
        return find_abandoned(self._storage, self._id)

    # ---- reading ----------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Take over what is new, and what the rows that had not ended have become."""
        if self._id == MISSING:
            return
        self._storage._read_trials_from_remote_storage(self._id)
        with self._storage._lock:
            if self._storage._backend.reads == self._reads:
                return
            self._reads = self._storage._backend.reads
            cached = self._storage._studies[self._id].trials
            arrived = islice(cached.values(), len(self._rows), None)
            new = sorted(arrived, key=lambda row: row.number)
            changed = [cached[number] for number in self._open]
        newest = next(reversed(self._rows), -1)
        for row in [*changed, *new]:
            self._take(row)
        if new and new[0].number < newest:  # another process' row was seen after one of this process
            self._rows, self._wanted, self._open = map(_sort, (self._rows, self._wanted, self._open))

    def _take(self, row: FrozenTrial) -> None:
        self._rows[row.number] = row
        if row.state.is_finished():
            self._open.pop(row.number, None)
        else:
            self._open[row.number] = row
        if self._is_wanted(row):
            self._wanted[row.number] = row
        else:
            self._wanted.pop(row.number, None)


def _sort(rows: dict[int, FrozenTrial]) -> dict[int, FrozenTrial]:
    return dict(sorted(rows.items()))
