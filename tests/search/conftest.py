"""A sweep of each test's own study, in one storage."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli.compose import compose
from pipeline.search.space import SearchSpace
from pipeline.search.study_store import StudyStore
from pipeline.search.sweep import Sweep
from pipeline.search.sweep_spec import SweepSpec
from tests.support.sweeps import BASE, SPACE, Observer, Pool, Scene, composed


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One storage for all: creating its tables takes longer than a search."""
    return f"sqlite:///{tmp_path_factory.mktemp('studies') / 'studies.db'}"


@pytest.fixture
def scene(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Scene]:
    """A search of this test's study, with words on top; called again: another start of the same."""

    def make(*words: str, space: SearchSpace = SPACE, pool: Pool | None = None, study: str = "") -> Scene:
        told = compose(["search=smoke", "search.sampler=random", *BASE, *words])
        about = told.settings.search.describe_objectives() or None
        store = StudyStore(address, study or request.node.name, about)
        spec = SweepSpec(command_line=told, fixed=BASE, space=space, compose=composed, checkpoints=tmp_path)
        pool, observer = pool or Pool(), Observer()
        return Scene(Sweep(spec, None, store, pool, observer), pool, observer, store)

    return make
