"""Sweeps in processes of their own, to be killed at any instant, and what must hold of a study at its end."""

import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from math import isclose
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from optuna.trial import FrozenTrial

from pipeline.search.outcomes import CONFIRM
from pipeline.search.storage.our_studies import OUTCOME
from pipeline.search.storage.trial_states import REQUEUES, is_interrupted
from pipeline.search.study_store import StudyStore
from pipeline.tracking import mlflow_store
from pipeline.tracking.registry.names import MEMBER
from pipeline.tracking.runs.orphans import end_orphans

PRELOADED = [
    "pipeline.search.workers.network_job",
    "pipeline.tracking.study_recorder",
    "pipeline.tracking.publish_study",
    "pipeline.search.sweep",
    "pipeline.cli.sweep.command",
    "pipeline.data.quality.check",
    "pipeline.data.sources.digits",
    "pipeline.reports.cards.model_card",
    "pipeline.reports.study_html",
    "alembic.command",
    "git",
    "mlflow.keras",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "plotly.graph_objects",
    "tests.support.killed_sweeps",
    "tests.support.planned_sweeps",
    "pipeline.search.workers.preloaded",
]
"""What a sweep imports, most of it not at its start: TensorFlow alone takes longer than the search."""


# ---- starting and killing ---------------------------------------------------------------------------------


