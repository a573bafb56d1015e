"""The process that holds a run, as tags of the run."""

import time

from mlflow.entities import Run

from pipeline.processes.process_owner import ProcessOwner

OWNER_TAGS = {
    "host": "host",
    "pid": "pid",
    "pid_started": "started",
    "boot_id": "boot_id",
    "pid_namespace": "pid_namespace",
    "pid_started_after_boot": "started_after_boot",
}
"""Tags that say which process holds a run, and the fields of `ProcessOwner`; 0.1.0 knew the first three."""


REQUIRED_OWNER_TAGS = ("host", "pid", "pid_started")


HEARTBEAT = "heartbeat"
"""Tag: when the process that holds the run last said so, in seconds since 1970. See `run_lease`."""


def make_owner_tags() -> dict[str, str]:
    """Return the tags that say that this process holds a run, now."""
    fields = ProcessOwner.current().to_dict()
    tags = {tag: str(fields[field]) for tag, field in OWNER_TAGS.items() if field in fields}
    return {**tags, HEARTBEAT: f"{time.time():.0f}"}


def read_owner(run: Run) -> ProcessOwner | None:
    """Return the process that holds a run; None for runs that this product did not make."""
    tags = run.data.tags
    if not all(tag in tags for tag in REQUIRED_OWNER_TAGS):
        return None
    return ProcessOwner.from_dict({field: tags.get(tag) for tag, field in OWNER_TAGS.items()})
