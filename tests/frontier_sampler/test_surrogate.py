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
    Trend,
    default_kernel,
    fit_kernel,
    make_ladder,
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
    found = Likelihood(features, targets)(logs)
    assert found[0] == pytest.approx(-wanted, rel=1e-9)
    assert found[1] == pytest.approx(-slopes, rel=1e-7)
    same = Likelihood(np.zeros((9, 2)), targets[:9])(np.log([1e12, 1.0, 1.0, 1e-12]))
    assert (same[0], *same[1]) == (np.inf, 0, 0, 0, 0), "nothing tells the rows apart"


def test_a_grid_is_every_row_with_every_last_value() -> None:
    features, targets = problem(30)
    posterior = Posterior(default_kernel(3), features, targets)
    settings, last = features[:5, :2], np.array([0.1, 0.5, 0.9])
    mean, deviation = posterior.predict_grid(settings, last)
    rows = np.concatenate([np.repeat(settings, 3, axis=0), np.tile(last, 5)[:, None]], axis=1)
    flat_mean, flat_deviation = posterior.predict(rows)
    assert mean.ravel() == pytest.approx(flat_mean)
    assert deviation.ravel() == pytest.approx(flat_deviation, rel=1e-6)


def test_the_fit_finds_which_feature_matters_and_how_noisy_it_is() -> None:
    kernel = fit_kernel(*problem(100))
    assert kernel.lengths[0] < 0.3 * min(kernel.lengths[1:])
    assert 0.05**2 / 0.6 < kernel.noise < 5 * 0.05**2 / 0.4


def test_too_little_or_flat_data_gives_the_default() -> None:
    features, targets = problem(10)
    assert fit_kernel(features[:3], targets[:3]) == default_kernel(3)
    assert fit_kernel(features, np.ones(10)) == default_kernel(3)


def test_a_trend_goes_on_outside_of_what_was_seen() -> None:
    features = np.linspace(0, 0.5, 20)[:, None]
    trend = Trend(
        Kernel(0.1, 0.01, (0.3,)), features, np.stack([4 * features[:, 0], -features[:, 0]], axis=1)
    )
    assert trend.predict(np.array([[1.0]]))[0] == pytest.approx([4, -1], rel=0.15)


@pytest.mark.parametrize(("low", "high"), [(1, 20), (1, 1), (3, 12), (5, 1000)])
def test_a_ladder_rises_from_end_to_end(low: int, high: int) -> None:
    rungs = make_ladder(low, high)
    assert (rungs[0], rungs[-1]) == (low, high)
    assert all(one < other for one, other in pairwise(rungs))
    assert len(rungs) < 12 + 4 * np.log(high / low)
