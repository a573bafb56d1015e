"""What epochs are expected to cost: measured, as others do, or as a line goes on."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.frontier_sampler.curves.costs import CostModel, Work
from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter, Params, make_key
from pipeline.frontier_sampler.history import (
    Configuration,
    Curve,
    Fidelity,
    History,
    TrialRecord,
    TrialStatus,
)

Array = NDArray[np.float64]

SPACE = EncodedSpace([Parameter("x", Numeric(0.0, 1.0))])
EPOCHS = Fidelity(1, 50, chosen=True)


def predict_in(
    space: EncodedSpace,
    curves: Sequence[tuple[Params, Curve]],
    wanted: Sequence[Params],
    work: Work | None = None,
) -> Array:
    """Predict device-seconds [wanted, rungs] of configurations, from the curves of these or of others."""
    history = History(space, EPOCHS)
    history.add_trials(
        TrialRecord(number=number, params=params, status=TrialStatus.finished, curve=curve)
        for number, (params, curve) in enumerate(curves)
    )
    model = CostModel(history.list_observed(), work, EPOCHS)
    model.condition(model.fit())
    features = space.encode_features(wanted)
    candidates = [
        history.configurations.get(make_key(params))
        or Configuration(key=make_key(params), params=params, first=len(curves), features=row)
        for params, row in zip(wanted, features, strict=True)
    ]
    return model.predict(candidates, features)


def predict(
    curves: Sequence[tuple[float, Curve]], wanted: Sequence[float], work: Work | None = None
) -> Array:
    """Predict where there is one setting x."""
    return predict_in(SPACE, [({"x": x}, curve) for x, curve in curves], [{"x": x} for x in wanted], work)


def predict_ends(*curves: Curve) -> list[float]:
    """Predict the device-seconds of the configurations of these curves at their last epoch."""
    places = [number / 8 for number in range(len(curves))]
    ends: list[float] = predict(list(zip(places, curves, strict=True)), places)[:, -1].tolist()
    return ends


def make_curve(*seconds: float) -> Curve:
    return tuple((epoch, paid, 0.5) for epoch, paid in enumerate(seconds, 1))


def test_what_stood_still_for_an_epoch_is_not_free_from_there_on() -> None:
    still, short = make_curve(2.0, 2.0), make_curve(2.0)
    assert min(predict_ends(still, short, still, short)) > 2 + 49 * 2.0 * 0.3


def test_what_was_measured_for_long_is_believed() -> None:
    half = make_curve(*(1 + 0.5 * epoch for epoch in range(40)))
    assert predict_ends(half, half, half, half)[0] == pytest.approx(1 + 0.5 * 49, rel=0.03)


def test_a_curve_that_begins_late_costs_as_much_an_epoch_later() -> None:
    late: Curve = ((5, 10.0, 0.5),)
    assert predict_ends(late, late, late, late)[0] == pytest.approx(100.0, rel=0.25)


def test_costs_that_bend_are_learned_from_long_curves() -> None:
    bent = make_curve(*(3 * epoch**0.6 for epoch in range(1, 41)))
    curves = [(x, bent) for x in (0.0, 0.3, 0.6, 0.9)] + [(x, bent[:1]) for x in (0.1, 0.4, 0.7)]
    new, begun = predict(curves, [0.5, 0.4])[:, -1]
    assert [new, begun] == pytest.approx([3 * 50**0.6] * 2, rel=0.15)


def test_what_others_measured_is_expected_of_a_neighbour_and_a_trend_goes_on() -> None:
    curves = [(x, make_curve(math.exp(2 * x))) for x in np.linspace(0, 0.6, 13).tolist()]
    near, far = predict(curves, [0.31, 1.0])[:, 0]
    assert near == pytest.approx(math.exp(0.62), rel=0.02)
    assert 0.6 * math.exp(2) < far < 1.2 * math.exp(2)


@pytest.mark.parametrize("seed", range(4))
def test_many_short_trials_in_a_cheap_corner_promise_no_hundredfold_price_elsewhere(seed: int) -> None:
    """Costs fall steeply into one corner, and rise less than in proportion to the epochs."""
    space = EncodedSpace([Parameter(f"x{place}", Numeric(0.0, 1.0)) for place in range(4)])
    random = np.random.default_rng(seed)

    def compute_cost(at: Array, epoch: int) -> float:
        corner = math.exp(-8 * ((at - 1) ** 2).sum())
        return 3 * epoch**0.65 * math.exp(-6 * corner)

    def name(at: Array) -> dict[str, float]:
        return {f"x{place}": value for place, value in enumerate(at.tolist())}

    spread, crowd, new = random.random((8, 4)), 1 - 0.12 * random.random((48, 4)), random.random((64, 4))
    curves = [
        (name(at), make_curve(*(compute_cost(at, epoch) for epoch in range(1, (2, 2, 3, 5)[number % 4]))))
        for number, at in enumerate([*spread, *crowd])
    ]
    expected = predict_in(space, curves, [name(at) for at in new])[:, -1]
    off = np.log(expected / np.array([compute_cost(at, 50) for at in new]))
    assert np.abs(off).max() < math.log(4)
    assert off.std() < 0.5


def test_no_later_epoch_is_cheaper() -> None:
    curves = [(0.1, make_curve(5.0)), (0.2, make_curve(1.0, 1.1)), (0.8, make_curve(2.0, 2.0, 2.0))]
    seconds = predict(curves, [0.1, 0.2, 0.3, 0.8, 0.9])
    assert (np.diff(seconds, axis=1) >= 0).all()


def test_work_that_is_known_carries_far() -> None:
    def compute_work(params: Mapping[str, object]) -> list[float]:
        return [math.exp(5 * float(str(params["x"])))]

    curves = [(x, make_curve(0.01 * math.exp(5 * x))) for x in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)]
    known = predict(curves, [0.9], compute_work)[0, 0]
    assert known == pytest.approx(0.01 * math.exp(4.5), rel=0.1)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 64).map(lambda step: step / 64),
            st.lists(st.floats(0.0, 1e6), min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda pair: pair[0],
    )
)
def test_whatever_was_measured_costs_are_finite_and_rise(measured: list[tuple[float, list[float]]]) -> None:
    curves = [(x, make_curve(*np.cumsum(seconds).tolist())) for x, seconds in measured]
    seconds = predict(curves, [0.0, 0.5, 1.0])
    assert np.isfinite(seconds).all()
    assert (seconds > 0).all()
    assert (np.diff(seconds, axis=1) >= -1e-9 * seconds[:, 1:]).all()
