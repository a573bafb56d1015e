"""One moment of a study: whose points are the frontier."""

from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.forecast import Forecast, fit_kernels
from pipeline.frontier_sampler.history import (
    Curve,
    Fidelity,
    History,
    TrialRecord,
    TrialStatus,
)

SPACE = EncodedSpace([Parameter("x", Numeric(0.0, 1.0))])
EPOCHS = Fidelity(1, 4, chosen=True)


def make_forecast(curves: dict[float, Curve]) -> Forecast:
    history = History(SPACE, EPOCHS)
    history.add_trials(
        TrialRecord(number=number, params={"x": x}, status=TrialStatus.finished, curve=curve)
        for number, (x, curve) in enumerate(curves.items())
    )
    return Forecast(history, [], fit_kernels(history, None))


def test_members_are_those_with_any_point_on_the_frontier() -> None:
    found = make_forecast(
        {
            0.1: ((1, 1.0, 0.5), (2, 2.0, 0.51)),  # its first epoch is the cheapest point
            0.5: ((1, 1.5, 0.4), (2, 3.0, 0.45)),
            0.9: ((1, 1.8, 0.6), (2, 3.6, 0.9)),
        }
    )
    assert [member.params["x"] for member in found.members] == [0.1, 0.9]
