"""What makes samplers; `test_ask_tell.py` runs them all through one battery."""

import importlib.util

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.errors import BadSetting
from pipeline.search.samplers import SAMPLERS, SamplerTask, make_distribution, make_sampler
from pipeline.search.space import Dimension
from pipeline.settings.search import Sampler
from tests.search.test_ask_tell import SPACE, book


def test_distributions() -> None:
    assert [make_distribution(each) for each in SPACE.dimensions[:3]] == [
        IntDistribution(8, 64, log=True),
        CategoricalDistribution(("sgd", "adam")),
        FloatDistribution(0.05, 0.5, log=True),
    ]
    assert make_distribution(SPACE.dimensions[5]) == FloatDistribution(0.0, 0.5, step=0.25)
    assert make_distribution(Dimension(key="a", low=1, high=7, step=3, is_integer=True)) == IntDistribution(
        1, 7, step=3
    )


def test_a_grid_needs_an_end() -> None:
    with pytest.raises(
        BadSetting, match=r"^optimizer.learning_rate must have a finite number of values in a grid"
    ):
        make_sampler(Sampler.grid, SamplerTask(space=SPACE, seed=0))


def test_gp_needs_torch() -> None:
    if importlib.util.find_spec("torch") is not None:
        assert book(Sampler.gp).all_at_once(1)
        return
    with pytest.raises(BadSetting, match=r"^search.sampler=gp needs PyTorch.*; pip install torch, or use"):
        make_sampler(Sampler.gp, SamplerTask(space=SPACE, seed=0))


def test_every_sampler_of_the_settings_can_be_made() -> None:
    assert set(SAMPLERS) == set(Sampler)
