"""A model that is evaluated on other data is attacked by what its own front end makes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.prepared import Prepared, Scaling
from pipeline.data.preprocess import preprocess
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.model_view import see_as_model
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.settings.settings import Settings
from tests.support import tiny


def write_table(path: Path, seed: int, wide: float, towns: list[str]) -> tuple[Prepared, Settings]:
    draw, lines = np.random.default_rng(seed), ["size,town,kind"]
    for row in range(200):
        size = wide * draw.normal()
        lines.append(f"{size:.4f},{towns[row % len(towns)]},{'large' if size > 0 else 'small'}")
    path.write_text("\n".join(lines))
    attack = "evaluate.attack=fgsm evaluate.attack_epsilon=0"
    words = f"data=csv data.path={path} data.label=kind {attack} cache_dir={path.parent / 'cache'}"
    settings = compose(words.split()).settings
    return preprocess(settings), settings


def test_an_attack_of_no_length_leaves_the_accuracy_whatever_data_it_is_of(tmp_path: Path) -> None:
    trained, settings = write_table(tmp_path / "a.csv", 1, 1.0, ["rome", "york"])
    other, _ = write_table(tmp_path / "b.csv", 2, 7.0, ["bonn", "rome", "oslo"])
    model = keras_models.build_model(settings, trained)
    viewed = see_as_model(model, trained.front, other)
    assert viewed.shape == trained.shape != other.shape
    np.testing.assert_array_equal(viewed.scaling.std, trained.scaling.std)
    assert see_as_model(model, trained.front, trained).train.features is trained.train.features
    found = evaluate(make_predictor(model), viewed, settings, model)
    assert isinstance(found, Evaluation)
    assert found.attacked is not None
    assert found.attacked.validation.value == pytest.approx(found.validation.accuracy)
    assert found.attacked.test.value == pytest.approx(found.test.accuracy)


def test_data_without_a_front_end_get_the_scaling_of_the_model() -> None:
    data = tiny.prepared()
    model = keras_models.build_model(tiny.told(), data)
    brighter = replace(tiny.prepared(60), scaling=Scaling(np.float32(3), np.float32(7)))  # type: ignore[arg-type]
    viewed = see_as_model(model, None, brighter)
    assert viewed.train.features is brighter.train.features
    np.testing.assert_allclose(viewed.scaling.std, data.scaling.std, rtol=1e-6)
