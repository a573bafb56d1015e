"""What a model gets right and wrong, in rows."""

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from pipeline.cli.console import Console
from pipeline.cli.summary.rows import Rows
from pipeline.formatting import format_count, format_number, format_score, shorten
from pipeline.settings.measuring import Claim
from pipeline.settings.searching.measures import (
    AUC,
    BALANCED_ACCURACY,
    BY_CLASS,
    BY_ORDER,
    F1,
    R2_MEASURE,
)

if TYPE_CHECKING:
    from pipeline.evaluation.class_balance import ClassBalance
    from pipeline.evaluation.evaluate import AnyEvaluation, Evaluation
    from pipeline.evaluation.inspection import Inspection
    from pipeline.evaluation.quantities import QuantityEvaluation
    from pipeline.evaluation.subgroups import Subgroups
    from pipeline.trial.network import TrialResult


def list_objective(outcome: "TrialResult") -> Rows:
    """Return a line of what is maximised, where that is none of the lines that follow."""
    measure, evaluation = outcome.trained.settings.measure, outcome.evaluation
    balance = getattr(evaluation, "balance", None)
    if balance is None or measure.name not in (*BY_CLASS, *BY_ORDER):
        return []
    tested = {BALANCED_ACCURACY: balance.accuracy, F1: balance.f1, AUC: balance.auc}[measure.name]
    reached = f"[bold]{measure.format(outcome.trained.chosen_epoch.validation_accuracy)}[/] validation"
    test = "" if tested is None else f", [bold]{measure.format(tested)}[/] test"
    return [(measure.label, f"{reached}{test}; this is maximised")]


def list_scores(evaluation: "AnyEvaluation") -> Rows:
    """List what a model of classes or of a quantity reaches on validation and test rows."""
    from pipeline.evaluation.quantities import QuantityEvaluation

    if isinstance(evaluation, QuantityEvaluation):
        scores = _quantity_rows(evaluation)
    else:
        scores = _class_rows(evaluation)
    return [*scores, *_inspection_rows(evaluation.inspection)]


def _inspection_rows(inspection: "Inspection | None") -> Rows:
    """Return what lies behind the scores: important columns, the worst subgroup, labels that may be wrong."""
    if inspection is None:
        return []
    rows: Rows = []
    telling = [column for column in inspection.importances if column.loss > 2 * column.deviation][:3]
    if telling:
        names = ", ".join(
            f"{escape(shorten(column.name, 30))} {format_number(column.loss)}" for column in telling
        )
        rows.append(("columns", f"matter most: {names} (what the validation score loses, one shuffled)"))
    if (groups := inspection.subgroups) is not None:
        rows.append((f"by {escape(shorten(groups.column, 20))}", _describe_worst(groups)))
    if inspection.suspects is not None and inspection.suspects.is_telling:
        rows.append(("labels", f"[yellow]{escape(str(inspection.suspects))}[/]; see evaluation.json"))
    return rows


def _describe_worst(groups: "Subgroups") -> str:
    worst, form = groups.worst, _format_error if groups.is_error else format_score
    figure = "mean absolute error, " if groups.is_error else ""
    low, high = form(worst.score.low), form(worst.score.high)
    interval = f"{low} to {high}, " if low != high else ""  # of one error there is none
    return (
        f"{groups.describe_worst()} is {escape(shorten(worst.name, 40))}: "
        f"[bold]{form(worst.score.value)}[/] test ({figure}{interval}{format_count(worst.rows, 'row')}), "
        f"all {form(groups.overall)}"
        f"{'' if worst.is_worse else '; may be chance'}"
    )


def _quantity_rows(evaluation: "QuantityEvaluation") -> Rows:
    """Return the errors in the label's unit, and what always answering the mean would have."""
    validation, test, measure = evaluation.validation, evaluation.test, R2_MEASURE
    values = f"[bold]{measure.format(validation.r2)}[/] validation, [bold]{measure.format(test.r2)}[/] test"
    mean = f"; always answering the training mean: {_format_error(evaluation.rmse_of_mean)} test"
    return [
        (measure.label, values),
        ("RMSE", f"{_format_error(validation.rmse)} validation, {_format_error(test.rmse)} test{mean}"),
        ("MAE", f"{_format_error(validation.mae)} validation, {_format_error(test.mae)} test"),
        ("loss", f"{validation.loss:.4f} validation, {test.loss:.4f} test"),
    ]


