"""What a command prints at its end: a few lines for a person."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipeline import output
from pipeline.cli.compose import compose
from pipeline.cli.ui import build_link, format_ui_command
from pipeline.data.report import describe_report
from pipeline.errors import FulcrumError
from pipeline.formatting import format_number
from pipeline.measures import Cost, Epoch, PowerDraw, Seconds
from pipeline.secrets import mask
from pipeline.settings import addresses
from pipeline.settings.command_line import CommandLine
from pipeline.settings.measuring import Claim, Price
from pipeline.settings.searching.measures import (
    ACCURACY_MEASURE,
    AUC,
    BALANCED_ACCURACY,
    BY_CLASS,
    BY_ORDER,
    F1,
    R2_MEASURE,
)
from pipeline.trial.reports import TEST

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.evaluation.class_balance import ClassBalance
    from pipeline.evaluation.evaluate import AnyEvaluation, Evaluation
    from pipeline.evaluation.quantities import QuantityEvaluation
    from pipeline.models.litert import ServedFile
    from pipeline.profiling.measure_roofline import MeasuredStep
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.training.train import Trained
    from pipeline.trial.loop_states import LoopTrained
    from pipeline.trial.network import TrialResult

Rows = list[tuple[str, str]]


def show_run(
    command_line: CommandLine, prepared: "Prepared", outcome: "TrialResult", record: "RunRecorder"
) -> None:
    rows = [
        *_data_rows(prepared),
        *_objective_rows(outcome),
        *_score_rows(outcome.evaluation),
        *_training_rows(outcome.trained, outcome.seconds, record),
        *_cost_rows(outcome.cost),
        *_served_rows(outcome.cost, outcome.served),
    ]
    _show(record.name, rows, record)
    if command_line.settings.claim and not output.is_collected():
        _show_claim(command_line.settings.claim, outcome.evaluation)


def write_note(outcome: "TrialResult", record: "RunRecorder") -> str:
    """Return the summary in Markdown, for the page of the run."""
    trained, rows = outcome.trained, [*_objective_rows(outcome), *_score_rows(outcome.evaluation)]
    shown = ("learning_curve", "residuals" if trained.data.target else "confusion_matrix")
    rows += [*_training_rows(trained, outcome.seconds, record), *_cost_rows(outcome.cost)]
    rows += _served_rows(outcome.cost, outcome.served)
    return write_table(rows, shown)


def write_table(rows: Rows, pictures: Sequence[str]) -> str:
    """Return rows and pictures in Markdown. `pictures`: names of those of the run."""
    lines = [f"| {name} | {Text.from_markup(value).plain} |" for name, value in rows]
    shown = " ".join(f"![{name}](pictures/{name}.png)" for name in pictures)
    return "\n".join(["| | |", "|---|---|", *lines, "", shown])


def list_loop_rows(trained: "LoopTrained", price: Price, record: "RunRecorder") -> Rows:
    """List what a training loop of the user's own has come to."""
    curve, last, seconds = trained.curve, trained.curve.last, trained.seconds
    tested = "" if trained.test_accuracy is None else f", [bold]{trained.test_accuracy:.2%}[/] test"
    others = {name: value for name, value in trained.numbers[-1].items() if name != TEST}
    cost = f"[bold]{_format_seconds(last.device_seconds)}[/] for {_count_epochs(last.number)} of training"
    left_out = f"[dim]not in it: {_format_seconds(seconds.validate)} that were not to be counted[/]"
    return [
        ("accuracy", f"[bold]{last.validation_accuracy:.2%}[/]{tested}"),
        *((escape(name), f"{value:.6g}") for name, value in others.items()),
        (record.cost_metric, cost),
        *([("", left_out)] if seconds.validate else []),
        *_price_rows(last.device_seconds, price, trained.energy),
        ("device", curve.device),
        *_contention_rows(curve.epochs),
    ]


def _count_epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def show_preprocess(prepared: "Prepared", seconds: float, record: "RunRecorder") -> None:
    where = "found in" if prepared.reused else "written to"
    _show(
        record.name,
        [*_data_rows(prepared), ("prepared", f"{where} {prepared.directory} in {_format_seconds(seconds)}")],
        record,
    )


