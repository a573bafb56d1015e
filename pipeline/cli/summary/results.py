"""The summary of each command that trains, evaluates or measures."""

from typing import TYPE_CHECKING

from rich.markup import escape

from pipeline import output
from pipeline.cli.summary.costs import list_costs, list_served, list_step
from pipeline.cli.summary.rows import Rows, format_seconds, show_rows, write_table
from pipeline.cli.summary.scores import list_objective, list_scores, show_claim
from pipeline.cli.summary.training import list_privacy, list_training
from pipeline.data.quality.report import describe_quality
from pipeline.data.report import describe_report
from pipeline.errors import FulcrumError
from pipeline.measures import Cost
from pipeline.settings.command_line import CommandLine

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.evaluation.evaluate import AnyEvaluation
    from pipeline.models.litert import ServedFile
    from pipeline.profiling.measure_roofline import MeasuredStep
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.training.train import Trained
    from pipeline.trial.network import TrialResult


def show_run(
    command_line: CommandLine, prepared: "Prepared", outcome: "TrialResult", record: "RunRecorder"
) -> None:
    """Show what a run came to, and beside a published claim, where the settings name one."""
    rows = [
        *_data_rows(prepared),
        *list_objective(outcome),
        *list_scores(outcome.evaluation),
        *list_training(outcome.trained, outcome.seconds, record),
        *list_costs(outcome.cost),
        *list_served(outcome.cost, outcome.served),
    ]
    show_rows(record, rows)
    if command_line.settings.claim and not output.is_collected():
        show_claim(command_line.settings.claim, outcome.evaluation)


def write_note(outcome: "TrialResult", record: "RunRecorder") -> str:
    """Return the summary in Markdown, for the page of the run."""
    trained, rows = outcome.trained, [*list_objective(outcome), *list_scores(outcome.evaluation)]
    shown = ("learning_curve", "residuals" if trained.data.target else "confusion_matrix")
    rows += [*list_training(trained, outcome.seconds, record), *list_costs(outcome.cost)]
    rows += list_served(outcome.cost, outcome.served)
    return write_table(rows, shown)


def show_preprocess(prepared: "Prepared", seconds: float, record: "RunRecorder") -> None:
    """Show what was prepared, and where it lies; `seconds`: what that took."""
    where = "found in" if prepared.reused else "written to"
    show_rows(
        record,
        [
            *_data_rows(prepared),
            *_quality_rows(prepared),
            ("prepared", f"{where} {escape(str(prepared.directory))} in {format_seconds(seconds)}"),
        ],
    )


def _quality_rows(prepared: "Prepared") -> Rows:
    """Return what a person should look at in the data, and where all that was looked for is."""
    from pipeline.data.quality.check import look_through

    found = [f"[yellow]{escape(line)}[/]" for line in describe_quality(look_through(prepared))]
    names = ["quality", *[""] * (len(found) - 1)]
    return [*zip(names, [*found[:-1], f"{found[-1]}; see data/quality.json"], strict=True)] if found else []


def show_train(trained: "Trained", record: "RunRecorder") -> None:
    """Show what training reached and took; the test split is not read."""
    measure = trained.settings.measure
    reached = f"{measure.format(trained.chosen_epoch.validation_accuracy)} validation"
    show_rows(record, [(measure.label, reached), *list_training(trained, trained.seconds, record)])


def show_evaluate(
    evaluation: "AnyEvaluation", prepared: "Prepared", record: "RunRecorder", privacy: str = ""
) -> None:
    """Show scores; `privacy`: what the training of the model had spent of that of its rows."""
    rows = [*_data_rows(prepared), *list_scores(evaluation), *list_privacy(privacy)]
    show_rows(record, rows)


def show_profile(
    cost: Cost, record: "RunRecorder", served: "ServedFile | None", step: "MeasuredStep | FulcrumError"
) -> None:
    """Show what answers cost, and a training step."""
    show_rows(record, [*list_costs(cost), *list_served(cost, served), *list_step(step)])


def _data_rows(prepared: "Prepared") -> Rows:
    counts = prepared.report.rows_kept
    rows = f"{counts['train']:,} train, {counts['validation']:,} validation, {counts['test']:,} test"
    findings = [("", f"[dim]{escape(line)}[/]") for line in describe_report(prepared.report)]
    return [("data", rows + ("; see data/report.json" if findings else "")), *findings]