def make_context() -> ForkServerContext:
    """Make processes that have everything imported: a kill then falls into the work, not into the start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledSweep:
    """A sweep to be started: its words, variables of the environment, and the file for what it prints.

    `at_write`: it kills itself before the write of this number, from 1, into any database or to a tracking
    server; None: it does not. `at_call`: it sends itself a signal as it calls a function for the n-th time:
    the function's address, n from 1, the signal.
    """

    words: Sequence[str]
    environment: Mapping[str, str]
    output: Path
    at_write: int | None = None
    at_call: tuple[str, int, signal.Signals] | None = None

    def start(self, context: ForkServerContext) -> ForkServerProcess:
        """Start it in a process of its own."""
        process = context.Process(target=_sweep, args=(self,))
        process.start()
        return process


def _sweep(sweep: KilledSweep) -> None:
    # The fork server may be one that the product started in this process: its children are workers, from
    # which the signals of a terminal are held back; and under `nohup` SIGHUP would be ignored.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.update(sweep.environment)
    with sweep.output.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Workers come from the fork server that this process came from: another one would import all again.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    if sweep.at_write is not None:
        _die_before(sweep.at_write)
    if sweep.at_call is not None:
        _signal_at_call(*sweep.at_call)
    from pipeline.cli import main
    from pipeline.files import own_temporary_folder

    with own_temporary_folder():
        code = main(["sweep", *sweep.words])
    os._exit(code)


def _die_before(number: int) -> None:
    """Let this process kill itself before the commit of this number, in any database, or request to write."""
    import requests
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    writes, request = 0, requests.Session.request

    def count() -> None:
        nonlocal writes
        writes += 1
        if writes == number:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(Engine, "commit")
    def commit(_connection: Any) -> None:
        count()

    def send(session: requests.Session, method: str, url: str, **options: Any) -> Any:
        if method != "GET" and not url.endswith("/search"):
            count()
        return request(session, method, url, **options)

    requests.Session.request = send  # type: ignore[method-assign, assignment]


def _signal_at_call(address: str, number: int, what: signal.Signals) -> None:
    """Let this process send itself a signal as it calls the function at `address` for that time."""
    owner, _, name = address.rpartition(".")
    module, calls = import_module(owner), 0
    function = getattr(module, name)

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), what)
        return function(*arguments, **keywords)

    setattr(module, name, call)


def list_workers(sweep: ForkServerProcess) -> list[psutil.Process]:
    """List the processes that train for sweeps of this process."""
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return [child for child in psutil.Process(server).children() if child.pid != sweep.pid]


# ---- what must hold ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedStudy:
    """A study that has ended: `folder` has its databases, its cache and its temporary files (`tmp`)."""

    name: str
    trials: int
    storage: str
    folder: Path
    client: MlflowClient = field(default_factory=mlflow_store.open_store)

    def find_faults(self) -> list[str]:
        """List what is lost, doubled, left over or different in the two records."""
        store = StudyStore(self.storage, self.name)
        runs = self._read_runs()
        return [
            *self._check_rows(store),
            *self._check_trials(store, runs),
            *self._check_confirmations(store, runs),
            *self._check_runs(runs),
            *self._check_models(runs),
            *self._check_files(),
        ]

    def _read_runs(self) -> dict[str, Run]:
        """Read the runs of the study by id, deleted ones too."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        found = self.client.search_runs(
            experiments, f"tags.study = '{self.name}'", run_view_type=ViewType.ALL, max_results=10_000
        )
        return {run.info.run_id: run for run in found}

    def _check_rows(self, store: StudyStore) -> Iterator[str]:
        ended = _select_ended(store)
        if len(ended) != self.trials or store.count_begun() != self.trials:
            yield f"{self.trials} trials were asked for, {len(ended)} ended, {store.count_begun()} begun"
        for each in (store, store.task_queue()):
            for row in each._rows():
                if not row.state.is_finished():
                    yield f"row {row.number} of {each.name} is left {row.state.name}"
            again = Counter(row.user_attrs[REQUEUES] for row in each.trials() if REQUEUES in row.user_attrs)
            interrupted = {row.number for row in each.trials() if is_interrupted(row)}
            if set(again) != interrupted or any(count > 1 for count in again.values()):
                yield f"of {each.name} {sorted(interrupted)} were interrupted, {again} tried again"

    def _check_trials(self, store: StudyStore, runs: Mapping[str, Run]) -> Iterator[str]:
        counted = {row.user_attrs[OUTCOME]["run_id"]: row for row in _select_ended(store)}
        active = {run_id for run_id, run in runs.items() if _is_active(run, "trial")}
        for run_id in active - counted.keys():
            yield f"run {run_id} of trial {runs[run_id].data.tags['trial']} belongs to no trial that counts"
        for run_id, row in counted.items():
            yield from self._compare(f"trial {row.number}", row, runs.get(run_id))

    def _check_confirmations(self, store: StudyStore, runs: Mapping[str, Run]) -> Iterator[str]:
        rows = [row for row in _select_ended(store.task_queue()) if CONFIRM in row.user_attrs]
        counted = {row.user_attrs[OUTCOME]["run_id"]: row for row in rows}
        wanted = Counter(str(row.user_attrs[CONFIRM]) for row in rows)
        if any(count > 1 for count in wanted.values()):
            yield f"confirmations are doubled: {wanted}"
        active = {run_id for run_id, run in runs.items() if _is_active(run, "confirm")}
        for run_id in active ^ counted.keys():
            yield f"confirmation {run_id} is in one of both records only"

    def _compare(self, name: str, row: FrozenTrial, run: Run | None) -> Iterator[str]:
        """Compare the two records of a trial."""
        outcome = row.user_attrs[OUTCOME]
        if run is None or run.info.lifecycle_stage != "active":
            yield f"the run of {name} is {'missing' if run is None else 'deleted'}"
            return
        status = "FAILED" if outcome["state"] == "failed" else "FINISHED"
        if run.info.status != status:
            yield f"the run of {name} is {run.info.status}, the trial {outcome['state']}"
        if run.data.tags["trial"] != str(row.number):
            yield f"the run of {name} is that of trial {run.data.tags['trial']}"
        if outcome["curve"]:
            _, device_seconds, accuracy = outcome["curve"][-1]
            recorded = [run.data.metrics.get(key, -1.0) for key in ("accuracy", "cpu_seconds")]
            if not all(map(_is_close, recorded, (accuracy, device_seconds))):
                yield f"{name} has {recorded} in MLflow, {(accuracy, device_seconds)} in Optuna"

    def _check_runs(self, runs: Mapping[str, Run]) -> Iterator[str]:
        active = [run for run in runs.values() if run.info.lifecycle_stage == "active"]
        for run in active:
            if run.info.status not in ("FINISHED", "FAILED"):
                yield f"run {run.info.run_id} ({run.info.run_name}) is {run.info.status}"
        sweeps = [run for run in active if run.data.tags.get("stage") == "sweep"]
        if len(sweeps) != 1:
            yield f"the study has {len(sweeps)} runs of its own"
        marks = Counter(run.info.run_name for run in active if "trial" not in run.data.tags)
        if any(count > 1 for count in marks.values()):
            yield f"runs are doubled: {marks}"
        if orphans := end_orphans(self.client):
            yield f"{len(orphans)} runs were left by dead processes"

    def _check_models(self, runs: Mapping[str, Run]) -> Iterator[str]:
        versions = list(self.client.search_model_versions(f"name = '{self.name}'"))
        members = Counter(version.tags.get(MEMBER) for version in versions)
        if not versions or None in members or any(count > 1 for count in members.values()):
            yield f"the versions of the model are those of the points {members}"
        if gone := [each.run_id for each in versions if runs[each.run_id].info.lifecycle_stage != "active"]:
            yield f"versions are of deleted runs: {gone}"
        logged = self.client.search_logged_models([next(iter(runs.values())).info.experiment_id])
        of_study = [model for model in logged if model.source_run_id in runs]
        if len(of_study) < len(versions):
            yield f"of {len(versions)} models {len(of_study)} lie in the experiment of their runs"
        if unfinished := [model.model_id for model in of_study if str(model.status) != "READY"]:
            yield f"models are left half logged: {unfinished}"

    def _check_files(self) -> Iterator[str]:
        tmp = self.folder / "tmp"
        locks = f"fulcrum-{os.getuid()}"  # empty files, which the kernel locks
        left = [path for path in tmp.iterdir() if path.name != locks]
        left += list(self.folder.rglob(".writing-*"))
        left += [path for path in self.folder.rglob("*-journal") if path.stat().st_size > 0]
        if left:
            yield f"files are left over: {[str(path.relative_to(self.folder)) for path in left]}"
        for path in self.folder.glob("*.db"):
            with closing(sqlite3.connect(path)) as database:
                if (said := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                    yield f"{path.name} is damaged: {said}"


def _select_ended(store: StudyStore) -> list[FrozenTrial]:
    return [row for row in store.trials() if row.state.is_finished() and not is_interrupted(row)]


def _is_active(run: Run, stage: str) -> bool:
    return run.info.lifecycle_stage == "active" and run.data.tags.get("stage") == stage


def _is_close(left: float, right: float) -> bool:
    return isclose(left, right, rel_tol=1e-6)