def _format_error(error: float) -> str:
    """Format an error in the label's unit, with four significant digits."""
    return f"{error:,.0f}" if error >= 10_000 else f"{error:.4g}"


def _class_rows(evaluation: "Evaluation") -> Rows:
    validation, test = evaluation.validation, evaluation.test
    reached = [format_score(score.accuracy) for score in (validation, test)]
    shifted: Rows = []
    if evaluation.accuracy_under_shift is not None and evaluation.test_accuracy_under_shift is not None:
        accuracies = (evaluation.accuracy_under_shift, evaluation.test_accuracy_under_shift)
        shifted.append(
            ("under shift", f"{format_score(accuracies[0])} validation, {format_score(accuracies[1])} test")
        )
    return [
        (
            "accuracy",
            f"[bold]{reached[0]}[/] validation, [bold]{reached[1]}[/] test",
        ),
        *list_balance(evaluation.balance, test.accuracy),
        *_file_rows(evaluation),
        ("loss", f"{validation.loss:.4f} validation, {test.loss:.4f} test"),
        *shifted,
        *(("membership", attack.describe()) for attack in evaluation.membership),
        *_attack_rows(evaluation),
    ]


def _attack_rows(evaluation: "Evaluation") -> Rows:
    """Return lines where the model was attacked: what is left of its accuracy, and by which attack."""
    if evaluation.attacked is None:
        return []
    validation, test = evaluation.attacked.validation, evaluation.attacked.test
    reached, tested = format_score(validation.value), format_score(test.value)
    interval = f"95 % interval {format_score(test.low)} to {format_score(test.high)}"
    shares = f"[bold]{reached}[/] validation, [bold]{tested}[/] test ({interval})"
    return [("under attack", shares), ("", f"[dim]{evaluation.attacked.about}[/]")]


def _file_rows(evaluation: "Evaluation") -> Rows:
    """Return a line where a file is several rows, as a long sound."""
    if evaluation.file_accuracy is None:
        return []
    return [
        (
            "by file",
            f"[bold]{format_score(evaluation.file_accuracy)}[/] test, a sound by the mean of its excerpts",
        )
    ]


def list_balance(balance: "ClassBalance", accuracy: float) -> Rows:
    """Return a line where accuracy hides what became of a rare class."""
    rows = _auc_rows(balance)
    if not balance.is_telling(accuracy):
        return rows
    line = f"[bold]{format_score(balance.accuracy)}[/] test, every class counting alike"
    if balance.unrecognised:
        names = ", ".join(map(escape, balance.unrecognised[:3]))
        more = len(balance.unrecognised) - 3
        line += f"; [yellow]never recognised: {names}{f' and {more} more' if more > 0 else ''}[/]"
    return [("balanced", line), *rows]


def _auc_rows(balance: "ClassBalance") -> Rows:
    """Return a line with the area under the ROC curve and its interval, where every class has rows."""
    if balance.auc is None:
        return []
    ends = balance.auc_interval
    interval = "" if ends is None else f" ({format_score(ends[0])} to {format_score(ends[1])})"
    return [("AUC", f"{format_score(balance.auc)}{interval} test")]


def show_claim(claim: Claim, evaluation: "AnyEvaluation") -> None:
    """Show what was published beside what the test split says."""
    if not hasattr(evaluation.test, "accuracy"):
        return  # published figures are of classes
    table = Table(title="Claim against test split", caption=claim.source, box=box.SIMPLE_HEAD)
    for heading in ("", "claimed", "measured", "difference"):
        table.add_column(heading, justify="right")
    test = evaluation.test
    points = 100 * (test.accuracy - claim.accuracy)
    table.add_row(
        "accuracy",
        format_score(claim.accuracy),
        format_score(test.accuracy),
        f"{points:+.2f} points",
    )
    table.add_row("loss", f"{claim.loss:.4f}", f"{test.loss:.4f}", f"{test.loss - claim.loss:+.4f}")
    Console().print(table)
