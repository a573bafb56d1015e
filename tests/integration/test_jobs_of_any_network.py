"""Jobs of a search, for every kind of network and sample."""

from pathlib import Path

import pytest

from pipeline.cli.compose import compose
from pipeline.data.preprocess import describe_data_settings
from pipeline.models import keras_models
from pipeline.search.workers.job import Job, Limits, TrialOutcome
from pipeline.search.workers.job_kinds import run_job
from pipeline.settings.settings import Settings
from tests.support import places, tiny

DATA = tiny.prepared(120, shape=(6, 5))


@pytest.mark.parametrize(
    "words",
    [
        "model.layers=2",
        "model=cnn model.filters=4",
        "model=custom model.build=tests.support.my_models:build",  # its running means are no parameters
    ],
)
def test_parameters_are_those_that_profile_counts(words: str) -> None:
    settings = tiny.told(words)
    built = keras_models.build_model(settings, DATA)
    told = sum(int(weights.shape.num_elements()) for weights in built.trainable_weights)
    assert keras_models.count_parameters(settings, DATA) == told


def texts(folder: Path, *words: str) -> Settings:
    root = folder / "data"
    if not root.exists():
        places.text_folder(root)
    base = ["data=text_folder", f"data.path={root}", f"cache_dir={folder / 'cache'}", "device=cpu"]
    return compose([*base, "train.batch_size=4", "train.epochs=2", *words]).settings


def test_another_form_of_the_same_texts_is_another_preparation(tmp_path: Path) -> None:
    counts, same, tokens = (
        describe_data_settings(texts(tmp_path, *words)) for words in ([], ["model.hidden=3"], ["model=text"])
    )
    assert counts == same != tokens


@pytest.mark.parametrize("model", ["mlp", "text"])
def test_texts_are_searched_as_any_other_data(tmp_path: Path, model: str) -> None:
    """Latency and test accuracy are asked of the whole model, which answers to texts."""
    settings = texts(tmp_path, f"model={model}", "model.hidden=4", "profile.repeats=10", "profile.warmup=1")
    job = Job(
        number=0,
        settings=settings,
        checkpoint=tmp_path / "state.npz",
        limits=Limits(max_latency_ms=1e9),
        read_test=True,
    )
    *epochs, ended = run_job(job, lambda: ())
    assert isinstance(ended, TrialOutcome)
    assert (ended.status, len(epochs)) == ("complete", 2)
    assert ended.latency_p99_ms is not None
    assert ended.latency_p99_ms > 0
    assert ended.test_accuracy is not None
    *_, again = run_job(job, lambda: ())
    assert isinstance(again, TrialOutcome)
    assert again.curve == ended.curve  # from the checkpoint
