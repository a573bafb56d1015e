"""What training tells of any single row: the epsilon of its steps, by Google's `dp-accounting`.

Each step draws every row with the same chance, by itself (Poisson sampling), adds up gradients that are no
longer than the clip norm, and adds Gaussian noise. Two data sets are neighbours where one has one row more.
Two upper bounds are computed of such steps, and the smaller one counts. Renyi divergences (Mironov, Talwar
and Zhang 2019, arXiv 1908.10530) add up from step to step. The distribution of the privacy loss (Doroshenko,
Ghazi, Kamath, Kumar and Manurangsi 2022, arXiv 2207.04380), whose steps are convolved, is a tenth to a half
less where an epsilon is worth something; it is rounded up to a grid, which tells where losses are tiny.
"""

import decimal
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.errors import BadSetting
from pipeline.formatting import format_count
from pipeline.settings.privacy import DEFAULT_NOISE, FROM_SECRET, FROM_SEED, Privacy
from pipeline.settings.settings import Settings

LEAST_NOISE, MOST_NOISE = 0.01, 1e4
"""Multipliers between which the noise for an epsilon is sought."""
GRID = 1e-3
"""Distance of the losses that a distribution tells: a tenth of it takes ten times as long for 0.3 % less."""
MOST_SUMMED = 100.0
"""Epsilon by divergences above which no distribution is computed: that takes seconds, and protects nobody."""
CLOSE = 1e-3
"""Relative width at which the search for a noise multiplier ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySpent:
    """What a trained model has spent of the privacy of its training rows, and by which steps.

    `epsilon`, `delta`: the guarantee for any one row more or less; `chance`: of a row to be in a step.
    """

    epsilon: float
    delta: float
    clip_norm: float
    noise_multiplier: float
    chance: float
    steps: int
    repeatable: bool

    def describe(self) -> str:
        """Return it in a line; a promise is rounded to what it surely keeps."""
        return (
            f"epsilon {_round(self.epsilon, 3, decimal.ROUND_CEILING):g} for delta {self.delta:g}: "
            f"{format_count(self.steps, 'step')} with {100 * self.chance:.3g}% of the rows, "
            f"noise {self.noise_multiplier:.4g}, "
            f"clip norm {self.clip_norm:g}, {FROM_SEED if self.repeatable else FROM_SECRET}"
        )


@dataclass(frozen=True, slots=True)
class PrivacyAccount:
    """What the steps of one training spend.

    `noise`: multiplier; `chance`: of a row to be in a step; `steps`: of an epoch.
    """

    noise: float
    chance: float
    steps: int
    delta: float

    def compute_epsilon(self, epochs: int) -> float:
        """Compute the epsilon of `epochs` epochs from the first one on."""
        return compute_epsilon(self.noise, self.chance, epochs * self.steps, self.delta)


def open_account(settings: Settings, rows: int) -> PrivacyAccount | None:
    """Open the account of a training on `rows` rows; None without privacy.

    Raises:
        BadSetting: `dp-accounting` is not installed, delta is not below 1 / rows, or no noise keeps to
        epsilon.
    """
    privacy, batch = settings.privacy, settings.train.batch_size
    if not privacy.is_private:
        return None
    _import_accountant()
    if privacy.delta * rows >= 1:
        raise BadSetting(
            f"privacy.delta must be below 1/{rows} (training rows), got {privacy.delta:g}; "
            f"set privacy.delta={_round(0.1 / rows, 1, decimal.ROUND_FLOOR):g}"
        )
    steps, chance = rows // batch, batch / rows
    noise = _choose_noise(privacy, chance, steps * settings.train.epochs)
    return PrivacyAccount(noise, chance, steps, privacy.delta)


def sum_up(settings: Settings, rows: int, epochs: int) -> PrivacySpent | None:
    """Sum up what `epochs` epochs on `rows` rows have spent, all from the first on; None without privacy."""
    account = open_account(settings, rows)
    if account is None:
        return None
    return PrivacySpent(
        epsilon=account.compute_epsilon(epochs),
        delta=account.delta,
        clip_norm=settings.privacy.clip_norm,
        noise_multiplier=account.noise,
        chance=account.chance,
        steps=epochs * account.steps,
        repeatable=settings.privacy.repeatable,
    )


def _choose_noise(privacy: Privacy, chance: float, steps: int) -> float:
    """Return the noise multiplier, solved for `privacy.epsilon` after `steps` steps where that is set."""
    if privacy.epsilon is None:
        return DEFAULT_NOISE if privacy.noise_multiplier is None else privacy.noise_multiplier
    return solve_noise(privacy.epsilon, chance, steps, privacy.delta)


@lru_cache(maxsize=256)
def solve_noise(epsilon: float, chance: float, steps: int, delta: float) -> float:
    """Solve for the least noise multiplier, to a thousandth, whose steps spend no more than `epsilon`.

    Raises:
        BadSetting: no multiplier up to `MOST_NOISE` does.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    low, high = LEAST_NOISE, 1.0
    while _bound_by_divergences(high, chance, steps, delta) > epsilon:
        low, high = high, high * 2
        if high > MOST_NOISE:
            raise BadSetting(
                f"privacy.epsilon must be more than {format_count(steps, 'step')} can spend under any "
                f"noise, got {epsilon:g}; "
                "raise it, or set fewer train.epochs"
            )

    def exceed(logarithm: float) -> float:
        return math.log(min(1e12, compute_epsilon(math.exp(logarithm), chance, steps, delta)) / epsilon)

    while exceed(math.log(low)) <= 0:
        low, high = low / 2, low
        if low < LEAST_NOISE:
            return high
    noise = math.exp(brentq(exceed, math.log(low), math.log(high), xtol=CLOSE / 2))
    while noise < high and compute_epsilon(noise, chance, steps, delta) > epsilon:
        noise *= 1 + CLOSE / 2
    return float(min(noise, high))


