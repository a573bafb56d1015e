"""The runs of a study's trials in MLflow: all that begin together are written at once, and all that end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import Run

from pipeline.formatting import escape_markdown, format_params
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.workers.job import TrialOutcome
from pipeline.secrets import mask, mask_all
from pipeline.settings.command_line import CommandLine, Overrides
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.metrics.curve import list_trial_metrics
from pipeline.tracking.runs import bulk_runs, command_record, notes, owner_tags
from pipeline.tracking.runs.bulk_runs import NewRun, RunChange
from pipeline.tracking.runs.params import make_params, make_run_name
from pipeline.tracking.runs.run_lease import RunLease
from pipeline.tracking.study_runs import CONFIRMED_RUN, ROLE, TRIAL, TRY, StudyRuns


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """A trial that begins, or a confirmation (`role`); `attempt`: its name for `delete_attempt`.

    `data`: SHA-256 (hex) of what it is trained on, where the study says it; `confirmed_run`: that of the
    trial which is confirmed.
    """

    attempt: str
    number: int
    command_line: CommandLine
    role: str | None = None
    data: str | None = None
    confirmed_run: str | None = None


class TrialRecorder:
    """A writer of the runs that are nested in that of a study."""

    def __init__(
        self, runs: StudyRuns, study_run: str, command_line: CommandLine, cost_metric: str, lease: RunLease
    ) -> None:
        """Write below the run `study_run`.

        `command_line`: of the study; `cost_metric`: name of the device-seconds; `lease`: of what is open.
        """
        self.runs, self.study_run, self._lease = runs, study_run, lease
        self._command_line, self._measure = command_line, command_line.settings.measure
        self._cost_metric = cost_metric
        self._command_lines: dict[str, CommandLine] = {}

    def open_trials(self, starts: Sequence[TrialStart], device: str) -> list[str]:
        """Open a run for each trial or confirmation, trained on `device`, and return their ids."""
        shared = mlflow_runs.make_birth_tags(self.study_run)
        runs = [self._make_run(start, {**shared, "device": device}) for start in starts]
        client, experiment_id = self.runs.client, self.runs.experiment_id
        run_ids = bulk_runs.insert_runs(client, experiment_id, runs)
        if run_ids is None:
            run_ids = [self._open_by_client(run) for run in runs]
        for start, run, run_id in zip(starts, runs, run_ids, strict=True):
            self._command_lines[run_id] = start.command_line
            self._lease.hold(run_id)
            if command_record.is_cut(run.tags):
                command_record.log_long_command(client, run_id, start.command_line, "run")
        return run_ids

    def _make_run(self, start: TrialStart, shared: Mapping[str, str]) -> NewRun:
        role, command_line = start.role, start.command_line
        name = f"{start.number} {make_run_name(command_line, 'run')}" + (f" {role}" if role else "")
        tags = {
            **shared,
            **self.runs.tags,
            TRIAL: str(start.number),
            TRY: start.attempt,
            "stage": role or "trial",
            **({ROLE: role} if role else {}),
            **({mlflow_runs.DATA: start.data} if start.data else {}),
            **({CONFIRMED_RUN: start.confirmed_run} if start.confirmed_run else {}),
            **self._make_command_tags(command_line),
            **mlflow_runs.make_user_tags(self._command_line, nested=True),
            mlflow_runs.RUN_NAME: name,
        }
        return NewRun(name, mlflow_runs.cut_tags(tags), mlflow_runs.cut_params(make_params(command_line)))

    def _make_command_tags(self, command_line: CommandLine) -> dict[str, str]:
        """Make the tags of a command; the note begins with what is searched: charts show two lines of it."""
        tags = command_record.make_command_tags(command_line, "run")
        of_study = {*self._command_line.overrides}
        own = Overrides(word for word in mask_all(command_line.overrides) if word not in of_study)
        settings = escape_markdown(format_params(own.to_dict()))
        return {**tags, mlflow_runs.NOTE: "\n\n".join(filter(None, (settings, tags[mlflow_runs.NOTE])))}

    def _open_by_client(self, run: NewRun) -> str:
        client, experiment_id = self.runs.client, self.runs.experiment_id
        run_id = mlflow_store.write_restoring(
            client,
            experiment_id,
            lambda: client.create_run(experiment_id, run_name=run.name, tags=dict(run.tags)).info.run_id,
        )
        mlflow_runs.log_params(client, run_id, run.params)
        return str(run_id)

    def _name_engine(self, run_id: str, engine: str | None) -> dict[str, str]:
        """Return the tags of the command with the engine that was measured, so that it repeats the curve."""
        command_line = self._command_lines.pop(run_id, None)
        if command_line is None or (named := command_line.name_engine(engine or "")) is command_line:
            return {}
        written = self._make_command_tags(command_line)[mlflow_runs.NOTE]
        tags = self._make_command_tags(named)
        if notes.is_edited(self.runs.client, run_id, mask(written)):
            del tags[mlflow_runs.NOTE]
        return tags

    def end_trials(self, ended: Sequence[tuple[str, TrialOutcome]], unit: tuple[str, float]) -> None:
        """Record all that came out of trials, by the ids of their runs.

        `unit`: name and size of the steps of the cost axis.
        """
        changes = [self._make_end(run_id, outcome, unit) for run_id, outcome in ended]
        for change in changes:
            self._lease.drop(change.run_id)
        has_output = any(outcome.output for _, outcome in ended)
        if has_output or not bulk_runs.change_runs(self.runs.client, changes):
            for change, (_, outcome) in zip(changes, ended, strict=True):
                self._end_by_client(change, outcome.output)

    def _make_end(self, run_id: str, outcome: TrialOutcome, unit: tuple[str, float]) -> RunChange:
        price = self._command_line.settings.price
        metrics = [
            metric
            for step, values in list_trial_metrics(outcome, self._cost_metric, self._measure, unit, price)
            for metric in mlflow_runs.make_metrics(values, step)
        ]
        tags = {"trial_state": outcome.status}
        if outcome.reason:
            tags["reason"] = outcome.reason
        tags |= self._name_engine(run_id, outcome.engine)
        if outcome.engine:
            tags["engine"] = outcome.engine
        if outcome.curve:
            contended = any(epoch.contended for epoch in outcome.curve.epochs)
            tags |= {
                "contended": str(contended).lower(),
                "fair_midway": str(outcome.curve.fair_midway).lower(),
            }
        status = "FAILED" if outcome.status == "failed" else "FINISHED"
        return RunChange(run_id, mlflow_runs.cut_tags(tags), metrics, status)

    def _end_by_client(self, change: RunChange, output: str) -> None:
        client, run_id = self.runs.client, change.run_id
        with self.runs.unless_deleted(run_id, "a trial"):
            mlflow_store.write_restoring(
                client,
                self.runs.experiment_id,
                lambda: mlflow_runs.log_metrics(client, run_id, change.metrics, change.tags),
            )
            if output:
                mlflow_runs.log_output(client, run_id, output)
        self.runs.end_run(run_id, "a trial", change.status or "FINISHED")

    def fail_attempt(self, attempt: str, owner: ProcessOwner | None, reason: str) -> str | None:
        """End the run of a trial whose process has died as failed; return its id, None where it has none.

        `owner`: the process, None where nobody knows: see `SweepObserver`.
        """
        run_id = None
        for run in self._list_runs_of(attempt, owner):
            run_id = str(run.info.run_id)
            with self.runs.unless_deleted(run_id, "a trial"):
                mlflow_runs.set_tags(self.runs.client, run_id, {"trial_state": "failed", "reason": reason})
            self.runs.end_run(run_id, "a trial", "FAILED")
        return run_id

    def delete_attempt(self, attempt: str, owner: ProcessOwner | None) -> bool:
        """Delete the run of an interrupted trial, as its next try has its own; return whether it had one.

        `owner`: see `fail_attempt`.
        """
        runs = self._list_runs_of(attempt, owner)
        for run in runs:
            self._lease.drop(run.info.run_id)
            self._command_lines.pop(run.info.run_id, None)
            with mlflow_runs.unless_deleted(self.runs.client, run.info.run_id):  # another process was faster
                self.runs.client.set_terminated(run.info.run_id, status="KILLED")
                self.runs.client.delete_run(run.info.run_id)
        return bool(runs)

    def _list_runs_of(self, attempt: str, owner: ProcessOwner | None) -> list[Run]:
        runs = self.runs.search(f"tags.{TRY} = {mlflow_runs.quote(attempt)}")
        owners = ((run, owner_tags.read_owner(run)) for run in runs)
        return [run for run, recorded in owners if not owner or (recorded and recorded.is_same(owner))]
