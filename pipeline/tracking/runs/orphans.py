"""Runs that nobody holds any more: they are ended, or deleted where they were discarded."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.processes.process_owner import LEASE_SECONDS, is_free
from pipeline.secrets import mask
from pipeline.settings.addresses import CHECKOUT
from pipeline.tracking.mlflow_runs import (
    ENTRY_POINT,
    SOURCE_NAME,
    fail_models,
    search_runs,
)
from pipeline.tracking.mlflow_store import find_unanswered, is_local
from pipeline.tracking.runs.command_record import read_git
from pipeline.tracking.runs.owner_tags import HEARTBEAT, read_owner

DISCARDED = "discarded"


CLOCK_SECONDS = 600.0
"""Clocks of two machines may differ by so much; MLflow has no clock that a client can read."""


def end_orphans(client: MlflowClient) -> list[str]:
    """End the runs of this product that nobody holds any more, and return their ids.

    Those whose process has certainly ended, at once; others once their lease is over
    (`process_owner.is_free`). Runs that were discarded, and that `mlflow run` has ended since, are deleted:
    their tag has the id of the run, since a tag of that name may be anybody's.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    running = search_runs(client, experiments, "attributes.status = 'RUNNING'")
    orphans = [run.info for run in running if _is_orphan(run, is_local(client.tracking_uri))]
    for orphan in orphans:
        with _unless_refused():
            fail_models(client, orphan.experiment_id, orphan.run_id)
            # last: where this process is killed before, the run is found again
            client.set_terminated(orphan.run_id, status="KILLED")
    condition = f"attributes.status != 'RUNNING' AND tags.{DISCARDED} LIKE '%'"
    for ended in list(search_runs(client, experiments, condition)):
        if ended.data.tags[DISCARDED] == ended.info.run_id:
            with _unless_refused():
                client.delete_run(ended.info.run_id)
    return [orphan.run_id for orphan in orphans]


@contextmanager
def _unless_refused() -> Iterator[None]:
    """Leave a run to others that is theirs by the rights of the server, or that one of them has just deleted.

    A server that does not answer is raised.
    """
    try:
        yield
    except MlflowException as error:
        if find_unanswered(error):
            raise


def end_crashed(client: MlflowClient, pid: int) -> None:
    """End as FAILED the runs of a process of this machine that was crashed."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in search_runs(client, experiments, "attributes.status = 'RUNNING'"):
        owner = read_owner(run)
        if owner is not None and owner.pid == pid and owner.is_gone():
            fail_models(client, run.info.experiment_id, run.info.run_id)
            client.set_terminated(run.info.run_id, status="FAILED")


def discard_run(client: MlflowClient, run_id: str) -> None:
    """Let the next command delete a run that `mlflow run` opened, and will end itself after this process.

    One that a person has opened stays as it is.
    """
    if ENTRY_POINT in client.get_run(run_id).data.tags:
        client.set_tag(run_id, DISCARDED, run_id, synchronous=True)


def _is_orphan(run: Run, local_store: bool) -> bool:
    if "pid" in run.data.tags:
        owner = read_owner(run)
        return owner is not None and is_free(owner, _is_lease_over(run))
    # Opened by `mlflow run` and never adopted, for instance because conda is missing. Such a run carries
    # no owner, so it is ended only where it is of this checkout, nobody else writes, and no `mlflow run` is
    # at work.
    return local_store and _is_of_this_project(run) and not _is_mlflow_run_alive()


def _is_lease_over(run: Run) -> bool:
    """Return whether nobody has renewed the lease; never of a run without one, as of version 0.1.0."""
    try:
        renewed = float(run.data.tags[HEARTBEAT])
    except (KeyError, ValueError):
        return False
    return time.time() - renewed > LEASE_SECONDS + CLOCK_SECONDS


def _is_of_this_project(run: Run) -> bool:
    """Return whether `mlflow run` opened the run for this checkout, named by its path or its git address."""
    source, _, folder = run.data.tags.get(SOURCE_NAME, "").partition("#")
    if ENTRY_POINT not in run.data.tags or not source:
        return False
    if urlsplit(source).scheme in {"", "file"}:
        return Path(urlsplit(source).path, folder).resolve() == CHECKOUT
    return mask(source) in {
        mask(address) for address in read_git("remote", "get-url", "--all", "origin").split()
    }


def _is_mlflow_run_alive() -> bool:
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any("run" in line and any(Path(word).name == "mlflow" for word in line[:3]) for line in lines)
