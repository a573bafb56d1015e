"""All runs of one study in MLflow: how they are found, and what becomes of what a deleted one would get."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.runs import bulk_runs
from pipeline.tracking.study_place import STUDY, STUDY_ID, read_study_id

TRIAL, ROLE, TRY = "trial", "role", "try"
CONFIRMED_RUN = "confirmed_run"
"""Tag of a confirmation: the run of its trial, whose number another one has where the study was put back."""


@dataclass(frozen=True, slots=True)
class StudyKey:
    """What tells a study from all others: its name, its identity (see `study_identity`), its experiment."""

    name: str
    identity: str
    experiment_id: str


class StudyRuns:
    """The runs of a study: its own, those of its trials, those of its frontier's line."""

    def __init__(self, client: mlflow.MlflowClient, study: StudyKey) -> None:
        """Find the runs in the experiment of the study, by the tags that all of them bear."""
        self.client, self.experiment_id = client, study.experiment_id
        self.tags = {STUDY: study.name, STUDY_ID: study.identity}
        self._deleted: set[str] = set()
        self.foreign: frozenset[str] = frozenset()
        """Runs of trials that belong to another study, of which this one is a copy; see `note_foreign`."""

    def note_foreign(self, run_ids: Sequence[str]) -> None:
        """Note which of the runs are those of another study."""
        identities = bulk_runs.read_tag(self.client, run_ids, STUDY_ID)
        self.foreign = frozenset(
            run_id for run_id, identity in identities.items() if identity != self.tags[STUDY_ID]
        )

    @contextmanager
    def unless_deleted(self, run_id: str, what: str) -> Iterator[None]:
        """Leave out what a run that somebody has deleted in the UI would get, and say so once."""
        try:
            yield
        except MlflowException as error:
            if mlflow_store.find_unanswered(error) or not mlflow_runs.is_deleted(self.client, run_id):
                raise
            if run_id not in self._deleted:
                self._deleted.add(run_id)
                print(f"the MLflow run of {what} ({run_id}) was deleted: it gets no more", file=sys.stderr)

    def end_run(self, run_id: str, what: str, status: str) -> None:
        """End a run; one that somebody has deleted is ended as well, so that it comes back as what it was."""
        with self.unless_deleted(run_id, what):
            self.client.set_terminated(run_id, status=status)
            return
        mlflow_runs.end_deleted(self.client, run_id, status)

    def search(self, condition: str = "") -> Iterator[Run]:
        """Yield the runs of this study that meet a further condition."""
        of_study = f"tags.{STUDY} = {mlflow_runs.quote(self.tags[STUDY])}"
        both = f"{of_study} AND {condition}" if condition else of_study
        for run in mlflow_runs.search_runs(self.client, [self.experiment_id], both):
            if read_study_id(run, self.tags[STUDY_ID]) == self.tags[STUDY_ID]:
                yield run
