"""A study's record in MLflow: one run for the study, the trials nested in it, the view that shows them.

A trial's run is written in few calls: one when it begins, one when it ends; no pictures.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline.measures import Epoch, Point
from pipeline.search.job import Ended
from pipeline.search.results import Results
from pipeline.secrets import masked
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import flatten
from pipeline.tracking import mlflow_store, run_recorder, shared_views, study_view
from pipeline.tracking.model_references import OVERRIDES

STUDY, TRIAL, ROLE, TRY = "study", "trial", "role", "try"
AROUND = ("search", "tracking", "ui", "diagnose")
"""Groups that are no part of a trial."""

REFRESH_SECONDS = 5.0
"""The frontier's line is drawn anew at most this often."""


class StudyRecord:
    """Writes the study's run and those nested in it."""

    def __init__(
        self,
        client: mlflow.MlflowClient,
        told: CommandLine,
        study: str,
        device: str,
        alone: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """`device`: cpu or gpu, which names the cost; `alone`: keeps other processes of the study out."""
        self._alone = alone
        self.client, self.study, self.cost_metric = client, study, f"{device}_seconds"
        self.experiment_id = mlflow_store.experiment_id(client, told.settings.tracking.experiment)
        self._told = told
        self._tags: dict[str, dict[str, str]] = {}
        self._drawn = 0.0
        self._steps: tuple[Point, ...] | None = None
        with alone("run"):
            self.run_id = self._opened()

    # ---- the study's own run ----------------------------------------------------------------------------

    def _opened(self) -> str:
        """The run of an earlier start of this study is taken up; else that of `mlflow run`, or a new one."""
        adopted = mlflow_store.adopted_run()
        known = [run for run in self._runs() if ROLE not in run.data.tags and TRIAL not in run.data.tags]
        for run in self._runs():
            self._tags[run.info.run_id] = dict(run.data.tags)
        if known:
            if adopted:
                self.client.delete_run(adopted)
            run_id = str(known[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
        elif adopted:
            run_id = adopted
        else:
            run_id = str(self.client.create_run(self.experiment_id, run_name=self.study).info.run_id)
        tags = {
            STUDY: self.study,
            "stage": "sweep",
            "objective": self._told.settings.search.objective.value,
            "command": self._told.command_line("sweep"),
            OVERRIDES: json.dumps(self._told.overrides),
            "mlflow.runName": self.study,
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": "python -m pipeline",
            **mlflow_store.owner_tags(),
            **run_recorder.git_tags(),
        }
        self.client.log_batch(run_id, tags=_tags(tags))
        typed = self.client.get_run(run_id).data.params
        params = {key: str(value) for key, value in flatten(self._told.settings)}
        self.client.log_batch(run_id, params=_params(params, typed))
        return run_id

    def _runs(self) -> list[Run]:
        found, token = [], None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.{STUDY} = '{self.study}'",
                max_results=1000,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    def close(self, status: str) -> None:
        """End the study's run."""
        self.client.set_terminated(self.run_id, status=status)

    # ---- trials -----------------------------------------------------------------------------------------

    def begin(self, attempt: str, number: int, told: CommandLine, role: str | None, device: str) -> str:
        """A run for a trial, or for a confirmation (`role`); `attempt`: its name for `drop`."""
        tags = {
            "mlflow.parentRunId": self.run_id,
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": "python -m pipeline",
            STUDY: self.study,
            TRIAL: str(number),
            TRY: attempt,
            "stage": role or "trial",
            "device": device,
            "command": told.command_line("run"),
            OVERRIDES: json.dumps(told.overrides),
            "mlflow.note.content": f"`{told.command_line('run')}`",
            **({ROLE: role} if role else {}),
            **mlflow_store.owner_tags(),
            **run_recorder.git_tags(),
        }
        name = f"{number} {run_recorder.run_name(told, 'run')}" + (f" {role}" if role else "")
        tags = {key: masked(value)[: run_recorder.TAG_LIMIT] for key, value in tags.items()}
        run_id = str(self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id)
        self._tags[run_id] = tags
        flat = {**told.choices, **dict(flatten(told.settings))}
        params = {key: str(value) for key, value in flat.items() if key.partition(".")[0] not in AROUND}
        self.client.log_batch(run_id, params=_params(params, {}))
        return run_id

    def end(self, run_id: str, ended: Ended, unit: tuple[str, float]) -> None:
        """Everything that came out, in one call; `unit`: name and size of the steps of the cost axis."""
        metrics = self._metrics(ended, unit)
        tags = {"trial_state": ended.state}
        if ended.reason:
            tags["reason"] = ended.reason
        if ended.engine:
            tags["engine"] = ended.engine
        if ended.curve:
            contended = any(epoch.contended for epoch in ended.curve.epochs)
            tags |= {
                "contended": str(contended).lower(),
                "fair_midway": str(ended.curve.fair_midway).lower(),
            }
        for start in range(0, len(metrics), run_recorder.BATCH_LIMIT):
            self.client.log_batch(run_id, metrics=metrics[start : start + run_recorder.BATCH_LIMIT])
        self.client.log_batch(run_id, tags=_tags(tags))
        self.client.set_terminated(run_id, status="FAILED" if ended.state == "failed" else "FINISHED")

    def _metrics(self, ended: Ended, unit: tuple[str, float]) -> list[Metric]:
        now = int(time.time() * 1000)
        found: list[Metric] = []

        def add(key: str, value: float | None, step: int = 0) -> None:
            if value is not None:
                found.append(Metric(key, float(value), now, step))

        for epoch in ended.curve.epochs if ended.curve else ():
            self._add_epoch(add, epoch)
        if ended.curve and ended.kept:
            last = ended.curve.last
            add("accuracy", ended.kept.validation_accuracy, ended.kept.number)
            dot = shared_views.at_cost(self.cost_metric, unit)
            add(dot, ended.kept.validation_accuracy, shared_views.whole_units(last.device_seconds, unit))
            price = self._told.settings.price
            add(f"cost_{price.currency}", price.of(last.device_seconds))
            add("paid_device_seconds", ended.paid_seconds)
            add("seconds/overhead", ended.overhead_seconds)
        for name in ("input", "compile", "warm_up", "train", "validate"):
            add(f"seconds/{name}", getattr(ended.seconds, name))
        add("profile/parameters", ended.parameters)
        add("profile/latency_p99_ms", ended.latency_p99_ms)
        add("evaluate/test_accuracy", ended.test_accuracy)
        add("unshifted_accuracy", ended.unshifted_accuracy)
        return found

    def _add_epoch(self, add: Any, epoch: Epoch) -> None:
        add("train/loss", epoch.train_loss, epoch.number)
        add("train/validation_loss", epoch.validation_loss, epoch.number)
        add("train/validation_accuracy", epoch.validation_accuracy, epoch.number)
        add(self.cost_metric, epoch.device_seconds, epoch.number)
        at_ms = shared_views.whole_units(epoch.device_seconds, shared_views.MILLISECONDS)
        add(shared_views.CURVES, epoch.validation_accuracy, at_ms)

    def drop(self, attempt: str) -> None:
        """The run of an interrupted trial counts for nothing: its next try has one of its own."""
        found = self.client.search_runs(
            [self.experiment_id], f"tags.{STUDY} = '{self.study}' AND tags.{TRY} = '{attempt}'"
        )
        for run in found:
            with suppress(MlflowException):  # another process was faster
                self.client.set_terminated(run.info.run_id, status="KILLED")
                self.client.delete_run(run.info.run_id)

    # ---- what the study has come to ---------------------------------------------------------------------

    def standing(self, results: Results, unit: tuple[str, float], whole: bool = False) -> bool:
        """Tags of the trials whose standing changed, and the line; `whole`: now, whatever was drawn last.

        Whether the line was drawn anew.
        """
        if not results.points():
            return False
        for tried in results.tried:
            if tried.run_id:
                known = self._tags.get(tried.run_id)
                self._retag(tried.run_id, study_view.trial_tags(results, tried, known))
        if whole or time.monotonic() - self._drawn > REFRESH_SECONDS:
            return self._draw(results, unit, whole)
        return False

    def _retag(self, run_id: str, tags: Mapping[str, str]) -> None:
        known = self._tags.setdefault(run_id, {})
        changed = {key: value for key, value in tags.items() if known.get(key) != value}
        if changed:
            with suppress(MlflowException):  # somebody deleted the run in the UI
                self.client.log_batch(run_id, tags=_tags(changed))
            known |= changed

    def _draw(self, results: Results, unit: tuple[str, float], whole: bool) -> bool:
        """A metric's history cannot be taken back, so the line is a run of its own, exchanged as a whole."""
        steps = tuple(member.point for member in results.members())
        if steps == self._steps and not whole:
            return False
        with self._alone("line"):
            before = self.client.search_runs(
                [self.experiment_id],
                f"tags.{STUDY} = '{self.study}' AND tags.{ROLE} = '{study_view.LINE_ROLE}'",
            )
            for mark in study_view.marks(results, unit):
                self._mark(mark, unit)
            for old in before:
                self.client.delete_run(old.info.run_id)
        self._drawn, self._steps = time.monotonic(), steps
        return True

    def _mark(self, mark: study_view.Mark, unit: tuple[str, float]) -> None:
        tags = {
            "mlflow.parentRunId": self.run_id,
            STUDY: self.study,
            **mark.tags,
            **mlflow_store.owner_tags(),
        }
        run_id = self.client.create_run(self.experiment_id, run_name=mark.name, tags=tags).info.run_id
        name, now = shared_views.at_cost(self.cost_metric, unit), int(time.time() * 1000)
        metrics = [Metric(name, accuracy, now, step) for step, accuracy in mark.points]
        for start in range(0, len(metrics), run_recorder.BATCH_LIMIT):
            self.client.log_batch(run_id, metrics=metrics[start : start + run_recorder.BATCH_LIMIT])
        self.client.set_terminated(run_id)

    def artifacts(self, files: Mapping[str, bytes]) -> None:
        """Files on the study's run."""
        run_recorder.log_files(self.client, self.run_id, files)

    def note(self, text: str) -> None:
        """Markdown on the study's page."""
        self.client.set_tag(self.run_id, "mlflow.note.content", text[: run_recorder.TAG_LIMIT])


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key, masked(value)[: run_recorder.TAG_LIMIT]) for key, value in tags.items()]


def _params(params: Mapping[str, str], typed: Mapping[str, str]) -> list[Param]:
    return [
        Param(key, masked(value)[: run_recorder.PARAM_LIMIT])
        for key, value in params.items()
        if key not in typed
    ]
