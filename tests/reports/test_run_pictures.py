"""A run has the pictures that the kind of its samples asks for; the same data gives the same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.evaluation.evaluate import evaluate
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.reports import run_pictures
from pipeline.settings.settings import Settings
from tests.support import places
from tests.support.pictures import scored, size, table

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return compose(["evaluate.worst=6"]).settings


def test_every_picture_of_an_evaluation(settings: Settings) -> None:
    prepared = table()
    found = run_pictures.draw_evaluation(scored(prepared, settings), prepared)
    assert set(found) == {
        f"pictures/{name}.png" for name in ("confusion_matrix", "calibration", "worst_mistakes")
    }
    assert all(min(size(png)) > 300 for png in found.values())


def test_without_mistakes_there_is_no_picture_of_them(settings: Settings) -> None:
    prepared = table()
    flawless = replace(scored(prepared, settings), worst=())
    assert "pictures/worst_mistakes.png" not in run_pictures.draw_evaluation(flawless, prepared)


def test_the_same_data_give_the_same_bytes_and_others_do_not(settings: Settings) -> None:
    prepared = table()
    one, other = scored(prepared, settings, 0), scored(prepared, settings, 1)
    first = run_pictures.draw_evaluation(one, prepared)
    assert first == run_pictures.draw_evaluation(one, prepared)
    for name, png in run_pictures.draw_evaluation(other, prepared).items():
        assert png != first[name], name


def test_texts_have_pictures_of_their_own(tmp_path: Path) -> None:
    root = places.text_folder(tmp_path / "data")
    settings = compose(["data=text_folder", f"data.path={root}", f"cache_dir={tmp_path / 'cache'}"]).settings
    prepared = preprocess(settings)
    assert run_pictures.draw_samples(prepared).startswith(PNG)
    found = evaluate(make_predictor(keras_models.build_model(settings, prepared)), prepared, settings)
    drawn = run_pictures.draw_evaluation(found, prepared)
    assert all(picture.startswith(PNG) for picture in drawn.values())
    assert "pictures/worst_mistakes.png" in drawn
    assert drawn == run_pictures.draw_evaluation(found, prepared)


def test_a_sound_is_drawn_as_a_spectrogram(tmp_path: Path) -> None:
    root = places.audio_folder(tmp_path / "data")
    words = [
        "data=audio_folder",
        f"data.path={root}",
        f"cache_dir={tmp_path / 'cache'}",
        "preprocess.test=0.3",
    ]
    prepared = preprocess(compose([*words, "preprocess.validation=0.3"]).settings)
    assert run_pictures.draw_samples(prepared).startswith(PNG)
    assert np.ndim(prepared.train.features) == 3
