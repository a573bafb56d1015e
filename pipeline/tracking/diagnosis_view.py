"""The planted view of a walk: attempts on the plane of accuracy and cost, and the line from first to last."""

from collections.abc import Sequence

from pipeline.diagnosis.paired_attempt import Attempt, Measured
from pipeline.tracking import shared_views
from pipeline.tracking.shared_views import MICROSECONDS, Page, quoted

WALK = "walk"
"""Tag of every run of a walk: the id of its diagnose run."""


def unit_of(cost_metric: str) -> tuple[str, float]:
    """Whole steps of the cost axis: walks end far below where they began, answers take microseconds."""
    return MICROSECONDS if cost_metric.endswith(("cpu_seconds", "gpu_seconds")) else ("ns", 1e9)


def path(baseline: Measured, attempts: Sequence[Attempt], result: Measured) -> list[Measured]:
    """The command lines that the walk stood at, up to the one that it ended with; that one may be longer."""
    kept = [baseline, *(each.after for each in attempts if each.kept and each.after)]
    until = next((place for place, each in enumerate(kept) if each.words == result.words), len(kept))
    return [*kept[:until], result] if len(kept) > 1 else kept


def page(run_id: str, attempts: Sequence[Attempt], cost_metric: str) -> Page:
    """What the view shows; `run_id`: of the diagnose run."""
    changed = [word.partition("=")[0] for each in attempts for word in each.proposal.words]
    return Page(
        "a walk to a cheaper command line",
        f"tags.{WALK} = {quoted(run_id)}",
        shared_views.at_cost(cost_metric, unit_of(cost_metric)),
        cost_metric,
        tuple(dict.fromkeys(changed)),
        ("kept", "remedy", "reason"),
        {},
        "Attempts and their curves",
    )
