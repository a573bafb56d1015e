"""What a training took, in rows: seconds, money, energy, privacy, and who else used the device."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from pipeline.cli.summary.rows import Rows, format_seconds
from pipeline.formatting import format_count, format_number, format_score
from pipeline.measures import Epoch, Seconds
from pipeline.settings.measuring import Price
from pipeline.trial.reports import TEST

if TYPE_CHECKING:
    from pipeline.tracking.run_recorder import RunRecorder
    from pipeline.training.train import Trained
    from pipeline.trial.loop_states import LoopTrained


def list_training(trained: "Trained", seconds: Seconds, record: "RunRecorder") -> Rows:
    """List what a training reached, what it cost, and what is no part of that cost."""
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
        f"{name} {format_seconds(value)}" for name, value in excluded_seconds.items() if value
    )
    last, chosen = trained.curve.last.number, trained.chosen_epoch.number
    kept = f"; the weights are those of epoch {chosen}" if chosen != last else ""
    return [
        (
            record.cost_metric,
            f"[bold]{format_seconds(cost)}[/] for {format_count(last, 'epoch')} of training{kept}",
        ),
        ("", f"[dim]not in it: {excluded}[/]"),
        *list_prices(trained.curve.last, trained.settings.price, trained.energy.watts),
        *list_privacy(trained.privacy.describe() if trained.privacy else ""),
        ("device", f"{trained.device} [dim]({trained.engine} loop{_format_measured(trained)})[/]"),
        *list_contention(trained.curve.epochs),
    ]


def _format_measured(trained: "Trained") -> str:
    """Return what was measured where `engine=auto` chose the loop by measurement."""
    from pipeline.models.architectures import architecture_of
    from pipeline.training import measured_engine

    if architecture_of(trained.settings.model).is_perceptron:
        return ""
    measured = measured_engine.describe_measured(trained.settings, trained.device, trained.engine)
    return f", measured: {measured}" if measured else ""


def list_loop(trained: "LoopTrained", price: Price, record: "RunRecorder") -> Rows:
    """List what a training loop of the user's own has come to."""
    curve, last, seconds = trained.curve, trained.curve.last, trained.seconds
    tested = "" if trained.test_accuracy is None else f", [bold]{format_score(trained.test_accuracy)}[/] test"
    others = {name: value for name, value in trained.numbers[-1].items() if name != TEST}
    cost = (
        f"[bold]{format_seconds(last.device_seconds)}[/] for {format_count(last.number, 'epoch')} of training"
    )
    left_out = f"[dim]not in it: {format_seconds(seconds.validate)} that were not to be counted[/]"
    return [
        ("accuracy", f"[bold]{format_score(last.validation_accuracy)}[/]{tested}"),
        *((escape(name), f"{value:.6g}") for name, value in others.items()),
        (record.cost_metric, cost),
        *([("", left_out)] if seconds.validate else []),
        *list_prices(last, price, trained.energy.watts),
        ("device", curve.device),
        *list_contention(curve.epochs),
    ]


def list_prices(last: Epoch, price: Price, power: float | None) -> Rows:
    """List money, energy and carbon dioxide of a training up to its last epoch, as far as they are known.

    `power`: mean watts of what was trained now.
    """
    money, currency = price.of(last.device_seconds), price.currency.upper()
    rows: Rows = []
    if money is not None:
        hourly = f"at {price.per_hour} {currency} an hour of one device"
        rows.append(("price", f"{format_number(money)} {currency} {hourly}"))
    if last.joules is not None:
        how = "; [yellow]an estimate, the device tells nothing[/]" if last.joules_estimated else ""
        watts = "" if power is None else f", {format_number(power)} W on average"
        rows.append(("energy", f"{format_number(last.joules)} J{watts}{how}"))
        carbon = price.weigh_carbon(last.joules)
        if carbon is not None:
            of = " of an estimate" if last.joules_estimated else ""
            rows.append(("carbon", f"{format_number(carbon)} g CO2 at {price.carbon:g} g a kWh{of}"))
    return rows


def list_privacy(line: str) -> Rows:
    """Return a row of what was spent of the privacy of the training rows, none where nobody counted."""
    return [("privacy", escape(line))] if line else []


def list_contention(epochs: Sequence[Epoch]) -> Rows:
    """Return a row where other processes used the device, none otherwise."""
    contended = sum(epoch.contended for epoch in epochs)
    if not contended:
        return []
    lost = epochs[-1].lost_seconds
    effect = (
        f"{format_seconds(lost)} that others took are not in the cost" if lost else "the cost may be too high"
    )
    return [
        (
            "contended",
            f"[yellow]others used the device in {contended} of {format_count(len(epochs), 'epoch')}; "
            f"{effect}[/]",
        )
    ]
