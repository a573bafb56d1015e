"""The epsilon of private steps, against `dp-accounting` called directly and against published values."""

import builtins
import logging
import math
from typing import Any

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from scipy import stats

from pipeline.errors import BadSetting
from pipeline.training.privacy import account
from pipeline.training.privacy.account import PrivacySpent, compute_epsilon, open_account, solve_noise
from tests.support import tiny


def test_epsilon_is_that_of_the_library_called_directly() -> None:
    direct = RdpAccountant()
    direct.compose(dp_event.PoissonSampledDpEvent(0.05, dp_event.GaussianDpEvent(1.3)), 320)
    fine = PLDAccountant().compose(dp_event.PoissonSampledDpEvent(0.05, dp_event.GaussianDpEvent(1.3)), 320)
    found, bound = compute_epsilon(1.3, 0.05, 320, 1e-5), fine.get_epsilon(1e-5)
    assert bound <= found < 1.01 * bound
    assert found < 0.92 * direct.get_epsilon(1e-5)


def test_one_draw_of_all_rows_is_the_gaussian_mechanism() -> None:
    """Exactly known: Balle and Wang 2018, arXiv 1805.06083, theorem 8."""
    noise, epsilon = 1.5, compute_epsilon(1.5, 1.0, 1, 1e-5)
    ends = (0.5 / noise - epsilon * noise, -0.5 / noise - epsilon * noise)
    delta = stats.norm.cdf(ends[0]) - math.exp(epsilon) * stats.norm.cdf(ends[1])
    assert delta == pytest.approx(1e-5, rel=0.02)


@pytest.mark.parametrize(("noise", "chance"), [(10.0, 1e-3), (0.3, 0.2)])
def test_where_no_distribution_helps_divergences_count(noise: float, chance: float) -> None:
    direct = RdpAccountant()
    direct.compose(dp_event.PoissonSampledDpEvent(chance, dp_event.GaussianDpEvent(noise)), 1000)
    assert compute_epsilon(noise, chance, 1000, 1e-5) == pytest.approx(direct.get_epsilon(1e-5), rel=1e-9)


def test_epsilon_keeps_to_the_published_value() -> None:
    """1.26 for q = 0.01, sigma = 4, 10,000 steps, delta = 1e-5 (Abadi et al. 2016, section 3.2)."""
    step = account._compose_step(4.0, 0.01)
    moments = np.min(10_000 * step.rdp + math.log(1e5) / (np.asarray(step.orders) - 1))
    assert moments == pytest.approx(1.26, abs=0.01)
    # The library turns divergences into an epsilon more tightly than they did.
    assert 0.7 < compute_epsilon(4.0, 0.01, 10_000, 1e-5) / moments < 1


def test_epochs_add_up_and_no_noise_is_no_privacy() -> None:
    settings = tiny.told("privacy=dp_sgd privacy.noise_multiplier=2 train.batch_size=4")
    opened = open_account(settings, 46)
    assert opened is not None
    assert opened.steps == 11
    spent = [opened.compute_epsilon(epochs) for epochs in range(4)]
    assert spent[0] == 0
    assert spent == sorted(spent)
    assert spent[3] == compute_epsilon(2.0, 4 / 46, 33, 1e-5)
    assert compute_epsilon(0.0, 0.1, 5, 1e-5) == math.inf
    assert open_account(tiny.told(), 46) is None


def test_orders_that_the_library_leaves_out_are_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    monkeypatch.setattr(logging.getLogger("absl"), "handlers", [handler])
    account._compose_step.cache_clear()
    compute_epsilon.cache_clear()
    assert compute_epsilon(1.158, 0.095026, 200, 1e-5) == pytest.approx(7.2, abs=0.1)
    assert not said
    logging.getLogger("absl").warning("heard")
    assert said


def test_noise_is_solved_for_an_epsilon_after_all_epochs() -> None:
    noise = solve_noise(3.0, 0.1, 50, 1e-5)
    assert 2.98 < compute_epsilon(noise, 0.1, 50, 1e-5) <= 3.0
    assert solve_noise(1e9, 0.1, 1, 1e-5) <= account.LEAST_NOISE
    much = solve_noise(1e4, 0.1, 50, 1e-5)
    assert 0.99e4 < compute_epsilon(much, 0.1, 50, 1e-5) <= 1e4
    opened = open_account(tiny.told("privacy=dp_sgd privacy.epsilon=2 train.epochs=3"), 46)
    assert opened is not None
    assert 1.98 < opened.compute_epsilon(3) <= 2.0
    with pytest.raises(BadSetting, match=r"^privacy\.epsilon must be more than .* got 1e-06; raise it"):
        solve_noise(1e-6, 1.0, 10**6, 1e-5)


def test_a_delta_that_lets_a_row_out_is_refused() -> None:
    with pytest.raises(
        BadSetting, match=r"^privacy\.delta must be below 1/46 .*; set privacy\.delta=0\.002$"
    ):
        open_account(tiny.told("privacy=dp_sgd privacy.delta=0.03"), 46)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("dp_accounting"):
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(
        BadSetting,
        match=r"^privacy=dp_sgd needs the package dp-accounting, got none; install it: pip install",
    ):
        open_account(tiny.told("privacy=dp_sgd"), 46)


@pytest.mark.parametrize(
    ("epsilon", "told"),
    [(2.9441, "2.95"), (2.94, "2.94"), (0.12301, "0.124"), (9.991, "10"), (1234.0, "1240")],
)
def test_a_promise_is_never_rounded_to_a_smaller_one(epsilon: float, told: str) -> None:
    spent = PrivacySpent(
        epsilon=epsilon,
        delta=1e-5,
        clip_norm=1.0,
        noise_multiplier=1.0,
        chance=0.1,
        steps=9,
        repeatable=True,
    )
    assert spent.describe().startswith(f"epsilon {told} for delta 1e-05")
