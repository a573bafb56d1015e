"""Optuna's own suites for samplers, run against ours."""

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from pipeline.frontier_sampler.sampler import FrontierSampler


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.filterwarnings("ignore:FrontierSampler repeats")
class TestFrontierSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """All cases of all three suites."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Make the sampler as anyone would."""
        return lambda: FrontierSampler(seed=0)
