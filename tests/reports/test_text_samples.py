"""Pictures of texts; pixels are not compared, what is to be drawn is."""

from pathlib import Path

import numpy as np

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.evaluation.evaluate import evaluate
from pipeline.models import keras_models
from pipeline.reports import run_pictures
from pipeline.reports.text_samples import LETTERS, LINES, _cut
from tests.support import places

PNG = b"\x89PNG"


def test_texts_have_pictures_of_their_own(tmp_path: Path) -> None:
    root = places.text_folder(tmp_path / "data")
    settings = compose(["data=text_folder", f"data.path={root}", f"cache_dir={tmp_path / 'cache'}"]).settings
    prepared = preprocess(settings)
    assert run_pictures.of_samples(prepared).startswith(PNG)
    found = evaluate(keras_models.predictor(keras_models.build(settings, prepared)), prepared, settings)
    drawn = run_pictures.of_evaluation(found, prepared)
    assert all(picture.startswith(PNG) for picture in drawn.values())
    assert "pictures/worst_mistakes.png" in drawn
    assert drawn == run_pictures.of_evaluation(found, prepared)


def test_a_sound_is_drawn_as_a_spectrogram(tmp_path: Path) -> None:
    root = places.audio_folder(tmp_path / "data")
    words = [
        "data=audio_folder",
        f"data.path={root}",
        f"cache_dir={tmp_path / 'cache'}",
        "preprocess.test=0.3",
    ]
    prepared = preprocess(compose([*words, "preprocess.validation=0.3"]).settings)
    assert run_pictures.of_samples(prepared).startswith(PNG)
    assert np.ndim(prepared.train.features) == 3


def test_a_long_text_is_cut_and_a_short_one_is_not() -> None:
    assert _cut("a film") == ["a film"]
    lines = _cut("word " * 200)
    assert len(lines) == LINES
    assert max(map(len, lines)) <= LETTERS
    assert lines[-1].endswith("…")
