"""What the functions return: frozen values of plain types, which draw themselves in a notebook."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from pipeline.cli.library.frozen import FrozenDict
from pipeline.errors import BadModel
from pipeline.formatting import format_number
from pipeline.measures import Point

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """One trained model, as MLflow has it on record.

    Attributes:
        run_id: Of the run in MLflow.
        command: The command line that repeats it.
        accuracy: On the validation split, in 0..1 (R2, at most 1, where numbers are predicted).
        test_accuracy: The same on the test split; None where there is none.
        device_seconds: Seconds of training steps times the devices held.
        device: What it trained on.
        curve: Accuracy and device-seconds after each epoch.
        metrics: All that was measured, by the names that MLflow has.
    """

    run_id: str
    command: str
    accuracy: float
    test_accuracy: float | None
    device_seconds: float
    device: str
    curve: tuple[Point, ...] = field(repr=False)
    metrics: Mapping[str, float] = field(repr=False)

    def load_model(self) -> Any:
        """Load the trained network as a `keras.Model`; it answers to raw samples.

        Raises:
            FulcrumError: the run has no such model.
        """
        from pipeline.cli.library.one_line import raising_one_line
        from pipeline.cli.loops.words import find_kind

        if kind := find_kind(shlex.split(self.command)):
            raise BadModel(
                f"load_model needs a run with trial=network, which has a Keras model, got trial={kind}; load "
                f"what the loop has reported with mlflow.pyfunc.load_model('runs:/{self.run_id}/model')"
            )
        from pipeline.tracking import mlflow_store, model_references

        with raising_one_line():
            mlflow_store.open_store()
            return model_references.load_model(model_references.find_model(self.run_id))

    def _repr_html_(self) -> str:
        from pipeline.cli.library.rendering import render_table

        test = [] if self.test_accuracy is None else [("test accuracy", f"{self.test_accuracy:.4f}")]
        return render_table(
            [
                ("accuracy", f"{self.accuracy:.4f}"),
                *test,
                ("device-seconds", f"{format_number(self.device_seconds)} of {self.device}"),
                ("epochs", str(len(self.curve))),
                ("command", self.command),
                ("run", self.run_id),
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPoint:
    """A point of a frontier: a command line, how good it is, and what it costs.

    Attributes:
        command: The command line that trains to exactly this state.
        settings: What the search chose, by the key of each setting.
        accuracy: Mean over all seeds on the validation split, in 0..1 (R2 where numbers are predicted).
        accuracy_interval: Its 95 % interval; None where only the seed of the search is known.
        test_accuracy: Mean of the new seeds on the test split; None where the point was not confirmed.
        device_seconds: Mean over all seeds.
        seeds: How many seeds the means are of.
        epochs: After so many epochs.
        trial: Number of its trial in the study.
        run_id: Of its trial in MLflow.
        is_knee: Whether it is where the frontier bends most.
        doubts: What the intervals say against its keeping to what was asked for; empty where nothing does.
    """

    command: str
    settings: Mapping[str, object]
    accuracy: float
    accuracy_interval: tuple[float, float] | None
    test_accuracy: float | None
    device_seconds: float
    seeds: int
    epochs: int
    trial: int
    run_id: str | None
    is_knee: bool
    doubts: tuple[str, ...] = ()
    text: str = field(repr=False, compare=False, default="")

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        description = self.text.removesuffix(f": {self.command}")
        doubts = "".join(f"<p>{escape(doubt)}</p>" for doubt in self.doubts)
        return f"<p>{escape(description)}</p>{doubts}<pre>{escape(self.command)}</pre>"


def make_point(member: "FrontierPoint", results: "Results", doubts: tuple[str, ...] = ()) -> StudyPoint:
    """Return a point of a frontier as a plain value."""
    from pipeline.reports.study_markdown import describe_point

    estimate, new = member.estimate, member.confirmation
    low, high = estimate.low, estimate.high
    return StudyPoint(
        command=member.command,
        settings=FrozenDict(member.params),
        accuracy=estimate.accuracy,
        accuracy_interval=None if low is None or high is None else (low, high),
        test_accuracy=new.test_accuracy if new else None,
        device_seconds=estimate.device_seconds,
        seeds=estimate.seeds,
        epochs=member.epoch,
        trial=member.trial.number,
        run_id=member.trial.run_id,
        is_knee=results.knee is not None and member.key == results.knee.key,
        doubts=doubts,
        text=f"{describe_point(member)}: {member.command}",
    )
