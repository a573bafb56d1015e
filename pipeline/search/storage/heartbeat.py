"""The heartbeat of the trials that this process runs, and what they have spent until now."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from optuna.trial import TrialState

from pipeline.processes.process_owner import HEARTBEAT_SECONDS
from pipeline.processes.repeating_thread import RepeatingThread
from pipeline.search.storage.held_trials import read_owner
from pipeline.search.storage.study_rows import StudyRows
from pipeline.search.storage.task_rows import TaskRows
from pipeline.search.storage.trial_states import SPENT

NOTE_SECONDS = 2.0
"""Of a trial whose process is killed, about so many seconds may be missing in what it has spent."""


class Heartbeat:
    """Records that running trials of this process are alive, with the device-seconds that they have spent."""

    def __init__(self, rows: StudyRows | TaskRows) -> None:
        """Begin without a trial. `rows`: of the study, or of its tasks."""
        self._rows = rows
        self._spent: dict[int, float] = {}
        self._sent_spent: dict[int, float] = {}
        self._sent_at = time.monotonic()

    def note_spent(self, number: int, device_seconds: float) -> None:
        """Note what a running trial has spent."""
        self._spent[number] = device_seconds

    def forget(self, number: int) -> float | None:
        """Forget a trial that ends; return what it had spent, None where nothing was noted."""
        return self._spent.pop(number, None)

    def is_due(self) -> bool:
        """Return whether the last one is long ago, or some trial has spent much since."""
        if time.monotonic() - self._sent_at >= HEARTBEAT_SECONDS:
            return True
        spent = [
            seconds - self._sent_spent.get(number, 0.0) for number, seconds in self._spent.copy().items()
        ]
        return max(spent, default=0.0) >= NOTE_SECONDS

    def send(self) -> None:
        """Record both in the storage."""
        running = [row for row in self._rows.list_open() if row.state is TrialState.RUNNING]
        ours = [row for row in running if (owner := read_owner(row)) and owner.is_current()]
        self._sent_at, self._sent_spent = time.monotonic(), dict(self._spent)
        spent = {
            row._trial_id: self._sent_spent[row.number] for row in ours if row.number in self._sent_spent
        }
        self._rows.beat(
            [row._trial_id for row in ours],
            {trial_id: {SPENT: round(seconds, 6)} for trial_id, seconds in spent.items()},
        )


@contextmanager
def beat_during(*heartbeats: Heartbeat) -> Iterator[None]:
    """Send what is due from a thread while the block runs."""

    def send_all() -> None:
        for each in heartbeats:
            with suppress(Exception):  # the storage is away for a moment: try again
                if each.is_due():
                    each.send()

    thread = RepeatingThread(send_all, min(NOTE_SECONDS, HEARTBEAT_SECONDS))
    thread.start()
    try:
        yield
    finally:
        thread.stop()
