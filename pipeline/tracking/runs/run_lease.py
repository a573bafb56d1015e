"""The lease of open runs: a tag that is renewed while their process lives.

Where the process of a run cannot be looked up, in another container or on a machine that is gone, the tag is
all that tells whether anybody still works on it.
"""

import math
import time
from contextlib import suppress
from types import TracebackType

from mlflow import MlflowClient

from pipeline.processes.process_owner import HEARTBEAT_SECONDS
from pipeline.processes.repeating_thread import RepeatingThread
from pipeline.tracking import mlflow_runs
from pipeline.tracking.runs import bulk_runs, owner_tags
from pipeline.tracking.runs.bulk_runs import RunChange

JOIN_SECONDS = 5.0


class RunLease:
    """Renews the lease of the runs that this process has open, from a thread, during a `with` block."""

    def __init__(self, client: MlflowClient, *run_ids: str) -> None:
        """Hold the runs of these ids."""
        self._client = client
        self._renew_at = dict.fromkeys(run_ids, -math.inf)
        """When the lease of each run is to be written next, by `time.monotonic`."""
        self._thread = RepeatingThread(self.renew, HEARTBEAT_SECONDS)

    def __enter__(self) -> "RunLease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.stop(JOIN_SECONDS)  # a store that does not answer is not waited for

    def hold(self, run_id: str) -> None:
        """Renew the lease of this run, too; it was opened just now, so its first lease has just begun."""
        self._renew_at[run_id] = time.monotonic() + HEARTBEAT_SECONDS

    def drop(self, run_id: str) -> None:
        """Leave the lease of this run as it is: the run has ended."""
        self._renew_at.pop(run_id, None)

    def renew(self) -> None:
        """Write that this process holds the runs, now; a run that several share has the last of them.

        Where a thousand short trials run, most have ended before their lease has to be renewed.
        """
        now = time.monotonic()
        due = [run_id for run_id, renew_at in tuple(self._renew_at.items()) if now >= renew_at]
        if not due:
            return
        tags = owner_tags.make_owner_tags()
        with suppress(Exception):  # the store is away for a moment: try again
            if bulk_runs.change_runs(self._client, [RunChange(run_id, tags) for run_id in due]):
                return
        for run_id in due:
            with suppress(Exception):  # deleted, or the store is still away
                mlflow_runs.set_tags(self._client, run_id, tags)
