"""The Gaussian process against scikit-learn's own, and what its fit must find."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from pipeline.frontier_sampler.surrogate import (
    Kernel,
    Likelihood,
    Posterior,
    default_kernel,
    fit_kernel,
    make_ladder,
    spread_evenly,
)


def problem(rows: int, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    features = random.random((rows, width))
    return features, np.sin(6 * features[:, 0]) + 0.05 * random.normal(size=rows)


def test_the_posterior_is_that_of_scikit_learn() -> None:
    features, targets = problem(40)
    ours = Kernel(1.3, 0.02, (0.4, 2.0, 1.1))
    theirs = ConstantKernel(1.3) * Matern([0.4, 2.0, 1.1], nu=2.5) + WhiteKernel(0.02)
    process = GaussianProcessRegressor(theirs, alpha=1e-8, optimizer=None, normalize_y=True)
    process.fit(features, targets)
    unseen = np.random.default_rng(1).random((20, 3))
    mean, deviation = Posterior(ours, features, targets).predict(unseen)
    wanted, spread = process.predict(unseen, return_std=True)
    noise = 0.02 * targets.std() ** 2  # scikit-learn's deviation is that of an observation
    assert mean == pytest.approx(wanted, abs=1e-6)
    assert deviation == pytest.approx(np.sqrt(spread**2 - noise), abs=1e-5)


def test_the_likelihood_is_that_of_scikit_learn() -> None:
    features, targets = problem(40)
    logs = np.log([1.3, 0.4, 2.0, 1.1, 0.02])
    theirs = ConstantKernel() * Matern(np.ones(3), nu=2.5) + WhiteKernel()
    process = GaussianProcessRegressor(theirs, alpha=1e-8, optimizer=None).fit(features, targets)
    wanted, slopes = process.log_marginal_likelihood(logs, eval_gradient=True)
    found = Likelihood(features)(logs, targets)
    assert found[0] == pytest.approx(-wanted, rel=1e-9)
    assert found[1] == pytest.approx(-slopes, rel=1e-7)
    same = Likelihood(np.zeros((9, 2)))(np.log([1e12, 1.0, 1.0, 1e-12]), targets[:9])
    assert (same[0], *same[1]) == (np.inf, 0, 0, 0, 0), "nothing tells the rows apart"


def test_the_fit_finds_which_feature_matters_and_how_noisy_it_is() -> None:
    kernel = fit_kernel(*problem(100))
    assert kernel.lengths[0] < 0.3 * min(kernel.lengths[1:])
    assert 0.05**2 / 0.6 < kernel.noise < 5 * 0.05**2 / 0.4


def test_a_setting_that_few_points_show_to_be_idle_is_not_taken_for_idle() -> None:
    features, _ = problem(6)
    kernel = fit_kernel(features, features[:, 0])
    assert max(kernel.lengths) < 10, "with likelihood alone they run to their bound of 30"


def test_too_little_or_flat_data_gives_the_default() -> None:
    features, targets = problem(10)
    assert fit_kernel(features[:3], targets[:3]) == default_kernel(3)
    assert fit_kernel(features, np.ones(10)) == default_kernel(3)


@pytest.mark.parametrize(("low", "high"), [(1, 20), (1, 1), (3, 12), (5, 1000)])
def test_a_ladder_rises_from_end_to_end(low: int, high: int) -> None:
    rungs = make_ladder(low, high)
    assert (rungs[0], rungs[-1]) == (low, high)
    assert all(one < other for one, other in pairwise(rungs))
    assert len(rungs) < 12 + 4 * np.log(high / low)


@pytest.mark.parametrize(
    ("count", "limit", "places"), [(10, 4, [0, 3, 6, 9]), (3, 5, [0, 1, 2]), (1, 5, [0]), (0, 5, [])]
)
def test_a_selection_is_even_and_whole_where_there_are_few(count: int, limit: int, places: list[int]) -> None:
    assert spread_evenly(count, limit).tolist() == places
