"""The planted view of a diagnosis: its attempts by accuracy and cost, and the line from first to last."""

from collections.abc import Sequence

from pipeline.diagnosis.attempt import Attempt
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.settings.command_line import key_of
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure
from pipeline.tracking import shared_views
from pipeline.tracking.mlflow_runs import quote
from pipeline.tracking.shared_views import MICROSECONDS, ViewPage

WALK = "walk"
"""Tag of every run of a diagnosis: the id of its diagnose run."""


def choose_unit(cost_metric: str) -> tuple[str, float]:
    """Choose the unit of the cost axis: a diagnosis ends far below its start, answers take microseconds."""
    return MICROSECONDS if cost_metric.endswith(("cpu_seconds", "gpu_seconds")) else ("ns", 1e9)


def list_baselines(
    baseline: MeasuredCommand, attempts: Sequence[Attempt], result: MeasuredCommand
) -> list[MeasuredCommand]:
    """List the command lines that were the best so far, up to the last; that one may train longer."""
    baselines = [baseline, *(attempt.after for attempt in attempts if attempt.kept and attempt.after)]
    commands = [baseline.words for baseline in baselines]
    until = commands.index(result.words) if result.words in commands else len(baselines)
    return [*baselines[:until], result] if len(baselines) > 1 else baselines


def make_page(
    run_id: str, attempts: Sequence[Attempt], cost_metric: str, measure: Measure = ACCURACY_MEASURE
) -> ViewPage:
    """Make the page that the view shows; `run_id`: of the diagnose run."""
    changed = [key_of(word) for attempt in attempts for word in attempt.proposal.words]
    return ViewPage(
        name="a walk to a cheaper command line",
        run_filter=f"tags.{WALK} = {quote(run_id)}",
        dot_metric=shared_views.make_cost_metric(cost_metric, choose_unit(cost_metric), measure),
        cost_metric=cost_metric,
        param_keys=tuple(dict.fromkeys(changed)),
        tag_keys=("decision", "remedy", "reason"),
        accuracy_range={},
        curves_title="Attempts: learning curves",
        measure=measure,
    )
