"""Every kind of model: built, trained for an epoch, shrunk to one unit."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared
from pipeline.data.preprocess import preprocess
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.models.predictor import make_predictor
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.model import Model
from pipeline.settings.settings import Settings
from pipeline.training.train import train
from tests.support import places, tiny

IMAGES = tiny.prepared(40, shape=(6, 5))
WORDS = {"custom": ["model.build=tests.support.my_models:build"]}
"""What a kind needs beside its name."""


@pytest.fixture(params=[option_name(kind) for kind in kinds_of(Model)])
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, Prepared]:
    words = [f"model={request.param}", *WORDS.get(request.param, []), f"cache_dir={tmp_path}"]
    settings = compose([*words, "train.batch_size=8", "train.epochs=1", "device=cpu"]).settings
    if not settings.model.reads_tokens:
        return settings, IMAGES
    texts = replace(settings, data=places.texts(places.text_folder(tmp_path / "texts")))
    return texts, preprocess(texts)


def test_every_kind_learns_and_answers(ready: tuple[Settings, Prepared]) -> None:
    settings, prepared = ready
    *_, trained = train(prepared, settings)
    answers = make_predictor(trained.build_model())(prepared.test.samples)
    assert answers.shape == (len(prepared.test.labels), len(prepared.classes))
    np.testing.assert_allclose(answers.sum(1), 1, rtol=1e-3)


def test_every_kind_has_a_width_and_a_twin_of_one_unit(ready: tuple[Settings, Prepared]) -> None:
    settings, prepared = ready
    architecture = architecture_of(settings.model)
    assert architecture.width_key in {field.name for field in fields(settings.model)}
    assert architecture.smallest_halved > 1
    assert architecture.compute_relative_work(20, 1, 30, 3) > architecture.compute_relative_work(10, 1, 30, 3)
    small = replace(settings, model=architecture.shrink_to_one_unit(settings.model))
    assert keras_models.count_parameters(small, prepared) < keras_models.count_parameters(settings, prepared)
