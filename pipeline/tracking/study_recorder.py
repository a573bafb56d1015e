"""A study's record in MLflow: one run for the study, the trials nested in it, the view that shows them.

Runs of trials: see `trial_recorder`. No pictures are drawn before the end.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import mlflow
from mlflow.entities import Run

from pipeline.data.quality.report import QualityReport, describe_quality, encode_quality
from pipeline.formatting import format_count
from pipeline.measures import Point
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import Results
from pipeline.search.storage.our_studies import OBJECTIVE_NAMES
from pipeline.search.trial_rows import REMARKS, VALIDATION
from pipeline.settings.command_line import CommandLine
from pipeline.settings.searching.objectives import FIRST
from pipeline.tracking import mlflow_runs, mlflow_store, shared_views, study_view
from pipeline.tracking.pages.live_page import LEAST_REST
from pipeline.tracking.runs import adopted_run, bulk_runs, command_record, notes, orphans, owner_tags
from pipeline.tracking.runs.bulk_runs import RunChange
from pipeline.tracking.runs.params import make_study_params
from pipeline.tracking.runs.run_block import open_during
from pipeline.tracking.runs.run_ends import note_end
from pipeline.tracking.runs.run_lease import RunLease
from pipeline.tracking.study_runs import ROLE, TRIAL, StudyKey, StudyRuns
from pipeline.tracking.trial_recorder import TrialRecorder

REFRESH_SECONDS = 5.0
"""The frontier's line is drawn anew at most this often; see `StudyRecorder.rest`, too."""


@contextmanager
def record_study(
    client: mlflow.MlflowClient,
    command_line: CommandLine,
    study: StudyKey,
    device: str,
    exclusive: Callable[[str], AbstractContextManager[None]],
) -> "Iterator[StudyRecorder]":
    """Open the study's run, which ends as the block does: FINISHED, FAILED or KILLED.

    The arguments: see `StudyRecorder`.
    """

    def begin() -> StudyRecorder:
        return StudyRecorder(client, command_line, study, device, exclusive)

    with open_during(begin, StudyRecorder.close) as recorder, recorder.lease:
        yield recorder


