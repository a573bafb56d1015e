"""Trials of Optuna as plain values: which study is one of curves, and on what scale."""

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from pipeline.frontier_sampler.history import TrialStatus
from pipeline.frontier_sampler.reading import (
    CurveScale,
    TrialReading,
    find_scale,
    make_curve_record,
    make_value_record,
    read_trial,
)


def read(values: list[float] | None, state: TrialState = TrialState.COMPLETE, **attrs: Any) -> TrialReading:
    trial = create_trial(
        state=state,
        values=values,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs=attrs,
    )
    reading = read_trial(trial)
    assert reading is not None
    return reading


@pytest.mark.parametrize(
    ("directions", "values", "scale"),
    [
        (["maximize", "minimize"], [0.9, 1.0], CurveScale(0, 1)),
        (["minimize", "maximize"], [1.0, 0.9], CurveScale(1, 0)),
        (["maximize", "minimize"], [97.0, 1.0], CurveScale(0, 1, 100.0)),
        (["maximize", "minimize"], [0.9, 0.0], None),
        (["maximize", "minimize"], [-3.0, 1.0], None),
        (["minimize", "minimize"], [0.1, 1.0], None),
        (["maximize"], [0.9], None),
    ],
)
def test_accuracy_against_cost_is_recognised(
    directions: list[str], values: list[float], scale: CurveScale | None
) -> None:
    study = optuna.create_study(directions=directions)
    assert find_scale(study, [read(values)]) == scale


def test_a_curve_record_has_shares_and_the_parameters_of_the_space_alone() -> None:
    reading = read([97.0, 2.0], curve=[[1, 1.0, 90.0], [2, 2.0, 97.0]])
    record = make_curve_record(reading, CurveScale(0, 1, 100.0), "epochs", ["x", "y"])
    assert record.curve == ((1, 1.0, 0.9), (2, 2.0, 0.97))
    assert record.params == {"x": 0.5}
    assert make_curve_record(reading, CurveScale(0, 1, 100.0), "epochs", ["y"]).params == {}


def test_losses_of_what_is_maximised_change_sign() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    assert make_value_record(read([3.0, 4.0]), study.directions, ["x"]).losses == (-3.0, 4.0)
    failed = make_value_record(read(None, TrialState.FAIL), study.directions, ["x"])
    assert (failed.losses, failed.status) == ((), TrialStatus.failed)


def test_a_curve_rises_by_its_epochs_from_the_first_one_on() -> None:
    reported = [[0, 0.1, 0.1], [2, 2.0, 0.7], [1, 1.0, 0.5], [2, 2.5, 0.8]]
    assert read([0.8, 2.5], curve=reported).rows == ((1, 1.0, 0.5), (2, 2.5, 0.8))


@pytest.mark.parametrize("reported", [[0.1, 0.2], "a curve", 5, {"a": 1}, [[1, None, 0.5]], [[1, 0.5]]])
def test_what_is_no_curve_is_refused_where_curves_count(reported: object) -> None:
    reading = read([0.9, 1.0], curve=reported)
    with pytest.raises(ValueError, match=r"got something else in trial -1; report .* or no attribute 'cur"):
        find_scale(optuna.create_study(directions=["maximize", "minimize"]), [reading])
    assert find_scale(optuna.create_study(directions=["minimize", "minimize"]), [reading]) is None
