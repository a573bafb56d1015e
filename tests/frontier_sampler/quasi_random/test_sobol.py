"""The points are those of SciPy, to the last bit."""

import numpy as np
import pytest
from scipy.stats import qmc  # type: ignore[import-untyped]

from pipeline.frontier_sampler.quasi_random.sobol import DIRECTIONS, draw_points

OWN = 1 + len(DIRECTIONS.splitlines())
"""Dimensions without SciPy."""


@pytest.mark.parametrize("dimensions", [1, 2, 3, 7, OWN, OWN + 1])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_scrambled_points_are_those_of_scipy(dimensions: int, seed: int) -> None:
    expected = qmc.Sobol(dimensions, seed=seed).random_base2(9)
    assert np.array_equal(draw_points(dimensions, range(512), seed), expected)
    assert np.array_equal(draw_points(dimensions, [300, 0, 7], seed), expected[[300, 0, 7]])


@pytest.mark.parametrize("dimensions", [2, OWN, OWN + 1])
def test_a_generator_is_a_seed_and_without_one_nothing_is_scrambled(dimensions: int) -> None:
    expected = qmc.Sobol(dimensions, seed=np.random.default_rng([3, 4])).random_base2(6)
    assert np.array_equal(draw_points(dimensions, range(64), np.random.default_rng([3, 4])), expected)
    expected = qmc.Sobol(dimensions, scramble=False).random_base2(6)
    assert np.array_equal(draw_points(dimensions, range(64), None), expected)