class StudyRecorder:
    """A writer of the study's run and of those nested in it."""

    def __init__(
        self,
        client: mlflow.MlflowClient,
        command_line: CommandLine,
        study: StudyKey,
        device: str,
        exclusive: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """Open the study's run.

        `device`: cpu or gpu, which names the cost; `exclusive`: keeps other processes of the study out.
        """
        self._exclusive = exclusive
        self.client, self.study, self.cost_metric = client, study.name, f"{device}_seconds"
        self.experiment_id = study.experiment_id
        self.runs = StudyRuns(client, study)
        self._command_line, self._measure = command_line, command_line.settings.measure
        self._tags: dict[str, Mapping[str, str]] = {}
        """What the runs of trials are known to say of the frontier; a study has thousands of them."""
        self._drawn_at, self._rest_seconds = 0.0, REFRESH_SECONDS
        self._drawn_points: tuple[Point, ...] | None = None
        self._has_compared = False
        with exclusive("run"):
            self.run_id = self._open_study_run()
        self.lease = RunLease(client, self.run_id)
        self.trials = TrialRecorder(self.runs, self.run_id, command_line, self.cost_metric, self.lease)

    # ---- the study's own run ----------------------------------------------------------------------------

    def _open_study_run(self) -> str:
        """Take up the run of an earlier start of this study, else that of `mlflow run`, or open a new one."""
        adopted = adopted_run.adopt_run(self.client, self.study, self.experiment_id)
        runs = list(self.runs.search())
        self._tags = {run.info.run_id: study_view.keep_trial_tags(run.data.tags) for run in runs}
        self._ended = {run.info.run_id for run in runs if study_view.counts_as_ended(run.data.tags)}
        own = [run for run in runs if ROLE not in run.data.tags and TRIAL not in run.data.tags]
        if own:
            if adopted:
                orphans.discard_run(self.client, adopted)
            run_id = str(own[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
        else:
            run_id = adopted or mlflow_runs.create_run(self.client, self.experiment_id, self.study, {})
            self._nest(runs, run_id)
        tags = {
            **self.runs.tags,
            "stage": "sweep",
            "objective": self._measure.name,
            **mlflow_runs.SOURCE,
            **owner_tags.make_owner_tags(),
            **mlflow_runs.make_user_tags(self._command_line),
            # The page is written at the end of the study; until then a person's own text stays.
            **command_record.make_command_tags(self._command_line, "sweep", as_note=False),
        }
        mlflow_runs.set_tags(self.client, run_id, tags)
        existing = self.client.get_run(run_id).data.params
        params = make_study_params(self._command_line)
        mlflow_runs.log_params(self.client, run_id, params, existing)
        command_record.log_long_command(self.client, run_id, self._command_line, "sweep")
        return run_id

    def _nest(self, runs: Sequence[Run], run_id: str) -> None:
        """Nest the runs of earlier starts in a new run of the study: somebody deleted the one before."""
        for run in runs:
            mlflow_runs.set_tags(self.client, run.info.run_id, {mlflow_runs.PARENT: run_id})

    def record_validation_split(self, split: ValidationSplit) -> None:
        """Tag the study's run with the rows that accuracies are counted on, which a reader of it needs."""
        with self.runs.unless_deleted(self.run_id, "the study"):
            mlflow_runs.set_tags(self.client, self.run_id, {VALIDATION: json.dumps(split.to_dict())})

    def record_quality(self, quality: QualityReport) -> None:
        """Log what was found in the data of the study, and tag its run with what a person should look at."""
        self.log_files({"data/quality.json": encode_quality(quality).encode()})
        if remarks := list(describe_quality(quality)):
            with self.runs.unless_deleted(self.run_id, "the study"):
                mlflow_runs.set_tags(self.client, self.run_id, {REMARKS: json.dumps(remarks)})

    def record_objectives(self, names: Sequence[str]) -> None:
        """Tag the study's run with the names of its objectives, where there are more than the first two."""
        if len(names) > len(FIRST):
            with self.runs.unless_deleted(self.run_id, "the study"):
                mlflow_runs.set_tags(self.client, self.run_id, {OBJECTIVE_NAMES: json.dumps(list(names))})

    def close(self, status: str) -> None:
        """End the study's run."""
        self.runs.end_run(self.run_id, "the study", status)
        note_end(self.run_id, status, status == "FINISHED")

    # ---- what the study has come to ---------------------------------------------------------------------

    def update_frontier(self, results: Results, unit: tuple[str, float], force: bool = False) -> bool:
        """Update the tags of trials that joined or left the frontier; return whether its line was drawn.

        `force`: draw the line now, even if it was drawn a moment ago or has not changed.
        """
        if not any(trial.points for trial in results.trials):
            return False
        self._update_tags(results)
        if force or time.monotonic() - self._drawn_at > self._rest_seconds:
            return self._draw_frontier(results, unit, force)
        return False

    def rest(self, seconds: float) -> None:
        """Draw no line for a while after one that took so many seconds, with all that goes with it.

        At most 2 % of the time goes into it, as into the page.
        """
        self._rest_seconds = max(REFRESH_SECONDS, LEAST_REST * seconds)

    def _record_state(self, results: Results) -> None:
        """Record what the study has come to as metrics of its run, by which studies are compared."""
        values = study_view.make_study_metrics(results)
        with self.runs.unless_deleted(self.run_id, "the study"):
            mlflow_runs.log_metrics(
                self.client, self.run_id, mlflow_runs.make_metrics(values, len(results.trials))
            )

    def _update_tags(self, results: Results) -> None:
        """Write what has changed of the tags of trials, all at once."""
        if not self._has_compared:
            self._compare_runs(results)
            self._has_compared = True
        changes = []
        for trial in results.trials:
            recorded = self._tags.get(trial.run_id or "", {})
            if not trial.run_id or recorded is study_view.BEATEN:  # which it is for ever
                continue
            tags = study_view.make_trial_tags(results, trial, recorded)
            if changed := {key: value for key, value in tags.items() if recorded.get(key) != value}:
                changes.append(RunChange(trial.run_id, mlflow_runs.cut_tags(changed)))
                self._tags[trial.run_id] = study_view.keep_trial_tags({**recorded, **changed})
        coloured = [change.run_id for change in changes if study_view.COLOUR in change.tags]
        colours = bulk_runs.read_tag(self.client, coloured, study_view.COLOUR)  # a person's may be new
        changes = [
            RunChange(change.run_id, study_view.leave_colour(change.tags, colours.get(change.run_id)))
            for change in changes
        ]
        if changes and not bulk_runs.change_runs(self.client, changes):
            for change in changes:
                with mlflow_runs.unless_deleted(self.client, change.run_id):  # in the UI
                    mlflow_runs.set_tags(self.client, change.run_id, change.tags)

    def _compare_runs(self, results: Results) -> None:
        """Compare the runs of trials with the study, which may be a copy, or have been put back from one.

        Runs of the study that it is a copy of stay as they are. Those of trials that it does not have any
        more leave the charts.
        """
        run_ids = {trial.run_id for trial in results.trials if trial.run_id}
        self.runs.note_foreign(sorted(run_ids - self._tags.keys()))
        self._tags |= dict.fromkeys(self.runs.foreign, study_view.BEATEN)
        lost = sorted(self._ended - run_ids)
        for run_id in lost:
            with mlflow_runs.unless_deleted(self.client, run_id):
                mlflow_runs.set_tags(self.client, run_id, study_view.LOST)
        if lost:
            print(
                f"study {self.study} does not have {format_count(len(lost), 'trial')} any more that MLflow "
                "has, as where search.storage was put back from a copy: such runs stay and count for nothing",
                file=sys.stderr,
            )

    def _draw_frontier(self, results: Results, unit: tuple[str, float], force: bool) -> bool:
        """Draw the line as a run of its own, exchanged whole: a metric's history cannot be taken back."""
        steps = tuple(member.point for member in results.frontier)
        if steps == self._drawn_points and not force:
            return False
        mlflow_store.restore_deleted(self.client, self.experiment_id)
        self._record_state(results)
        with self._exclusive("line"):
            before = list(self.runs.search(f"tags.{ROLE} = '{study_view.LINE_ROLE}'"))
            for mark in study_view.make_marks(results, unit):
                self._log_mark(mark, unit)
            for old in before:
                with self.runs.unless_deleted(old.info.run_id, "the line"):
                    self.client.delete_run(old.info.run_id)
        self._drawn_at, self._drawn_points = time.monotonic(), steps
        return True

    def _log_mark(self, mark: study_view.ChartMark, unit: tuple[str, float]) -> None:
        tags = {**self.runs.tags, **mark.tags}

        def begin() -> str:
            return mlflow_runs.create_run(self.client, self.experiment_id, mark.name, tags, self.run_id)

        name = shared_views.make_cost_metric(self.cost_metric, unit, self._measure)
        metrics = [
            metric for step, value in mark.points for metric in mlflow_runs.make_metrics({name: value}, step)
        ]
        with open_during(begin, self.client.set_terminated) as run_id:
            mlflow_runs.log_metrics(self.client, run_id, metrics)

    def log_files(self, files: Mapping[str, bytes]) -> None:
        """Log files on the study's run, by their path in it."""
        with self.runs.unless_deleted(self.run_id, "the study"):
            mlflow_runs.log_files(self.client, self.run_id, files)

    def write_note(self, text: str) -> None:
        """Write Markdown on the study's page; what a person has written there stays."""
        with self.runs.unless_deleted(self.run_id, "the study"):
            notes.write_note(self.client, self.run_id, text)