@lru_cache(maxsize=4096)
def compute_epsilon(noise: float, chance: float, steps: int, delta: float) -> float:
    """Compute the epsilon of `steps` steps for `delta`; infinite without noise.

    `noise`: its deviation in clip norms; `chance`: of each row to be in a step.
    """
    if steps == 0:
        return 0.0
    if noise == 0:
        return math.inf
    epsilon = _bound_by_divergences(noise, chance, steps, delta)
    if epsilon > MOST_SUMMED:
        return epsilon
    losses = _distribute_step(noise, chance).self_compose(steps)
    return min(epsilon, float(losses.get_epsilon_for_delta(delta)))


@lru_cache(maxsize=64)
def _distribute_step(noise: float, chance: float) -> Any:
    """Return the distribution of the privacy loss of one step, whichever of the two data sets has the row."""
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(
        noise, value_discretization_interval=GRID, sampling_prob=min(chance, 1.0)
    )


@lru_cache(maxsize=1024)
def _compose_step(noise: float, chance: float) -> Any:
    """Return an accountant (not to be changed) that holds one step."""
    dp_event, accountant = _import_accountant()
    step = dp_event.GaussianDpEvent(noise)
    logger = logging.getLogger("absl")
    heard, logger.disabled = logger.disabled, True  # it warns of orders that it leaves out, which is safe
    try:
        return accountant().compose(dp_event.PoissonSampledDpEvent(chance, step) if chance < 1 else step)
    finally:
        logger.disabled = heard


def _bound_by_divergences(noise: float, chance: float, steps: int, delta: float) -> float:
    from dp_accounting.rdp import compute_epsilon as convert

    step = _compose_step(noise, chance)
    epsilon, _ = convert(step.orders, steps * step.rdp, delta)
    return float(epsilon)


def _import_accountant() -> tuple[Any, Callable[[], Any]]:
    """Import `dp-accounting`: its events, and what makes an accountant.

    Raises:
        BadSetting: it is not installed.
    """
    try:
        from dp_accounting import dp_event
        from dp_accounting.rdp import RdpAccountant
    except ImportError:
        raise BadSetting(
            "privacy=dp_sgd needs the package dp-accounting, got none; install it: "
            "pip install -r requirements-privacy.txt"
        ) from None
    return dp_event, RdpAccountant


def _round(value: float, digits: int, rounding: str) -> float:
    """Return a value with so many significant digits; `rounding`: as `decimal` calls the direction."""
    return float(decimal.Context(prec=digits, rounding=rounding).create_decimal(repr(value)))
