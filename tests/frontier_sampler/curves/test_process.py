"""The process of curves: a grid of settings and epochs, and how much surer it is of the first epoch."""

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from pipeline.frontier_sampler import surrogate
from pipeline.frontier_sampler.curves.process import (
    END_DEVIATION,
    CurveKernel,
    CurveProcess,
    GridExpectations,
    fit_curve_kernel,
    make_grid,
)
from pipeline.frontier_sampler.surrogate import Kernel

KERNEL = CurveKernel(Kernel(0.3, 0.01, (0.4, 0.8, 0.6)), growth=1.5)


def draw_curves(rows: int, growth: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw features [n, 3] and log errors [n] that differ by 0.2 after an epoch, and grow from there."""
    draw = np.random.default_rng(0)
    features = make_grid(draw.random((rows, 2)), np.array([0.0, 0.4, 1.0]))
    level = np.sin(5 * features[:, 0]) + 0.5 * np.sin(7 * features[:, 1] + 3 * features[:, 2])
    return features, 0.2 * level * (1 + growth * features[:, 2])


def test_a_grid_is_every_row_at_every_epoch() -> None:
    features, targets = draw_curves(10, 1.0)
    process = CurveProcess(KERNEL, features, targets)
    settings, later = np.array([[0.1, 0.2], [0.9, 0.4]]), np.array([0.1, 0.5, 0.9])
    mean, deviation = process.predict_grid(settings, later)
    for row, column in ((0, 0), (1, 2)):
        one = process.predict_grid(settings[row : row + 1], later[column : column + 1])
        assert mean[row, column] == pytest.approx(one[0][0, 0])
        assert deviation[row, column] == pytest.approx(one[1][0, 0])
    covariance = process.cover_rungs(settings, later)
    assert np.sqrt(np.einsum("ikk->ik", covariance)) == pytest.approx(deviation, rel=1e-6)


def test_what_is_far_from_all_data_differs_more_the_later_it_is() -> None:
    features, targets = draw_curves(1, 1.0)
    process = CurveProcess(KERNEL, features, targets)
    _, deviation = process.predict_grid(np.array([[40.0, 40.0]]), np.array([0.0, 1.0]))
    assert deviation[0] == pytest.approx(math.sqrt(0.3) * np.array([1.0, 2.5]))


def test_growth_is_learned_where_ends_are_known() -> None:
    growing, even = (fit_curve_kernel(*draw_curves(25, growth)).growth for growth in (4.0, 0.0))
    assert growing > 1.5
    assert even < 0.5


def test_where_no_end_is_known_it_is_believed_to_differ_as_ends_do() -> None:
    features, targets = draw_curves(12, 0.0)
    first = features[:, 2] == 0
    alike = 0.05 * targets[first]
    kernel = fit_curve_kernel(features[first], alike)
    end = math.sqrt(kernel.levels.amplitude) * (1 + kernel.growth)
    assert end > 8 * alike.std(), "what is nearly alike after an epoch need not be so at the end"
    unknown = fit_curve_kernel(features[:3], targets[:3])
    assert math.sqrt(unknown.levels.amplitude) * (1 + unknown.growth) == pytest.approx(END_DEVIATION)


def test_the_slopes_of_the_loss_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(compute_loss, belief):  # type: ignore[no-untyped-def]
        logs = np.log(belief.medians) + 0.1
        slopes = approx_fprime(logs, lambda other: compute_loss(other)[0], 1e-6)
        assert compute_loss(logs)[1] == pytest.approx(slopes, abs=1e-3)
        return logs

    monkeypatch.setattr(surrogate, "minimize_loss", check)
    fit_curve_kernel(*draw_curves(8, 1.0))


def test_what_is_expected_makes_surer_as_new_data_would() -> None:
    features, targets = draw_curves(10, 1.0)
    settings, later = np.random.default_rng(1).random((5, 2)), np.array([0.0, 0.5, 1.0])
    process = CurveProcess(KERNEL, features, targets)
    mean, deviation = process.predict_grid(settings, later)
    expectations = GridExpectations(process, settings, later, 2)
    assert np.allclose(expectations.deviation, deviation)
    for row, column in ((1, 2), (4, 0)):
        expectations.expect(row, column)
        features = np.concatenate([features, [[*settings[row], later[column]]]])
        targets = np.append(targets, mean[row, column])
    again = CurveProcess(KERNEL, features, targets).predict_grid(settings, later)[1]
    assert np.allclose(expectations.deviation, again, atol=1e-6)
    assert (expectations.deviation < deviation).all()
