"""The chance of feasibility follows constraint values, and is 1 where none was ever broken."""

import numpy as np
import pytest

from pipeline.frontier_sampler.constraints import FeasibilityModel, fit_constraints, scale_constraint

FEATURES = np.linspace(0, 1, 21)[:, None]


def predict(constraints: list[dict[str, float]], features: np.ndarray) -> np.ndarray:
    return FeasibilityModel(fit_constraints(FEATURES, constraints), FEATURES, constraints).predict(features)


def test_the_chance_falls_where_a_limit_is_broken() -> None:
    chance = predict([{"size": 1000 * (x - 0.5)} for x in FEATURES[:, 0]], np.array([[0.1], [0.5], [0.9]]))
    assert chance[0] > 0.95
    assert 0.2 < chance[1] < 0.8
    assert chance[2] < 0.05


def test_all_constraints_count() -> None:
    constraints = [{"small": x - 0.6, "large": 0.4 - x} for x in FEATURES[:, 0]]
    chance = predict(constraints, np.array([[0.1], [0.5], [0.9]]))
    assert chance[1] > 0.5 > max(chance[0], chance[2])


def test_without_a_broken_limit_all_is_feasible() -> None:
    assert predict([{"size": -1.0}] * 21, FEATURES) == pytest.approx(1)
    assert predict([{}] * 21, FEATURES) == pytest.approx(1)


def test_scaling_keeps_signs_and_clips() -> None:
    assert scale_constraint(np.array([-1e9, -2.0, 0.0, 2.0, np.inf])).tolist() == [-3.0, -1.0, 0.0, 1.0, 3.0]
