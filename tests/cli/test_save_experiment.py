"""A command line saved as an experiment is composed to the same settings again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli import save_experiment
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.addresses import CONF
from pipeline.settings.settings import flatten


@pytest.fixture
def saved(request: pytest.FixtureRequest, worker_id: str) -> Iterator[Path]:
    """A file of its own for every test and worker: they share one checkout."""
    path = CONF / "experiment" / f"saved_by_{request.node.name}_{worker_id}.yaml"
    yield path
    path.unlink(missing_ok=True)


def trial(settings: object) -> dict[str, object]:
    return {
        key: value
        for key, value in flatten(settings)
        if key.partition(".")[0] not in save_experiment.NOT_SAVED
    }


def test_an_experiment_saved_is_the_command_line_it_came_from(saved: Path) -> None:
    words = [
        "experiment=article",
        "train.batch_size=32",
        "optimizer.learning_rate=0.32",
        "schedule=warmup_linear",
        "preprocess.standardise=overall",
        "profile.runtime=litert",
        "engine=xla",
    ]
    command_line = compose(words)
    assert save_experiment.save(saved.stem, command_line, "by a test") == saved
    again = compose([f"experiment={saved.stem}"])
    assert trial(again.settings) == trial(command_line.settings)
    assert again.settings.claim is None
    with pytest.raises(BadSetting, match="must be a new name"):
        save_experiment.check_name(saved.stem)


def test_it_holds_what_differs_from_the_defaults_and_nothing_around_a_trial(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    words = ["model.hidden=7", "optimizer=sgd", "tracking.experiment=mine", "diagnose.steps=2", "data_dir=/d"]
    path = save_experiment.save("name", compose(words), "why", conf=tmp_path)
    assert path == tmp_path / "experiment" / "name.yaml"
    assert path.read_text() == (
        "# @package _global_\n# why\ndefaults:\n- override /optimizer: sgd\n- _self_\n"
        "model:\n  hidden: 7\noptimizer:\n  learning_rate: 0.05\n  momentum: 0.0\n  nesterov: false\n"
    )