def show_train(trained: "Trained", record: "RunRecorder") -> None:
    measure = trained.settings.measure
    reached = f"{measure.format(trained.curve.last.validation_accuracy)} validation"
    _show(record.name, [(measure.label, reached), *_training_rows(trained, trained.seconds, record)], record)


def show_evaluate(
    evaluation: "AnyEvaluation", prepared: "Prepared", record: "RunRecorder", privacy: str = ""
) -> None:
    """Show scores; `privacy`: what the training of the model had spent of that of its rows."""
    rows = [*_data_rows(prepared), *_score_rows(evaluation), *privacy_rows(privacy)]
    _show(record.name, rows, record)


def show_profile(
    cost: Cost, record: "RunRecorder", served: "ServedFile | None", step: "MeasuredStep | FulcrumError"
) -> None:
    _show(record.name, [*_cost_rows(cost), *_served_rows(cost, served), *_step_rows(step)], record)


def _data_rows(prepared: "Prepared") -> Rows:
    counts = prepared.report.rows_kept
    rows = f"{counts['train']:,} train, {counts['validation']:,} validation, {counts['test']:,} test"
    findings = [("", f"[dim]{escape(line)}[/]") for line in describe_report(prepared.report)]
    return [("data", rows + ("; see data/report.json" if findings else "")), *findings]


def _objective_rows(outcome: "TrialResult") -> Rows:
    """Return a line of what is maximised, where that is none of the lines that follow."""
    measure, evaluation = outcome.trained.settings.measure, outcome.evaluation
    balance = getattr(evaluation, "balance", None)
    if balance is None or measure.name not in (*BY_CLASS, *BY_ORDER):
        return []
    tested = {BALANCED_ACCURACY: balance.accuracy, F1: balance.f1, AUC: balance.auc}[measure.name]
    reached = f"[bold]{measure.format(outcome.trained.curve.last.validation_accuracy)}[/] validation"
    test = "" if tested is None else f", [bold]{measure.format(tested)}[/] test"
    return [(measure.label, f"{reached}{test}; this is maximised")]


