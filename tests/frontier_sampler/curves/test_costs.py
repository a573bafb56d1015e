"""What epochs are expected to cost: measured, as others do, or as a line goes on."""

import numpy as np
import pytest

from pipeline.frontier_sampler.curves.costs import CostModel, Trend
from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.history import Curve, Fidelity, History, TrialRecord, TrialStatus
from pipeline.frontier_sampler.surrogate import Kernel

SPACE = EncodedSpace([Parameter("x", Numeric(0.0, 1.0))])
EPOCHS = Fidelity(1, 50, chosen=True)


def predict_ends(*curves: Curve) -> list[float]:
    """Predict the device-seconds of configurations at their last epoch."""
    history = History(SPACE, EPOCHS)
    history.add_trials(
        TrialRecord(number=number, params={"x": number / 8}, status=TrialStatus.finished, curve=curve)
        for number, curve in enumerate(curves)
    )
    configurations = history.list_observed()
    model = CostModel(configurations, None)
    model.condition(model.fit())
    features = np.array([each.features for each in configurations])
    ends: list[float] = model.predict(configurations, features, np.array([50]))[:, 0].tolist()
    return ends


def make_curve(*seconds: float) -> Curve:
    return tuple((epoch, paid, 0.5) for epoch, paid in enumerate(seconds, 1))


def test_what_stood_still_for_an_epoch_is_not_free_from_there_on() -> None:
    still, short = make_curve(2.0, 2.0), make_curve(2.0)
    assert min(predict_ends(still, short, still, short)) > 2 + 49 * 2.0 * 0.3


def test_what_was_measured_for_long_is_believed() -> None:
    half = make_curve(*(1 + 0.5 * epoch for epoch in range(40)))
    assert predict_ends(half, half, half, half)[0] == pytest.approx(1 + 0.5 * 49, rel=0.03)


def test_a_curve_that_begins_late_costs_an_average_epoch_until_there() -> None:
    late: Curve = ((5, 10.0, 0.5),)
    assert predict_ends(late, late, late, late)[0] == pytest.approx(100.0, rel=1e-6)


def test_a_trend_goes_on_outside_of_what_was_seen() -> None:
    features = np.linspace(0, 0.5, 20)[:, None]
    trend = Trend(
        Kernel(0.1, 0.01, (0.3,)), features, np.stack([4 * features[:, 0], -features[:, 0]], axis=1)
    )
    assert trend.predict(np.array([[1.0]]))[0] == pytest.approx([4, -1], rel=0.15)
