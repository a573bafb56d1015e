"""Schedules of the learning rate, by hand."""

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.optimizer import Constant, Cosine, Schedule, WarmupLinear
from pipeline.training.schedules import learning_rates


def test_constant_never_changes() -> None:
    assert set(learning_rates(Constant(), 0.3, 5)) == {0.3}


def test_cosine_goes_half_a_wave_down() -> None:
    rates = learning_rates(Cosine(final=0.1), 2.0, 1000)
    assert rates[0] == 2.0
    assert rates[500] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert 0.2 < rates[-1] < 0.2001
    assert (np.diff(rates) < 0).all()


def test_warm_up_rises_then_falls() -> None:
    rates = learning_rates(WarmupLinear(warmup=0.25, final=0.0), 1.0, 8)
    np.testing.assert_allclose(rates, [1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_no_warm_up_starts_at_the_peak() -> None:
    rates = learning_rates(WarmupLinear(warmup=0.0, final=0.5), 1.0, 4)
    np.testing.assert_allclose(rates, [1, 0.875, 0.75, 0.625])


def test_a_warm_up_over_every_step_has_no_fall() -> None:
    np.testing.assert_allclose(learning_rates(WarmupLinear(0.99, 0.0), 1.0, 4), [1 / 4, 2 / 4, 3 / 4, 1])


@pytest.mark.parametrize("option", [option_name(kind) for kind in kinds_of(Schedule)])
def test_every_schedule_gives_each_step_a_rate_up_to_the_highest(option: str) -> None:
    schedule = compose([f"schedule={option}"]).settings.schedule
    for steps in (1, 2, 50):
        rates = learning_rates(schedule, 0.5, steps)
        assert rates.shape == (steps,)
        assert ((rates >= 0) & (rates <= 0.5)).all()
        assert rates.max() > 0
