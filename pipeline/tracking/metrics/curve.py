"""The curve of a training as metrics, by epoch and by cost; of a trial of a study, all that came out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.measures import Epoch
from pipeline.settings.measuring import Price
from pipeline.settings.searching.measures import Measure
from pipeline.settings.searching.objectives import EPSILON, OBJECTIVES
from pipeline.tracking import shared_views
from pipeline.tracking.metrics.names import name_energy

if TYPE_CHECKING:
    from pipeline.search.workers.job import TrialOutcome

PARAMETERS = OBJECTIVES["parameters"].metric
Steps = Iterator[tuple[int, dict[str, float | None]]]
"""A step, and metrics of that step."""


def list_epoch_metrics(epoch: Epoch, cost_metric: str, measure: Measure) -> Steps:
    """Yield a point of the curve by epoch, and once more by device-milliseconds."""
    yield (
        epoch.number,
        {
            "train/loss": epoch.train_loss,
            "train/validation_loss": epoch.validation_loss,
            f"train/validation_{measure.metric}": epoch.validation_accuracy,
            cost_metric: epoch.device_seconds,
        },
    )
    at_ms = shared_views.round_to_units(epoch.device_seconds, shared_views.MILLISECONDS)
    yield at_ms, {shared_views.make_curves_metric(measure): epoch.validation_accuracy}


def make_kept_metric(measure: Measure) -> str:
    """Make the name of the accuracy of the weights that count after an epoch, where some are earlier ones."""
    return f"train/kept_validation_{measure.metric}"


def list_trial_metrics(
    outcome: "TrialOutcome", cost_metric: str, measure: Measure, unit: tuple[str, float], price: Price
) -> Steps:
    """Yield all that came out of a trial; `unit`: name and size of the steps of the cost axis."""
    for epoch in outcome.curve.epochs if outcome.curve else ():
        yield from list_epoch_metrics(epoch, cost_metric, measure)
        if EPSILON not in outcome.further:  # which are added below
            yield epoch.number, {EPSILON: epoch.epsilon}
    for number, state in enumerate(outcome.states, start=1):
        yield number, {make_kept_metric(measure): state.accuracy}
    if outcome.curve and outcome.chosen_epoch:
        last, chosen = outcome.curve.last, outcome.chosen_epoch
        yield chosen.number, {measure.metric: chosen.validation_accuracy}
        dot = shared_views.make_cost_metric(cost_metric, unit, measure)
        yield shared_views.round_to_units(last.device_seconds, unit), {dot: chosen.validation_accuracy}
        by_epoch = {OBJECTIVES[name].metric for name in outcome.further}  # which are added below
        energy = name_energy(last.joules, last.joules_estimated, price)
        yield last.number, {name: value for name, value in energy.items() if name not in by_epoch}
        costs = {f"cost_{price.currency}": price.of(last.device_seconds)}
        yield 0, {**costs, "seconds/overhead": outcome.overhead_seconds}
    if outcome.curve or outcome.paid_seconds:
        yield 0, {"paid_device_seconds": outcome.paid_seconds}
    names = ("input", "compile", "warm_up", "train", "validate")
    yield 0, {f"seconds/{name}": getattr(outcome.seconds, name) for name in names}
    yield (
        0,
        {
            PARAMETERS: outcome.parameters,
            "profile/latency_p99_ms": outcome.latency_p99_ms,
            f"evaluate/test_{measure.metric}": outcome.test_accuracy,
            "unshifted_accuracy": outcome.unshifted_accuracy,
        },
    )
    yield from _list_further(outcome)


def _list_further(outcome: "TrialOutcome") -> Steps:
    """Yield what else a loop of the user's own has reported, and the further objectives."""
    for name, pairs in outcome.metrics.items():
        for step, value in pairs:
            yield step, {name: value}
    for name, values in outcome.further.items():
        kind = OBJECTIVES[name]
        if kind.metric == PARAMETERS and outcome.parameters is not None:  # which are listed anyway
            continue
        # A loop of the user's own reports one after each epoch, a network has one before it is trained.
        for step, value in enumerate(values, start=int(kind.is_by_epoch or len(values) > 1)):
            yield step, {kind.metric: value / kind.scale}