def _score_rows(evaluation: "AnyEvaluation") -> Rows:
    from pipeline.evaluation.quantities import QuantityEvaluation

    return (
        _quantity_rows(evaluation) if isinstance(evaluation, QuantityEvaluation) else _class_rows(evaluation)
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
    shifted: Rows = []
    if evaluation.accuracy_under_shift is not None and evaluation.test_accuracy_under_shift is not None:
        accuracies = (evaluation.accuracy_under_shift, evaluation.test_accuracy_under_shift)
        shifted.append(("under shift", f"{accuracies[0]:.2%} validation, {accuracies[1]:.2%} test"))
    return [
        ("accuracy", f"[bold]{validation.accuracy:.2%}[/] validation, [bold]{test.accuracy:.2%}[/] test"),
        *_balance_rows(evaluation.balance, test.accuracy),
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
    interval = f"95 % interval {test.low:.2%} to {test.high:.2%}"
    shares = f"[bold]{validation.value:.2%}[/] validation, [bold]{test.value:.2%}[/] test ({interval})"
    return [("under attack", shares), ("", f"[dim]{evaluation.attacked.about}[/]")]


def _file_rows(evaluation: "Evaluation") -> Rows:
    """Return a line where a file is several rows, as a long sound."""
    if evaluation.file_accuracy is None:
        return []
    return [("by file", f"[bold]{evaluation.file_accuracy:.2%}[/] test, a sound by the mean of its excerpts")]


def _balance_rows(balance: "ClassBalance", accuracy: float) -> Rows:
    """Return a line where accuracy hides what became of a rare class."""
    rows = _auc_rows(balance)
    if not balance.is_telling(accuracy):
        return rows
    line = f"[bold]{balance.accuracy:.2%}[/] test, every class counting alike"
    if balance.unrecognised:
        names = ", ".join(map(escape, balance.unrecognised[:3]))
        more = len(balance.unrecognised) - 3
        line += f"; [yellow]never recognised: {names}{f' and {more} more' if more > 0 else ''}[/]"
    return [("balanced", line), *rows]


def _auc_rows(balance: "ClassBalance") -> Rows:
    """Return a line with the area under the ROC curve and its interval, where every class has rows."""
    if balance.auc is None or balance.auc_half_width is None:
        return []
    half_width = ACCURACY_MEASURE.format_width(balance.auc_half_width)
    return [("AUC", f"{balance.auc:.2%} ±{half_width} test")]


def _training_rows(trained: "Trained", seconds: Seconds, record: "RunRecorder") -> Rows:
    cost = trained.curve.last.device_seconds
    excluded_seconds = {
        "compile": seconds.compile,
        "warm-up": seconds.warm_up,
        "input": seconds.input,
        "validation": seconds.validate,
        "evaluation": seconds.evaluate,
        "profile": seconds.profile,
    }
    excluded = ", ".join(
        f"{name} {_format_seconds(value)}" for name, value in excluded_seconds.items() if value
    )
    return [
        (
            record.cost_metric,
            f"[bold]{_format_seconds(cost)}[/] for {trained.curve.last.number} epochs of training",
        ),
        ("", f"[dim]not in it: {excluded}[/]"),
        *_price_rows(cost, trained.settings.price, trained.energy),
        *privacy_rows(trained.privacy.describe() if trained.privacy else ""),
        ("device", f"{trained.device} [dim]({trained.engine} loop{_format_measured(trained)})[/]"),
        *_contention_rows(trained.curve.epochs),
    ]


def _format_measured(trained: "Trained") -> str:
    """Return what was measured where `engine=auto` chose the loop by measurement."""
    from pipeline.models.architectures import architecture_of
    from pipeline.training import measured_engine

    if architecture_of(trained.settings.model).is_perceptron:
        return ""
    measured = measured_engine.describe_measured(trained.settings, trained.device, trained.engine)
    return f", measured: {measured}" if measured else ""


def _price_rows(device_seconds: float, price: Price, drawn: PowerDraw) -> Rows:
    money, currency = price.of(device_seconds), price.currency.upper()
    rows: Rows = []
    if money is not None:
        rows.append(("price", f"{money:.3g} {currency} at {price.per_hour} {currency} an hour of one device"))
    if drawn.joules is not None:
        how = "; [yellow]an estimate, the device tells nothing[/]" if drawn.estimated else ""
        rows.append(("energy", f"{format_number(drawn.joules)} J, {drawn.watts:.3g} W on average{how}"))
        carbon = price.weigh_carbon(drawn.joules)
        if carbon is not None:
            of = " of an estimate" if drawn.estimated else ""
            rows.append(("carbon", f"{carbon:.3g} g CO2 at {price.carbon:g} g a kWh{of}"))
    return rows


def privacy_rows(line: str) -> Rows:
    """Return a row of what was spent of the privacy of the training rows, none where nobody counted."""
    return [("privacy", escape(line))] if line else []


def _contention_rows(epochs: Sequence[Epoch]) -> Rows:
    """Return a row where other processes used the device, none otherwise."""
    contended = sum(epoch.contended for epoch in epochs)
    if not contended:
        return []
    lost = epochs[-1].lost_seconds
    effect = (
        f"{_format_seconds(lost)} that others took are not in the cost"
        if lost
        else "the cost may be too high"
    )
    return [
        ("contended", f"[yellow]others used the device in {contended} of {len(epochs)} epochs; {effect}[/]")
    ]


def _cost_rows(cost: Cost) -> Rows:
    latency = cost.latency
    best = max(cost.throughput, key=lambda size: cost.throughput[size])
    return [
        (
            "latency",
            f"{latency.p50_ms:.3f} ms median for one sample, "
            f"p95 {latency.p95_ms:.3f}, p99 {latency.p99_ms:.3f}",
        ),
        *_latency_rows(cost),
        ("throughput", f"{cost.throughput[best]:,.0f} samples/s at batch {best}"),
        (
            "model",
            f"{cost.parameters:,} parameters, {cost.model_bytes / 1e6:.2f} MB, {cost.flops:,} FLOPs a sample",
        ),
    ]


def _served_rows(cost: Cost, served: "ServedFile | None") -> Rows:
    """Return what a file of its own answers with, beside the compiled model that it was made from."""
    if served is None or cost.compiled_latency is None:
        return []
    measure = served.measure
    accuracies = [measure.format(value) for value in (served.accuracy, served.compiled_accuracy)]
    compiled, latency = cost.compiled_latency.p50_ms, cost.latency.p50_ms
    return [
        (
            escape(served.runtime),
            f"[bold]{accuracies[0]}[/] validation {measure.label}, {latency:.3f} ms, "
            f"{len(served.content) / 1e6:.2f} MB",
        ),
        ("", f"[dim]the compiled model: {accuracies[1]}, {compiled:.3f} ms ({compiled / latency:.3g}x)[/]"),
    ]


def _step_rows(step: "MeasuredStep | FulcrumError") -> Rows:
    """Return what a training step takes, and how far that is from what the device can do."""
    if isinstance(step, FulcrumError):
        return [("training step", f"[dim]not measured: {escape(str(step))}[/]")]
    samples = "1 sample" if step.batch == 1 else f"{step.batch:,} samples"
    tried = f" [dim](measured: {step.tried})[/]" if step.tried else ""
    rows: Rows = [("training step", f"{1000 * step.seconds:.3g} ms for {samples}, {step.engine} loop{tried}")]
    roofline = step.roofline
    if roofline is None:
        return [*rows, ("", "[dim]its layers do not tell what they compute, so it has no roofline[/]")]
    speed = f"{roofline.flops_per_second / 1e9:.3g} GFLOP/s, [bold]{roofline.peak_share:.0%}[/] of the peak"
    far = f"{roofline.slowdown:.2g}x slower than its roof allows" if roofline.slowdown > 1 else "at its roof"
    work = f"{roofline.work.flops / 1e6:.3g} MFLOP, {roofline.work.bytes / 1e6:.3g} MB moved at least"
    return [
        *rows,
        ("roofline", f"{speed} in {roofline.precision} products; {roofline.bound}, {far}"),
        ("", f"[dim]a step: {work}[/]"),
    ]


def _latency_rows(cost: Cost) -> Rows:
    """Return what the first answer takes, and answers to more samples at once."""
    batches = [
        f"{calls.p50_ms:.3g} ms for {size:,} (p99 {calls.p99_ms:.3g})"
        for size, calls in cost.latency_by_batch.items()
        if size > 1
    ]
    cold = [f"{cost.cold_ms:.3g} ms cold, the first answer"] if cost.cold_ms is not None else []
    return [("", f"[dim]{'; '.join([*cold, *batches])}[/]")] if cold or batches else []


def page_rows(record: "RunRecorder") -> tuple[Rows, str]:
    """Return rows that say how to see the run, and the address of its page."""
    ui = compose([]).settings.ui
    address = addresses.read_uri()
    base = mask(address) if address.startswith("http") else build_link(ui)
    page = f"{base}/#/experiments/{record.experiment_id}/runs/{record.run_id}"
    shown = [] if address.startswith("http") else [("see it", f"{format_ui_command()}[dim], then[/]")]
    return [("run", record.run_id), *shown], page


def show_rows(record: "RunRecorder", rows: Rows) -> None:
    """Show rows, and where the run is seen."""
    _show(record.name, rows, record)


def _show(title: str, rows: Rows, record: "RunRecorder") -> None:
    if output.hand_over(record.run_id):
        return
    more, page = page_rows(record)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, value in [*rows, *more]:
        table.add_row(name, value)
    console = Console(highlight=False)
    console.print(Panel(table, title=f"[bold]{title}[/]", title_align="left", box=box.ROUNDED, expand=False))
    console.print(f"  {page}", soft_wrap=True)  # alone on its line, so that a terminal makes it a link


def _show_claim(claim: Claim, evaluation: "AnyEvaluation") -> None:
    if not hasattr(evaluation.test, "accuracy"):
        return  # published figures are of classes
    table = Table(title="Claim against test split", caption=claim.source, box=box.SIMPLE_HEAD)
    for heading in ("", "claimed", "measured", "difference"):
        table.add_column(heading, justify="right")
    test = evaluation.test
    points = 100 * (test.accuracy - claim.accuracy)
    table.add_row("accuracy", f"{claim.accuracy:.2%}", f"{test.accuracy:.2%}", f"{points:+.2f} points")
    table.add_row("loss", f"{claim.loss:.4f}", f"{test.loss:.4f}", f"{test.loss - claim.loss:+.4f}")
    Console(highlight=False).print(table)


def _format_seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
